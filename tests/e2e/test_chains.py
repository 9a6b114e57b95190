"""The chains whole, on the real template with IAM enforced: backups, restores, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from lifeboat.rules.restore import restore_id
from local import platform
from tests.e2e.stage import (
    CONSENT,
    DEVICE,
    PARAMETERS,
    ZONE,
    Machine,
    Stage,
    events_of,
    id_of,
    staged,
    tag_list,
    tags_of,
)

WINDOW = int(PARAMETERS["RunningWindowSeconds"])
_slots = count()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@pytest.fixture
def machine(stage: Stage) -> Machine:
    """A running machine with one data volume, selected for backups, with a person's consent to a restore."""
    [made] = stage.launch()
    return made


@pytest.fixture
def slot() -> str:
    """A due time that no other test has."""
    return (datetime(2026, 11, 23, 2, tzinfo=UTC) + timedelta(hours=next(_slots))).strftime("%Y-%m-%dT%H:%M:%SZ")


def point_of(stage: Stage, machine: Machine) -> str:
    """A good recovery point of a machine."""
    snapshots = stage.back_up(machine.instance_id)
    [point] = {tags_of(snapshots[volume])["lifeboat:recovery-point"] for volume in machine.volumes.values()}
    return point


def picture(stage: Stage, machine: Machine) -> dict[str, Any]:
    """All that a restore could change of an instance and its volumes."""
    instance = stage.instance(machine.instance_id)
    return {
        "state": instance["State"]["Name"],
        "launched": instance["LaunchTime"],
        "disks": stage.disks(machine.instance_id),
        "volumes": {
            volume_id: (volume["State"], tags_of(volume))
            for volume_id, volume in stage.volumes().items()
            if volume_id in machine.volumes.values()
        },
        "count": len(stage.volumes()),
    }


# --- backups


def of_slot(stage: Stage, machine: Machine, slot: str) -> list[dict[str, Any]]:
    """What has been told of one machine's recovery point of one slot."""
    compact = slot.replace("-", "").replace(":", "")
    return stage.told_of(instance_id=machine.instance_id, recovery_point=f"rp-{compact}-{machine.instance_id}")


def test_a_backup_by_its_schedule_is_told_once(stage: Stage, machine: Machine, slot: str) -> None:
    mark = stage.control.mark()
    stage.control.fire_schedule(stage.outputs["TakeSnapshotsFunction"], slot)
    stage.control.settle()
    kinds = [event["detail_type"] for event in stage.control.events(mark)]
    assert {"EBS Snapshot Notification", "EBS Multi-Volume Snapshots Completion Status"} <= set(kinds)
    stage.sweep("ConfirmSnapshotsFunction")
    stage.control.fire_schedule(stage.outputs["TakeSnapshotsFunction"], slot)  # delivered twice
    stage.control.settle()
    stage.sweep("ConfirmSnapshotsFunction")
    [told] = of_slot(stage, machine, slot)
    assert told["event"] == "BackupCompleted"
    assert told["details"]["chains"] == [machine.volume_id]
    [made] = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]
    assert tags_of(made)["lifeboat:slot"] == slot
    assert stage.control.invocations(mark, function=stage.outputs["PruneSnapshotsFunction"])


def test_a_backup_whose_events_are_lost_is_completed_by_the_sweep(stage: Stage, machine: Machine, slot: str) -> None:
    with stage.silence():
        stage.control.fire_schedule(stage.outputs["TakeSnapshotsFunction"], slot)
        stage.control.settle()
        assert of_slot(stage, machine, slot) == []
        stage.sweep("ConfirmSnapshotsFunction")
        stage.sweep("ConfirmSnapshotsFunction")
    assert events_of(of_slot(stage, machine, slot)) == ["BackupCompleted"]


def test_a_snapshot_in_error_is_told_as_a_failed_backup(stage: Stage, machine: Machine, slot: str) -> None:
    stage.control.fail_creation("snapshot", resource=machine.volume_id, cause="the disk is on fire")
    stage.control.fire_schedule(stage.outputs["TakeSnapshotsFunction"], slot)
    stage.control.settle()
    stage.sweep("ConfirmSnapshotsFunction")
    [told] = of_slot(stage, machine, slot)
    assert told["event"] == "BackupFailed"
    [made] = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]
    assert made["State"] == "error"
    answer = stage.restore(machine, tags_of(made)["lifeboat:recovery-point"])
    assert {"not-good", "not-completed"} & {item["code"] for item in answer["findings"]}
    assert "refused" in answer


# --- restores: what comes back is what was


