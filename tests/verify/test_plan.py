"""The decisions of a verification: what is read, when, when a refusal is a failure, and what is proven."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifeboat.aws.table import to_json
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level, Proof, Result, write_proof
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.suspicion import open_suspicion
from lifeboat.verify import plan
from lifeboat.verify.contents.found import Contents, FileSystem, PartitionTable
from lifeboat.verify.describe import describe_contents, list_notes
from lifeboat.verify.plan import NotYet, Ready, Stop
from lifeboat.verify.record import Phase, Reading
from tests.builders import DATA, PLATFORM, SLOT, attachment, point_tags, snapshot, volume

NOW = SLOT + timedelta(hours=1)
READING = Reading("snap-1", "/dev/sdh", 1, SLOT)
RECORD = plan.new_verification("rp-0", Level.READ, NOW)
DISKS = [volume(id=f"{DATA[:-1]}{n}", attachments=(attachment(device=f"/dev/sd{'fg'[n]}"),)) for n in (0, 1)]


def point(day: int = 0, *, members: int = 1, proof: Result | None = None, **facts: Any) -> RecoveryPoint:
    """A recovery point of so many of its two volumes, or of its only one."""
    at, disks = SLOT + timedelta(days=day), DISKS if members == 2 else [volume()]
    tags = point_tags(*disks, recovery_point_id=f"rp-{day}", set_id=f"set-{day}", slot=at)
    tags |= write_proof(Proof(proof, Level.READ, at)) if proof else {}
    known: dict[str, Any] = {"started_at": at, "completed_at": at, "tags": tags}
    made = [
        snapshot(id=f"snap-{day}{number}", volume_id=disk.id, **{**known, **facts}) for number, disk in enumerate(disks)
    ]
    [found] = read_catalogue(made).points
    return found


# --- what is read


def test_in_twelve_days_a_sample_reads_each_block_once():
    days = [datetime(2026, 12, 25, tzinfo=UTC).date() + timedelta(days=day) for day in range(plan.PARTS)]
    for index in range(50):
        reads = [plan.is_read(index, Level.SAMPLE, plan.turn_of(day)) for day in days]
        assert sum(reads) == 1
    assert all(plan.is_read(index, Level.FULL, 0) for index in range(50))
    assert not any(plan.is_read(index, Level.READ, index % plan.PARTS) for index in range(50))


PAGE = {"gib": 1, "block_size": plan.BLOCK}


@pytest.mark.parametrize(
    ("indexes", "next_block", "phase", "at", "written"),
    [
        ([0, 5], 6, Phase.LIST, 6, 2),
        ([0, 5], None, Phase.INSPECT, 0, 2),
        ([], None, Phase.INSPECT, 0, 0),
        ([2047], None, Phase.INSPECT, 0, 1),
    ],
)
def test_a_list_is_read_to_its_end(indexes, next_block, phase, at, written):
    read = plan.after_page(READING, indexes, next_block, **PAGE)
    assert (read.phase, read.next_block, read.written, read.failure) == (phase, at, written, "")


@pytest.mark.parametrize(
    ("indexes", "facts", "sentence"),
    [
        ([0], {"gib": 2}, "the list is of a volume of 2 GiB, expected 1 GiB as EC2 says"),
        ([0], {"block_size": 512}, "the list has blocks of 512 bytes, expected 524288"),
        ([3, 2], {}, "the list has block 2 after block 3, expected ascending blocks"),
        ([2048], {}, "the list has block 2048, expected blocks below 2048"),
    ],
)
def test_a_list_that_is_not_of_the_volume_is_a_failure(indexes, facts, sentence):
    read = plan.after_page(READING, indexes, None, **{**PAGE, **facts})
    assert (read.phase, read.failure) == (Phase.DONE, sentence)


def test_a_list_that_begins_before_its_start_is_a_failure():
    assert plan.after_page(replace(READING, next_block=9), [8], None, **PAGE).failure


@pytest.mark.parametrize(
    ("level", "problems", "phase"),
    [
        (Level.READ, (), Phase.DONE),
        (Level.SAMPLE, (), Phase.DATA),
        (Level.FULL, (), Phase.DATA),
        (Level.FULL, ("The magic is wrong.",), Phase.DONE),
    ],
)
def test_after_the_inspection_the_level_decides(level, problems, phase):
    read = plan.after_inspection(READING, level=level, holds="xfs", types="xfs", notes=(), problems=problems, read=9)
    assert (read.phase, read.read, bool(read.failure)) == (phase, 9, bool(problems))


# --- which recovery point


def test_what_a_person_waits_for_comes_first_then_the_newest():
    records = [
        plan.new_verification("rp-1", Level.READ, NOW),
        plan.new_verification("rp-3", Level.READ, NOW),
        plan.new_verification("rp-2", Level.READ, NOW, by_hand=True),
        replace(plan.new_verification("rp-4", Level.READ, NOW), not_before=NOW + timedelta(seconds=1)),
    ]
    assert [record.point_id for record in plan.due(records, NOW)] == ["rp-2", "rp-3", "rp-1"]


def test_all_snapshots_of_a_set_are_read():
    record = plan.new_verification("rp-0", Level.READ, NOW)
    ready = plan.judge_point(record, point(members=2))
    assert isinstance(ready, Ready)
    assert [item.snapshot_id for item in ready.record.readings] == ["snap-00", "snap-01"]


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"state": "pending"}, NotYet("EC2 has not completed it")),
        ({"state": "error"}, Stop("it is failed, and only a good one can be read")),
        ({"tier": "archive"}, Stop("it is archived, and only a good one can be read")),
        ({"state": "recoverable"}, Stop("it is recycled, and only a good one can be read")),
    ],
)
def test_only_a_good_one_is_read(facts, verdict):
    assert plan.judge_point(plan.new_verification("rp-0", Level.READ, NOW), point(**facts)) == verdict


def test_a_deleted_snapshot_ends_it_without_a_failure():
    record = plan.new_verification("rp-0", Level.READ, NOW)
    ready = plan.judge_point(record, point(members=2))
    assert isinstance(ready, Ready)
    whole = point(members=2)
    left = replace(whole, members=whole.members[:1])
    assert plan.judge_point(ready.record, left) == Stop("snap-01 was deleted")
    assert plan.judge_point(ready.record, None) == Stop("it was deleted")


def test_its_snapshots_name_it_when_its_id_is_anothers_by_now():
    record = replace(
        plan.new_verification("rp-0+2", Level.READ, NOW), readings=(replace(READING, snapshot_id="snap-10"),)
    )
    assert plan.find_point(record, [point(0), point(1)]) == point(1)


# --- refusals


OLD, YOUNG = SLOT, NOW - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("code", "passes", "completed_at", "waits"),
    [
        ("SNAPSHOT_NOT_FOUND", False, YOUNG, True),
        ("SNAPSHOT_NOT_FOUND", False, OLD, False),
        ("ACCOUNT_THROTTLED", True, OLD, True),
        ("InternalServerException", True, OLD, True),
        ("DEPENDENCY_ACCESS_DENIED", False, YOUNG, False),
    ],
)
def test_a_refusal_is_a_failure_unless_time_may_mend_it(code, passes, completed_at, waits):
    reading = replace(READING, completed_at=completed_at)
    record = replace(plan.new_verification("rp-0", Level.READ, NOW), readings=(reading,))
    after = plan.after_refusal(record, reading, f"{code}: words", NOW, code=code, passes=passes)
    assert (after.not_before is not None, after.read_to_the_end) == (waits, not waits)
    assert after.reason == f"{code}: words"
    if not waits:
        assert after.readings[0].failure == f"AWS refused to have it read: {code}: words"


def test_pauses_grow_and_a_day_of_them_is_a_failure():
    record = replace(plan.new_verification("rp-0", Level.READ, NOW), readings=(READING,))
    at, pauses = NOW, []
    while not record.read_to_the_end:
        record = plan.after_refusal(record, READING, "busy", at, code="x", passes=True)
        if record.not_before:
            pauses.append(record.not_before - at)
            at = record.not_before
    assert pauses[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert max(pauses) == plan.LONGEST_PAUSE
    assert plan.REFUSED_FOR <= at - NOW <= plan.REFUSED_FOR + plan.LONGEST_PAUSE
    assert record.readings[0].failure == "AWS refused to have it read for a day: busy"


def test_ages_of_parts_are_joined_by_lineage_the_newest_proven_one_first():
    def age(lineage: str, days: int, newest: str = "") -> plan.ProvenAge:
        return plan.ProvenAge(lineage, PLATFORM, timedelta(days=days), newest)

    parts = [age("a", 3, "rp-3"), age("b", 5), age("a", 1, "rp-1"), age("b", 6), age("c", 4), age("c", 9, "rp-9")]
    assert plan.merge_ages(parts) == (age("c", 9, "rp-9"), age("b", 6), age("a", 1, "rp-1"))


def test_waiting_for_ec2_to_complete_a_snapshot_is_no_refusal():
    record = replace(RECORD, readings=(READING,))
    for hours in range(30):
        record = plan.not_complete_yet(record, "EC2 has not completed it", NOW + timedelta(hours=hours))
    later = plan.after_refusal(record, READING, "busy", NOW + timedelta(hours=30), code="InternalError", passes=True)
    assert not later.readings[0].failure


def test_a_record_of_38_snapshots_fits_into_an_item_of_the_table_whatever_it_says():
    long = "x" * 100_000
    notes = list_notes(Contents(PartitionTable("none"), (), False, 0, 0, tuple(f"{n}{long}" for n in range(99))))
    reading = replace(plan.failed(READING, long), notes=notes)
    record = plan.paused(replace(RECORD, readings=(reading,) * 38), long, NOW)
    assert len(to_json(record)) < 400_000


def test_progress_forgets_earlier_refusals():
    record = replace(plan.new_verification("rp-0", Level.READ, NOW), readings=(READING,))
    record = plan.after_refusal(record, READING, "busy", NOW, code="x", passes=True)
    assert plan.progress(record, READING).refused_since is None


# --- what was missed, and ages


def test_missed_are_the_good_ones_without_a_result_newest_first():
    found = [
        point(0),
        point(1, proof=Result.PROVEN),
        point(2, proof=Result.FAILED),
        point(3),
        point(4, state="pending"),
    ]
    assert [item.id for item in plan.missed(found, ())] == ["rp-3", "rp-0"]
    assert [item.id for item in plan.missed(found, {"rp-3"})] == ["rp-0"]


@pytest.mark.parametrize(
    ("results", "days", "newest"),
    [
        ([Result.PROVEN, Result.PROVEN, None], 1, "rp-1"),
        ([Result.PROVEN, Result.FAILED, Result.FAILED], 2, "rp-0"),
        ([None, None, None], 2, ""),
        ([None, Result.FAILED, Result.PROVEN], 0, "rp-2"),
    ],
)
def test_the_age_is_that_of_the_newest_proven_one(results, days, newest):
    found = [point(day, proof=result) for day, result in enumerate(results)]
    [age] = plan.proven_ages(found, SLOT + timedelta(days=2))
    assert (age.age, age.newest, age.instance_id) == (timedelta(days=days), newest, PLATFORM)


def test_a_suspect_one_does_not_make_the_age_younger():
    newest = point(2, proof=Result.PROVEN)
    [member] = newest.members
    tags = {**member.snapshot.tags, **open_suspicion(at=NOW, changed=0.5, entropy=7.9)}
    suspect = replace(newest, members=(replace(member, snapshot=replace(member.snapshot, tags=tags)),))
    [age] = plan.proven_ages([point(1, proof=Result.PROVEN), suspect], SLOT + timedelta(days=2))
    assert age.newest == "rp-1"


# --- what is on it


@pytest.mark.parametrize(
    ("kind", "types", "words"),
    [
        ("none", ["xfs"], "xfs"),
        ("gpt", ["ext4", "ext4", "ntfs"], "ext4, ntfs in a GPT"),
        ("mbr", ["lvm2"], "lvm2 in an MBR partition table"),
        ("none", ["unknown"], "unknown file system"),
        ("none", ["empty"], "nothing written"),
        ("gpt", [], "no file system"),
    ],
)
def test_contents_in_words(kind, types, words):
    systems = tuple(FileSystem(0, 1, name) for name in types)
    assert describe_contents(Contents(PartitionTable(kind), systems, True, 0, 0)) == words
