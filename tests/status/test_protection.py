"""How an instance stands against the schedule, and which recovery points its lineages have."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lifeboat.backup import overdue
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.status.protection import Digest, Standing, select, standing_of, unprotected, view, view_unprotected
from tests.builders import DATA, PLATFORM, SLOT, attachment, instance, volume
from tests.status.points import FAILED, PROVEN, SUSPECT, point

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = SLOT + HOUR
LONG_AGO = SLOT - 300 * DAY
FRESH = "i-0bbbbbbbbbbbbbbb2"


def digest(*points: RecoveryPoint, expected: datetime | None = SLOT) -> Digest:
    made = Digest(NOW, expected)
    for item in points:  # in parts, as they are read
        made.add([item])
    return made


def standing(points: list[RecoveryPoint], *, since: datetime = LONG_AGO, expected: datetime | None = SLOT) -> Standing:
    chosen, made = select(instance(), since), digest(*points, expected=expected)
    late: tuple[overdue.Overdue, ...] = ()
    if expected:
        ages = overdue.ages(chosen.volumes, made.good, NOW)
        late = overdue.overdue(ages, expected=expected, pending=made.pending)
    return standing_of(chosen, made, {item.instance_id for item in late})


@pytest.mark.parametrize(
    ("points", "facts", "expected"),
    [
        ([point()], {}, Standing.ON_TIME),
        ([point(SLOT + 10 * MINUTE)], {}, Standing.ON_TIME),
        ([point(), point(SLOT + MINUTE, state="pending")], {}, Standing.ON_TIME),
        ([point(SLOT - DAY)], {}, Standing.OVERDUE),
        ([point(state="error")], {}, Standing.OVERDUE),
        ([], {}, Standing.OVERDUE),
        ([point(state="pending")], {}, Standing.IN_PROGRESS),
        ([point(SLOT - DAY, state="pending")], {}, Standing.OVERDUE),
        ([], {"since": SLOT + MINUTE}, Standing.NEW),
        ([point(SLOT + 2 * MINUTE)], {"since": SLOT + MINUTE}, Standing.ON_TIME),
        ([], {"expected": None}, Standing.NEW),
        ([point(SLOT - DAY)], {"expected": None}, Standing.ON_TIME),
    ],
    ids=[
        "good at the slot",
        "good after the slot",
        "good, and another begun",
        "the last one is of the slot before",
        "the slot's failed",
        "never backed up",
        "being made",
        "only an older one is being made",
        "selected after the slot",
        "selected after the slot and backed up by hand",
        "no slot yet",
        "no slot yet, and backed up by hand",
    ],
)
def test_standing(points, facts, expected):
    assert standing(points, **facts) is expected


def test_of_each_lineage_the_newest_good_proven_and_pending_ones_are_named():
    made = digest(
        point(SLOT - 4 * DAY, tags=PROVEN),
        point(SLOT - 3 * DAY, tags=PROVEN | SUSPECT),
        point(SLOT - 2 * DAY, tags=FAILED),
        point(SLOT - DAY),
        point(SLOT, state="pending"),
    )
    [lineage] = view(select(instance(), LONG_AGO), made, {DATA: volume()}, ()).lineages
    kept = lineage.kept
    assert (lineage.lineage, lineage.device, kept.good) == (DATA, "/dev/sdh", 4)
    assert [item and item.slot for item in (kept.newest, kept.proven, kept.pending)] == [
        SLOT - DAY,
        SLOT - 4 * DAY,
        SLOT,
    ]


def test_the_times_of_the_newest_good_ones_are_kept_in_whatever_order_they_come():
    days = [3, 17, 0, 5, 9, 1, 16, 2, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15]
    made = digest(*(point(SLOT - number * DAY) for number in days), point(SLOT + HOUR, state="pending"))
    assert made.by_lineage[DATA].taken == [SLOT - number * DAY for number in range(13, -1, -1)]


def test_a_restored_volume_has_the_recovery_points_of_its_lineage():
    restored = "vol-0bbbbbbbbbbbbbb22"
    volumes = {restored: volume(id=restored, tags={"lifeboat:chain": DATA})}
    fresh = instance(id=FRESH, attachments=(*instance().attachments[:1], attachment(restored, "/dev/sdb")))
    made = digest(point())
    shown = view(select(fresh, LONG_AGO), made, volumes, ())
    assert [(item.lineage, item.volume_id, item.kept.good) for item in shown.lineages] == [(DATA, restored, 1)]
    assert unprotected(made, {FRESH}, {DATA}) == (), "its data is protected on the fresh instance"


def test_an_instance_that_is_gone_is_shown_by_its_newest_recovery_point():
    made = digest(point(SLOT - DAY), point(instance_name="after\u202eit was\nrenamed"))
    assert unprotected(made, (), ()) == (PLATFORM,)
    shown = view_unprotected(PLATFORM, made)
    assert (shown.standing, shown.since, shown.state) == (Standing.NOT_PROTECTED, None, "")
    assert shown.name == "after\u202eit was\nrenamed", "a name is data, and stays as it is"
    assert [(item.lineage, item.device, item.kept.good) for item in shown.lineages] == [(DATA, "/dev/sdh", 2)]


def test_without_a_good_recovery_point_a_gone_instance_is_not_listed_and_can_be_asked_for():
    made = digest(point(state="error"))
    assert unprotected(made, (), ()) == ()
    assert view_unprotected(PLATFORM, made).name == "CadoResponse"


def test_an_instance_that_cannot_be_backed_up_says_why():
    assert select(instance(attachments=instance().attachments[:1]), SLOT).problem == f"{PLATFORM} has no data volume"
    assert "root" in select(instance(root_device="/dev/sdz"), SLOT).problem


def test_without_kept_only_the_schedule_is_remembered():
    made = Digest(NOW, SLOT)
    made.add([point()], kept=False)
    assert made.good
    assert (made.by_lineage, made.by_instance) == ({}, {})
