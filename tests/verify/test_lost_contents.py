"""A file system that the last proven recovery point held and that is gone is a failure; nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level, Proof, Result, read_proof, write_proof
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.verify.contents.found import Contents, FileSystem, PartitionTable
from lifeboat.verify.lost_contents import compare_with_proven, name_types, restored_volumes
from lifeboat.verify.plan import judge_point, new_verification
from lifeboat.verify.record import Phase
from tests.builders import DATA, SLOT, point_tags, snapshot, volume

NOW = SLOT + timedelta(days=1)


def backup(at: datetime) -> RecoveryPoint:
    taken = snapshot(id=f"snap-{at:%d}", started_at=at, completed_at=at, tags=point_tags(slot=at))
    [point] = read_catalogue([taken]).points
    return point


def proven(point: RecoveryPoint, holds: str, result: Result = Result.PROVEN) -> RecoveryPoint:
    """This recovery point, read back: its tag says what it held."""
    [member] = point.members
    tags = {**member.snapshot.tags, **write_proof(Proof(result, Level.READ, NOW, holds))}
    return replace(point, members=(replace(member, snapshot=replace(member.snapshot, tags=tags)),))


def compared(before: str, now: str, *, result: Result = Result.PROVEN, failure: str = "") -> str:
    """The failure of a recovery point that holds `now`, after one whose tag says that it held `before`."""
    older, point = proven(backup(SLOT), before, result), backup(SLOT + timedelta(days=1))
    ready: Any = judge_point(new_verification(point.id, Level.READ, NOW), point)
    [reading] = ready.record.readings
    read = replace(reading, phase=Phase.DONE, types=now, failure=failure)
    found = compare_with_proven(replace(ready.record, readings=(read,)), point, (point, older), {})
    return found.readings[0].failure


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        pytest.param("xfs", "unknown", "xfs was on it", id="a superblock of zeros"),
        pytest.param("ext4", "empty", "ext4 was on it", id="an empty list"),
        pytest.param("ext4/xfs:2", "ext4/unknown/xfs", "xfs was on it", id="one of three"),
        pytest.param("lvm2/xfs", "unknown", "lvm2, xfs was on it", id="a physical volume and what it held"),
        pytest.param("xfs", "xfs", "", id="the same"),
        pytest.param("xfs", "ext4", "", id="another file system: nothing is unreadable"),
        pytest.param("ext3/unknown", "ext4/unknown", "", id="one that was converted, beside swap"),
        pytest.param("ext4/xfs", "ext4", "", id="a partition that was removed"),
        pytest.param("unknown", "unknown", "", id="a raw volume"),
        pytest.param("empty", "unknown", "", id="a new volume that is in use now"),
        pytest.param("", "unknown", "", id="a proof from before types were recorded"),
        pytest.param("xfs", "", "", id="an inspection that ended early"),
        pytest.param("xfs:99999/=?", "xfs/unknown", "=? was on it", id="a tag that others wrote"),
    ],
)
def test_what_was_there_and_is_not_recognised_any_more_is_a_failure(before, now, lost):
    failure = compared(before, now)
    assert failure.startswith(lost)
    assert bool(failure) == bool(lost)


def test_only_a_proven_one_is_compared_with_and_damage_stays_what_it_is():
    assert not compared("xfs", "unknown", result=Result.FAILED)
    assert compared("xfs", "unknown", failure="the key is disabled") == "the key is disabled"


RESTORED = "vol-0bbbbbbbbbbbbbb11"
EARLY, LATE, NOW_READ = "snap-23", "snap-24", "snap-25"


def after_a_restore(early: str, late: str, now: str, *, source: str, result: Result = Result.PROVEN) -> tuple[str, Any]:
    """The failure of the first backup of a restored volume, and the volumes whose source is asked for.

    Two recovery points of the lineage's first volume were proven before; their tags say what they held.
    """
    first = [proven(backup(SLOT + timedelta(days=day)), holds) for day, holds in enumerate((early, late))]
    tags = point_tags(volume(id=RESTORED, tags={"lifeboat:chain": DATA}), slot=SLOT + timedelta(days=2))
    at = SLOT + timedelta(days=2)
    taken = snapshot(id=NOW_READ, volume_id=RESTORED, started_at=at, completed_at=at, tags=tags)
    [point] = read_catalogue([taken]).points
    first[0] = proven(first[0], early, result)
    ready: Any = judge_point(new_verification(point.id, Level.READ, NOW), point)
    [reading] = ready.record.readings
    record = replace(ready.record, readings=(replace(reading, phase=Phase.DONE, types=now),))
    sources = {RESTORED: source} if source else {}
    found = compare_with_proven(record, point, (*first, point), sources)
    return found.readings[0].failure, restored_volumes(record, point, (*first, point))


@pytest.mark.parametrize(
    ("case", "source", "lost"),
    [
        pytest.param(("empty", "ext4", "empty"), EARLY, "", id="back to a state from before the file system"),
        pytest.param(("ext4", "ext4/xfs", "unknown"), EARLY, "ext4 was on it", id="lost since the older state"),
        pytest.param(("empty", "ext4", "empty"), LATE, "ext4 was on it", id="lost since the newest state"),
        pytest.param(("empty", "ext4", "empty"), "snap-of-others", "ext4 was on it", id="from an unknown snapshot"),
        pytest.param(("empty", "ext4", "empty"), "", "ext4 was on it", id="a volume that is gone"),
    ],
)
def test_a_restored_volume_is_compared_with_what_it_was_restored_from(case, source, lost):
    failure, asked = after_a_restore(*case, source=source)
    assert failure.startswith(lost)
    assert bool(failure) == bool(lost)
    assert asked == {RESTORED}
    assert ("a restore brought back" in failure) == (source in {"", "snap-of-others"})
    assert ("that it was restored from" in failure) == (bool(lost) and source in {EARLY, LATE})


def test_a_source_that_was_never_proven_shows_nothing_so_the_newest_proven_one_is_compared_with():
    failure, _asked = after_a_restore("", "ext4", "empty", source=EARLY, result=Result.FAILED)
    assert failure.endswith("or a restore brought back data from before it was made")


def test_no_source_is_asked_for_where_nothing_may_be_lost():
    assert after_a_restore("ext4", "ext4", "ext4", source="") == ("", frozenset())


@pytest.mark.parametrize(
    ("types", "complete", "name"),
    [((), True, "empty"), (("xfs",), True, "xfs"), (("xfs", "lvm2", "xfs"), True, "lvm2/xfs:2"), (("xfs",), False, "")],
)
def test_the_tag_names_what_is_on_the_volume(types, complete, name):
    systems = tuple(FileSystem(0, 1, kind) for kind in types)
    assert name_types(Contents(PartitionTable("none"), systems, complete, 0, 0)) == name


def test_the_proof_carries_it_through_the_tag():
    proof = Proof(Result.PROVEN, Level.READ, NOW, "lvm2/xfs:2")
    assert read_proof(write_proof(proof)) == proof
