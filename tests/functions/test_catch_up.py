"""The catch-up, through the handler of take_snapshots: missed slots are taken late, once, and nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lifeboat.aws import clients, clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.backup.workflow import BackupIncomplete

CATCH_UP = {"catch_up": True}
SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Calls:
    """The time, which the test moves."""

    def __init__(self) -> None:
        self.now = SLOT - HOUR


@pytest.fixture
def calls(monkeypatch) -> Calls:
    made = Calls()
    monkeypatch.setattr(clock, "now", lambda: made.now)
    return made


def tags_of(snapshot):
    return {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}


def caught_up(world, calls, at):
    calls.now = at
    return world.invoke("take_snapshots", CATCH_UP)["caught_up"]


def test_a_missed_slot_is_taken_late_and_published_once(world, calls):
    instance = world.launch()
    assert caught_up(world, calls, SLOT - HOUR) == []  # seen
    assert caught_up(world, calls, SLOT + 30 * MINUTE) == []  # its own run still has time
    assert caught_up(world, calls, SLOT + 31 * MINUTE) == [instance]
    assert caught_up(world, calls, SLOT + 46 * MINUTE) == []

    [snapshot] = world.snapshots()
    tags = tags_of(snapshot)
    assert tags["lifeboat:recovery-point"] == f"rp-20261123T020000Z-{instance}"
    assert tags["lifeboat:late"] == "true"
    [published] = world.messages()
    assert published["event"] == "BackupStarted"
    assert published["summary"] == "The missed backup of 2026-11-23T02:00:00Z has begun, late, for 1 instance."


def test_the_slots_own_run_leaves_nothing_to_catch_up(world, calls):
    world.launch()
    caught_up(world, calls, SLOT - HOUR)
    calls.now = SLOT
    world.invoke("take_snapshots", {"scheduled_time": "2026-11-23T02:00:00Z"})
    assert caught_up(world, calls, SLOT + HOUR) == []
    [snapshot] = world.snapshots()
    assert "lifeboat:late" not in tags_of(snapshot)


def test_the_slots_own_run_that_comes_after_the_catch_up_makes_nothing(world, calls):
    world.launch()
    caught_up(world, calls, SLOT - HOUR)
    caught_up(world, calls, SLOT + HOUR)
    assert world.invoke("take_snapshots", {"scheduled_time": "2026-11-23T02:00:00Z"})["begun"] == []
    assert len(world.snapshots()) == 1


def test_many_missed_slots_give_one_recovery_point_of_the_newest(world, calls):
    instance = world.launch()
    caught_up(world, calls, SLOT - HOUR)
    assert caught_up(world, calls, SLOT + 5 * DAY + HOUR) == [instance]
    assert caught_up(world, calls, SLOT + 5 * DAY + 2 * HOUR) == []
    assert [tags_of(item)["lifeboat:slot"] for item in world.snapshots()] == ["2026-11-28T02:00:00Z"]


def test_an_instance_owes_nothing_for_the_time_before_it_was_selected(world, calls):
    world.launch()
    assert caught_up(world, calls, SLOT + HOUR) == []
    assert caught_up(world, calls, SLOT + 2 * HOUR) == []
    assert world.snapshots() == []


def test_selected_again_it_owes_nothing_for_the_time_between(world, calls):
    instance = world.launch()
    tag = [{"Key": "lifeboat:backup", "Value": "true"}]
    caught_up(world, calls, SLOT - HOUR)
    world.ec2.delete_tags(Resources=[instance], Tags=tag)
    caught_up(world, calls, SLOT - HOUR / 2)
    world.ec2.create_tags(Resources=[instance], Tags=tag)
    assert caught_up(world, calls, SLOT + HOUR) == []
    assert caught_up(world, calls, SLOT + DAY + HOUR) == [instance]


def test_without_its_table_the_stack_starts_counting_anew(world, calls):
    world.launch()
    caught_up(world, calls, SLOT - HOUR)
    for item in clients.dynamodb().scan(TableName="lifeboat-state")["Items"]:
        clients.dynamodb().delete_item(TableName="lifeboat-state", Key={key: item[key] for key in ("pk", "sk")})
    assert caught_up(world, calls, SLOT + HOUR) == []


def test_a_rate_is_counted_from_the_slot_it_fired(world, calls, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_SCHEDULE", "rate(1 day)")
    instance = world.launch()
    caught_up(world, calls, SLOT - HOUR)
    assert caught_up(world, calls, SLOT + DAY) == []  # when it began is not known yet
    world.invoke("take_snapshots", {"scheduled_time": "2026-11-24T02:17:00Z"})
    assert caught_up(world, calls, SLOT + 2 * DAY + HOUR) == [instance]
    assert {tags_of(item)["lifeboat:slot"] for item in world.snapshots()} == {
        "2026-11-24T02:17:00Z",
        "2026-11-25T02:17:00Z",
    }


def test_a_slot_that_was_fired_by_hand_for_another_time_hides_none_of_the_schedules(world, calls):
    instance = world.launch()
    caught_up(world, calls, SLOT - HOUR)
    world.invoke("take_snapshots", {"scheduled_time": "2026-11-23T02:17:00Z"})
    assert caught_up(world, calls, SLOT + HOUR) == [instance]


def test_a_refused_instance_is_named_and_caught_up_by_the_next_run(world, calls, monkeypatch):
    bad, good = sorted((world.launch(), world.launch()))
    real = ec2_snapshots.create_snapshots

    def refuse(instance_id, description, tags):
        if instance_id == bad:
            raise AwsError("UnauthorizedOperation", "as planted", answered=True)
        return real(instance_id, description, tags)

    caught_up(world, calls, SLOT - HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(ec2_snapshots, "create_snapshots", refuse)
        with pytest.raises(BackupIncomplete, match=bad):
            caught_up(world, calls, SLOT + HOUR)
    assert [tags_of(item)["lifeboat:instance"] for item in world.snapshots()] == [good]
    assert caught_up(world, calls, SLOT + HOUR + 15 * MINUTE) == [bad]


def test_a_recovery_point_that_a_person_deleted_is_not_published_as_begun_again(world, calls):
    world.launch()
    caught_up(world, calls, SLOT - HOUR)
    caught_up(world, calls, SLOT + HOUR)
    [snapshot] = world.snapshots()
    world.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    world.messages()
    assert caught_up(world, calls, SLOT + 2 * HOUR) == []
    assert world.messages() == []


def test_a_terminated_instance_owes_nothing(world, calls):
    instance = world.launch()
    caught_up(world, calls, SLOT - HOUR)
    world.ec2.terminate_instances(InstanceIds=[instance])
    assert caught_up(world, calls, SLOT + HOUR) == []


@pytest.mark.parametrize("event", [{"catch_up": False}, {"catch_up": True, "dry_run": True}, {"catch_up": "true"}])
def test_what_is_no_catch_up_is_refused(world, calls, event):
    world.launch()
    assert "refused" in world.invoke("take_snapshots", event)
    assert world.snapshots() == []
