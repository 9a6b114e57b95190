"""A slot's completed backups wake retention and copies once, by the last of them, in whatever order they are
published."""

from __future__ import annotations

import json

import pytest
from moto.ec2 import ec2_backends

from lifeboat.aws import clients, ec2_snapshots, topic
from lifeboat.backup import store as backups
from tests.functions.conftest import ACCOUNT, TABLE, open_backup

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}
RECONCILE = {"sweep": True}


@pytest.fixture
def large_run(world, monkeypatch):
    """The recovery points of three instances in one slot, begun and not yet confirmed."""
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    for _ in range(3):
        world.launch()
    begun = world.invoke("take_snapshots", SLOT)["begun"]
    world.messages()
    return sorted(item["recovery_point"] for item in begun)


def delivered(message):
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(message)}}]}


def pruned(world, message):
    """Whether the message made retention run, rather than wait."""
    return "waits_for" not in world.invoke("prune_snapshots", delivered(message))


def unfinished(world, *instances):
    """moto's snapshots are finished at once: these are not."""
    for snapshot in ec2_backends[ACCOUNT]["eu-west-1"].snapshots.values():
        tags = {tag["key"]: tag["value"] for tag in snapshot.get_tags()}
        if tags.get("lifeboat:recovery-point") in instances:
            snapshot.status = "pending"


def finished():
    for snapshot in ec2_backends[ACCOUNT]["eu-west-1"].snapshots.values():
        snapshot.status = "completed"


def test_of_a_slots_messages_only_the_last_one_makes_retention_observe(world, large_run):
    world.invoke("confirm_snapshots", RECONCILE)
    messages = world.messages()
    assert [item["event"] for item in messages] == ["BackupCompleted"] * 3
    # All were decided when they arrived late, as here: nobody waits for what is over.
    assert all(pruned(world, message) for message in messages)


def test_nobody_waits_for_another_slot(world, large_run):
    unfinished(world, *large_run[1:])
    world.invoke("confirm_snapshots", RECONCILE)
    [published] = world.messages()
    assert not pruned(world, published)
    other = {**published, "subject": {"recovery_point": "rp-20261122T020000Z-i-0123456789abcdef0"}}
    assert pruned(world, other)
    assert pruned(world, {**published, "subject": {"recovery_point": "of someone's own naming"}})


@pytest.mark.parametrize(
    "prompt", [True, False], ids=["delivered before the next is published", "delivered at the end"]
)
def test_a_slot_in_one_reconcile_run_is_observed_by_its_last_message(world, large_run, monkeypatch, prompt):
    observed = []
    messages = []
    real = topic.publish

    def deliver(arn, message):
        real(arn, message)
        [published] = [item for item in world.messages() if item["event"] != "SnapshotsPruned"]
        messages.append(published)
        if prompt:
            observed.append(pruned(world, published))

    monkeypatch.setattr(topic, "publish", deliver)
    world.invoke("confirm_snapshots", RECONCILE)
    monkeypatch.undo()
    if prompt:
        assert observed == [False, False, True]


def test_two_that_finish_at_one_moment_leave_one_that_observes(world, large_run, monkeypatch):
    """Each invocation notes its own, then publishes, then closes: however these interleave, someone sees nothing
    open."""
    first, second = large_run[:2]
    backups.close_backup(TABLE, large_run[2])
    message = {"event": "BackupCompleted"}
    backups.mark_decided(TABLE, first)
    backups.mark_decided(TABLE, second)
    published = [{**message, "subject": {"recovery_point": point}} for point in (first, second)]
    assert all(pruned(world, item) for item in published), "both are published, neither is closed"


def test_noting_what_is_closed_does_not_open_it_again(world, large_run):
    backups.close_backup(TABLE, large_run[0])
    backups.mark_decided(TABLE, large_run[0])
    assert set(backups.open_backups(TABLE)) == set(large_run[1:])


def test_the_daily_run_and_a_person_wait_for_nobody(world, large_run):
    unfinished(world, *large_run)
    assert "kept_count" in world.invoke("prune_snapshots", {})
    assert "kept_count" in world.invoke("prune_snapshots", {"scheduled_time": "2026-11-23T03:00:00Z"})


def test_copies_wait_for_the_slot_or_the_reconcile_run(world, large_run, monkeypatch):
    unfinished(world, *large_run[1:])
    world.invoke("confirm_snapshots", RECONCILE)
    [published] = world.messages()
    assert "waits_for" in world.invoke("copy_snapshots", delivered(published))
    assert "waits_for" not in world.invoke("copy_snapshots", RECONCILE)


def test_a_thousand_open_backups_are_not_read_to_find_one(world, large_run, monkeypatch):
    for number in range(100):
        open_backup(f"rp-20261123T020000Z-i-{number:017x}")
    asked = []
    clients.dynamodb().meta.events.register(
        "after-call.dynamodb.Query", lambda parsed, **_: asked.append(parsed["Count"])
    )
    assert backups.undecided_beside(TABLE, large_run[0], "rp-20261123T020000Z-")
    assert asked == [backups.OBSERVED_AT_ONCE]
