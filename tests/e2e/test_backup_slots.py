"""Slots on the real template, IAM enforced: once each, whatever is lost, and caught up when nobody fired them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from lifeboat.rules.slots import parse_schedule, previous_slot
from tests.e2e.stage import Machine, Stage, staged, tags_of

YEARLY = "cron(0 0 1 1 ? *)"  # its newest slot is long past its grace on every day but one
LONG_AGO = "2020-01-01T00:00:00+00:00"
CATCH_UP = {"catch_up": True}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"Schedule": YEARLY}) as made:
        yield made


@pytest.fixture
def machine(stage: Stage) -> Iterator[Machine]:
    """A machine that the catch-up has seen, and that owes every slot since long ago."""
    [made] = stage.launch()
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == []
    table = stage.aws.client("dynamodb")
    [name] = [item for item in table.list_tables()["TableNames"] if "StateTable" in item]
    table.update_item(
        TableName=name,
        Key={"pk": {"S": "selected"}, "sk": {"S": made.instance_id}},
        UpdateExpression="SET since = :long_ago",
        ConditionExpression="attribute_exists(since)",
        ExpressionAttributeValues={":long_ago": {"S": LONG_AGO}},
    )
    yield made
    stage.control.reset()


def taken(stage: Stage, machine: Machine) -> list[dict[str, Any]]:
    return [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]


def test_a_slot_that_nobody_fired_is_caught_up_once(stage: Stage, machine: Machine) -> None:
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == [machine.instance_id]
    assert stage.invoke("TakeSnapshotsFunction", CATCH_UP)["caught_up"] == []
    [snapshot] = taken(stage, machine)
    slot = previous_slot(parse_schedule(YEARLY), datetime.now(UTC))
    assert tags_of(snapshot)["lifeboat:slot"] == f"{slot:%Y-%m-%dT%H:%M:%SZ}"
    assert tags_of(snapshot)["lifeboat:late"] == "true"


def test_a_refused_catch_up_is_made_good_by_the_next_look(stage: Stage, machine: Machine) -> None:
    stage.control.fault("CreateSnapshots", code="SnapshotCreationPerVolumeRateExceeded", count=1)
    with pytest.raises(AssertionError, match="SnapshotCreationPerVolumeRateExceeded"):
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
