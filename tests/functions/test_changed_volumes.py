"""Volumes that change between the look and CreateSnapshots: what EC2 answered is compared with what was asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.backup import store as backups
from lifeboat.backup.workflow import BackupIncomplete
from lifeboat.domain.catalogue import read_catalogue
from tests.functions.conftest import TABLE

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


def change(world, monkeypatch, instance, *, off="", on=""):
    """Before the next CreateSnapshots, and only that, take a device's volume off the instance and put a new one on."""
    real = ec2_snapshots.create_snapshots
    left = [1]

    def call(instance_id, description, tags):
        if left[0] and instance_id == instance:
            left[0] -= 1
            if off:
                world.ec2.detach_volume(VolumeId=world.volume_of(instance, off), InstanceId=instance, Device=off)
            if on:
                made = world.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=5)["VolumeId"]
                world.ec2.attach_volume(VolumeId=made, InstanceId=instance, Device=on)
        return real(instance_id, description, tags)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)


def good_points():
    return [
        point for point in read_catalogue(ec2_snapshots.recovery_point_snapshots()).points if point.condition == "good"
    ]


def later(monkeypatch, minutes):
    at = clock.now() + timedelta(minutes=minutes)
    monkeypatch.setattr(clock, "now", lambda: at)


@pytest.fixture
def machine(world):
    return world.launch()


def test_a_volume_exchanged_meanwhile_is_no_recovery_point_of_the_planned_one(world, monkeypatch, machine):
    planned = world.volume_of(machine)
    change(world, monkeypatch, machine, off="/dev/sdh", on="/dev/sdh")

    with pytest.raises(BackupIncomplete, match=f"EC2 made no snapshot of {planned}, but snap-"):
        world.invoke("take_snapshots", SLOT)

    assert good_points() == []
    [failed] = world.message()
    assert failed["event"] == "BackupFailed"
    assert f"of {world.volume_of(machine)}" in failed["summary"]
    assert backups.open_backups(TABLE) == {}


def test_the_next_attempt_of_the_slot_saves_what_is_attached_by_then(world, monkeypatch, machine):
    change(world, monkeypatch, machine, off="/dev/sdh", on="/dev/sdh")
    with pytest.raises(BackupIncomplete):
        world.invoke("take_snapshots", SLOT)
    later(monkeypatch, 1)

    world.invoke("take_snapshots", SLOT)
    world.invoke("confirm_snapshots", {"sweep": True})

    [point] = good_points()
    assert [member.metadata.volume_id for member in point.members] == [world.volume_of(machine)]
    assert [message["event"] for message in world.message()][-1] == "BackupCompleted"


def test_a_slot_of_which_only_a_stranger_was_made_is_caught_up(world, monkeypatch, machine):
    change(world, monkeypatch, machine, off="/dev/sdh", on="/dev/sdh")
    with pytest.raises(BackupIncomplete):
        world.invoke("take_snapshots", SLOT)
    assert ec2_snapshots.instances_saved_by("lifeboat", slot_tag="2026-11-23T02:00:00Z") == frozenset()


def test_a_set_that_misses_a_volume_is_made_again_and_the_whole_one_is_told(world, monkeypatch):
    machine = world.launch(disks=2)
    change(world, monkeypatch, machine, off="/dev/sdi")
    with pytest.raises(BackupIncomplete, match="EC2 made no snapshot of vol-"):
        world.invoke("take_snapshots", SLOT)
    later(monkeypatch, 1)

    world.invoke("take_snapshots", SLOT)
    completed = world.invoke("confirm_snapshots", {"sweep": True})["completed"]

    [point] = good_points()
    assert [member.metadata.device for member in point.members] == ["/dev/sdh"]
    assert len(completed) == 1
    assert backups.open_backups(TABLE) == {}


def test_a_volume_attached_meanwhile_is_told_and_the_recovery_point_is_good_without_it(world, monkeypatch, machine):
    planned = world.volume_of(machine)
    change(world, monkeypatch, machine, on="/dev/sdi")

    [begun] = world.invoke("take_snapshots", SLOT)["begun"]
    world.invoke("confirm_snapshots", {"sweep": True})
    world.invoke("confirm_snapshots", {"sweep": True})

    stranger = world.volume_of(machine, "/dev/sdi")
    assert list(begun["snapshots"]) == [planned]
    assert list(begun["unplanned"]) == [stranger]
    [point] = good_points()
    assert [member.metadata.volume_id for member in point.members] == [planned]
    told = world.message()
    assert [message["event"] for message in told] == ["BackupStarted", "UnplannedSnapshotTaken", "BackupCompleted"]
    assert list(told[1]["details"]["snapshots"].values()) == [stranger]


def test_retention_never_deletes_a_stranger_and_says_so(world, monkeypatch, machine):
    change(world, monkeypatch, machine, on="/dev/sdi")
    [begun] = world.invoke("take_snapshots", SLOT)["begun"]
    [stranger] = begun["unplanned"].values()
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    later(monkeypatch, 60 * 24 * 400)

    answer = world.invoke("prune_snapshots", {"dry_run": True})

    assert stranger not in str(answer["delete"])
    assert any(notice.startswith(f"{stranger} is kept: ") for notice in answer["notices"])
