"""Adopting existing snapshots, through its handler: prune_snapshots."""

from __future__ import annotations

from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat import handler
from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import LEFT_FOR_RETURN
from lifeboat.retention import adoption_workflow as adoption
from tests.functions.conftest import ACCOUNT, Context

DAYS = 20
GONE = {
    "device": "/dev/sdh",
    "type": "gp3",
    "iops": 3000,
    "throughput": 125,
    "delete_on_termination": False,
    "instance_id": "i-0123456789abcdef0",
}


@pytest.fixture
def legacy(world, monkeypatch):
    """Nightly snapshots of a living data volume, as a bare schedule makes them: its id, and theirs, newest first."""
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    monkeypatch.setattr(clock, "wait", lambda _: None)
    monkeypatch.setenv("LIFEBOAT_MAY_ADOPT", "true")
    handler.forget()
    volume_id = world.volume_of(world.launch())
    made = []
    for day in range(DAYS):
        snapshot = world.ec2.create_snapshot(
            VolumeId=volume_id,
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "By", "Value": "night"}]}],
        )["SnapshotId"]
        backend = ec2_backends[ACCOUNT]["eu-west-1"]
        backend.snapshots[snapshot].start_time = clock.now() - timedelta(days=day, minutes=5)
        made.append(snapshot)
    return volume_id, made


def tag(world, snapshot, key, value="x"):
    world.ec2.create_tags(Resources=[snapshot], Tags=[{"Key": key, "Value": value}])


def left(world):
    return {snapshot["SnapshotId"] for snapshot in world.snapshots()}


def test_a_preview_changes_nothing_and_says_what_retention_will_make_of_it(world, legacy, monkeypatch):
    volume_id, made = legacy
    monkeypatch.setenv("LIFEBOAT_MAX_DELETE_PERCENT", "10")
    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}})
    assert answer["confirm"] is False
    assert [entry["snapshot"] for entry in answer["adopt"]] == made[::-1], "oldest first"
    # last=3 daily=14; that no more than two go at once saves none in the end.
    fates = {entry["snapshot"]: entry["then"] for entry in answer["adopt"]}
    assert {snapshot for snapshot, fate in fates.items() if fate == "kept"} == set(made[:14])
    assert all(entry["reasons"] and entry["lineage"] == volume_id for entry in answer["adopt"])
    assert left(world) == set()
    assert world.messages() == []


def test_confirmed_they_are_recovery_points_and_governed(world, legacy):
    volume_id, made = legacy
    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}, "confirm": True})
    assert (len(answer["adopted"]), answer["refused"], answer["notices"]) == (DAYS, [], [])
    assert left(world) == set(made)
    [published] = world.messages()
    assert (published["event"], published["severity"]) == ("RecoveryPointsAdopted", "info")
    assert published["subject"] == {"volume_id": volume_id}
    assert len(published["details"]["adopted"]) == DAYS

    plan = world.invoke("prune_snapshots", {"dry_run": True})
    assert len(plan["kept"]) + len(plan["delete"]) == DAYS
    world.invoke("prune_snapshots", {})
    assert left(world) == set(made[:14])


def test_asking_again_adopts_nothing_twice(world, legacy):
    volume_id, _ = legacy
    ask = {"adopt": {"volume_id": volume_id}, "confirm": True}
    world.invoke("prune_snapshots", ask)
    before = world.snapshots()
    world.messages()
    answer = world.invoke("prune_snapshots", ask)
    assert answer["adopted"] == []
    assert all("already a recovery point" in entry["cause"] for entry in answer["refused"])
    assert world.snapshots() == before
    assert world.messages() == [], "nothing was done, so nothing is published"


