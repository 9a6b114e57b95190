"""Moving the platform, as docs/migrate.md says: the same request brings it back wherever a fresh platform stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from local.session import REGION, LocalAws
from tests.e2e.stage import DELAYS, DEVICE, SETTINGS, Machine, Stage, tag_list, tags_of

OTHER_ZONE = f"{REGION}b"
DISK = {"VolumeSize": 40, "VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Encrypted": True}
OWN_TAGS = {"Name": "CadoResponseDataVolume", "team": "forensics"}
FRESH_DEVICE = "/dev/sdb"
AWAY = "eu-central-1"
AWAY_RETENTION = {"Retention": "last=2", "MinimumKept": "2", "GraceHours": "0", "MaximumDeletePercent": "100"}


@dataclass(frozen=True)
class Regions:
    """The stack at home, which copies to another region, and the same template deployed there."""

    home: Stage
    away: Stage
    key: str
    """What the copies are encrypted with."""


@pytest.fixture(scope="module")
def regions() -> Iterator[Regions]:
    with LocalAws({**SETTINGS, "delays": {**DELAYS, "copy": 0.2}}) as aws:
        key = aws.client("kms", AWAY).create_key(Description="copies")["KeyMetadata"]["Arn"]
        copying = {"CopyKmsKeyArns": key, "CopyExisting": "true", "CopyCompletionMinutes": "30"}
        home = Stage(aws, {"CopyToRegions": AWAY, **copying})
        yield Regions(home, Stage(aws, AWAY_RETENTION, region=AWAY), key)


@pytest.fixture
def stage(regions: Regions) -> Stage:
    return regions.home


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


def copied_after_a_few_sweeps(home, instance_id):
    """The messages of the copies that have been told; a sweep that has come too early is followed by the next."""
    for _ in range(4):
        home.sweep("CopySnapshotsFunction")
        told = [item for item in home.told_of(instance_id=instance_id) if item["event"] == "SnapshotsCopied"]
        if told:
            return told
        home.control.settle()
    return []


def test_to_another_region_when_the_home_region_is_gone(regions):
    home, away = regions.home, regions.away
    home_key = home.aws.client("kms").create_key(Description="data")["KeyMetadata"]["Arn"]
    [platform] = home.launch(disks={DEVICE: {**DISK, "KmsKeyId": home_key}})
    home.ec2.create_tags(Resources=[platform.volume_id], Tags=tag_list(OWN_TAGS))
    home.invoke("TakeSnapshotsFunction", {"instance_ids": [platform.instance_id]})
    home.control.settle()  # BackupCompleted has woken the copying
    [told] = copied_after_a_few_sweeps(home, platform.instance_id)
    assert told["subject"]["region"] == AWAY
    [copy] = away.recovery_point_snapshots(("tag:lifeboat:instance", platform.instance_id))
    assert (copy["TransferType"], copy["CompletionDurationMinutes"]) == ("time-based", 30)
    wipe_out(home)

    [fresh] = away.launch(zone=f"{AWAY}b", disks={FRESH_DEVICE: {"VolumeSize": 10, "VolumeType": "gp3"}})
    ask = {"instance_id": platform.instance_id}
    plan = away.restore(fresh, ask, dry_run=True)
    assert plan["possible"], plan
    begun = away.restore(fresh, ask, reason="the home region is gone")
    ended = away.until_closed(begun["restore_id"])

    assert ended["status"] == "completed", ended
    assert away.power(fresh.instance_id) == "running"
    [(volume_id, _)] = away.disks(fresh.instance_id).values()
    restored = away.volume(volume_id)
    expect_fidelity(restored, DISK, OWN_TAGS)
    assert restored["KmsKeyId"] == regions.key, "the home region's key is of no use here"
    assert restored["AvailabilityZone"] == f"{AWAY}b"
    assert tags_of(restored)["lifeboat:chain"] == platform.volume_id
    assert away.denied() == []


def test_the_destination_keeps_copies_by_its_own_policy_and_what_it_let_go_is_not_copied_again(regions):
    home, away = regions.home, regions.away
    [platform] = home.launch()
    for day in range(1, 6):
        home.invoke(
            "TakeSnapshotsFunction",
            {"instance_ids": [platform.instance_id], "scheduled_time": f"2026-01-0{day}T02:00:00Z"},
        )
        home.control.settle()
    home.sweep("CopySnapshotsFunction")
    ours = ("tag:lifeboat:instance", platform.instance_id)
    assert len(away.recovery_point_snapshots(ours)) == 5

    away.invoke("PruneSnapshotsFunction", {})
    away.control.settle()
    kept = {tags_of(item)["lifeboat:slot"] for item in away.recovery_point_snapshots(ours)}
    assert kept == {"2026-01-04T02:00:00Z", "2026-01-05T02:00:00Z"}
    assert len(home.recovery_point_snapshots(ours)) == 5, "each region by its own policy"

    mark = home.control.mark()
    home.sweep("CopySnapshotsFunction")
    assert "ec2:CopySnapshot" not in home.control.counts(mark)
    assert len(away.recovery_point_snapshots(ours)) == 2
