"""Manifests and copies on the local AWS: the rights suffice, and a copy with one flipped block is published once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lifeboat.domain.proof import read_proof
from lifeboat.verify.canary import SAMPLED
from tests.e2e.stage import DEVICE, Stage, events_of, staged, tags_of

VERIFY = "VerifySnapshotsFunction"
AWAY = "eu-central-1"
READABLE = 60.0
FLIPPED = 17


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"Verify": "full", "CopyToRegions": AWAY}, readable=READABLE) as made:
        yield made


BLOCKS, HEADERS = 100, 4
"""Written blocks of the volume, and the most that are read to recognise a file system."""


def back_up(stage: Stage, machine: Any) -> dict[str, Any]:
    """The snapshot of a new recovery point that was read back."""
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id], "request_id": str(stage.now())})
    stage.control.settle()
    reconcile(stage)
    return max(stage.recovery_point_snapshots(("volume-id", machine.volume_id)), key=lambda item: item["StartTime"])


def reconcile(stage: Stage) -> None:
    stage.control.advance(15 * 60)
    stage.reconcile(VERIFY)


def unannounced_copy(stage: Stage, snapshot: dict[str, Any]) -> str:
    """The complete copy of a snapshot, which BackupCompleted began and nothing has announced yet."""
    wanted = [{"Name": "tag:lifeboat:copy-of", "Values": [snapshot["SnapshotId"]]}]
    [found] = stage.aws.client("ec2", AWAY).describe_snapshots(OwnerIds=["self"], Filters=wanted)["Snapshots"]
    assert found["State"] == "completed"
    return str(found["SnapshotId"])


def announce_copy(stage: Stage) -> None:
    """SnapshotsCopied is published, which begins the comparison."""
    stage.control.advance(60)
    stage.reconcile("CopySnapshotsFunction")
    stage.control.settle()
    reconcile(stage)


def reads(stage: Stage, since: int) -> int:
    return stage.control.counts(since, service="ebs").get("ebs:GetSnapshotBlock", 0)


def test_unchanged_blocks_are_not_read_twice_and_a_copy_with_one_flipped_block_is_published_once(stage):
    [machine] = stage.launch(disks={DEVICE: {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}})
    stage.control.load_image(machine.volume_id, {index: bytes([index + 1]) * 4096 for index in range(BLOCKS)})
    stage.forget_messages()
    mark = stage.control.mark()
    first = back_up(stage, machine)
    assert reads(stage, mark) >= BLOCKS
    proof = read_proof(tags_of(first))
    assert proof
    assert (proof.result, proof.level) == ("proven", "full")
    equal = unannounced_copy(stage, first)
    announce_copy(stage)
    assert [event for event in events_of(stage.messages()) if "Verif" in event] == []

    mark = stage.control.mark()
    second = back_up(stage, machine)
    assert reads(stage, mark) <= HEADERS + SAMPLED, "only headers, and what the canary samples, are read again"
    flipped = unannounced_copy(stage, second)
    stage.control.damage(flipped, FLIPPED, region=AWAY)
    announce_copy(stage)
    reconcile(stage)
    [failed] = [item for item in stage.messages() if "Verif" in item["event"]]
    assert failed["event"] == "VerificationFailed"
    assert failed["subject"]["region"] == AWAY
    said = (
        f"it is not equal to {second['SnapshotId']} in eu-west-1: of the blocks, "
        f"1 of {BLOCKS} compared blocks differs: 17"
    )
    assert said in failed["details"]["failures"][0]["failure"]
    assert failed["details"]["failures"][0]["snapshot_id"] == flipped != equal
    assert f"--region {AWAY} --resources {flipped}" in " ".join(failed["next_steps"])
    assert stage.denied() == []
    assert stage.failed_events() == []
