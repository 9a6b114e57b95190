"""Restore drills through the handler, with the effects on moto. What takes time in EC2 is shown in tests/e2e."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from moto.ebs.models import ebs_backends

from lifeboat.aws import clock, ebs_direct, ec2_calls, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.domain.ec2_calls import CreateVolume, DeleteVolume
from lifeboat.domain.proof import Level, Proof, Result, write_proof
from lifeboat.domain.suspicion import open_suspicion
from lifeboat.verify import drill_workflow
from tests.functions.conftest import ACCOUNT, TABLE, TODAY, client
from tests.functions.restores import RECONCILE, ask, fresh_platform, time
from tests.functions.restores import saved as saved_once
from tests.functions.written_blocks import flip_a_byte, write_blocks

__all__ = ["saved_once", "time"]  # fixtures

WEEKLY = {"scheduled_time": "2026-11-28T05:00:00Z"}


def drill_volumes(world):
    return world.ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["lifeboat:drill"]}])["Volumes"]


def events(world):
    return [message["event"] for message in world.messages()]


@pytest.fixture
def saved(world, saved_once):
    """A platform with one good recovery point, whose snapshot has two written blocks."""
    [snapshot] = world.snapshots()
    write_blocks(snapshot["SnapshotId"], {7: b"first", 9: b"second"})
    return saved_once


@pytest.fixture
def refused(monkeypatch):
    """EC2's answers to calls of drills, by the kind of the call; None lets it through. Filled by tests."""
    answers, perform = {}, ec2_calls.perform

    def answer(change):
        if said := answers.get(type(change)):
            raise said
        return perform(change)

    monkeypatch.setattr(ec2_calls, "perform", answer)
    return answers


def test_a_drill_creates_compares_and_deletes_a_volume_and_publishes_once(world, saved, capsys):
    before = {item["VolumeId"] for item in world.ec2.describe_volumes()["Volumes"]}
    answer = world.invoke("drill_restores", WEEKLY)
    [passed] = world.messages()
    [snapshot] = world.snapshots()
    assert answer["drills"][0]["id"] == answer["opened"][0] == passed["subject"]["drill"]
    assert answer["drills"][0]["state"] == "done"
    assert (passed["event"], passed["severity"]) == ("DrillPassed", "info")
    assert passed["subject"]["instance_id"] == saved
    [volume] = passed["details"]["volumes"]
    assert volume["snapshot"] == snapshot["SnapshotId"]
    assert volume["volume"] not in before
    assert {item["VolumeId"] for item in world.ec2.describe_volumes()["Volumes"]} == before
    [metric] = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "RecoveryTime" in line]
    assert metric["RecoveryTime"] == [passed["details"]["recovery_seconds"]]
    assert metric["parts"] == {"volume": passed["details"]["recovery_seconds"]}


@pytest.mark.parametrize(
    ("tag", "known", "warned"),
    [
        ({}, "not proven", False),
        (write_proof(Proof(Result.PROVEN, Level.READ, TODAY)), "proven", False),
        (write_proof(Proof(Result.FAILED, Level.READ, TODAY)), "failed", True),
        (open_suspicion(at=TODAY, changed=0.5, entropy=7.9), "suspect", True),
    ],
)
def test_a_drill_that_passes_says_what_verification_knows(world, saved, tag, known, warned):
    world.ec2.create_tags(
        Resources=[item["SnapshotId"] for item in world.snapshots()],
        Tags=[{"Key": key, "Value": value} for key, value in tag.items()] or [{"Key": "x", "Value": "y"}],
    )
    world.invoke("drill_restores", WEEKLY)
    [message] = world.messages()
    assert (message["event"], message["details"]["verification"]) == ("DrillPassed", known)
    assert any(step.startswith("Do not rely on") for step in message["next_steps"]) == warned


def test_the_schedules_retry_of_a_run_rehearses_nothing_and_the_next_run_takes_the_next_zone(world, saved):
    world.invoke("drill_restores", WEEKLY)
    world.invoke("drill_restores", WEEKLY)
    world.invoke("drill_restores", {"scheduled_time": "2026-12-05T05:00:00Z"})
    world.invoke("drill_restores", {"lineage": world.volume_of(saved)})
    assert [message["details"]["zone"] for message in world.messages()] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


