"""verify_snapshots with manifests: what has not changed is not read twice, and a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from moto.ebs.models import EBSSnapshot
from moto.ec2 import ec2_backends

from lifeboat import handler
from lifeboat.aws import clients, clock
from lifeboat.verify import canary_workflow, manifest_store, plan, reading_workflow
from lifeboat.verify import store as verifications
from lifeboat.verify.contents.found import Contents, PartitionTable
from lifeboat.verify.manifest_store import Bucket
from tests.functions.conftest import ACCOUNT, TABLE, TODAY, Context, client
from tests.functions.written_blocks import BLOCK, REGION, flip_a_byte, in_pages, write_blocks

__all__ = ["in_pages"]
BUCKET = "lifeboat-manifests"
GIB = 20


class Lineage:
    """One volume with a recovery point each day, and what is read of its snapshots."""

    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.patch = world, monkeypatch
        client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        world.launch()
        self.day = 0
        self.reads: list[int] = []
        self.most_reads = 10**6
        ask = clients.ebs().get_snapshot_block

        def answer(**what: Any) -> Any:
            if not self.most_reads:
                raise Killed
            self.most_reads -= 1
            self.reads.append(what["BlockIndex"])
            return ask(**what)

        monkeypatch.setattr(clients.ebs(), "get_snapshot_block", answer)

    def back_up(self, written: Mapping[int, bytes]) -> EBSSnapshot:
        """The next day's recovery point, with these blocks."""
        self.day += 1
        now = TODAY + timedelta(days=self.day, minutes=30)
        self.patch.setattr(clock, "now", lambda: now)
        before = {item["SnapshotId"] for item in self.world.snapshots()}
        self.world.invoke("take_snapshots", {"scheduled_time": (now - timedelta(minutes=30)).isoformat()})
        self.world.invoke("confirm_snapshots", {"sweep": True})
        [name] = {item["SnapshotId"] for item in self.world.snapshots()} - before
        # moto has a clock of its own, which stays at the first day.
        ec2_backends[ACCOUNT][REGION].snapshots[name].start_time = now
        self.reads.clear()
        self.world.messages()
        return write_blocks(name, written)

    def verify(self, event: Any = None) -> dict[str, Any]:
        return self.world.invoke("verify_snapshots", event or {"sweep": True})

    def announce(self, made: EBSSnapshot) -> dict[str, Any]:
        """What BackupCompleted brings about."""
        message = {"event": "BackupCompleted", "subject": {"recovery_point": self.point_of(made)}}
        return self.verify({"Records": [{"Sns": {"Message": json.dumps(message)}}]})

    def point_of(self, made: EBSSnapshot) -> str:
        """The id of its recovery point."""
        [tags] = [item["Tags"] for item in self.world.snapshots() if item["SnapshotId"] == made.snapshot_id]
        return next(tag["Value"] for tag in tags if tag["Key"] == "lifeboat:recovery-point")

    def known(self, made: EBSSnapshot) -> set[int]:
        found = Bucket(BUCKET, ACCOUNT).find(made.snapshot_id, GIB)
        return set(found.indexes) if found else set()


class Killed(BaseException):
    """Lambda ends the function."""


@pytest.fixture
def lineage(world, in_pages, monkeypatch) -> Lineage:
    monkeypatch.setenv("LIFEBOAT_VERIFY", "full")
    monkeypatch.setenv("LIFEBOAT_MANIFEST_BUCKET", BUCKET)
    handler.forget()
    monkeypatch.setattr(clock, "wait", lambda _: None)
    monkeypatch.setattr(canary_workflow, "observe", lambda *_: True)  # it reads a sample of its own
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: Contents(PartitionTable("none"), (), True, 1, BLOCK))
    return Lineage(world, monkeypatch)


WRITTEN = {index: bytes([index + 1]) for index in range(12)}


def test_a_block_that_has_not_changed_is_not_read_twice(lineage):
    first = lineage.back_up(WRITTEN)
    assert lineage.announce(first)["proven"]
    assert sorted(lineage.reads) == sorted(WRITTEN)
    second = lineage.back_up({**WRITTEN, 3: b"new", 50: b"more"})
    assert lineage.announce(second)["proven"]
    assert sorted(lineage.reads) == [3, 50]
    assert lineage.known(second) == {*WRITTEN, 50}
    third = lineage.back_up({index: data for index, data in WRITTEN.items() if index != 7})
    assert lineage.announce(third)["proven"]
    assert lineage.reads == [3], "what is written no more is neither read nor known"
    assert 7 not in lineage.known(third)


