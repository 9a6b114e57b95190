"""Large runs on the real template, IAM enforced: handed out, slowed down by EC2's buckets, none lost and none
doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from bench import large_run as bench
from bench import large_run_memory
from lifeboat.backup import large_run
from tests.e2e.stage import Stage, events_of, staged, tags_of

MANY = 200
SOME = 28
FIRST = datetime(2026, 11, 23, 3, tzinfo=UTC)
"""An hour after the slot of `bench.back_up`; each test has one of its own."""

ROUNDED = 0.001
"""Seconds: an invocation's length is rounded, and the next one begins at the very moment of a simulated clock."""
CALLS_OF_TEN_THOUSAND = 60
"""Ten pages of instances, and what hands them out. How long that takes is measured by `make bench`."""

_slots = count()


@pytest.fixture(scope="module")
def deployed() -> Iterator[Stage]:
    with staged({"LargeRuns": "true"}) as made:
        yield made


@pytest.fixture
def stage(deployed: Stage) -> Stage:
    """Without the instances and snapshots of an earlier test; what EC2's events start is not what this is about."""
    control, ec2 = deployed.control, deployed.ec2
    control.reset()
    control.event_fault("drop", count=0)
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    if ids := [item["InstanceId"] for reservation in found for item in reservation["Instances"]]:
        ec2.terminate_instances(InstanceIds=ids)
    for snapshot in deployed.recovery_point_snapshots():
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    control.settle()
    assert deployed.failed_events() == []
    deployed.forget_messages()
    return deployed


@pytest.fixture
def slot() -> str:
    """A due time that no other test has."""
    return f"{FIRST + timedelta(hours=next(_slots)):%Y-%m-%dT%H:%M:%SZ}"


def fire(stage: Stage, slot: str) -> None:
    stage.control.fire_schedule("TakeSnapshotsFunctionSlot", slot)
    stage.control.settle()


def saved(stage: Stage) -> Counter[str]:
    return Counter(tags_of(item)["lifeboat:instance"] for item in stage.recovery_point_snapshots())


def test_the_second_of_five_is_refused_named_and_done_by_the_retry(stage: Stage, slot: str) -> None:
    machines = stage.launch(5)
    stage.control.fault("CreateSnapshots", code="UnauthorizedOperation", nth=2)
    fire(stage, slot)
    assert saved(stage) == Counter(item.instance_id for item in machines)
    published = stage.messages()
    assert events_of(published) == ["BackupStarted", "BackupFailed", "BackupStarted"]
    begun = [[item["instance_id"] for item in published[at]["details"]["recovery_points"]] for at in (0, 2)]
    refused = published[1]["subject"]["instance_id"]
    assert begun == [sorted({item.instance_id for item in machines} - {refused}), [refused]]


def test_one_refused_instance_is_done_once_it_is_allowed(stage: Stage, slot: str) -> None:
    machines = stage.launch(SOME)
    bad = machines[1].instance_id
    stage.control.fault("CreateSnapshots", code="SnapshotCreationPerVolumeRateExceeded", resource=bad, count=0)
    fire(stage, slot)
    assert set(saved(stage)) == {item.instance_id for item in machines} - {bad}
    assert stage.messages() == [], "its batch is held back"
    stage.control.reset()
    stage.control.event_fault("drop", count=0)
    assert stage.control.release_messages() == 1
    stage.control.settle()
    assert set(saved(stage)) == {item.instance_id for item in machines}
    [started] = stage.messages()
    assert (started["event"], started["details"]["begun"]) == ("BackupStarted", SOME)


def test_what_is_refused_for_good_is_named_in_the_one_outcome(stage: Stage, slot: str) -> None:
    machines = stage.launch(SOME)
    bad = machines[1].instance_id
    stage.control.fault("CreateSnapshots", code="SnapshotCreationPerVolumeRateExceeded", resource=bad, count=0)
    fire(stage, slot)
    for _ in range(60):
        if stage.messages():
            break
        stage.control.advance(60)
    [incomplete] = stage.messages()
    assert incomplete["event"] == "BackupIncomplete"
    [failure] = incomplete["details"]["failures"]
    assert failure["instance_id"] == bad
    assert stage.failed_events() == []
    assert stage.control.release_messages() == 0


def the_killed_ones_time_is_up(stage: Stage) -> None:
    """What it had taken counts as under way until its own end, which SQS waits for, too: 60 of 360 seconds."""
    tables = stage.aws.client("dynamodb")
    name = stage.outputs["StateTableName"]
    values = {":open": {"S": "backup-open"}}
    query = {"KeyConditionExpression": "pk = :open", "ExpressionAttributeValues": values}
    for item in tables.query(TableName=name, **query)["Items"]:
        tables.put_item(TableName=name, Item={**item, "leased_until": {"N": "1"}})


def test_a_killed_worker_loses_and_doubles_nothing(stage: Stage, slot: str) -> None:
    machines = stage.launch(SOME)
    stage.control.fault("CreateSnapshots", "kill", nth=10)
    fire(stage, slot)
    assert stage.messages() == []
    the_killed_ones_time_is_up(stage)
    stage.control.release_messages()
    stage.control.settle()
    assert saved(stage) == Counter(item.instance_id for item in machines)
    assert events_of(stage.messages()) == ["BackupStarted"]


def test_two_hundred_instances_under_the_buckets(stage: Stage) -> None:
    begun = stage.control.mark()
    figure = bench.back_up(stage, MANY)
    assert bench.problems_of(figure) == []
    assert figure.refused <= MANY / 5
    pages = 1 + 4 * (figure.invocations - 1)  # the planner's page; a worker's instances, volumes, snapshots and owners
    assert figure.pages == pages
    assert stage.denied(begun) == []
    assert stage.failed_events() == []
    worked = [
        item for item in stage.control.invocations(begun, function="take-snapshots") if "Records" in item["event"]
    ]
    ends = [item["at"] + item["milliseconds"] / 1000 - ROUNDED for item in worked]
    at_once = max(
        sum(other["at"] <= item["at"] < end for other, end in zip(worked, ends, strict=True)) for item in worked
    )
    assert at_once <= large_run.WORKERS

    mark = stage.control.mark()
    fire(stage, f"{bench.SLOT:%Y-%m-%dT%H:%M:%SZ}")  # the same slot again
    assert "ec2:CreateSnapshots" not in stage.control.counts(mark)
    assert len(saved(stage)) == MANY
    assert events_of(stage.messages()) == ["BackupStarted"]


def test_ten_thousand_instances_are_handed_out_within_the_functions_memory_by_few_calls() -> None:
    figure = large_run_memory.measure_alone("slot")
    assert large_run_memory.problems_of(figure, timed=False) == []
    assert figure.handed_out == 10_000
    assert figure.calls <= CALLS_OF_TEN_THOUSAND