def test_the_volume_is_what_a_restore_would_create(world, saved, refused):
    refused[DeleteVolume] = AwsError("InternalError", "later", answered=False)
    world.invoke("drill_restores", {})
    [volume] = drill_volumes(world)
    assert (volume["VolumeType"], volume["Size"], volume["Iops"], volume["Attachments"]) == ("gp3", 20, 3000, [])
    tags = {tag["Key"]: tag["Value"] for tag in volume["Tags"]}
    assert tags.keys() == {"lifeboat:drill", "lifeboat:stack"}
    assert events(world) == []
    refused.clear()
    world.invoke("drill_restores", RECONCILE)
    assert world.messages() == []


def test_an_unknown_lineage_is_refused(world, saved):
    answer = world.invoke("drill_restores", {"lineage": "vol-0123456789abcdef0"})
    assert answer["refused"] == (
        "lineage is 'vol-0123456789abcdef0', expected one with a good recovery point of this stack in eu-west-1"
    )


def test_without_a_recovery_point_there_is_nothing_to_do(world):
    assert world.invoke("drill_restores", {}) == {"opened": [], "drills": [], "waiting": 0}
    assert events(world) == []


def test_another_stacks_recovery_points_are_not_rehearsed(world, saved, monkeypatch):
    world.ec2.create_tags(
        Resources=[item["SnapshotId"] for item in world.snapshots()], Tags=[{"Key": "lifeboat:stack", "Value": "other"}]
    )
    assert world.invoke("drill_restores", {})["opened"] == []


def test_a_refused_creation_fails_the_drill_once_with_ec2s_words_and_a_next_step(world, saved, refused):
    refused[CreateVolume] = AwsError("UnauthorizedOperation", "You are not authorized.", answered=True)
    world.invoke("drill_restores", WEEKLY)
    world.invoke("drill_restores", RECONCILE)
    [failed] = world.messages()
    assert (failed["event"], failed["severity"]) == ("DrillFailed", "critical")
    assert "in eu-west-1a was refused: UnauthorizedOperation: You are not authorized." in failed["details"]["reason"]
    assert world.volume_of(saved) in failed["next_steps"][1]


def blocks_of(world):
    [snapshot] = world.snapshots()
    return ebs_backends[ACCOUNT]["eu-west-1"].snapshots[snapshot["SnapshotId"]].blocks


def test_a_block_with_other_bytes_than_its_checksum_fails_the_drill_and_the_volume_is_deleted(world, saved):
    flip_a_byte(blocks_of(world)[7])
    world.invoke("drill_restores", WEEKLY)
    [failed] = world.messages()
    assert failed["event"] == "DrillFailed"
    assert "block 7 of snap-" in failed["details"]["reason"]
    assert drill_volumes(world) == []


def test_a_snapshot_without_a_written_block_passes(world, saved):
    blocks_of(world).clear()
    world.invoke("drill_restores", WEEKLY)
    assert events(world) == ["DrillPassed"]


def test_a_snapshot_that_ebs_does_not_show_yet_is_read_by_a_later_run(world, saved, monkeypatch, time):
    answers, list_blocks = [AwsError("SNAPSHOT_NOT_FOUND", "no such snapshot", answered=True)], ebs_direct.list_blocks

    def late(*asked):
        if answers:
            raise answers.pop()
        return list_blocks(*asked)

    monkeypatch.setattr(ebs_direct, "list_blocks", late)
    assert world.invoke("drill_restores", WEEKLY)["drills"][0]["state"] == "creating"
    time.wait(60)
    world.invoke("drill_restores", RECONCILE)
    assert events(world) == ["DrillPassed"]


def test_a_throttled_creation_is_tried_again(world, saved, refused, time):
    refused[CreateVolume] = AwsError("RequestLimitExceeded", "Request limit exceeded.", answered=True)
    answer = world.invoke("drill_restores", WEEKLY)
    assert answer["drills"][0]["state"] == "creating"
    refused.clear()
    time.wait(300)
    world.invoke("drill_restores", RECONCILE)
    assert events(world) == ["DrillPassed"]


