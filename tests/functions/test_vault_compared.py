"""A vault compares its copies with what the source account shares, and publishes each difference or refusal once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.ebs.models import EBSSnapshot

from lifeboat import handler
from lifeboat.aws import clients, clock
from lifeboat.domain.proof import Proof, read_proof
from lifeboat.verify import comparison_store, reading_workflow
from lifeboat.verify.contents.found import Contents, PartitionTable
from tests.functions.conftest import TABLE, TODAY, client
from tests.functions.vault_sources import RECONCILE, SOURCE, read_shared, shared_snapshots
from tests.functions.written_blocks import BLOCK, REGION, flip_a_byte, in_pages, write_blocks

__all__ = ["in_pages", "read_shared", "shared_snapshots"]
BUCKET = "lifeboat-manifests"
WRITTEN = {index: bytes([index + 1]) for index in range(12)}
SAID = "what AWS says"


class Kept:
    """A vault's copy of a shared recovery point, which nothing has announced yet."""

    def __init__(self, world: Any, source: str) -> None:
        self.world, self.source = world, source
        self.source_blocks = write_blocks(source, WRITTEN)
        world.invoke("copy_snapshots", RECONCILE)
        world.invoke("copy_snapshots", RECONCILE)
        [self.announcement] = world.messages()
        self.id: str = self.announcement["subject"]["recovery_point"]
        self.copy: str = self._found()["SnapshotId"]

    def _found(self) -> Mapping[str, Any]:
        wanted = [{"Name": "tag:lifeboat:copy-of", "Values": [self.source]}]
        [found] = boto3.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=wanted)["Snapshots"]
        return found

    @property
    def proof(self) -> Proof | None:
        return read_proof({tag["Key"]: tag["Value"] for tag in self._found()["Tags"]})

    def write(self, written: Mapping[int, bytes]) -> EBSSnapshot:
        return write_blocks(self.copy, written)

    def announce(self) -> dict[str, Any]:
        """What SnapshotsCopied brings about."""
        return self.world.invoke("verify_snapshots", {"Records": [{"Sns": {"Message": json.dumps(self.announcement)}}]})

    def reconcile(self) -> dict[str, Any]:
        return self.world.invoke("verify_snapshots", RECONCILE)


def at(monkeypatch: pytest.MonkeyPatch, after: timedelta) -> None:
    monkeypatch.setattr(clock, "now", lambda: TODAY + after)


@pytest.fixture
def kept(world, read_shared, in_pages, monkeypatch) -> Kept:
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    monkeypatch.setenv("LIFEBOAT_VERIFY", "full")
    monkeypatch.setenv("LIFEBOAT_MANIFEST_BUCKET", BUCKET)
    handler.forget()
    at(monkeypatch, timedelta(minutes=30))
    monkeypatch.setattr(clock, "wait", lambda _: None)
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: Contents(PartitionTable("none"), (), True, 1, BLOCK))
    return Kept(world, read_shared)


def refuse_source(kept: Kept, monkeypatch: pytest.MonkeyPatch, reason: str = "SNAPSHOT_NOT_FOUND") -> None:
    """EBS refuses to list the source's blocks, and no other's."""
    ask = clients.ebs(None).list_snapshot_blocks

    def answer(**what: Any) -> Any:
        if what["SnapshotId"] != kept.source:
            return ask(**what)
        said: Any = {"Error": {"Code": "ResourceNotFoundException", "Message": SAID}, "Reason": reason}
        raise ClientError(said | {"ResponseMetadata": {"HTTPStatusCode": 404}}, "ListSnapshotBlocks")

    monkeypatch.setattr(clients.ebs(None), "list_snapshot_blocks", answer)


def test_an_equal_copy_is_compared_quietly_and_each_side_is_read_once(kept, monkeypatch):
    kept.write(WRITTEN)
    reads: list[tuple[str, int]] = []
    ask = clients.ebs(None).get_snapshot_block
    monkeypatch.setattr(
        clients.ebs(None),
        "get_snapshot_block",
        lambda **what: (reads.append((what["SnapshotId"], what["BlockIndex"])), ask(**what))[1],
    )
    answer = kept.announce()
    assert answer["equal"] == [{"recovery_point": kept.id, "region": REGION}]
    assert sorted(reads) == sorted((side, index) for side in (kept.source, kept.copy) for index in WRITTEN)
    assert kept.proof
    assert (kept.proof.proven, kept.proof.unequal) == (True, False)
    assert kept.world.messages() == []
    assert kept.announce() == {}, "a repeated message compares nothing"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({**WRITTEN, 7: b"flipped"}, "1 of 12 compared blocks differs: 7"),
        ({**WRITTEN, 30: b"more"}, "1 of 13 compared blocks differs: 30"),
        ({}, "12 of 12 compared blocks differ: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
    ],
    ids=["one flipped", "one more", "nothing there"],
)
def test_a_difference_is_published_once_and_the_copy_counts_as_failed(kept, written, said):
    kept.write(written)
    kept.announce()
    kept.announce()
    kept.reconcile()
    [message] = kept.world.messages()
    assert (message["event"], message["severity"]) == ("VerificationFailed", "critical")
    assert (message["subject"]["recovery_point"], message["subject"]["account"]) == (kept.id, SOURCE)
    assert "in this vault failed its verification" in message["summary"]
    [failure] = message["details"]["failures"]
    assert failure["snapshot_id"] == kept.copy
    assert failure["failure"] == f"it is not equal to {kept.source} in account {SOURCE}: of the blocks, {said}"
    assert message["details"]["newest_proven"] == "none", "the copy itself, which was read back, is none"
    steps = " ".join(message["next_steps"])
    assert f"--region {REGION} --resources {kept.copy} --tags Key=lifeboat:hold" in steps
    assert f"Hold the source in account {SOURCE}" in steps
    assert kept.proof
    assert (kept.proof.proven, kept.proof.unequal) == (False, True)


