"""Moving the platform, as docs/migrate.md says: the same request brings it back wherever a fresh platform stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.session import REGION
from tests.e2e.stage import DEVICE, Machine, Stage, staged, tag_list, tags_of

OTHER_ZONE = f"{REGION}b"
DISK = {"VolumeSize": 40, "VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Encrypted": True}
OWN_TAGS = {"Name": "CadoResponseDataVolume", "team": "forensics"}
FRESH_DEVICE = "/dev/sdb"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def lose(stage: Stage, machine: Machine) -> None:
    """The instance is terminated and its data volume deleted: nothing but the recovery point is left."""
    stage.ec2.terminate_instances(InstanceIds=[machine.instance_id])
    stage.control.settle()
    stage.ec2.delete_volume(VolumeId=machine.volume_id)
    stage.control.settle()


def expect_fidelity(restored: Mapping[str, Any], disk: Mapping[str, Any], own_tags: Mapping[str, str]) -> None:
    """All that the lost volume was, the restored one is."""
    seen = {
        "VolumeSize": restored["Size"],
        **{name: restored[name] for name in ("VolumeType", "Iops", "Throughput", "Encrypted")},
    }
    assert seen == {name: disk[name] for name in seen}
    assert own_tags.items() <= tags_of(restored).items()


def test_to_another_zone_on_the_restored_volume_with_the_chain_carried_on(stage):
    [platform] = stage.launch(disks={DEVICE: DISK})
    stage.ec2.create_tags(Resources=[platform.volume_id], Tags=tag_list(OWN_TAGS))
    stage.back_up(platform.instance_id)
    lose(stage, platform)

    [fresh] = stage.launch(zone=OTHER_ZONE, disks={FRESH_DEVICE: {"VolumeSize": 10, "VolumeType": "gp3"}})
    plan = stage.restore(fresh, "latest", dry_run=True)
    assert plan["possible"], plan
    begun = stage.restore(fresh, "latest", reason="moves to another zone")
    ended = stage.until_closed(begun["restore_id"])

    assert ended["status"] == "completed"
    assert stage.power(fresh.instance_id) == "running"
    [(volume_id, _)] = stage.disks(fresh.instance_id).values()
    restored = stage.volume(volume_id)
    assert restored["AvailabilityZone"] == OTHER_ZONE
    expect_fidelity(restored, DISK, OWN_TAGS)
    assert tags_of(restored)["lifeboat:chain"] == platform.volume_id
    assert stage.volume(fresh.volume_id)["State"] == "available", "the displaced volume is kept"

    [point] = [item for item in stage.back_up(fresh.instance_id).values() if item["VolumeId"] == volume_id]
    assert tags_of(point)["lifeboat:chain"] == platform.volume_id