def test_by_tag_and_those_of_others_are_refused_with_the_reason(world, legacy):
    _, made = legacy
    tag(world, made[0], "dlm:managed", "true")
    ec2_backends[ACCOUNT]["eu-west-1"].snapshots[made[1]].add_tags({"aws:backup:source-resource": "arn"})
    answer = world.invoke("prune_snapshots", {"adopt": {"tag": {"key": "By", "value": "night"}}, "confirm": True})
    causes = {entry["snapshot"]: entry["cause"] for entry in answer["refused"]}
    assert set(causes) == {made[0], made[1]}
    assert "Data Lifecycle Manager" in causes[made[0]]
    assert "AWS Backup" in causes[made[1]]
    assert left(world) == set(made[2:])
    [published] = world.messages()
    assert published["severity"] == "warning"
    assert published["subject"] == {"tag": "By=night"}


def test_a_volume_that_is_gone_needs_its_facts_in_the_request(world, legacy):
    volume_id, made = legacy
    backend = ec2_backends[ACCOUNT]["eu-west-1"]
    del backend.volumes[volume_id]
    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}, "confirm": True})
    assert len(answer["refused"]) == DAYS
    assert "volume.device" in answer["refused"][0]["cause"]
    assert left(world) == set()

    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}, "volume": GONE, "confirm": True})
    assert len(answer["adopted"]) == DAYS
    assert left(world) == set(made)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"volume_id": "vol-0123456789abcdef0"}, "adopt.volume_id is vol-0123456789abcdef0, expected a volume that"),
        ({"tag": {"key": "By", "value": "ni*"}}, "adopt.tag is By=ni*, expected a tag that"),
    ],
)
def test_nothing_found_is_one_sentence(world, legacy, what, said):
    assert said in world.invoke("prune_snapshots", {"adopt": what})["refused"]


def test_a_refusal_of_ec2_is_a_result_and_throttling_is_none(world, legacy, monkeypatch):
    volume_id, made = legacy
    real, asked = ec2_snapshots.tag_snapshot, []

    def unwilling(snapshot_id, tags):
        asked.append(snapshot_id)
        if len(asked) == 2:
            raise AwsError("RequestLimitExceeded", "slow down", answered=True)
        if snapshot_id == made[3]:
            raise AwsError("UnauthorizedOperation", "no", answered=True)
        real(snapshot_id, tags)

    monkeypatch.setattr(ec2_snapshots, "tag_snapshot", unwilling)
    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}, "confirm": True})
    assert [entry["snapshot"] for entry in answer["refused"]] == [made[3]]
    assert "UnauthorizedOperation" in answer["refused"][0]["cause"]
    assert asked[1] == asked[2]
    assert left(world) == set(made) - {made[3]}


def test_a_run_cut_off_says_how_many_are_left_and_is_resumed(world, legacy, monkeypatch):
    volume_id, made = legacy
    left_ms = iter([60_000] * 9 + [1000 * LEFT_FOR_RETURN - 1] * 10)
    ask = {"adopt": {"volume_id": volume_id}, "confirm": True}
    with monkeypatch.context() as short:
        short.setattr(Context, "get_remaining_time_in_millis", lambda _: next(left_ms))
        answer = world.invoke("prune_snapshots", ask)
    assert len(answer["adopted"]) == len(left(world)) == 7
    assert "13 more can be adopted" in answer["notices"][0]
    assert "13 more" in str(world.messages()[0]["details"]["notices"])
    world.invoke("prune_snapshots", ask)
    assert left(world) == set(made)


def test_a_long_answer_is_cut_and_counted(world, legacy, monkeypatch):
    monkeypatch.setattr(adoption, "ADOPTIONS_LISTED", 5)
    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": legacy[0]}})
    assert (len(answer["adopt"]), answer["adopt_not_listed"]) == (5, 15)


def test_without_the_parameter_a_preview_says_so_and_confirming_is_refused(world, legacy, monkeypatch):
    volume_id, _ = legacy
    monkeypatch.setenv("LIFEBOAT_MAY_ADOPT", "false")
    handler.forget()
    preview = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}})
    assert "AllowAdoption=true" in preview["next"]
    answer = world.invoke("prune_snapshots", {"adopt": {"volume_id": volume_id}, "confirm": True})
    assert answer["refused"].startswith(
        "confirm is true, expected false, because this stack may not adopt: deploy with"
    )
    assert left(world) == set()