OWN_TAGS = {"Name": "PlatformData", "team": "forensics", "cost:center": "4711"}
HANDS_OFF = {"aws:cloudformation:stack-name": "platform", "aws:backup:source-resource": "somewhere"}


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
            stage.control.set_tags(made.volume_id, HANDS_OFF)
            machines[name] = (made, stage.volume(made.volume_id))
    snapshots = stage.back_up(*(machine.instance_id for machine, _ in machines.values()))
    for machine, _ in machines.values():
        answer = stage.restore(machine, tags_of(snapshots[machine.volume_id])["lifeboat:recovery-point"])
        assert answer.get("restore_id") == id_of(machine), answer
    ours = {id_of(machine) for machine, _ in machines.values()}
    stage.sweep_until(lambda: not ours & stage.open_restores(), 90, "the end of all restores")
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
    assert events_of(stage.told_of(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_the_next_backup_carries_the_chain_on(
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
    point = point_of(stage, machine)
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
    point = point_of(stage, machine)
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


# --- restores: what is refused, and what is called off


def test_a_dry_run_touches_nothing(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    before, told, mark = picture(stage, machine), len(stage.news()), stage.control.mark()
    answer = stage.restore(machine, point, dry_run=True)
    assert answer["possible"]
    assert machine.volume_id in answer["plan"]
    assert {call["action"] for call in stage.control.calls(mark, service="ec2") if call["status"] == 200} == {
        call["action"]
        for call in stage.control.calls(mark, service="ec2")
        if call["action"].startswith(("Describe", "Get"))
    }
    assert set(stage.control.counts(mark, service="dynamodb")) == {"dynamodb:GetItem"}
    stage.control.settle()
    assert (picture(stage, machine), len(stage.news())) == (before, told)


def refusals(answer: Mapping[str, Any]) -> set[str]:
    return {item["code"] for item in answer["findings"] if item["severity"] == "refuse"}


def test_a_clone_of_the_platform_is_refused(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    original = platform.Platform(machine.instance_id, "", machine.volume_id, DEVICE, ZONE, stage.image)
    clone = platform.clone(stage.aws, original, tags=CONSENT)
    stage.ec2.create_tags(Resources=[clone.data_id], Tags=tag_list(CONSENT))
    target = Machine(clone.instance_id, {clone.device: clone.data_id})
    before, mark = picture(stage, target), stage.control.mark()
    answer = stage.restore(target, point)
    assert refusals(answer) == {"ami-untrusted"}
    assert "nothing was touched" in answer["refused"]
    assert stage.changes(mark) == []
    stage.control.settle()
    assert picture(stage, target) == before
    assert "RestoreRefused" in events_of(stage.told_of(instance_id=clone.instance_id))


def test_a_target_without_consent_is_refused(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    [target] = stage.launch(tags={}, volume_tags={})
    mark = stage.control.mark()
    answer = stage.restore(target, point)
    assert refusals(answer) == {"no-consent"}
    command = f"--resources {target.instance_id} {target.volume_id} --tags Key=lifeboat:restore-target,Value=true"
    assert command in answer["refused"]
    assert stage.changes(mark) == []
    assert stage.open_restores() == set()


def test_a_right_that_is_missing_shows_in_the_pre_flight(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    [source] = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] == machine.volume_id]
    mark = stage.control.mark()
    refused = {"code": "AuthFailure", "message": "You are not authorized to do this."}
    stage.control.fault("CreateVolume", resource=source["SnapshotId"], dry_run=True, count=0, **refused)
    answer = stage.restore(machine, point, dry_run=True)
    assert not answer["possible"]
    assert refusals(answer) == {"not-allowed"}
    assert refusals(stage.restore(machine, point)) == {"not-allowed"}
    stage.control.reset()
    assert stage.changes(mark) == []
    assert stage.restore(machine, point, dry_run=True)["possible"]


def test_of_two_restores_asked_at_the_same_moment_one_runs(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    requests = ("first", "second")
    with ThreadPoolExecutor(2) as both:
        answers = dict(
            zip(
                requests,
                both.map(lambda name: stage.restore(machine, point, request_id=f"{name} {point}"), requests),
                strict=True,
            )
        )
    [winner] = [name for name, answer in answers.items() if "restore_id" in answer]
    [loser] = set(requests) - {winner}
    ours = restore_id(f"{winner} {point}")
    assert answers[winner]["restore_id"] == ours
    assert ours in answers[loser]["refused"]
    assert stage.open_restores() == {ours}
    assert stage.until_closed(ours)["status"] == "completed"
    assert stage.made_by(restore_id(f"{loser} {point}")) == []
    assert "refused" in stage.invoke("RestoreVolumeFunction", {"status": restore_id(f"{loser} {point}")})


def test_the_same_request_twice_is_one_restore(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    first, second = stage.restore(machine, point), stage.restore(machine, point)
    assert first["restore_id"] == second["restore_id"] == id_of(machine)
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    assert len(stage.made_by(id_of(machine))) == 1
    assert events_of(stage.told_of(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_cancelled_before_the_stop_all_is_as_it_was(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    before, mark = picture(stage, machine), stage.control.mark()
    stage.control.set_delays(volume=1.0)
    try:
        stage.restore(machine, point)
        answer = stage.invoke("RestoreVolumeFunction", {"cancel": id_of(machine), "reason": "the wrong one"})
        assert answer["direction"] == "rollback"
        record = stage.until_closed(id_of(machine))
    finally:
        stage.control.set_delays(volume=0.2)
    assert (record["status"], record["failure"]) == ("rolled_back", "cancelled: the wrong one")
    assert stage.changes(mark) == ["CreateVolume", "DeleteVolume"]
    assert picture(stage, machine) == before
    assert events_of(stage.told_of(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreRolledBack"]


def test_an_instance_that_somebody_terminates_meanwhile_is_told_as_failed(stage: Stage, machine: Machine) -> None:
    point = point_of(stage, machine)
    stage.control.set_instance(machine.instance_id, stuck_stopping=True)
    stage.restore(machine, point)
    stage.control.settle()
    assert stage.status(id_of(machine))["step"] == "stop"
    stage.ec2.terminate_instances(InstanceIds=[machine.instance_id])
    record = stage.until_closed(id_of(machine))
    assert record["status"] == "failed"
    [_, told] = stage.told_of(restore_id=id_of(machine))
    assert told["event"] == "RestoreFailed"
    [restored] = stage.made_by(id_of(machine))
    kept = {machine.volume_id, restored}
    assert {stage.volume(volume_id)["State"] for volume_id in kept} == {"available"}
    assert all(any(volume_id in step for step in told["next_steps"]) for volume_id in kept)


def test_one_restore_that_ec2_keeps_waiting_costs_no_other_its_turn(stage: Stage) -> None:
    machines = stage.launch(2)
    snapshots = stage.back_up(*(machine.instance_id for machine in machines))
    with stage.silence():
        for machine in machines:
            stage.restore(machine, tags_of(snapshots[machine.volume_id])["lifeboat:recovery-point"])
        stage.control.settle()
        stage.sweep()  # both are stopped by now
        stage.control.set_delays(detach=4.0)
        mark = stage.control.mark()
        stage.sweep()
        stage.control.set_delays(detach=0.1)
        [first, second] = [call["at"] for call in stage.control.calls(mark, action="DetachVolume")]
        assert second - first < 2.0
        for machine in machines:
            assert stage.until_closed(id_of(machine))["status"] == "completed"


def test_a_restore_that_cannot_be_looked_at_stops_no_other(stage: Stage) -> None:
    # The sweep goes by the instances' ids: the first is the one that must not be in the other's way.
    first, second = sorted(stage.launch(2), key=lambda machine: machine.instance_id)
    snapshots = stage.back_up(first.instance_id, second.instance_id)
    refused = {"code": "InvalidInstanceID.NotFound", "count": 0}
    stage.control.fault("DescribeInstanceStatus", resource=first.instance_id, caller="AttachVolume", **refused)
    stage.control.event_fault("drop", count=0)
    for machine in (first, second):
        stage.restore(machine, tags_of(snapshots[machine.volume_id])["lifeboat:recovery-point"])
    assert stage.until_closed(id_of(second), within=60)["status"] == "completed"
    assert stage.status(id_of(first))["status"] == "open"
    stage.control.reset()
    assert stage.until_closed(id_of(first))["status"] == "completed"
    failures = [event["responsePayload"]["errorMessage"] for event in stage.failed_events()]
    assert failures  # that is how a person learns of it
    assert all(id_of(first) in text and id_of(second) not in text for text in failures)


def test_an_end_that_cannot_be_told_is_told_later(stage: Stage, machine: Machine) -> None:
    stage.restore(machine, point_of(stage, machine))
    stage.control.fault(
        "Publish",
        "fail",
        service="sns",
        resource=id_of(machine),
        code="InternalFailure",
        count=0,
        caller="AttachVolume",
    )
    stage.sweep_until(lambda: any(fault["hits"] for fault in stage.control.faults()), 30)
    assert stage.status(id_of(machine))["status"] == "open"
    assert events_of(stage.told_of(restore_id=id_of(machine))) == ["RestoreStarted"]
    stage.control.reset()
    assert [id_of(machine) in str(event["responsePayload"]) for event in stage.failed_events()] == [True]
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    assert events_of(stage.told_of(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


def test_two_invocations_that_finish_a_restore_at_once_tell_it_once(stage: Stage, machine: Machine) -> None:
    stage.restore(machine, point_of(stage, machine))
    stage.sweep_until(lambda: stage.status(id_of(machine))["step"] == "verify", 30)
    time.sleep(WINDOW + 1)
    number = stage.control.fault(
        "Publish", "delay", service="sns", caller="AttachVolume", resource=id_of(machine), seconds=2.0, count=0
    )
    for _ in range(2):
        stage.control.fire_schedule(stage.outputs["AttachVolumeFunction"])
    stage.control.settle()
    [publish] = [fault for fault in stage.control.faults() if fault["number"] == number]
    stage.control.reset()
    assert publish["hits"] == 1
    assert stage.until_closed(id_of(machine))["status"] == "completed"
    assert events_of(stage.told_of(restore_id=id_of(machine))) == ["RestoreStarted", "RestoreCompleted"]


# --- at the end of all that


def test_no_call_was_denied(stage: Stage) -> None:
    assert stage.denied() == []


def test_no_event_failed_for_good(stage: Stage) -> None:
    assert [json.dumps(event)[:500] for event in stage.failed_events()] == []
