"""verify_snapshots compares a recovery point with its copy in another region, and names each difference once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lifeboat import handler
from lifeboat.aws import clients, clock
from lifeboat.verify import comparison_store, plan, reading_workflow
from lifeboat.verify.contents.found import Contents, PartitionTable
from lifeboat.verify.manifest_store import Bucket
from tests.functions.conftest import ACCOUNT, TABLE, TODAY, client
from tests.functions.saved import saved_snapshot
from tests.functions.written_blocks import BLOCK, REGION, in_pages, write_blocks

__all__ = ["in_pages"]
AWAY = "eu-central-1"
BUCKET = "lifeboat-manifests"
RECONCILE = {"sweep": True}
WRITTEN = {index: bytes([index + 1]) for index in range(12)}


REPLACED = {
    "lifeboat:recovery-point": "rp-20261126T020000Z-i-00000000000000002",
    "lifeboat:set": "earlier",
    "lifeboat:instance": "i-00000000000000002",
    "lifeboat:slot": "2026-11-26T02:00:00Z",
    "lifeboat:verified": "result=proven level=read at=2026-11-26T03:00:00Z",
}
"""The tags in which an earlier recovery point of the same data, on another instance, differs."""


class Copied:
    """A recovery point that is proven, and its copy, which is announced."""

    def __init__(self, world: Any) -> None:
        self.world = world
        client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        world.launch()
        world.invoke("take_snapshots", {"scheduled_time": "2026-11-27T02:00:00Z"})
        world.invoke("confirm_snapshots", RECONCILE)
        [made] = world.snapshots()
        self.source = made["SnapshotId"]
        self.id = next(tag["Value"] for tag in made["Tags"] if tag["Key"] == "lifeboat:recovery-point")
        write_blocks(self.source, WRITTEN)
        world.invoke("copy_snapshots", RECONCILE)
        world.invoke("copy_snapshots", RECONCILE)
        [copy] = boto3.client("ec2", AWAY).describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": "tag:lifeboat:copy-of", "Values": [self.source]}]
        )["Snapshots"]
        self.copy = copy["SnapshotId"]
        world.messages()

    def announce(self, event: str, **subject: str) -> dict[str, Any]:
        message = {"event": event, "subject": {"recovery_point": self.id, **subject}}
        return self.world.invoke("verify_snapshots", {"Records": [{"Sns": {"Message": json.dumps(message)}}]})

    def compare(self, written: Mapping[int, bytes]) -> dict[str, Any]:
        """What SnapshotsCopied brings about, where the copy has these blocks."""
        write_blocks(self.copy, written, AWAY)
        return self.announce("SnapshotsCopied", region=AWAY)


@pytest.fixture
def copied(world, in_pages, monkeypatch) -> Copied:
    monkeypatch.setenv("LIFEBOAT_VERIFY", "full")
    monkeypatch.setenv("LIFEBOAT_MANIFEST_BUCKET", BUCKET)
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", AWAY)
    handler.forget()
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(minutes=30))
    monkeypatch.setattr(clock, "wait", lambda _: None)
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: Contents(PartitionTable("none"), (), True, 1, BLOCK))
    return Copied(world)


def counting(monkeypatch: pytest.MonkeyPatch, region: str | None) -> list[int]:
    """The blocks that are read in a region from now on."""
    reads: list[int] = []
    ask = clients.ebs(region).get_snapshot_block
    monkeypatch.setattr(
        clients.ebs(region), "get_snapshot_block", lambda **what: (reads.append(what["BlockIndex"]), ask(**what))[1]
    )
    return reads


def test_an_equal_copy_is_quiet_and_what_the_manifest_knows_is_not_read_again(copied, monkeypatch):
    copied.announce("BackupCompleted")
    here, there = counting(monkeypatch, None), counting(monkeypatch, AWAY)
    assert copied.compare(WRITTEN)["equal"] == [{"recovery_point": copied.id, "region": AWAY}]
    assert (here, there) == ([], sorted(WRITTEN))
    assert copied.world.messages() == []
    found = Bucket(BUCKET, ACCOUNT).find(copied.copy, 20, AWAY)
    assert found is not None
    assert set(found.indexes) == set(WRITTEN)
    assert copied.compare(WRITTEN) == {}, "a repeated message compares nothing"


@pytest.mark.parametrize(
    ("proven_before", "written", "said"),
    [
        (True, {**WRITTEN, 7: b"flipped"}, "1 of 12 compared blocks differs: 7"),
        (False, {**WRITTEN, 7: b"flipped"}, "1 of 12 compared blocks differs: 7"),
        (False, {index: data for index, data in WRITTEN.items() if index != 3}, "1 of 12 compared blocks differs: 3"),
        (True, {**WRITTEN, 30: b"more"}, "1 of 13 compared blocks differs: 30"),
        (True, {}, "12 of 12 compared blocks differ: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
        (True, {**WRITTEN, 30: b""}, ""),
    ],
    ids=["one flipped", "one flipped, source unread", "one lost", "one more", "nothing there", "zeros written"],
)
def test_a_difference_is_named_and_published_once(copied, proven_before, written, said):
    if proven_before:
        copied.announce("BackupCompleted")
    answer = copied.compare(written)
    copied.announce("SnapshotsCopied", region=AWAY)
    copied.world.invoke("verify_snapshots", RECONCILE)
    messages = copied.world.messages()
    if not said:
        assert (messages, len(answer["equal"])) == ([], 1)
        return
    [message] = messages
    assert (message["event"], message["severity"]) == ("VerificationFailed", "critical")
    assert message["summary"].startswith(f"The copy of recovery point {copied.id}")
    [failure] = message["details"]["failures"]
    assert failure["snapshot_id"] == copied.copy
    assert failure["failure"] == f"it is not equal to {copied.source} in {REGION}: of the blocks, {said}"
    assert message["details"]["newest_proven"] == (copied.id if proven_before else "none")
    steps = " ".join(message["next_steps"])
    assert f"--region {AWAY} --resources {copied.copy} --tags Key=lifeboat:hold" in steps
    assert (f"--region {REGION} --resources {copied.source}" in steps) is proven_before


def days_later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(minutes=30, days=days))


@pytest.fixture
def sampled(copied, monkeypatch) -> Copied:
    monkeypatch.setenv("LIFEBOAT_VERIFY", "sample")
    handler.forget()
    monkeypatch.setattr(plan, "turn_of", lambda _: 6)
    return copied


def test_a_sample_goes_on_twelfth_by_twelfth_and_finds_a_flipped_block_in_its_turn(sampled, monkeypatch):
    assert list(sampled.compare({**WRITTEN, 7: b"flipped"}))[-1] == "equal"
    days_later(monkeypatch, 1)
    assert sampled.world.invoke("verify_snapshots", RECONCILE) == {}, "a daily copy may come first"
    days_later(monkeypatch, 1.25)
    [differ] = sampled.world.invoke("verify_snapshots", RECONCILE)["differ"]
    assert differ["reason"].endswith("1 of 2 compared blocks differs: 7"), "block 6 is known, block 7 was read"
    assert [item["event"] for item in sampled.world.messages()] == ["VerificationFailed"]
    assert comparison_store.open_comparisons(TABLE) == ()


def test_a_sample_ends_when_every_block_of_the_copy_was_compared_once(sampled, monkeypatch):
    reads = counting(monkeypatch, AWAY)
    sampled.compare(WRITTEN)
    for day in range(1, plan.PARTS):
        assert comparison_store.open_comparisons(TABLE)
        days_later(monkeypatch, 1.25 * day)
        sampled.world.invoke("verify_snapshots", RECONCILE)
    assert reads == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    assert comparison_store.open_comparisons(TABLE) == ()
    assert sampled.world.messages() == []


def test_a_sample_ends_where_a_newer_copy_of_the_lineage_is_compared(sampled, monkeypatch):
    sampled.compare(WRITTEN)
    days_later(monkeypatch, 1.25)
    [made] = sampled.world.snapshots()
    newer, instance_id = "rp-20261128T020000Z-newer", sampled.id.split("Z-")[1]
    saved_snapshot(
        sampled.world, made["VolumeId"], instance_id=instance_id, recovery_point_id=newer, taken_at=clock.now()
    )
    [record] = comparison_store.open_comparisons(TABLE)
    later = clock.now() + timedelta(hours=1)
    comparison_store.open_comparison(TABLE, replace(record, point_id=newer, not_before=later))
    assert sampled.world.invoke("verify_snapshots", RECONCILE)["equal"] == [
        {"recovery_point": sampled.id, "region": AWAY, "reason": "in part: a newer copy is compared instead"}
    ]
    assert [item.point_id for item in comparison_store.open_comparisons(TABLE)] == [newer]


def test_a_lost_message_costs_an_hour_and_a_copy_that_was_compared_is_not_compared_again(copied, monkeypatch):
    write_blocks(copied.copy, {**WRITTEN, 7: b"flipped"}, AWAY)
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(hours=1))
    [differ] = copied.world.invoke("verify_snapshots", RECONCILE)["differ"]
    assert "7" in differ["reason"]
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(hours=2))
    assert "differ" not in copied.world.invoke("verify_snapshots", RECONCILE)
    assert [item["event"] for item in copied.world.messages()] == ["VerificationFailed"]


def test_by_hand_a_comparison_that_waits_for_its_next_part_goes_on_at_once_at_the_level_asked_for(sampled):
    sampled.compare({**WRITTEN, 7: b"flipped"})
    sampled.world.invoke("verify_snapshots", {"recovery_point": sampled.id, "level": "full"})
    [record] = comparison_store.open_comparisons(TABLE)
    assert (record.level, record.not_before) == ("full", None)
    [differ] = sampled.world.invoke("verify_snapshots", RECONCILE)["differ"]
    assert differ["reason"].endswith("1 of 12 compared blocks differs: 7")


def test_by_hand_a_copy_is_compared_again(copied):
    copied.compare(WRITTEN)
    write_blocks(copied.copy, {**WRITTEN, 7: b"flipped"}, AWAY)
    copied.world.invoke("verify_snapshots", {"recovery_point": copied.id, "level": "full"})
    assert [item.region for item in comparison_store.open_comparisons(TABLE)] == [AWAY]


def test_a_comparison_killed_anywhere_goes_on(copied, monkeypatch):
    monkeypatch.setattr(reading_workflow, "BLOCKS_A_MANIFEST", 3)
    copied.announce("BackupCompleted")

    class Killed(BaseException):
        pass

    ask, left, reads = clients.ebs(AWAY).get_snapshot_block, [0], []

    def answer(**what: Any) -> Any:
        if not left[0]:
            raise Killed
        left[0] -= 1
        reads.append(what["BlockIndex"])
        return ask(**what)

    monkeypatch.setattr(clients.ebs(AWAY), "get_snapshot_block", answer)
    found: dict[str, Any] = {}
    for run in range(6):
        left[0] = 5
        try:
            found = (
                copied.compare({**WRITTEN, 7: b"flipped"})
                if not run
                else copied.world.invoke("verify_snapshots", RECONCILE)
            )
        except Killed:
            continue
        break
    [differ] = found["differ"]
    assert "1 of 12 compared blocks differs: 7" in differ["reason"]
    assert len(reads) < 2 * len(WRITTEN)


def test_a_copy_deleted_meanwhile_is_no_failure(copied, monkeypatch):
    boto3.client("ec2", AWAY).delete_snapshot(SnapshotId=copied.copy)
    answer = copied.announce("SnapshotsCopied", region=AWAY)
    assert answer["not_compared"][0]["reason"] == "a copy is missing"
    assert copied.world.messages() == []
    assert comparison_store.open_comparisons(TABLE) == ()


def test_a_copy_that_cannot_be_read_yet_waits_and_one_that_is_refused_is_published(copied, monkeypatch):
    def refuse(reason: str) -> Any:
        def answer(**_: Any) -> Any:
            said: Any = {"Error": {"Code": "ValidationException", "Message": "said so"}, "Reason": reason}
            raise ClientError(said | {"ResponseMetadata": {"HTTPStatusCode": 400}}, "ListSnapshotBlocks")

        return answer

    copied.announce("BackupCompleted")
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(minutes=2))
    monkeypatch.setattr(clients.ebs(AWAY), "list_snapshot_blocks", refuse("SNAPSHOT_NOT_FOUND"))
    [open_] = copied.compare(WRITTEN)["comparing"]
    assert "said so" in open_["reason"]
    assert copied.world.invoke("verify_snapshots", RECONCILE) == {}, "not before the pause is over"
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(minutes=30))
    monkeypatch.setattr(clients.ebs(AWAY), "list_snapshot_blocks", refuse("DEPENDENCY_ACCESS_DENIED"))
    copied.world.invoke("verify_snapshots", RECONCILE)
    [message] = copied.world.messages()
    assert "AWS refused to have it compared: DEPENDENCY_ACCESS_DENIED: said so" in message["summary"]


@pytest.mark.parametrize(
    ("name", "value"), [("LIFEBOAT_VERIFY", "read"), ("LIFEBOAT_VERIFY", "off"), ("LIFEBOAT_COPY_TO_REGIONS", "")]
)
def test_nothing_is_compared_where_no_blocks_are_read_or_no_copies_made(copied, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    handler.forget()
    assert copied.compare({}) == {}
    assert comparison_store.open_comparisons(TABLE) == ()


def test_the_newest_proven_one_may_be_of_the_instance_that_had_the_data_before(copied):
    earlier = boto3.client("ec2", REGION)
    [made] = copied.world.snapshots()
    before = earlier.create_snapshot(
        VolumeId=made["VolumeId"],
        TagSpecifications=[
            {
                "ResourceType": "snapshot",
                "Tags": [
                    *(tag for tag in made["Tags"] if tag["Key"] not in REPLACED),
                    *({"Key": key, "Value": value} for key, value in REPLACED.items()),
                ],
            }
        ],
    )["SnapshotId"]
    copied.compare({**WRITTEN, 7: b"flipped"})
    [message] = copied.world.messages()
    assert message["details"]["newest_proven"] == REPLACED["lifeboat:recovery-point"]
    assert before in " ".join(message["next_steps"])
