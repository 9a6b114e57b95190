"""Restore drills: one passes, one never gets a volume, one is killed, one makes room for a restore; nothing stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.stage import Machine, Stage, staged, tags_of

DRILL = "DrillRestoresFunction"
MINUTES = 30.0
"""The deadline of volumes here, so that the clock has less to jump over."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"DrillSchedule": "cron(0 5 ? * SUN *)", "RestoreDeadlines": f"volumes={MINUTES:g}m"}) as made:
        yield made


@pytest.fixture
def saved(stage: Stage) -> Iterator[Machine]:
    """A machine of two data volumes with a good recovery point. Afterwards nothing of a drill is there."""
    disks = {device: {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True} for device in ("/dev/sdh", "/dev/sdi")}
    [machine] = stage.launch(disks=disks)
    stage.back_up(machine.instance_id)
    stage.control.advance(120)  # EBS does not show a snapshot to its readers at once
    stage.control.settle()
    stage.forget_messages()
    yield machine
    stage.control.settle()
    stage.control.reset()
    assert stage.volumes(("tag-key", "lifeboat:drill")) == {}
    assert open_drills(stage) == []
    assert stage.denied() == []
    assert stage.failed_events() == []


def open_drills(stage: Stage) -> list[str]:
    answer = stage.aws.client("dynamodb").query(
        TableName=stage.outputs["StateTableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "drill-open"}},
        ConsistentRead=True,
    )
    return [json.loads(item["document"]["S"])["state"] for item in answer["Items"]]


def begin(stage: Stage, machine: Machine) -> dict:
    answer = stage.invoke(DRILL, {"lineage": machine.volumes["/dev/sdh"]})
    stage.control.settle()
    return answer


def reconcile(stage: Stage) -> None:
    stage.control.advance(300)
    stage.invoke(DRILL, {"sweep": True})
    stage.control.settle()


def drills(stage: Stage) -> list[tuple[str, str]]:
    return [
        (message["event"], message["details"].get("reason", ""))
        for message in stage.messages()
        if message["event"].startswith("Drill")
    ]


def test_a_set_is_rehearsed_by_events_alone_and_the_instance_is_not_touched(stage, saved):
    before, mark = stage.disks(saved.instance_id), stage.control.mark()
    stage.control.fire_schedule("DrillRestoresFunctionDrill")
    stage.control.settle()
    [passed] = stage.published_about(instance_id=saved.instance_id)
    assert passed["event"] == "DrillPassed"
    assert {item["gib"] for item in passed["details"]["volumes"]} == {20}
    assert len(passed["details"]["volumes"]) == 2
    assert 0 < passed["details"]["recovery_seconds"] < 300
    assert stage.changes(mark) == ["CreateVolume", "CreateVolume", "DeleteVolume", "DeleteVolume"]
    read = [call["action"] for call in stage.control.calls(mark, service="ebs", caller="drill-restores")]
    assert read.count("ListSnapshotBlocks") == 2
    assert stage.disks(saved.instance_id) == before


def test_without_an_event_the_reconcile_run_does_the_same(stage, saved):
    with stage.silence():
        begin(stage, saved)
        assert drills(stage) == []
        reconcile(stage)
        reconcile(stage)
    assert drills(stage) == [("DrillPassed", "")]


def test_a_volume_that_never_becomes_available_is_published_once_and_deleted(stage, saved):
    stage.control.fail_creation("volume", count=0, stuck=True)
    begin(stage, saved)
    for _ in range(round(MINUTES / 5) + 2):
        reconcile(stage)
    [(event, reason)] = drills(stage)
    assert event == "DrillFailed"
    assert "did not become available within 30 minutes" in reason


def test_a_volume_whose_key_may_not_be_used_is_published_once(stage, saved):
    stage.control.fail_creation("volume", nth=2, cause="Given key ID is not accessible")
    begin(stage, saved)
    reconcile(stage)
    [(event, reason)] = drills(stage)
    assert event == "DrillFailed"
    assert "volume" in reason


def invoke_later(stage: Stage, event: dict) -> None:
    """As EventBridge and Scheduler do: nobody waits for the answer, and Lambda retries."""
    stage.aws.client("lambda").invoke(
        FunctionName=stage.outputs[DRILL], InvocationType="Event", Payload=json.dumps(event)
    )
    stage.control.settle()


@pytest.mark.parametrize("action", ["CreateVolume", "DeleteVolume"])
def test_a_function_that_is_killed_after_a_call_makes_no_second_volume_and_leaves_none(stage, saved, action):
    mark = stage.control.mark()
    stage.control.event_fault("drop", count=0)
    stage.control.fault(action, "kill", caller="drill-restores")
    invoke_later(stage, {"lineage": saved.volumes["/dev/sdh"]})
    for _ in range(3):
        stage.control.advance(300)
        invoke_later(stage, {"sweep": True})
    assert [fault["hits"] for fault in stage.control.faults()] == [1]
    assert drills(stage) == [("DrillPassed", "")]
    assert len({call["request"] for call in stage.control.calls(mark) if call["action"] == "CreateVolume"}) == 2


def test_a_volume_of_a_drill_that_the_table_has_lost_is_deleted_and_published_once(stage, saved):
    with stage.silence():
        answer = begin(stage, saved)
        table = stage.outputs["StateTableName"]
        client = stage.aws.client("dynamodb")
        for lineage in saved.volumes.values():
            client.delete_item(TableName=table, Key={"pk": {"S": "drill-open"}, "sk": {"S": lineage}})
    made = stage.volumes(("tag-key", "lifeboat:drill"))
    assert {tags_of(item)["lifeboat:drill"] for item in made.values()} == set(answer["opened"])
    reconcile(stage)
    reconcile(stage)
    [(event, reason)] = drills(stage)
    assert event == "DrillFailed"
    assert "is not in the table" in reason


def test_a_drill_makes_room_for_a_restore_and_is_done_afterwards(stage, saved):
    with stage.silence():
        begin(stage, saved)
        assert len(stage.volumes(("tag-key", "lifeboat:drill"))) == 2
    [target] = stage.launch(disks={d: {"VolumeSize": 20, "Encrypted": True} for d in saved.volumes})
    answer = stage.restore(target, {"instance_id": saved.instance_id})
    reconcile(stage)
    assert answer["restore_id"] in stage.open_restores()
    assert stage.volumes(("tag-key", "lifeboat:drill")) == {}
    assert open_drills(stage) == ["waiting"]
    assert stage.until_closed(answer["restore_id"])["status"] == "completed"
    reconcile(stage)
    assert drills(stage) == [("DrillPassed", "")]
