"""Moving the platform, as docs/guide/migrate.md says: one request brings it back wherever a fresh platform stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from local.session import REGION, LocalAws
from tests.e2e.migrate_cases import (
    AWAY,
    DISK,
    OTHER_ZONE,
    OWN_TAGS,
    expect_running_on_the_restored,
    fresh_platform,
    wipe_out,
)
from tests.e2e.migrate_page import Operator
from tests.e2e.stage import DEVICE, SETTINGS, Stage, events_of, tag_list, tags_of

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
    with LocalAws(SETTINGS) as aws:
        key = aws.client("kms", AWAY).create_key(Description="copies")["KeyMetadata"]["Arn"]
        copying = {"CopyKmsKeyArns": key, "CopyExisting": "true", "CopyCompletionMinutes": "30"}
        home = Stage(aws, {"CopyToRegions": AWAY, **copying})
        yield Regions(home, Stage(aws, AWAY_RETENTION, region=AWAY), key)


def test_to_another_zone_by_the_commands_of_the_page(regions):
    stage = regions.home
    operator = Operator(stage.aws, "To another zone")
    operator.has_deployed(stage)
    [platform] = stage.launch(disks={DEVICE: DISK})
    stage.ec2.create_tags(Resources=[platform.volume_id], Tags=tag_list(OWN_TAGS))
    operator.knows(platform)
    operator.next("sam remote invoke TakeSnapshotsFunction")
    stage.control.settle()
    assert "BackupCompleted" in events_of(stage.published_about(instance_id=platform.instance_id))
    operator.next("aws ec2 stop-instances")
    stage.control.settle()

    fresh = fresh_platform(stage, zone=OTHER_ZONE)
    operator.knows(fresh=fresh)
    operator.next("aws ec2 create-tags")
    plan = operator.next("sam remote invoke RestoreVolumeFunction")
    assert plan["possible"], plan
    begun = operator.next("sam remote invoke RestoreVolumeFunction")
    ended = stage.until_closed(begun["restore_id"])
    restored = expect_running_on_the_restored(stage, fresh, ended)
    assert restored["AvailabilityZone"] == OTHER_ZONE
    assert tags_of(restored)["lifeboat:chain"] == platform.volume_id
    assert stage.volume(fresh.volume_id)["State"] == "available", "the displaced volume is kept"

    operator.next("aws ec2 create-tags")
    operator.next("aws ec2 delete-tags")
    assert operator.finished
    volume_id = restored["VolumeId"]
    snapshots = [item for item in stage.back_up().values() if item["VolumeId"] != platform.volume_id]
    [point] = [item for item in snapshots if item["VolumeId"] == volume_id]
    assert tags_of(point)["lifeboat:chain"] == platform.volume_id
    assert stage.denied() == []


def copied_after_some_runs(home, instance_id):
    """The messages of the copies that have been published; a reconcile run that has come too early is followed by
    the next."""
    for _ in range(4):
        home.reconcile("CopySnapshotsFunction")
        published = [
            item for item in home.published_about(instance_id=instance_id) if item["event"] == "SnapshotsCopied"
        ]
        if published:
            return published
        home.control.settle()
    return []


def test_to_another_region_by_the_commands_of_the_page_when_the_home_region_is_gone():
    with LocalAws(SETTINGS) as aws:
        operator = Operator(aws, "To another region")
        key = aws.client("kms", AWAY).create_key(Description="copies")["KeyMetadata"]["Arn"]
        operator.names[f"arn:aws:kms:{AWAY}:111122223333:key/..."] = key
        operator.next(f"make deploy REGION={AWAY}")
        operator.next("make deploy CopyToRegions")
        home, away = operator.stage(), operator.stage(AWAY)
        home_key = aws.client("kms").create_key(Description="data")["KeyMetadata"]["Arn"]
        [platform] = home.launch(disks={DEVICE: {**DISK, "KmsKeyId": home_key}})
        home.ec2.create_tags(Resources=[platform.volume_id], Tags=tag_list(OWN_TAGS))
        operator.knows(platform)
        assert "begun" in operator.next("sam remote invoke CopySnapshotsFunction")[AWAY]

        operator.next("sam remote invoke TakeSnapshotsFunction")
        home.control.settle()  # BackupCompleted has woken the copying, and the copy's end has been sent home
        [found] = copied_after_some_runs(home, platform.instance_id)
        assert found["subject"]["region"] == AWAY
        wipe_out(home)
        aws.control.lose_region(REGION)

        fresh = fresh_platform(away, zone=f"{AWAY}b")
        operator.knows(fresh=fresh)
        operator.next(f"aws ec2 create-tags --region {AWAY}")
        plan = operator.next(f"sam remote invoke RestoreVolumeFunction --region {AWAY}")
        assert plan["possible"], plan
        [unread] = [item["finding"] for item in plan["findings"] if item["code"] == "region-not-read"]
        assert unread.startswith(f"Recovery points that are only in {REGION} are not considered")
        begun = operator.next(f"sam remote invoke RestoreVolumeFunction --region {AWAY}")
        ended = away.until_closed(begun["restore_id"])
        restored = expect_running_on_the_restored(away, fresh, ended)
        assert restored["KmsKeyId"] == key, "the home region's key is of no use here"
        assert restored["AvailabilityZone"] == f"{AWAY}b"
        assert tags_of(restored)["lifeboat:chain"] == platform.volume_id

        operator.next(f"aws ec2 create-tags --region {AWAY}")
        assert operator.finished
        [point] = [item for item in away.back_up().values() if item["VolumeId"] == restored["VolumeId"]]
        assert tags_of(point)["lifeboat:chain"] == platform.volume_id
        assert away.denied() == []


def test_the_destination_keeps_copies_by_its_own_policy_and_does_not_copy_a_pruned_one_again(regions):
    home, away = regions.home, regions.away
    [platform] = home.launch()
    for day in range(1, 6):
        home.invoke(
            "TakeSnapshotsFunction",
            {"instance_ids": [platform.instance_id], "scheduled_time": f"2026-01-0{day}T02:00:00Z"},
        )
        home.control.settle()
    home.reconcile("CopySnapshotsFunction")
    ours = ("tag:lifeboat:instance", platform.instance_id)
    there = away.recovery_point_snapshots(ours)
    how = [(copy["TransferType"], copy["CompletionDurationMinutes"], copy["KmsKeyId"]) for copy in there]
    assert how == [("time-based", 30, regions.key)] * 5

    away.invoke("PruneSnapshotsFunction", {})
    away.control.settle()
    kept = {tags_of(item)["lifeboat:slot"] for item in away.recovery_point_snapshots(ours)}
    assert kept == {"2026-01-04T02:00:00Z", "2026-01-05T02:00:00Z"}
    assert len(home.recovery_point_snapshots(ours)) == 5, "each region by its own policy"

    mark = home.control.mark()
    home.reconcile("CopySnapshotsFunction")
    assert "ec2:CopySnapshot" not in home.control.counts(mark)
    assert len(away.recovery_point_snapshots(ours)) == 2