def test_a_sample_reads_its_part_of_what_is_not_known_and_all_in_so_many_days(lineage, monkeypatch):
    monkeypatch.setattr(plan, "PARTS", 4)
    monkeypatch.setenv("LIFEBOAT_VERIFY", "sample")
    handler.forget()
    reads: list[int] = []
    for _ in range(plan.PARTS + 1):
        made = lineage.back_up(WRITTEN)
        assert lineage.announce(made)["proven"]
        assert len(lineage.reads) <= -(-len(WRITTEN) // plan.PARTS)
        reads += lineage.reads
    assert sorted(reads) == sorted(WRITTEN)
    assert lineage.reads == [], "on the day after the last part all is known"


def test_a_run_killed_anywhere_goes_on_and_reads_little_twice(lineage, monkeypatch):
    monkeypatch.setattr(reading_workflow, "BLOCKS_A_MANIFEST", 3)
    made = lineage.back_up(WRITTEN)
    runs = 0
    while True:
        lineage.most_reads = 5
        runs += 1
        try:
            answer = lineage.announce(made) if runs == 1 else lineage.verify()
        except Killed:
            continue
        break
    assert answer["proven"]
    assert runs < 9
    assert set(lineage.reads) == set(WRITTEN)
    assert len(lineage.reads) <= len(WRITTEN) + 2 * runs
    assert lineage.known(made) == set(WRITTEN)


def test_a_run_killed_between_the_manifest_and_the_checkpoint_reads_nothing_twice(lineage, monkeypatch):
    made = lineage.back_up(WRITTEN)
    save = verifications.save_verification

    def die(table: str, record: Any) -> Any:
        if lineage.known(made):
            raise Killed
        return save(table, record)

    monkeypatch.setattr(verifications, "save_verification", die)
    with pytest.raises(Killed):
        lineage.announce(made)
    monkeypatch.setattr(verifications, "save_verification", save)
    assert lineage.verify()["proven"]
    assert sorted(lineage.reads) == sorted(WRITTEN)


def test_what_was_read_before_the_time_is_over_is_kept(lineage, monkeypatch):
    made = lineage.back_up(WRITTEN)
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 60_000 if len(lineage.reads) < 8 else 10_000)
    lineage.announce(made)
    assert len(lineage.known(made)) == len(lineage.reads) == 8
    [record] = verifications.open_verifications(TABLE)
    assert record.readings[0].next_block == 8


@pytest.mark.parametrize("data", [b"", b"hostile" * 100], ids=["empty", "hostile"])
def test_an_unreadable_manifest_costs_reads_and_nothing_else(lineage, data):
    first = lineage.back_up(WRITTEN)
    lineage.announce(first)
    client("s3").put_object(Bucket=BUCKET, Key=f"{manifest_store.PREFIX}{first.snapshot_id}", Body=data)
    second = lineage.back_up(WRITTEN)
    assert lineage.announce(second)["proven"]
    assert sorted(lineage.reads) == sorted(WRITTEN)


def test_a_lost_bucket_delays_no_proof(lineage):
    s3 = client("s3")
    s3.delete_bucket(Bucket=BUCKET)
    made = lineage.back_up(WRITTEN)
    assert lineage.announce(made)["proven"]
    assert sorted(lineage.reads) == sorted(WRITTEN)


def test_nothing_is_carried_over_from_a_failed_recovery_point(lineage):
    first = lineage.back_up(WRITTEN)
    flip_a_byte(first.blocks[5])
    assert lineage.announce(first)["failed"]
    second = lineage.back_up(WRITTEN)
    assert lineage.announce(second)["proven"]
    assert sorted(lineage.reads) == sorted(WRITTEN)


def test_who_asks_has_every_block_read_again_and_held_against_what_was_known(lineage):
    made = lineage.back_up(WRITTEN)
    lineage.announce(made)
    lineage.reads.clear()
    by_hand = {"recovery_point": lineage.point_of(made), "level": "full"}
    assert lineage.verify(by_hand)["proven"]
    assert sorted(lineage.reads) == sorted(WRITTEN)
    write_blocks(made.snapshot_id, {**WRITTEN, 9: b"other", 11: b"other"})
    [failed] = lineage.verify(by_hand)["failed"]
    assert (
        "2 of 12 blocks have another SHA-256 than when they were read last, the first of them block 9"
        in (failed["reason"])
    )


def test_level_read_writes_no_manifest(lineage, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_VERIFY", "read")
    handler.forget()
    made = lineage.back_up(WRITTEN)
    assert lineage.announce(made)["proven"]
    assert "Contents" not in client("s3").list_objects_v2(Bucket=BUCKET)