def test_a_topic_that_cannot_be_used_leaves_no_volume_and_the_outcome_is_published_later(world, saved):
    world.sns.delete_topic(TopicArn=world.topic)
    with pytest.raises(RuntimeError, match="NotFound"):
        world.invoke("drill_restores", WEEKLY)
    assert drill_volumes(world) == []
    world.sns.create_topic(Name=world.topic.rpartition(":")[2])
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:mailbox"
    raw = {"RawMessageDelivery": "true"}
    world.sns.subscribe(TopicArn=world.topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
    world.invoke("drill_restores", RECONCILE)
    assert events(world) == ["DrillPassed"]


def test_a_drill_waits_while_a_restore_of_the_same_data_is_open(world, saved, time):
    target = fresh_platform(world)
    restore = world.invoke("restore_volume", ask(target))
    world.messages()
    answer = world.invoke("drill_restores", WEEKLY)
    assert (answer["drills"], answer["waiting"]) == ([], 1)
    assert drill_volumes(world) == []
    time.wait(24 * 3600 + 60)
    world.invoke("drill_restores", RECONCILE)
    [failed] = world.messages()
    assert f"it could not begin within 24 hours: {restore['restore_id']} is open" in failed["details"]["reason"]


def leave_behind(world, saved):
    """A volume of a drill of which nothing is in the table."""
    [snapshot] = world.snapshots()
    tags = [
        {"Key": "lifeboat:drill", "Value": "drill-0123456789abcdef"},
        {"Key": "lifeboat:stack", "Value": "lifeboat"},
    ]
    return world.ec2.create_volume(
        SnapshotId=snapshot["SnapshotId"],
        AvailabilityZone="eu-west-1b",
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )["VolumeId"]


def test_a_leftover_is_deleted_by_the_reconcile_run_and_published_once(world, saved):
    volume = leave_behind(world, saved)
    assert world.invoke("drill_restores", RECONCILE)["deleted"] == [volume]
    world.invoke("drill_restores", RECONCILE)
    assert drill_volumes(world) == []
    [failed] = world.messages()
    assert failed["subject"] == {"drill": "drill-0123456789abcdef"}
    assert failed["details"]["volumes"] == [volume]


def test_a_leftover_that_cannot_be_deleted_says_why_once(world, saved, refused):
    leave_behind(world, saved)
    refused[DeleteVolume] = AwsError("UnauthorizedOperation", "no", answered=True)
    world.invoke("drill_restores", RECONCILE)
    world.invoke("drill_restores", RECONCILE)
    [failed] = world.messages()
    assert "deleting them was refused" in failed["summary"]


def test_a_leftover_that_someone_uses_or_that_is_another_stacks_stays(world, saved):
    used, foreign = leave_behind(world, saved), leave_behind(world, saved)
    world.ec2.attach_volume(VolumeId=used, InstanceId=saved, Device="/dev/sdz")
    world.ec2.create_tags(Resources=[foreign], Tags=[{"Key": "lifeboat:stack", "Value": "other"}])
    assert world.invoke("drill_restores", RECONCILE) == {"drills": [], "waiting": 0, "deleted": []}
    assert len(drill_volumes(world)) == 2


def test_retention_does_not_take_a_drills_volume_for_the_volume_of_the_lineage(world, saved, refused, monkeypatch):
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    refused[DeleteVolume] = AwsError("InternalError", "later", answered=False)
    volume = world.volume_of(saved)
    world.ec2.terminate_instances(InstanceIds=[saved])
    world.ec2.delete_volume(VolumeId=volume)
    monkeypatch.setenv("LIFEBOAT_ORPHAN_KEEP", "7")
    alone = world.invoke("prune_snapshots", {"dry_run": True})
    world.invoke("drill_restores", {})
    assert len(drill_volumes(world)) == 1
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    beside = world.invoke("prune_snapshots", {"dry_run": True, "request_id": "again"})
    reasons = [[item["reasons"] for item in answer["kept"]] for answer in (alone, beside)]
    assert reasons[0] == reasons[1]
    assert "is gone" in str(reasons)


def test_very_many_snapshots_are_read_in_parts(world, saved, monkeypatch):
    monkeypatch.setattr(drill_workflow, "SNAPSHOTS_HELD", 0)
    assert len(world.invoke("drill_restores", {})["opened"]) == 1
    assert events(world) == ["DrillPassed"]


def test_a_volume_event_without_an_open_drill_observes_nothing(world, sample):
    assert world.invoke("drill_restores", sample("ebs-createVolume-available")) == {}


def test_a_lost_race_for_the_record_stops_this_invocation(world, saved, refused, monkeypatch):
    perform = ec2_calls.perform

    def moved_meanwhile(change):
        if isinstance(change, CreateVolume):
            for item in client("dynamodb").scan(TableName=TABLE)["Items"]:
                if item["pk"]["S"] == "drill-open":
                    client("dynamodb").put_item(TableName=TABLE, Item={**item, "version": {"S": "99"}})
        return perform(change)

    monkeypatch.setattr(ec2_calls, "perform", moved_meanwhile)
    world.invoke("drill_restores", WEEKLY)
    assert events(world) == []
    assert len(drill_volumes(world)) == 1
