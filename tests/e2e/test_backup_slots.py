"""Slots on the real template, IAM enforced: once each, whatever is lost or doubled, caught up when nobody fired them,
and published when a backup is overdue all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from lifeboat.backup.schedule import parse_schedule, previous_slot
from local import stack
from tests.e2e.stage import PARAMETERS, Machine, Stage, events_of, staged, tags_of

YEARLY = "cron(0 0 1 1 ? *)"  # its newest slot is long past its grace on every day but one
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CATCH_UP = {"catch_up": True}
OWN_RUN, CATCH_UP_RUN = "lifeboat-TakeSnapshotsFunctionSlot", "lifeboat-TakeSnapshotsFunctionCatchUp"
"""Parts of the names of the two schedules of take_snapshots."""

_slots = count()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"Schedule": YEARLY}) as made:
        yield made


@pytest.fixture
def machine(stage: Stage) -> Iterator[Machine]:
    """A machine that the catch-up has seen, and that owes every slot since long ago; gone afterwards."""
    [made] = stage.launch()
    stage.control.set_instance(made.instance_id, attach_time=LONG_AGO)
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == []
    stage.aws.client("dynamodb").update_item(
        TableName=stage.outputs["StateTableName"],
        Key={"pk": {"S": "selected"}, "sk": {"S": made.instance_id}},
        UpdateExpression="SET document = :long_ago",
        ConditionExpression="attribute_exists(document)",
        ExpressionAttributeValues={":long_ago": {"S": json.dumps(LONG_AGO.isoformat())}},
    )
    yield made
    stage.control.reset()
    stage.ec2.terminate_instances(InstanceIds=[made.instance_id])
    stage.control.settle()


@pytest.fixture
def slot() -> str:
    """A due time that no other test has."""
    return f"{datetime(2026, 1, 2, 2, tzinfo=UTC) + timedelta(hours=next(_slots)):%Y-%m-%dT%H:%M:%SZ}"


def taken(stage: Stage, machine: Machine) -> list[dict[str, Any]]:
    return [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]


def test_a_slot_that_nobody_fired_is_caught_up_once(stage: Stage, machine: Machine) -> None:
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == [machine.instance_id]
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == []
    [snapshot] = taken(stage, machine)
    slot = previous_slot(parse_schedule(YEARLY), stage.now())
    assert tags_of(snapshot)["lifeboat:slot"] == f"{slot:%Y-%m-%dT%H:%M:%SZ}"
    assert tags_of(snapshot)["lifeboat:late"] == "true"


def test_a_refused_catch_up_is_made_good_by_the_next_run(stage: Stage, machine: Machine) -> None:
    stage.control.fault("CreateSnapshots", code="UnauthorizedOperation", count=1)
    with pytest.raises(AssertionError, match="UnauthorizedOperation"):
        stage.invoke("TakeSnapshotsFunction", CATCH_UP)
    assert taken(stage, machine) == []
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == [machine.instance_id]
    assert len(taken(stage, machine)) == 1


@pytest.mark.parametrize("effect", ["answer_error", "drop"])
def test_a_lost_answer_makes_no_second_recovery_point(stage: Stage, machine: Machine, effect: str) -> None:
    stage.control.fault("CreateSnapshots", effect, count=1)
    with pytest.raises(AssertionError, match=machine.instance_id):
        stage.invoke("TakeSnapshotsFunction", CATCH_UP)
    [done] = taken(stage, machine)  # EC2 has carried it out all the same
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == []
    assert [item["SnapshotId"] for item in taken(stage, machine)] == [done["SnapshotId"]]


# --- once, whatever is doubled or lost


@pytest.mark.parametrize("effect", ["fail", "answer_error", "drop", "kill"])
def test_a_slot_is_taken_once_through_lambdas_retries(stage: Stage, machine: Machine, slot: str, effect: str) -> None:
    stage.control.fault("CreateSnapshots", effect, count=1, resource=machine.instance_id)
    stage.control.fire_schedule(OWN_RUN, slot)
    stage.control.settle()
    [snapshot] = taken(stage, machine)
    assert tags_of(snapshot)["lifeboat:slot"] == slot
    stage.reconcile("ConfirmSnapshotsFunction")
    assert events_of(published_about(stage, machine, slot))[-1] == "BackupCompleted"


def test_a_slot_that_is_delivered_several_times_at_once_is_taken_once(
    stage: Stage, machine: Machine, slot: str
) -> None:
    stage.control.fault("CreateSnapshots", "delay", seconds=1.0, resource=machine.instance_id)
    mark = stage.control.mark()
    for _ in range(3):
        stage.control.fire_schedule(OWN_RUN, slot)
    stage.control.settle()
    assert len(stage.control.invocations(mark, function=stage.outputs["TakeSnapshotsFunction"])) == 3
    assert len(taken(stage, machine)) == 1
    stage.reconcile("ConfirmSnapshotsFunction")
    assert events_of(published_about(stage, machine, slot)) == ["BackupCompleted"]


def test_two_catch_up_runs_and_the_slots_own_run_at_the_same_moment_make_one(stage: Stage, machine: Machine) -> None:
    stage.control.fault("CreateSnapshots", "delay", seconds=1.0, resource=machine.instance_id)
    newest = previous_slot(parse_schedule(YEARLY), stage.now())
    assert newest is not None
    mark = stage.control.mark()
    for schedule in (CATCH_UP_RUN, OWN_RUN, CATCH_UP_RUN):
        stage.control.fire_schedule(schedule, newest)
    stage.control.settle()
    assert len(taken(stage, machine)) == 1
    assert stage.denied(mark) == []


def test_the_loss_of_the_table_doubles_nothing(stage: Stage, machine: Machine, slot: str) -> None:
    stage.control.fire_schedule(OWN_RUN, slot)
    stage.control.settle()
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == [machine.instance_id]
    before = {item["SnapshotId"] for item in taken(stage, machine)}
    assert len(before) == 2
    lose_the_table(stage)
    for schedule in (OWN_RUN, CATCH_UP_RUN, OWN_RUN):
        stage.control.fire_schedule(schedule, slot)
        stage.control.settle()
    assert {item["SnapshotId"] for item in taken(stage, machine)} == before


# --- two stacks in one account


@pytest.fixture(scope="module")
def other(stage: Stage) -> Mapping[str, str]:
    """The outputs of another stack that selects the same instances."""
    return stack.create(stage.aws, {**PARAMETERS, "Schedule": YEARLY}, stack_name="other")


def test_each_of_two_stacks_makes_and_publishes_its_own(
    stage: Stage, other: Mapping[str, str], machine: Machine, slot: str
) -> None:
    for _ in range(2):
        for schedule in (OWN_RUN, "other-TakeSnapshotsFunctionSlot"):
            stage.control.fire_schedule(schedule, slot)
    stage.control.settle()
    for outputs in (stage.outputs, other):
        stage.control.fire_schedule(outputs["ConfirmSnapshotsFunction"])
    stage.control.settle()
    of_stack = {tags_of(item)["lifeboat:stack"]: item["SnapshotId"] for item in taken(stage, machine)}
    assert set(of_stack) == {"lifeboat", "other"}
    assert len(taken(stage, machine)) == 2
    [completed] = [
        message for message in published_about(stage, machine, slot) if message["event"] == "BackupCompleted"
    ]
    assert list(completed["details"]["snapshots"]) == [of_stack["lifeboat"]]
    open_ones = stage.aws.client("dynamodb").query(
        TableName=other["StateTableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "backup-open"}},
    )
    assert open_ones["Items"] == []  # the other one has confirmed its own, too


def test_one_stacks_recovery_point_does_not_make_good_the_others_slot(
    stage: Stage, other: Mapping[str, str], machine: Machine
) -> None:
    newest = previous_slot(parse_schedule(YEARLY), stage.now())
    stage.control.fire_schedule("other-TakeSnapshotsFunctionSlot", newest)
    stage.control.settle()
    assert [tags_of(item)["lifeboat:stack"] for item in taken(stage, machine)] == ["other"]
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == [machine.instance_id]


# --- overdue


def test_an_overdue_backup_is_published_once_in_each_episode(stage: Stage, machine: Machine) -> None:
    newest = previous_slot(parse_schedule(YEARLY), stage.now())
    assert newest is not None
    old = seed_point(stage, machine, newest - timedelta(days=40))

    stage.control.fault("CreateSnapshots", code="UnauthorizedOperation", count=0)
    for _ in range(2):  # EC2 refuses all the time
        with pytest.raises(AssertionError, match="UnauthorizedOperation"):
            stage.invoke("TakeSnapshotsFunction", CATCH_UP)
    [first] = overdue_of(stage, machine)
    assert first["severity"] == "critical"
    assert first["details"]["last_good_recovery_point"] == old
    assert first["details"]["expected_slot"] == f"{newest:%Y-%m-%dT%H:%M:%SZ}"
    assert first["details"]["volumes"] == [machine.volume_id]
    assert age_of(stage, machine) == pytest.approx(first["details"]["age_seconds"], abs=60)

    stage.control.reset()
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == [machine.instance_id]
    stage.control.settle()
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["overdue"] == []
    assert age_of(stage, machine) < 120

    for snapshot in taken(stage, machine):  # a person deletes it; what is left is another, older one
        if tags_of(snapshot).get("lifeboat:late"):
            stage.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    newer = seed_point(stage, machine, newest - timedelta(days=20))
    for _ in range(2):
        assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["overdue"] == [machine.instance_id]
    assert [message["details"]["last_good_recovery_point"] for message in overdue_of(stage, machine)] == [old, newer]


# --- what is seen


def published_about(stage: Stage, machine: Machine, slot: str) -> list[dict[str, Any]]:
    """What has been published of one machine's recovery point of one slot."""
    compact = slot.replace("-", "").replace(":", "")
    return stage.published_about(instance_id=machine.instance_id, recovery_point=f"rp-{compact}-{machine.instance_id}")


