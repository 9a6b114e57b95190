"""Copies that others make with all tags: their start time is the copy's, so Lifeboat neither uses nor deletes them.
Public reports: Cloud Custodian copies every tag; people encrypt snapshots by copying them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.backup import overdue
from lifeboat.copies import plan as copies
from lifeboat.copies.vault import to_share
from lifeboat.domain.catalogue import Catalogue, read_catalogue
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point_tags import tags_of_copy
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import Severity
from lifeboat.restore.request import RecoveryPointChoice
from lifeboat.retention.limits import Limits
from lifeboat.retention.plan import parse_policy, plan
from tests.builders import DATA, SLOT, point_tags, snapshot
from tests.restore.preflight_cases import asked, codes, known, planned

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
DAYS = 14
NOW = SLOT + 15 * DAY
COPYING = NOW - HOUR


def history(days: int = DAYS) -> list[Snapshot]:
    """One recovery point a day, oldest first."""
    return [
        snapshot(
            id=f"snap-{day}",
            started_at=SLOT + day * DAY,
            completed_at=SLOT + day * DAY + 5 * MINUTE,
            tags=point_tags(recovery_point_id=f"rp-{day}", set_id=f"set-{day}", slot=SLOT + day * DAY),
        )
        for day in range(days)
    ]


def copied_newest_first(snapshots: list[Snapshot]) -> list[Snapshot]:
    """The copies that a tool of others makes within an hour: the oldest data has the newest start."""
    return [
        replace(item, id=f"snap-x{item.id}", volume_id="vol-ffffffff", started_at=COPYING + number * MINUTE)
        for number, item in enumerate(reversed(snapshots))
    ]


def our_copy(source: Snapshot, at=COPYING, **facts) -> Snapshot:
    [member] = read_catalogue([source]).points[0].members
    tags = tags_of_copy(member, region="eu-central-1", set_id=source.tags[Tag.SET], now=at)
    made = {"id": f"snap-c{source.id}", "volume_id": "vol-ffffffff", "started_at": at, "completed_at": None}
    return replace(source, **{**made, "tags": tags, **facts})


def kept_by(found: Catalogue, limits: Limits | None = None):
    return plan(
        found.points,
        now=NOW,
        policy=parse_policy("last=3"),
        overrides={},
        limits=limits or Limits(min_keep=3, max_delete_share=1),
        stack="lifeboat",
        existing_volumes={DATA},
    )


def test_they_are_in_no_recovery_point_and_listed_with_the_reason():
    found = read_catalogue([*history(2), *copied_newest_first(history(2))])
    assert [point.id for point in found.points] == ["rp-0", "rp-1"]
    assert found.unreadable == ()
    assert [item.id for item, _ in found.foreign] == ["snap-xsnap-1", "snap-xsnap-0"]
    assert all("a copy that others made" in reason for _, reason in found.foreign)


def test_retention_decides_as_if_they_were_not_there():
    mine = history()
    alone, beside = kept_by(read_catalogue(mine)), kept_by(read_catalogue([*mine, *copied_newest_first(mine)]))
    assert alone == beside
    assert [point.id for point in beside.kept][-3:] == ["rp-11", "rp-12", "rp-13"]


def test_where_only_copies_are_left_nothing_is_deleted():
    decided = kept_by(read_catalogue(copied_newest_first(history())))
    assert decided.deletions == ()


def test_latest_is_the_latest_data_not_what_was_copied_last():
    mine = history()
    found = read_catalogue([*mine, *copied_newest_first(mine)])
    assert planned(preflight(asked(), known(points=found.points), NOW)).snapshot_id == "snap-13"


def test_a_copying_of_today_is_no_backup_of_today():
    found = read_catalogue(copied_newest_first(history()))
    assert overdue.newest_good(found.points) == {}
    begun = replace(copied_newest_first(history(1))[0], state="pending")
    assert overdue.in_progress(read_catalogue([begun]).points, NOW) == frozenset()


def test_they_are_neither_copied_on_nor_shared():
    found = read_catalogue(copied_newest_first(history()))
    facts = copies.CopyFacts(
        points=found.points,
        copies=(),
        records={},
        in_flight=0,
        destination=CopyDestination("eu-central-1"),
        home="eu-west-1",
        stack="lifeboat",
        now=NOW,
        copy_existing=True,
    )
    assert copies.plan(facts).start == ()
    assert to_share(found.points, frozenset(), "lifeboat") == ()


# --- copies of our copies carry the tags of ours


def test_our_own_copy_counts_by_its_data():
    [point] = read_catalogue([our_copy(history(1)[0])]).points
    assert point.taken_at == SLOT


@pytest.mark.parametrize("late", [timedelta(minutes=21), DAY, 400 * DAY])
def test_a_copy_of_our_copy_began_later_than_its_tags_say(late):
    ours = our_copy(history(1)[0])
    theirs = replace(ours, id="snap-x", started_at=ours.started_at + late)
    for observed in ([ours, theirs], [theirs, ours]):
        found = read_catalogue(observed)
        assert [member.snapshot.id for point in found.points for member in point.members] == [ours.id]
        assert [item.id for item, _ in found.foreign] == ["snap-x"]
    assert read_catalogue([theirs]).points == (), "whether or not ours is still there"


def test_a_copy_made_as_soon_as_ours_was_whole_is_one_of_others():
    ours = our_copy(history(1)[0], completed_at=COPYING + MINUTE)
    theirs = replace(ours, id="snap-0", started_at=COPYING + 2 * MINUTE)
    found = read_catalogue([theirs, ours])
    assert [member.snapshot.id for point in found.points for member in point.members] == [ours.id]
    assert [item.id for item, _ in found.foreign] == ["snap-0"]


def test_two_that_lifeboat_began_at_once_are_both_its_own():
    ours = our_copy(history(1)[0], completed_at=COPYING + MINUTE)
    doubled = replace(ours, id="snap-d", started_at=COPYING + timedelta(seconds=2))
    assert [point.id for point in read_catalogue([ours, doubled]).points] == ["rp-0", "rp-0+2"]


def test_a_clock_that_is_ahead_disowns_no_copy():
    ours = our_copy(history(1)[0], at=COPYING)
    assert read_catalogue([replace(ours, started_at=COPYING - MINUTE)]).foreign == ()


def test_a_copy_that_replaces_an_archived_one_is_our_own():
    archived = our_copy(history(1)[0], completed_at=COPYING + MINUTE, tier="archive")
    again = our_copy(history(1)[0], at=COPYING + HOUR, id="snap-again")
    assert read_catalogue([archived, again]).foreign == ()


@pytest.mark.parametrize("missing", [Tag.COPIED_AT, Tag.COPY_OF])
def test_a_copy_without_one_of_the_marks_is_one_of_others(missing):
    ours = our_copy(history(1)[0])
    theirs = replace(ours, tags={key: value for key, value in ours.tags.items() if key != missing})
    assert [item.id for item, _ in read_catalogue([theirs]).foreign] == [ours.id]


# --- a person may restore one all the same


def test_one_that_is_named_is_restored_by_its_tags_with_a_warning():
    [theirs] = copied_newest_first(history(1))
    request = asked(recovery_point=RecoveryPointChoice(snapshot_ids=(theirs.id,)))
    found = preflight(request, known(points=(), snapshots={theirs.id: theirs}), NOW)
    assert (planned(found).snapshot_id, planned(found).iops, planned(found).lineage) == (theirs.id, 4000, DATA)
    assert codes(found, Severity.WARN) == ["others-copy"]
    assert "its data is of rp-0, of the slot 2026-11-23T02:00:00Z" in found.text
