"""Two stacks that save one instance: each makes, sees and publishes its own recovery points."""

from __future__ import annotations

import boto3
import pytest

from lifeboat import handler

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


@pytest.fixture
def other(world, monkeypatch):
    """What the other stack's functions answer: another name, another table."""
    boto3.client("dynamodb").create_table(
        TableName="other-state",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )

    def invoke(function, event):
        with monkeypatch.context() as patch:
            patch.setenv("LIFEBOAT_STACK", "other")
            patch.setenv("LIFEBOAT_TABLE", "other-state")
            handler.forget()
            answer = world.invoke(function, event)
        handler.forget()
        return answer

    return invoke


def stacks_of(world):
    return sorted(tag["Value"] for item in world.snapshots() for tag in item["Tags"] if tag["Key"] == "lifeboat:stack")


def test_the_others_recovery_point_of_the_slot_is_not_taken_for_ours(world, other):
    instance = world.launch()
    assert len(other("take_snapshots", SLOT)["begun"]) == 1
    assert [item["instance_id"] for item in world.invoke("take_snapshots", SLOT)["begun"]] == [instance]
    assert stacks_of(world) == ["lifeboat", "other"]
    assert other("take_snapshots", SLOT)["begun"] == []
    assert world.invoke("take_snapshots", SLOT)["begun"] == []


def test_each_confirms_its_own(world, other):
    world.launch()
    other("take_snapshots", SLOT)
    world.invoke("take_snapshots", SLOT)
    world.messages()
    [own] = world.invoke("confirm_snapshots", {"sweep": True})["completed"]
    [published] = world.messages()
    [snapshot] = published["details"]["snapshots"]
    tags = {
        tag["Key"]: tag["Value"] for item in world.snapshots() if item["SnapshotId"] == snapshot for tag in item["Tags"]
    }
    assert (published["event"], published["stack"], tags["lifeboat:stack"]) == (
        "BackupCompleted",
        "lifeboat",
        "lifeboat",
    )
    assert own == tags["lifeboat:recovery-point"]
    assert other("confirm_snapshots", {"sweep": True})["completed"] == [own]
