"""Locks at confirmation: who is notified of what, and when the reconcile run tries again. moto knows no locks, so
these are ours; tests/security/test_deployed.py has EC2's on the local AWS."""

from __future__ import annotations

import pytest

from lifeboat import handler
from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.snapshot_locks import TRIED_FOR

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}
RECONCILE = {"sweep": True}
DENIED = AwsError("UnauthorizedOperation", "You may not.", answered=True)
BUSY = AwsError("RequestLimitExceeded", "Slow down.", answered=True)
LOST = AwsError("ReadTimeoutError", "no answer", answered=False)


class Locks:
    def __init__(self):
        self.put = {}
        self.refusals = []
        self.blind = []

    def lock_snapshot(self, snapshot_id, lock):
        if self.refusals:
            raise self.refusals.pop(0)
        assert snapshot_id not in self.put, "locked twice"
        self.put[snapshot_id] = lock

    def ever_locked(self, ids):
        if self.blind:
            raise self.blind.pop(0)
        return frozenset(self.put) & set(ids)


@pytest.fixture
def locks(world, monkeypatch):
    made = Locks()
    monkeypatch.setattr(ec2_snapshots, "lock_snapshot", made.lock_snapshot)
    monkeypatch.setattr(ec2_snapshots, "ever_locked", made.ever_locked)
    monkeypatch.setenv("LIFEBOAT_LOCK_MODE", "governance")
    monkeypatch.setenv("LIFEBOAT_LOCK_DAYS", "7")
    handler.forget()
    world.launch(disks=2)
    world.invoke("take_snapshots", SLOT)
    world.messages()
    return made


def messages_of(world):
    """By event: two messages of one moment come in either order."""
    return sorted(world.messages(), key=lambda message: message["event"])


def published(world):
    return [message["event"] for message in messages_of(world)]


def test_each_snapshot_is_locked_once(world, locks):
    world.invoke("confirm_snapshots", RECONCILE)
    assert set(locks.put) == {item["SnapshotId"] for item in world.snapshots()}
    assert {(lock.mode, lock.days) for lock in locks.put.values()} == {("governance", 7)}
    assert published(world) == ["BackupCompleted"]
    assert world.invoke("confirm_snapshots", RECONCILE)["completed"] == []


@pytest.mark.parametrize("refusal", [BUSY, LOST])
def test_what_passes_is_tried_again_in_silence(world, locks, refusal):
    locks.refusals = [refusal]
    world.invoke("confirm_snapshots", RECONCILE)
    assert len(locks.put) == 1
    assert published(world) == ["BackupCompleted"]
    world.invoke("confirm_snapshots", RECONCILE)
    assert len(locks.put) == 2
    assert published(world) == []
    assert world.invoke("confirm_snapshots", RECONCILE)["completed"] == []


def test_a_lock_that_cannot_be_is_published_once_and_tried_again(world, locks):
    locks.refusals = [DENIED] * 4
    world.invoke("confirm_snapshots", RECONCILE)
    world.invoke("confirm_snapshots", RECONCILE)
    completed, not_locked = messages_of(world)
    assert completed["event"] == "BackupCompleted"
    assert not_locked["event"] == "RecoveryPointNotLocked"
    assert "UnauthorizedOperation" in not_locked["summary"]
    world.invoke("confirm_snapshots", RECONCILE)
    assert len(locks.put) == 2
    assert published(world) == []


def test_blindness_locks_nothing_and_is_tried_again(world, locks):
    locks.blind = [BUSY]
    world.invoke("confirm_snapshots", RECONCILE)
    assert locks.put == {}
    world.invoke("confirm_snapshots", RECONCILE)
    assert len(locks.put) == 2
    assert published(world) == ["BackupCompleted"]


def test_the_reconcile_run_gives_up_in_the_end_and_publishes_it(world, locks, monkeypatch):
    later = clock.now() + TRIED_FOR
    monkeypatch.setattr(clock, "now", lambda: later)
    locks.refusals = [BUSY] * 9
    world.invoke("confirm_snapshots", RECONCILE)
    assert published(world) == ["BackupCompleted", "RecoveryPointNotLocked"]
    assert world.invoke("confirm_snapshots", RECONCILE)["completed"] == []


def test_a_grace_shorter_than_a_day_is_published_and_not_tried_again(world, locks, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_LOCK_DAYS", "0")
    monkeypatch.setenv("LIFEBOAT_GRACE_HOURS", "12")  # not 24: taken and confirmed in one second, that is still a day
    handler.forget()
    world.invoke("confirm_snapshots", RECONCILE)
    _, not_locked = messages_of(world)
    assert "expected LockDays, or more GraceHours" in not_locked["summary"]
    assert world.invoke("confirm_snapshots", RECONCILE)["completed"] == []
    assert locks.put == {}
