"""A restore of what is only in another region: it is copied here first, by the same transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lifeboat.domain.text import iso
from local.session import REGION, LocalAws
from tests.e2e.fetch_cases import COPY_SECONDS, copies
from tests.e2e.migrate_cases import AWAY, DISK, FRESH_DEVICE, OWN_TAGS, SMALL, expect_fidelity
from tests.e2e.stage import DEVICE, SETTINGS, Machine, Regions, Stage, events_of, tag_list, tags_of

STRICT = {"Retention": "last=1", "MinimumKept": "1", "GraceHours": "0", "MaximumDeletePercent": "100"}
OLDER, NEWER = "2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z"


@pytest.fixture(scope="module")
def deployed() -> Iterator[Regions]:
    with LocalAws({**SETTINGS, "delays": {"copy": COPY_SECONDS}}) as aws:
        fetching = {"RestoreFromRegions": f"{REGION},{AWAY}"}
        yield Regions(Stage(aws, fetching), Stage(aws, {**fetching, **STRICT}, region=AWAY))


@pytest.fixture
def regions(deployed: Regions) -> Iterator[Regions]:
    yield deployed
    deployed.home.control.settle()
    deployed.home.control.reset()


def saved(stage: Stage, disks: dict[str, Any] | None = None) -> tuple[Machine, str]:
    """A platform with one good recovery point."""
    [platform] = stage.launch(zone=f"{stage.region}a", disks=disks or {DEVICE: DISK})
    stage.ec2.create_tags(Resources=list(platform.volumes.values()), Tags=tag_list(OWN_TAGS))
    return platform, stage.point_of(platform)


def fresh(stage: Stage, devices: tuple[str, ...] = (FRESH_DEVICE,)) -> Machine:
    [machine] = stage.launch(zone=f"{stage.region}b", disks=dict.fromkeys(devices, SMALL))
    return machine


def test_what_is_only_at_home_is_fetched_and_the_platform_runs_on_it(regions):
    home, away = regions.home, regions.away
    platform, point = saved(home)
    target = fresh(away)
    mark = away.control.mark()
    plan = away.restore(target, point, dry_run=True)
    assert plan["possible"], plan
    assert (
        f"copy {home.recovery_point_snapshots(('volume-id', platform.volume_id))[0]['SnapshotId']} from" in plan["plan"]
    )
    assert away.changes(mark, "RestoreVolume") == []

    begun = away.restore(target, {"instance_id": platform.instance_id})
    assert (begun["step"], begun["volumes"][0]["copied_from"]) == ("copies", REGION)
    launched = away.instance(target.instance_id)["LaunchTime"]
    assert (away.power(target.instance_id), away.instance(target.instance_id)["LaunchTime"]) == ("running", launched)
    ended = away.until_closed(begun["restore_id"])

    assert ended["status"] == "completed", ended
    [(volume_id, _)] = away.disks(target.instance_id).values()
    restored = away.volume(volume_id)
    expect_fidelity(restored, DISK, OWN_TAGS)
    assert tags_of(restored)["lifeboat:chain"] == platform.volume_id
    [copy] = copies(away, point)
    assert restored["SnapshotId"] == copy["SnapshotId"] == ended["volumes"][0]["snapshot_id"]
    assert restored["KmsKeyId"] == copy["KmsKeyId"]
    messages = away.published_about(restore_id=begun["restore_id"])
    assert events_of(messages) == ["RestoreStarted", "RestoreCompleted"]
    assert any(f"from {REGION}, unless a copy is here" in line for line in messages[0]["details"]["plan"])
    assert messages[1]["details"]["seconds_per_step"]["copies"] >= 1
    assert away.denied(mark) == []


def test_a_recovery_point_of_two_volumes_comes_whole(regions):
    home, away = regions.home, regions.away
    _, point = saved(home, {"/dev/sdf": DISK, "/dev/sdg": {**DISK, "VolumeSize": 41}})
    target = fresh(away, ("/dev/sdf", "/dev/sdg"))
    begun = away.restore(target, point)
    ended = away.until_closed(begun["restore_id"])
    assert ended["status"] == "completed", ended
    restored = {device: away.volume(volume)["Size"] for device, (volume, _) in away.disks(target.instance_id).items()}
    assert restored == {"/dev/sdf": 40, "/dev/sdg": 41}
    sources = home.recovery_point_snapshots(("tag:lifeboat:recovery-point", point))
    sets = {tags_of(item)["lifeboat:set"] for item in [*sources, *copies(away, point)]}
    assert len(sets) == 1
    assert away.restore(target, point, request_id="again", dry_run=True)["plan"].count("copy ") == 0, "it is here now"


def test_what_home_has_deleted_is_fetched_back(regions):
    home, away = regions.home, regions.away
    platform, point = saved(home)
    first = away.restore(fresh(away), point)
    assert away.until_closed(first["restore_id"])["status"] == "completed"
    for source in home.recovery_point_snapshots(("volume-id", platform.volume_id)):
        home.ec2.delete_snapshot(SnapshotId=source["SnapshotId"])

    begun = home.restore(platform, point)
    assert begun["volumes"][0]["copied_from"] == AWAY
    assert home.until_closed(begun["restore_id"])["status"] == "completed"
    [copy] = copies(home, point)
    assert tags_of(copy)["lifeboat:copied-from"] == AWAY
    expect_fidelity(home.volume(home.disks(platform.instance_id)[DEVICE][0]), DISK, OWN_TAGS)


def test_a_copy_that_others_have_begun_is_waited_for_and_not_doubled(regions):
    home, away = regions.home, regions.away
    _, point = saved(home)
    [source] = home.recovery_point_snapshots(("tag:lifeboat:recovery-point", point))
    found = {key: re.sub(" kms-key=[^ ]+", "", value) for key, value in tags_of(source).items()}
    begun_at = iso(source["StartTime"])
    found |= {"lifeboat:copy-of": source["SnapshotId"], "lifeboat:copied-from": REGION}
    found |= {"lifeboat:taken-at": begun_at, "lifeboat:copied-at": begun_at}
    target = fresh(away)
    away.ec2.copy_snapshot(
        SourceRegion=REGION,
        SourceSnapshotId=source["SnapshotId"],
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": tag_list(found)}],
    )
    begun = away.restore(target, point)
    assert begun["step"] == "copies", begun
    assert away.until_closed(begun["restore_id"])["status"] == "completed"
    assert len(copies(away, point)) == 1


def test_retention_lets_nothing_go_that_a_restore_is_fetching(regions):
    home, away = regions.home, regions.away
    [platform] = home.launch()
    for slot in (OLDER, NEWER):
        home.invoke("TakeSnapshotsFunction", {"instance_ids": [platform.instance_id], "scheduled_time": slot})
        home.control.settle()
    points = {
        tags_of(item)["lifeboat:slot"]: tags_of(item)["lifeboat:recovery-point"]
        for item in home.recovery_point_snapshots(("volume-id", platform.volume_id))
    }
    done = away.restore(fresh(away), points[NEWER])
    assert away.until_closed(done["restore_id"])["status"] == "completed"

    # The older one is here, and is still to be made a volume of, when retention runs.
    away.control.fault("CreateVolume", "throttle", count=0, caller="lifeboat")
    begun = away.restore(fresh(away), points[OLDER])
    away.reconcile_until(lambda: [copy for copy in copies(away, points[OLDER]) if copy["State"] == "completed"])
    shown = away.invoke("PruneSnapshotsFunction", {"dry_run": True})
    reasons = {item["recovery_point"]: item["reasons"] for item in shown["kept"]}
    assert reasons[points[OLDER]] == [f"{begun['restore_id']} is making volumes of it"]
    away.control.reset()
    assert away.until_closed(begun["restore_id"])["status"] == "completed"
    shown = away.invoke("PruneSnapshotsFunction", {"dry_run": True})
    assert points[OLDER] in {item["recovery_point"] for item in shown["delete"]}, "afterwards the policy decides"
    assert away.denied() == []