def overdue_of(stage: Stage, machine: Machine) -> list[dict[str, Any]]:
    published = stage.published_about(instance_id=machine.instance_id)
    return [message for message in published if message["event"] == "BackupOverdue"]


def age_of(stage: Stage, machine: Machine) -> float:
    """The seconds that the log gave last, which are of this machine."""
    log = stage.control.invocations(function=stage.outputs["TakeSnapshotsFunction"])[-1]["log"]
    [line] = [json.loads(text) for text in log.splitlines() if '"RecoveryPointAge"' in text]
    assert line["ages"][0]["volume_id"] == machine.volume_id
    return float(line["RecoveryPointAge"])


def seed_point(stage: Stage, machine: Machine, slot: datetime) -> str:
    """A good recovery point of long ago, tagged as a real one of the machine is; its id."""
    made = stage.back_up(machine.instance_id)[machine.volume_id]
    point = f"rp-{slot:%Y%m%dT%H%M%SZ}-{machine.instance_id}"
    found = {"lifeboat:slot": f"{slot:%Y-%m-%dT%H:%M:%SZ}", "lifeboat:recovery-point": point}
    stage.control.seed_snapshot(start_time=slot, volume_id=machine.volume_id, tags={**tags_of(made), **found})
    stage.ec2.delete_snapshot(SnapshotId=made["SnapshotId"])
    return point


def lose_the_table(stage: Stage) -> None:
    """All its items are gone."""
    stage.control.settle()  # or what is under way would write new ones
    table, dynamodb = stage.outputs["StateTableName"], stage.aws.client("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    assert dynamodb.scan(TableName=table)["Items"] == []
