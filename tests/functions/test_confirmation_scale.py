"""A large run's open recovery points: no event reads them all, and no reconcile run takes longer than its
invocation has."""

from __future__ import annotations

import importlib

import pytest

from lifeboat.aws import clients
from lifeboat.backup import confirm_workflow as confirmation
from lifeboat.backup import store as backups
from tests.functions.conftest import TABLE, Context, open_backup

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


class Hurried(Context):
    """An invocation with time for so many checks the clock."""

    observations = 4

    def get_remaining_time_in_millis(self) -> int:
        self.observations -= 1
        return 60_000 if self.observations >= 0 else 10_000


@pytest.fixture
def large_run(world):
    for _ in range(5):
        world.launch()
    begun = world.invoke("take_snapshots", SLOT)["begun"]
    world.messages()
    return sorted(item["recovery_point"] for item in begun)


def reconcile(context):
    return importlib.import_module("functions.confirm_snapshots.app").handler({"sweep": True}, context)


def test_a_reconcile_run_without_time_for_all_publishes_some_and_leaves_the_rest_to_the_next(world, large_run):
    first = reconcile(Hurried())
    found = len(first["completed"])
    assert 0 < found < 5
    assert first["left"] == 5 - found
    assert sorted(backups.open_backups(TABLE)) == large_run[found:]
    second = reconcile(Context())
    assert second["completed"] == large_run[found:]
    assert "left" not in second
    assert [message["event"] for message in world.messages()] == ["BackupCompleted"] * 5


def test_pending_ones_in_front_do_not_keep_a_reconcile_run_from_those_behind(world, large_run, monkeypatch):
    monkeypatch.setattr(confirmation.ec2_describe, "IDS_PER_CALL", 2)
    monkeypatch.setattr(confirmation, "POINTS_LISTED", 2)
    for number in range(6):
        open_backup(f"rp-20261122T020000Z-i-{number:017x}")
    answer = world.invoke("confirm_snapshots", {"sweep": True})
    assert answer["completed"] == large_run[:2]
    assert (answer["completed_not_listed"], answer["pending_not_listed"]) == (3, 4)
    assert len(backups.open_backups(TABLE)) == 6


def test_an_event_does_not_read_all_open_backups(world, large_run, sample):
    for number in range(100):
        open_backup(f"rp-20261123T020000Z-i-{number:017x}")
    read = []
    clients.dynamodb().meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: read.append(parsed))
    snapshot = world.snapshots()[0]["SnapshotId"]
    event = sample("ebs-createSnapshot-succeeded", {"snap-0a1b2c3d4e5f60718": snapshot})
    [completed] = world.invoke("confirm_snapshots", event)["completed"]
    assert completed in large_run
    assert read == []