def test_reading_an_unequal_copy_back_proves_nothing_until_a_person_removes_its_tag(kept):
    kept.write({**WRITTEN, 7: b"flipped"})
    kept.announce()
    kept.world.messages()
    answer = kept.world.invoke("verify_snapshots", {"recovery_point": kept.id, "level": "read"})
    assert "it is not equal to its source" in answer["failed"][0]["reason"]
    assert kept.proof
    assert (kept.proof.proven, kept.proof.unequal) == (False, True)
    kept.world.ec2.delete_tags(Resources=[kept.copy], Tags=[{"Key": "lifeboat:verified"}])
    assert kept.world.invoke("verify_snapshots", {"recovery_point": kept.id, "level": "read"})["proven"]


@pytest.mark.parametrize("shared", [True, False])
def test_a_source_that_cannot_be_read_is_published_once_and_the_copy_stays_proven(
    kept, shared_snapshots, monkeypatch, shared
):
    kept.write(WRITTEN)
    refuse_source(kept, monkeypatch, "DEPENDENCY_RESOURCE_NOT_FOUND" if shared else "SNAPSHOT_NOT_FOUND")
    if not shared:
        shared_snapshots.shared.clear()
    answer = kept.announce()
    kept.announce()
    kept.reconcile()
    [message] = kept.world.messages()
    assert (message["event"], message["severity"]) == ("CopyNotCompared", "warning")
    assert message["subject"]["account"] == SOURCE
    [skipped] = message["details"]["not_compared"]
    assert skipped["reason"] == (
        f"AWS refused to have it compared: DEPENDENCY_RESOURCE_NOT_FOUND: {SAID}"
        if shared
        else f"AWS refused to have it compared: account {SOURCE} has deleted {kept.source} or no longer shares it; "
        f"SNAPSHOT_NOT_FOUND: {SAID}"
    )
    assert answer["not_compared"][0]["recovery_point"] == kept.id
    assert kept.proof
    assert kept.proof.proven


def test_a_block_of_the_source_that_is_not_its_sha_says_nothing_of_the_copy(kept):
    kept.write(WRITTEN)
    flip_a_byte(kept.source_blocks.blocks[7])
    kept.announce()
    [message] = kept.world.messages()
    assert message["event"] == "CopyNotCompared"
    assert f"block 7 of {kept.source} has the SHA-256" in message["summary"]
    assert kept.proof
    assert kept.proof.proven


def test_a_lost_message_costs_an_hour(kept, monkeypatch):
    kept.write({**WRITTEN, 7: b"flipped"})
    assert kept.reconcile() == {}, "not the run of the hour"
    at(monkeypatch, timedelta(hours=1))
    assert [item["recovery_point"] for item in kept.reconcile()["differ"]] == [kept.id]
    at(monkeypatch, timedelta(hours=2))
    assert "differ" not in kept.reconcile()
    assert [item["event"] for item in kept.world.messages()] == ["VerificationFailed"]


def test_a_source_that_goes_after_a_part_was_compared_is_not_published(kept, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_VERIFY", "sample")
    handler.forget()
    kept.write(WRITTEN)
    assert kept.announce()["equal"]
    at(monkeypatch, timedelta(days=1.25, minutes=30))
    refuse_source(kept, monkeypatch)
    assert SAID in kept.reconcile()["not_compared"][0]["reason"]
    assert kept.world.messages() == []
    assert comparison_store.open_comparisons(TABLE) == ()


def test_nothing_is_compared_at_the_level_read(kept, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_VERIFY", "read")
    handler.forget()
    kept.write({})
    assert "differ" not in kept.announce()
    assert comparison_store.known_comparisons(TABLE) == frozenset()
