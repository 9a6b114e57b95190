"""The lineages whole, on the real template with IAM enforced: backups, and what a restore brings back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.e2e.stage import (
    CONSENT,
    DEVICE,
    ZONE,
    Machine,
    Stage,
    events_of,
    id_of,
    tags_of,
)

WINDOW = 120
"""Seconds: the default of running in the parameter RestoreDeadlines."""
SLOT_SCHEDULE = "TakeSnapshotsFunctionSlot"
"""A part of the name of the schedule whose slots are due; the function's other one searches for what was missed."""

_slots = count()


@pytest.fixture
def slot() -> str:
    """A due time that no other test has."""
    return (datetime(2026, 11, 23, 2, tzinfo=UTC) + timedelta(hours=next(_slots))).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- backups


def of_slot(stage: Stage, machine: Machine, slot: str) -> list[dict[str, Any]]:
    """What has been published of one machine's recovery point of one slot."""
    compact = slot.replace("-", "").replace(":", "")
    return stage.published_about(instance_id=machine.instance_id, recovery_point=f"rp-{compact}-{machine.instance_id}")


def test_a_backup_by_its_schedule_is_published_once(stage: Stage, machine: Machine, slot: str) -> None:
    mark = stage.control.mark()
    stage.control.fire_schedule(SLOT_SCHEDULE, slot)
    stage.control.settle()
    kinds = [event["detail_type"] for event in stage.control.events(mark)]
    assert {"EBS Snapshot Notification", "EBS Multi-Volume Snapshots Completion Status"} <= set(kinds)
    stage.reconcile("ConfirmSnapshotsFunction")
    stage.control.fire_schedule(SLOT_SCHEDULE, slot)  # delivered twice
    stage.control.settle()
    stage.reconcile("ConfirmSnapshotsFunction")
    [found] = of_slot(stage, machine, slot)
    assert found["event"] == "BackupCompleted"
    assert found["details"]["lineages"] == [machine.volume_id]
    [made] = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]
    assert tags_of(made)["lifeboat:slot"] == slot
    assert stage.control.invocations(mark, function=stage.outputs["PruneSnapshotsFunction"])


def test_a_backup_whose_events_are_lost_is_completed_by_the_reconcile_run(
    stage: Stage, machine: Machine, slot: str
) -> None:
    with stage.silence():
        stage.control.fire_schedule(SLOT_SCHEDULE, slot)
        stage.control.settle()
        assert of_slot(stage, machine, slot) == []
        stage.reconcile("ConfirmSnapshotsFunction")
        stage.reconcile("ConfirmSnapshotsFunction")
    assert events_of(of_slot(stage, machine, slot)) == ["BackupCompleted"]


def test_a_snapshot_in_error_is_published_as_a_failed_backup(stage: Stage, machine: Machine, slot: str) -> None:
    stage.control.fail_creation("snapshot", resource=machine.volume_id, cause="the disk is on fire")
    stage.control.fire_schedule(SLOT_SCHEDULE, slot)
    stage.control.settle()
    stage.reconcile("ConfirmSnapshotsFunction")
    [found] = of_slot(stage, machine, slot)
    assert found["event"] == "BackupFailed"
    [made] = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]
    assert made["State"] == "error"
    answer = stage.restore(machine, tags_of(made)["lifeboat:recovery-point"])
    assert {"not-good", "not-completed"} & {item["code"] for item in answer["findings"]}
    assert "refused" in answer


# --- restores: what comes back is what was


OWN_TAGS = {"Name": "PlatformData", "team": "forensics", "cost:center": "4711"}
FOREIGN_TAGS = {"aws:cloudformation:stack-name": "platform", "aws:backup:source-resource": "somewhere"}


@dataclass(frozen=True)
class Kind:
    """A kind of volume: how it is launched, and what the restored one must show."""

    disk: Mapping[str, Any]
    back: Mapping[str, Any]


KINDS = {
    "gp3 at its limits": Kind(
        {"VolumeType": "gp3", "VolumeSize": 200, "Iops": 80_000, "Throughput": 2_000, "Encrypted": True},
        {"VolumeType": "gp3", "Size": 200, "Iops": 80_000, "Throughput": 2_000},
    ),
    "gp3 as it comes": Kind(
        {"VolumeType": "gp3", "VolumeSize": 20, "Encrypted": True},
        {"VolumeType": "gp3", "Size": 20, "Iops": 3_000, "Throughput": 125},
    ),
    "io2": Kind(
        {"VolumeType": "io2", "VolumeSize": 50, "Iops": 7_000, "Encrypted": True},
        {"VolumeType": "io2", "Size": 50, "Iops": 7_000},
    ),
    "gp2": Kind(
        {"VolumeType": "gp2", "VolumeSize": 100, "Encrypted": True},
        {"VolumeType": "gp2", "Size": 100, "Iops": 300},
    ),
    "st1": Kind(
        {"VolumeType": "st1", "VolumeSize": 500, "Encrypted": True},
        {"VolumeType": "st1", "Size": 500},
    ),
    "not encrypted": Kind(
        {"VolumeType": "gp3", "VolumeSize": 20, "Encrypted": False},
        {"VolumeType": "gp3", "Size": 20, "Iops": 3_000, "Throughput": 125},
    ),
    "gone with its instance": Kind(
        {"VolumeType": "gp3", "VolumeSize": 20, "Encrypted": True, "DeleteOnTermination": True},
        {"VolumeType": "gp3", "Size": 20},
    ),
}


