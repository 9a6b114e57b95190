"""Retention, through its door: prune_snapshots."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat.aws import clock, ec2
from lifeboat.aws.errors import AwsError
from lifeboat.rules.catalogue import write_tags
from lifeboat.rules.selection import volume_story
from tests.functions.conftest import ACCOUNT
from tests.rules.nouns import attachment, volume

DAYS = 30


@pytest.fixture
def history(world, monkeypatch):
    """One recovery point a day for 30 days, of a data volume that still exists; their snapshots' ids, newest first."""
    monkeypatch.setattr(ec2, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    instance = world.launch()
    volume_id = world.volume_of(instance)
    backend = ec2_backends[ACCOUNT]["eu-west-1"]
    made = []
    for day in range(DAYS):
        slot = clock.now() - timedelta(days=day, minutes=5)
        tags = write_tags(
            recovery_point_id=f"rp-{day}",
            set_id=f"set-{day}",
            stack="lifeboat",
            slot=slot,
            instance_id=instance,
            instance_name="CadoResponse",
            zone="eu-west-1a",
            ami_id="ami-1",
            ami_owner="055430919509",
            stories=[volume_story(volume(id=volume_id, tags={}), attachment(volume_id))],
        )
        snapshot = world.ec2.create_snapshot(
            VolumeId=volume_id,
            TagSpecifications=[
                {"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )["SnapshotId"]
        backend.snapshots[snapshot].start_time = slot
        made.append(snapshot)
    return made


def left(world):
    return {snapshot["SnapshotId"] for snapshot in world.snapshots()}


def completed(world):
    """What SNS delivers when a backup has completed."""
    message = json.dumps({"version": "1", "event": "BackupCompleted"})
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]}


def test_a_completed_backup_lets_go_what_no_rule_keeps(world, history):
    # last=3 daily=14: the newest of each of 14 days stay, 16 may go, and the cap lets half of the chain go at once.
    world.invoke("prune_snapshots", completed(world))
    world.invoke("prune_snapshots", completed(world))
    assert left(world) == set(history[:14])
    told = world.news()
    assert {message["event"] for message in told} == {"SnapshotsPruned"}
    assert told[0]["details"]["deleted"]
    assert all(entry["reasons"] for entry in told[0]["details"]["kept"])


def test_a_second_run_deletes_nothing_more(world, history):
    for _ in range(3):
        world.invoke("prune_snapshots", {})
    before = left(world)
    world.news()
    answer = world.invoke("prune_snapshots", {})
    assert answer["deleted"] == []
    assert left(world) == before
    assert world.news() == [], "nothing happened, so nothing is told"


def test_a_dry_run_gives_the_plan_without_hands(world, history):
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert answer["dry_run"] is True
    assert answer["delete"]
    assert all(entry["reasons"] for entry in [*answer["delete"], *answer["kept"]])
    assert left(world) == set(history)
    assert world.news() == []


def test_a_held_snapshot_stays(world, history):
    world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:hold", "Value": "court order"}])
    world.invoke("prune_snapshots", {})
    world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)


def test_a_hold_that_comes_between_plan_and_deletion_is_seen(world, history, monkeypatch):
    real = ec2.snapshots

    def held_meanwhile(ids):
        world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:hold", "Value": "now"}])
        return real(ids)

    monkeypatch.setattr(ec2, "snapshots", held_meanwhile)
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert "is held by the tag" in str(answer["refused"])


def test_a_snapshot_that_changed_since_the_plan_stays(world, history, monkeypatch):
    real = ec2.snapshots

    def retagged(ids):
        world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:stack", "Value": "other"}])
        return real(ids)

    monkeypatch.setattr(ec2, "snapshots", retagged)
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert "has changed since the plan was made" in str(answer["refused"])


def test_a_locked_snapshot_and_one_of_an_image_stay(world, history, monkeypatch):
    monkeypatch.setattr(ec2, "locked_snapshot_ids", lambda: frozenset({history[-1]}))
    monkeypatch.setattr(ec2, "image_snapshot_ids", lambda: frozenset({history[-2]}))
    world.invoke("prune_snapshots", {})
    world.invoke("prune_snapshots", {})
    assert {history[-1], history[-2]} <= left(world)


def test_a_refusal_is_a_result_and_the_rest_goes_on(world, history, monkeypatch):
    real = ec2.delete_snapshot

    def refuse(snapshot_id):
        if snapshot_id == history[-1]:
            raise AwsError("InvalidSnapshot.InUse", "in use by ami-1", answered=True)
        if snapshot_id == history[-2]:
            real(snapshot_id)
            raise AwsError("InvalidSnapshot.NotFound", "gone", answered=True)
        real(snapshot_id)

    monkeypatch.setattr(ec2, "delete_snapshot", refuse)
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert history[-2] not in left(world)
    assert len(answer["refused"]) == 1
    [told] = world.news()
    assert told["severity"] == "warning"
    assert "InvalidSnapshot.InUse" in str(told["details"]["refused"])


def test_a_policy_in_error_keeps_everything_and_tells(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_RETENTION", "dayly=14")
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history)
    [told] = world.news()
    assert told["severity"] == "warning"
    assert "dayly" in str(told["details"]["notices"])


def test_an_instances_tag_overrides_the_policy(world, history):
    [reservation] = world.ec2.describe_instances()["Reservations"]
    instance = reservation["Instances"][0]["InstanceId"]
    world.ec2.create_tags(Resources=[instance], Tags=[{"Key": "lifeboat:retention", "Value": "daily=25"}])
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:25])


def test_snapshots_of_another_stack_and_of_nobody_stay(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_STACK", "another")
    world.ec2.create_snapshot(VolumeId=world.volume_of(world.launch()))
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history)


def test_an_unreadable_story_is_kept_and_told(world, history):
    world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:slot", "Value": "yesterday"}])
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert any(history[-1] in notice for notice in answer["notices"])


def test_a_run_cut_off_is_resumed_by_the_next(world, history, monkeypatch):
    from tests.functions import conftest

    monkeypatch.setattr(conftest.Context, "get_remaining_time_in_millis", lambda _: 1000)
    answer = world.invoke("prune_snapshots", {})
    assert answer["deleted"] == []
    assert left(world) == set(history)
