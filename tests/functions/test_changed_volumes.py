"""Volumes that change between the observation and CreateSnapshots: what EC2 answered is compared with what was
asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from lifeboat.aws import clock, ec2_instances, ec2_snapshots, topic
from lifeboat.backup import store as backups
from lifeboat.backup.workflow import BackupIncomplete
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore, RestoreVolume
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
    [failed] = world.messages()
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
    assert [message["event"] for message in world.messages()][-1] == "BackupCompleted"


def test_a_slot_of_which_only_a_stranger_was_made_is_caught_up(world, monkeypatch, machine):
    change(world, monkeypatch, machine, off="/dev/sdh", on="/dev/sdh")
    with pytest.raises(BackupIncomplete):
        world.invoke("take_snapshots", SLOT)
    assert ec2_snapshots.instances_saved_by("lifeboat", slot_tag="2026-11-23T02:00:00Z") == frozenset()


def test_a_set_that_misses_a_volume_is_made_again_and_the_whole_one_is_published(world, monkeypatch):
    machine = world.launch(disks=2)
    change(world, monkeypatch, machine, off="/dev/sdi")
    with pytest.raises(BackupIncomplete, match="EC2 made no snapshot of vol-"):
        world.invoke("take_snapshots", SLOT)
    later(monkeypatch, 1)

    world.invoke("take_snapshots", SLOT)
    completed = world.invoke("confirm_snapshots", {"sweep": True})["completed"]

    [point] = good_points()
    assert [member.metadata.device for member in point.members] == ["/dev/sdh"]
    published = {message["event"]: message for message in world.messages()}
    [begun] = published["BackupStarted"]["details"]["recovery_points"]
    assert completed == [begun["recovery_point"]] == [point.id]
    assert published["BackupCompleted"]["subject"]["recovery_point"] == point.id
    assert backups.open_backups(TABLE) == {}


def test_a_volume_attached_meanwhile_is_published_and_the_recovery_point_is_good_without_it(
    world, monkeypatch, machine
):
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
    published = world.messages()
    assert [message["event"] for message in published] == ["BackupStarted", "UnplannedSnapshotTaken", "BackupCompleted"]
    assert list(published[1]["details"]["snapshots"].values()) == [stranger]


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


def under_restore(world, machine):
    """A restore is open on the machine: it has made a volume, and taken off the one at /dev/sdh. Both ids."""
    displaced = world.volume_of(machine)
    restored = world.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=20)["VolumeId"]
    volume = RestoreVolume(
        snapshot_id="snap-0aaaaaaaaaaaaaaa1",
        device="/dev/sdh",
        zone="eu-west-1a",
        type="gp3",
        size=20,
        encrypted=False,
        lineage=displaced,
        displaced_volume_id=displaced,
        restored_volume_id=restored,
    )
    now = clock.now()
    restore = Restore("restore-1", "asked", machine, "rp-1", (volume,), now, now, touched=True)
    restores.open_restore(TABLE, restore)
    world.ec2.detach_volume(VolumeId=displaced, InstanceId=machine, Device="/dev/sdh")
    return displaced, restored, restore


@pytest.fixture
def meanwhile(monkeypatch):
    """What happens while a run waits for more than a moment, once each. Only waiting moves its clock."""
    todo, passed = [], [0.0]

    def wait(seconds):
        passed[0] += seconds
        if seconds > 1 and todo:
            todo.pop(0)()

    monkeypatch.setattr(clock, "wait", wait)
    monkeypatch.setattr(clock, "monotonic", lambda: passed[0])
    return todo


@pytest.mark.usefixtures("meanwhile")
def test_no_recovery_point_is_made_while_a_restore_exchanges_a_volume(world):
    machine = world.launch(disks=2)
    under_restore(world, machine)

    with pytest.raises(BackupIncomplete, match=f"restore restore-1 exchanges the volumes of {machine}"):
        world.invoke("take_snapshots", SLOT)

    assert world.snapshots() == []


@pytest.mark.parametrize("back", [True, False])
def test_the_slot_is_taken_as_soon_as_the_restore_has_put_all_back_or_on(world, meanwhile, back):
    machine = world.launch(disks=2)
    displaced, restored, _ = under_restore(world, machine)
    whole = displaced if back else restored
    meanwhile.append(lambda: world.ec2.attach_volume(VolumeId=whole, InstanceId=machine, Device="/dev/sdh"))

    [begun] = world.invoke("take_snapshots", SLOT)["begun"]

    assert begun["volumes"] == sorted([whole, world.volume_of(machine, "/dev/sdi")])


def test_a_restore_that_puts_a_volume_back_after_the_observation_leaves_no_good_point_without_it(
    world, monkeypatch, meanwhile
):
    machine = world.launch(disks=2)
    displaced, _, restore = under_restore(world, machine)
    real = ec2_instances.each_instance_with_tag

    def read(key, value):
        found = list(real(key, value))
        if restores.open_on(TABLE, machine):
            world.ec2.attach_volume(VolumeId=displaced, InstanceId=machine, Device="/dev/sdh")
            restores.close_restore(TABLE, restore)
        return found

    monkeypatch.setattr(ec2_instances, "each_instance_with_tag", read)

    [begun] = world.invoke("take_snapshots", SLOT)["begun"]

    assert displaced in begun["volumes"]
    assert "unplanned" not in begun


@pytest.mark.parametrize("event", ["UnplannedSnapshotTaken", "BackupCompleted"])
def test_a_recovery_point_stays_open_until_all_of_it_is_published(world, monkeypatch, machine, event):
    class Killed(BaseException):
        """Lambda ends the invocation."""

    change(world, monkeypatch, machine, on="/dev/sdi")
    world.invoke("take_snapshots", SLOT)
    real, left = topic.publish, [1]

    def publish(arn, message):
        if left[0] and message.event == event:
            left[0] -= 1
            raise Killed
        return real(arn, message)

    monkeypatch.setattr(topic, "publish", publish)
    with pytest.raises(Killed):
        world.invoke("confirm_snapshots", {"sweep": True})

    world.invoke("confirm_snapshots", {"sweep": True})  # what was under way is someone else's still
    assert list(backups.open_backups(TABLE)) != []
    later(monkeypatch, 3)
    with time_machine.travel(clock.now(), tick=True):
        world.invoke("confirm_snapshots", {"sweep": True})

    published = [message["event"] for message in world.messages()]
    assert sorted(published) == ["BackupCompleted", "BackupStarted", "UnplannedSnapshotTaken"]
    assert backups.open_backups(TABLE) == {}