@pytest.fixture(scope="module")
def brought_back(stage: Stage) -> dict[str, tuple[Machine, dict[str, Any]]]:
    """A machine of each kind, restored all at once: the machine, and what its volume was like before."""
    machines: dict[str, tuple[Machine, dict[str, Any]]] = {}
    with stage.silence():
        for name, kind in KINDS.items():
            [made] = stage.launch(disks={DEVICE: kind.disk}, volume_tags={**CONSENT, **OWN_TAGS})
            stage.control.set_tags(made.volume_id, FOREIGN_TAGS)
            machines[name] = (made, stage.volume(made.volume_id))
    snapshots = stage.back_up(*(machine.instance_id for machine, _ in machines.values()))
    for machine, _ in machines.values():
        answer = stage.restore(machine, tags_of(snapshots[machine.volume_id])["lifeboat:recovery-point"])
        assert answer.get("restore_id") == id_of(machine), answer
    ours = {id_of(machine) for machine, _ in machines.values()}
    stage.reconcile_until(lambda: not ours & stage.open_restores(), what="the end of all restores")
    return machines


@pytest.mark.parametrize("name", KINDS)
def test_a_volume_comes_back_as_it_was(
    stage: Stage, brought_back: dict[str, tuple[Machine, dict[str, Any]]], name: str
) -> None:
    machine, before = brought_back[name]
    record = stage.status(id_of(machine))
    assert record["status"] == "completed", record["timeline"]
    [(device, (volume_id, flag))] = stage.disks(machine.instance_id).items()
    assert volume_id != machine.volume_id
    assert (device, flag) == (DEVICE, KINDS[name].disk.get("DeleteOnTermination", False))
    after = stage.volume(volume_id)
    shown = {"VolumeType", "Size", "Iops", "Throughput", "AvailabilityZone"}
    assert {key: after.get(key) for key in shown} == {key: before.get(key) for key in shown}
    assert {key: after[key] for key in KINDS[name].back} == KINDS[name].back
    assert after["Encrypted"]  # a source that was not comes back encrypted, unless the stack says otherwise
    if before["Encrypted"]:
        assert after["KmsKeyId"] == before["KmsKeyId"]
    own = {key: value for key, value in tags_of(after).items() if not key.startswith("lifeboat:")}
    assert own == OWN_TAGS  # nothing of aws:*, which nobody may write
    marks = {"lifeboat:restore": id_of(machine), "lifeboat:chain": machine.volume_id}
    assert {key: value for key, value in tags_of(after).items() if key in marks} == marks
    assert stage.power(machine.instance_id) == "running"
    assert stage.volume(machine.volume_id)["State"] == "available"
    assert events_of(stage.published_about(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_the_next_backup_continues_the_lineage(
    stage: Stage, brought_back: dict[str, tuple[Machine, dict[str, Any]]]
) -> None:
    machine, _ = brought_back["io2"]
    [(volume_id, _)] = stage.disks(machine.instance_id).values()
    snapshot = stage.back_up(machine.instance_id)[volume_id]
    assert tags_of(snapshot)["lifeboat:chain"] == machine.volume_id


def test_two_data_volumes_come_back_together(stage: Stage) -> None:
    disks = {
        DEVICE: {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True},
        "/dev/sdi": {"VolumeSize": 500, "VolumeType": "st1", "Encrypted": True, "DeleteOnTermination": True},
    }
    [machine] = stage.launch(disks=disks)
    point = stage.point_of(machine)
    mark = stage.control.mark()
    answer = stage.restore(machine, point)
    assert answer["status"] == "open"
    assert {volume["restored_volume_id"] for volume in answer["volumes"]} == set(stage.made_by(id_of(machine)))
    record = stage.until_closed(id_of(machine))
    assert record["status"] == "completed", record["timeline"]
    now = stage.disks(machine.instance_id)
    assert {device: flag for device, (_, flag) in now.items()} == {DEVICE: False, "/dev/sdi": True}
    for device, old in machine.volumes.items():
        new = stage.volume(now[device][0])
        assert new["VolumeId"] != old
        assert tags_of(new)["lifeboat:chain"] == old
        assert new["VolumeType"] == disks[device]["VolumeType"]
        gone = stage.volume(old)
        assert gone["State"] == "available"
        assert tags_of(gone)["lifeboat:displaced-from"] == f"{machine.instance_id} {device}"
    # Both are made before anything stops, and both are off before either is put on.
    changes = stage.changes(mark, caller="Function")
    swap = [*["DetachVolume"] * 2, *["CreateTags"] * 2, *["AttachVolume"] * 2]
    order = ["CreateVolume", "CreateVolume", "StopInstances", *swap, "ModifyInstanceAttribute", "StartInstances"]
    assert changes == order


def test_a_restore_onto_a_fresh_instance_of_another_zone_whose_source_is_gone(stage: Stage, machine: Machine) -> None:
    point = stage.point_of(machine)
    stage.ec2.terminate_instances(InstanceIds=[machine.instance_id])
    stage.control.settle()
    stage.ec2.delete_volume(VolumeId=machine.volume_id)
    other = f"{ZONE[:-1]}b"
    [fresh] = stage.launch(zone=other, disks={"/dev/sdb": {"VolumeSize": 100, "VolumeType": "gp3"}})
    assert stage.restore(fresh, point)["status"] == "open"
    assert stage.until_closed(id_of(fresh))["status"] == "completed"
    [(device, (volume_id, _))] = stage.disks(fresh.instance_id).items()
    assert device == "/dev/sdb"
    assert stage.volume(volume_id)["AvailabilityZone"] == other
    assert tags_of(stage.volume(volume_id))["lifeboat:chain"] == machine.volume_id


# --- at the end of all that


def test_no_call_was_denied(stage: Stage) -> None:
    assert stage.denied() == []


def test_no_event_failed_for_good(stage: Stage) -> None:
    assert [json.dumps(event)[:500] for event in stage.failed_events()] == []
