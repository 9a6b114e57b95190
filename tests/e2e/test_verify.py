"""Verification on the local AWS: its rights suffice and are enough, and what goes wrong is published once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from lifeboat.aws.table import to_json
from lifeboat.domain.proof import read_proof
from lifeboat.domain.suspicion import is_suspected
from lifeboat.verify.canary import LEAST, Observation
from lifeboat.verify.canary_record import History
from tests.e2e.stage import DEVICE, Machine, Stage, events_of, staged, tags_of

VERIFY = "VerifySnapshotsFunction"
BLOCK = 512 * 1024
READABLE = 60.0
"""Seconds after which the snapshot can be read, as recorded from a live account."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"Verify": "sample"}, readable=READABLE) as made:
        yield made


def launch(stage: Stage, **disk: Any) -> Machine:
    """A machine with bytes on its data volume."""
    [machine] = stage.launch(disks={DEVICE: {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, **disk}})
    stage.control.load_image(machine.volume_id, {index: bytes([index + 1]) * 4096 for index in range(24)})
    stage.forget_messages()
    return machine


def back_up(stage: Stage, machine: Machine) -> Mapping[str, Any]:
    """The snapshot of a new recovery point, whose completion is published."""
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id], "request_id": str(stage.now())})
    stage.control.settle()
    return max(snapshots(stage, machine), key=lambda item: item["StartTime"])


def snapshots(stage: Stage, machine: Machine) -> list[dict[str, Any]]:
    return stage.recovery_point_snapshots(("volume-id", machine.volume_id))


def point_of(snapshot: Mapping[str, Any]) -> str:
    return tags_of(snapshot)["lifeboat:recovery-point"]


def reconcile(stage: Stage) -> None:
    """The next reconcile run of verification."""
    stage.control.advance(15 * 60)
    stage.reconcile(VERIFY)


def published(stage: Stage) -> list[str]:
    return [event for event in events_of(stage.messages()) if "Verif" in event]


def test_a_backup_is_read_as_soon_as_ebs_lets_it_be_and_proven_quietly(stage):
    machine = launch(stage)
    back_up(stage, machine)
    assert read_proof(tags_of(snapshots(stage, machine)[0])) is None, "it cannot be read yet"
    reconcile(stage)
    [snapshot] = snapshots(stage, machine)
    proof = read_proof(tags_of(snapshot))
    assert proof
    assert (proof.result, proof.level) == ("proven", "sample")
    assert published(stage) == []
    assert stage.denied() == []
    assert stage.failed_events() == []


def test_bytes_that_change_on_the_way_are_published_once_and_refused_as_latest_proven(stage):
    machine = launch(stage)
    first = back_up(stage, machine)
    reconcile(stage)
    stage.control.advance(3600)
    second = back_up(stage, machine)
    for block in range(24):
        stage.control.damage(second["SnapshotId"], block, on_the_way=True)
    reconcile(stage)
    reconcile(stage)
    assert published(stage) == ["VerificationFailed"]
    [message] = [item for item in stage.messages() if item["event"] == "VerificationFailed"]
    assert message["details"]["newest_proven"] == point_of(first)
    assert f"--resources {first['SnapshotId']} --tags" in message["next_steps"][0]

    proven = {"instance_id": machine.instance_id, "proven": True}
    plan = stage.restore(machine, proven, dry_run=True)["plan"]
    assert f"Restore {point_of(first)} onto" in plan
    assert f"- {point_of(first)} is proven" in plan
    plan = stage.restore(machine, point_of(second), dry_run=True)["plan"]
    assert f"{point_of(second)} failed its verification" in plan
    assert f"the newest proven one is {point_of(first)}" in plan


def test_a_key_that_is_disabled_is_published_once_in_awss_words(stage):
    kms = stage.aws.client("kms")
    key = kms.create_key(Description="data")["KeyMetadata"]["Arn"]
    machine = launch(stage, KmsKeyId=key)
    back_up(stage, machine)
    kms.disable_key(KeyId=key)
    reconcile(stage)
    reconcile(stage)
    assert published(stage) == ["VerificationFailed"]
    [failure] = [item for item in stage.messages() if item["event"] == "VerificationFailed"]
    assert "AWS refused to have it read" in failure["details"]["failures"][0]["failure"]


def test_a_recovery_point_deleted_before_it_is_read_is_published_calmly_once(stage):
    machine = launch(stage)
    snapshot = back_up(stage, machine)
    stage.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    reconcile(stage)
    reconcile(stage)
    assert published(stage) == ["VerificationStopped"]
    assert stage.denied() == []


def test_mass_encryption_is_published_once_and_a_person_closes_the_suspicion(stage):
    machine = launch(stage)
    remember_usual_days(stage, machine)
    before = back_up(stage, machine)
    reconcile(stage)
    stage.control.advance(3600)
    for block in range(8):
        stage.control.write(machine.volume_id, Random(block).randbytes(BLOCK), block * BLOCK)
    suspect = back_up(stage, machine)
    reconcile(stage)
    reconcile(stage)
    assert [item["SnapshotId"] for item in snapshots(stage, machine) if is_suspected(tags_of(item))] == [
        suspect["SnapshotId"]
    ]
    [message] = [item for item in stage.messages() if item["event"] == "RecoveryPointSuspect"]
    assert message["subject"]["recovery_point"] == point_of(suspect)
    assert message["details"]["volumes"][0]["changed_percent"] == pytest.approx(100 / 3, abs=0.1)

    plan = stage.restore(machine, {"instance_id": machine.instance_id, "proven": True}, dry_run=True)["plan"]
    assert f"Restore {point_of(before)} onto" in plan
    closed = stage.invoke(VERIFY, {"close_suspicion": point_of(suspect)})
    assert closed["snapshots"] == [suspect["SnapshotId"]]
    assert not any(is_suspected(tags_of(item)) for item in snapshots(stage, machine))
    assert stage.denied() == []
    assert stage.failed_events() == []


def remember_usual_days(stage: Stage, machine: Machine) -> None:
    """Write the observations of a week into the table, in which little changed."""
    past = [
        Observation(f"rp-{day}", stage.now() - timedelta(days=LEAST + 1 - day), 0.03, 4.0, 0.0, 4.2, 0.1)
        for day in range(LEAST)
    ]
    document = {"pk": "canary", "sk": machine.volume_id, "version": "1"}
    document["document"] = to_json(History(machine.volume_id, tuple(past), 1))
    stage.aws.client("dynamodb").put_item(
        TableName=stage.outputs["StateTableName"], Item={name: {"S": value} for name, value in document.items()}
    )
