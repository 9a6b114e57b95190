"""Fleets on the real template, IAM enforced: handed out, slowed down by EC2's buckets, none lost and none doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from bench import fleet as bench
from bench import fleet_memory
from lifeboat.rules import fleet
from tests.e2e.stage import Stage, events_of, staged, tags_of

MANY = 200
SOME = 28
SPEED = 4
"""So much faster than in AWS EC2's buckets fill here."""
SLOT = "2026-11-23T02:00:00Z"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged({"Fleet": "true"}) as made:
        made.control.event_fault("drop", count=0)  # what EC2's events start is not what this is about
        yield made


def fire(stage: Stage) -> None:
    stage.control.fire_schedule("TakeSnapshotsFunctionSlot", SLOT)
    stage.control.settle()


def saved(stage: Stage) -> Counter[str]:
    return Counter(tags_of(item)["lifeboat:instance"] for item in stage.recovery_point_snapshots())


def test_two_hundred_instances_under_the_buckets(stage: Stage) -> None:
    figure = bench.back_up(stage, MANY, speed=SPEED)
    assert bench.problems_of(figure) == []
    assert figure.refused <= MANY / 5
    pages = 1 + 4 * (figure.invocations - 1)  # the planner's page; a worker's instances, volumes, snapshots and owners
    assert figure.pages == pages
    assert stage.denied() == []
    assert stage.failed_events() == []
    worked = [item for item in stage.control.invocations(function="TakeSnapshots") if "Records" in item["event"]]
    at_once = max(
        sum(other["at"] <= item["at"] < other["at"] + other["milliseconds"] / 1000 for other in worked)
        for item in worked
    )
    assert at_once <= fleet.WORKERS

    mark = stage.control.mark()
    fire(stage)  # the same slot again
    assert "ec2:CreateSnapshots" not in stage.control.counts(mark)
    assert len(saved(stage)) == MANY
    assert events_of(stage.news()) == ["BackupStarted"]


def test_the_second_of_five_is_refused_named_and_done_by_the_retry(stage: Stage) -> None:
    machines = stage.launch(5)
    stage.control.fault("CreateSnapshots", code="UnauthorizedOperation", nth=2)
    stage.control.fire_schedule("TakeSnapshotsFunctionSlot", SLOT)
    stage.control.settle()
    assert saved(stage) == Counter(item.instance_id for item in machines)
    told = stage.news()
    assert events_of(told) == ["BackupStarted", "BackupFailed", "BackupStarted"]
    begun = [[item["instance_id"] for item in told[at]["details"]["recovery_points"]] for at in (0, 2)]
    refused = told[1]["subject"]["instance_id"]
    assert begun == [sorted({item.instance_id for item in machines} - {refused}), [refused]]


def test_one_refused_instance_is_done_once_it_is_allowed(stage: Stage) -> None:
    machines = stage.launch(SOME)
    bad = machines[1].instance_id
    stage.control.fault("CreateSnapshots", code="SnapshotCreationPerVolumeRateExceeded", resource=bad, count=0)
    fire(stage)
    assert set(saved(stage)) == {item.instance_id for item in machines} - {bad}
    assert stage.news() == [], "its portion is held back"
    stage.control.reset()
    stage.control.event_fault("drop", count=0)
    assert stage.control.release_messages() == 1
    stage.control.settle()
    assert set(saved(stage)) == {item.instance_id for item in machines}
    [started] = stage.news()
    assert (started["event"], started["details"]["begun"]) == ("BackupStarted", SOME)


def test_what_is_refused_for_good_is_named_in_the_one_outcome(stage: Stage) -> None:
    machines = stage.launch(SOME)
    bad = machines[1].instance_id
    stage.control.fault("CreateSnapshots", code="SnapshotCreationPerVolumeRateExceeded", resource=bad, count=0)
    fire(stage)
    for _ in range(60):
        if stage.news():
            break
        stage.control.advance(60)
    [incomplete] = stage.news()
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
        tables.put_item(TableName=name, Item={**item, "until": {"N": "1"}})


def test_a_killed_worker_loses_and_doubles_nothing(stage: Stage) -> None:
    machines = stage.launch(SOME)
    stage.control.fault("CreateSnapshots", "kill", nth=10)
    fire(stage)
    assert stage.news() == []
    the_killed_ones_time_is_up(stage)
    stage.control.release_messages()
    stage.control.settle()
    assert saved(stage) == Counter(item.instance_id for item in machines)
    assert events_of(stage.news()) == ["BackupStarted"]


def test_ten_thousand_instances_are_handed_out_within_the_functions_memory_and_time() -> None:
    figure = fleet_memory.measure_alone("slot")
    assert fleet_memory.problems_of(figure) == []
    assert figure.handed_out == 10_000
