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
from lifeboat.verify.lost_contents import compare_with_proven, name_types
from lifeboat.verify.plan import judge_point, new_verification
from lifeboat.verify.record import Phase
from tests.builders import SLOT, point_tags, snapshot

NOW = SLOT + timedelta(days=1)


def backup(at: datetime) -> RecoveryPoint:
    taken = snapshot(id=f"snap-{at:%d}", started_at=at, completed_at=at, tags=point_tags(slot=at))
    [point] = read_catalogue([taken]).points
    return point


def compared(before: str, now: str, *, result: Result = Result.PROVEN, failure: str = "") -> str:
    """The failure of a recovery point that holds `now`, after one whose tag says that it held `before`."""
    older, point = backup(SLOT), backup(SLOT + timedelta(days=1))
    [member] = older.members
    tags = {**member.snapshot.tags, **write_proof(Proof(result, Level.READ, NOW, before))}
    older = replace(older, members=(replace(member, snapshot=replace(member.snapshot, tags=tags)),))
    ready: Any = judge_point(new_verification(point.id, Level.READ, NOW), point)
    [reading] = ready.record.readings
    read = replace(reading, phase=Phase.DONE, types=now, failure=failure)
    found = compare_with_proven(replace(ready.record, readings=(read,)), point, (point, older))
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
