"""How many instances one invocation checks: EC2 takes 200 filter values in one call, those of all its filters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.backup import store as backups
from tests.functions.conftest import TABLE

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


def test_every_instance_gets_its_recovery_point_without_a_large_run(world):
    instances = world.launch_many(199)

    answer = world.invoke("take_snapshots", SLOT)

    assert {item["instance_id"] for item in answer["begun"]} == instances
    assert answer["failed"] == []
    assert len(world.snapshots()) == 199
    assert len(backups.open_backups(TABLE)) == 199
    assert len(world.invoke("take_snapshots", SLOT)["already"]) == 199, "what is there is found, however many"

    published = world.invoke("confirm_snapshots", {"sweep": True})
    assert len(published["completed"]) + published.get("completed_not_listed", 0) == 199
    assert backups.open_backups(TABLE) == {}


def test_every_instance_is_observed_whatever_their_number(world, monkeypatch):
    """Without the snapshots themselves, which take moto its time."""
    count = 260
    instances = world.launch_many(count)
    asked = []
    disks = {
        item["Attachments"][0]["InstanceId"]: item["VolumeId"]
        for item in world.ec2.describe_volumes()["Volumes"]
        if item["Attachments"][0]["Device"] == "/dev/sdh"
    }

    def create(instance_id, *_more):
        asked.append(instance_id)
        return {disks[instance_id]: f"snap-{instance_id}"}

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", create)

    assert len(world.invoke("take_snapshots", SLOT)["begun"]) == count
    assert sorted(asked) == sorted(instances)


def test_every_instance_without_a_backup_is_published_as_overdue(world, monkeypatch):
    instances = world.launch_many(199)
    now = clock.now()
    world.invoke("take_snapshots", {"catch_up": True})  # seen for the first time
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=3))

    def refuse(*_asked):
        raise RuntimeError("no backup today")

    monkeypatch.setattr("lifeboat.backup.workflow.take", refuse)
    with pytest.raises(RuntimeError, match="no backup today"):
        world.invoke("take_snapshots", {"catch_up": True})
    published = {
        message["subject"]["instance_id"] for message in world.messages() if message["event"] == "BackupOverdue"
    }
    assert published == instances
