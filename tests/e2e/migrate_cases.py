"""What tests of a migration share: volumes with settings of every kind, and what a restore of them must keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.session import REGION
from tests.e2e.stage import Machine, Stage, tags_of

OTHER_ZONE = f"{REGION}b"
DISK = {"VolumeSize": 40, "VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Encrypted": True}
SMALL = {"VolumeSize": 10, "VolumeType": "gp3"}
OWN_TAGS = {"Name": "CadoResponseDataVolume", "team": "forensics"}
FRESH_DEVICE = "/dev/sdb"
AWAY = "eu-central-1"


def expect_fidelity(restored: Mapping[str, Any], disk: Mapping[str, Any], own_tags: Mapping[str, str]) -> None:
    """All that the lost volume was, the restored one is."""
    observed = {
        "VolumeSize": restored["Size"],
        **{name: restored[name] for name in ("VolumeType", "Iops", "Throughput", "Encrypted")},
    }
    assert observed == {name: disk[name] for name in observed}
    assert own_tags.items() <= tags_of(restored).items()


def fresh_platform(stage: Stage, zone: str, disk: Mapping[str, Any] = SMALL) -> Machine:
    """Without any tag of ours: consent and selection are the page's."""
    [machine] = stage.launch(zone=zone, disks={FRESH_DEVICE: disk}, tags={"Name": "fresh"}, volume_tags={})
    return machine


def expect_running_on_the_restored(
    stage: Stage, fresh: Machine, ended: Mapping[str, Any], tags: Mapping[str, str] = OWN_TAGS
) -> dict[str, Any]:
    """The fresh platform runs on a volume that is all that the lost one was; that volume."""
    assert ended["status"] == "completed", ended
    assert stage.power(fresh.instance_id) == "running"
    [(volume_id, _)] = stage.disks(fresh.instance_id).values()
    restored = stage.volume(volume_id)
    expect_fidelity(restored, DISK, tags)
    return restored


def wipe_out(home: Stage) -> None:
    """The region is gone: every instance, volume and snapshot, and the functions may call nothing there."""
    found = home.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    ids = [instance["InstanceId"] for item in found["Reservations"] for instance in item["Instances"]]
    home.ec2.terminate_instances(InstanceIds=ids)
    home.control.settle()
    for volume_id in home.volumes():
        home.ec2.delete_volume(VolumeId=volume_id)
    for snapshot in home.recovery_point_snapshots():
        home.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    home.control.settle()
    assert (home.volumes(), home.recovery_point_snapshots()) == ({}, [])
