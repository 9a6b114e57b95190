"""Missed slots: when the catch-up may take one, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lifeboat.backup.missed_slots import instances_missing, late_slot
from lifeboat.backup.schedule import parse_schedule

SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
GRACE = timedelta(minutes=30)
DAILY = "cron(0 2 * * ? *)"
FIRST, SECOND = "i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2"


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0, None), (30, None), (31, SLOT), (24 * 60 - 1, SLOT), (24 * 60, None), (3 * 1440 + 31, SLOT + timedelta(3))],
)
def test_only_the_newest_slot_and_only_after_its_grace(minutes, expected):
    now = SLOT + timedelta(minutes=minutes)
    assert late_slot(parse_schedule(DAILY), now=now, grace=GRACE) == expected


def test_a_grace_longer_than_the_period_does_not_wait_for_ever():
    schedule = parse_schedule("rate(10 minutes)").counted_from(SLOT)
    assert late_slot(schedule, now=SLOT + timedelta(minutes=5), grace=GRACE) is None
    assert late_slot(schedule, now=SLOT + timedelta(minutes=6), grace=GRACE) == SLOT


def test_a_rate_is_not_guessed_before_it_has_fired():
    assert late_slot(parse_schedule("rate(1 day)"), now=SLOT + timedelta(days=9), grace=GRACE) is None


def test_the_zone_of_the_schedule_decides():
    berlin = parse_schedule(DAILY, "Europe/Berlin")
    assert late_slot(berlin, now=SLOT, grace=GRACE) == SLOT - timedelta(hours=1)


def test_nothing_is_due_before_the_first_slot_nor_new_after_the_last():
    once_a_year = parse_schedule("cron(0 2 23 11 ? 2026)")
    assert late_slot(once_a_year, now=SLOT - timedelta(days=1), grace=GRACE) is None
    assert late_slot(once_a_year, now=SLOT + timedelta(days=400), grace=GRACE) == SLOT


def test_who_was_selected_before_the_slot_and_has_none_owes_it():
    before, after = SLOT - timedelta(seconds=1), SLOT + timedelta(seconds=1)
    assert instances_missing(SLOT, since={SECOND: before, FIRST: before}, taken=()) == (FIRST, SECOND)
    assert instances_missing(SLOT, since={FIRST: before, SECOND: before}, taken={FIRST}) == (SECOND,)
    assert instances_missing(SLOT, since={FIRST: SLOT, SECOND: after}, taken=()) == ()
