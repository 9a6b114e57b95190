"""What retention deletes next, and when: the planner rehearses the runs to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.retention.limits import Limits
from lifeboat.retention.policy_change import STACK, Remembered, Terms
from lifeboat.status import forecast as forecasts
from lifeboat.status.forecast import Rules, forecast
from tests.builders import PLATFORM, SLOT
from tests.status.points import PROVEN, SUSPECT, point

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = Limits(min_keep=1, grace=timedelta(0), max_delete_share=1.0)
RULES = Rules("lifeboat", "daily=3", None, "UTC", LIMITS, {}, DAY)
DAILY = [SLOT + number * DAY for number in range(1, 6)]
POINTS = [point(SLOT - number * DAY) for number in range(3)]
"""Of the last three slots, the newest first."""


def going(points=POINTS, slots=DAILY, **facts):
    """By the day of the run, the days of the recovery points that go."""
    found = forecast(PLATFORM, points, slots, replace(RULES, **facts)).going
    days = {item.id: (item.slot - SLOT).days for item in points}
    assert found is not None
    return [((item.at - SLOT).days, days[item.point_id]) for item in found]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, [(1, -2), (2, -1), (3, 0)]),
        ({"policy": "daily=4"}, [(2, -2), (3, -1), (4, 0)]),
        ({"policy": "daily=3", "own_policy": "daily=5"}, [(3, -2), (4, -1), (5, 0)]),
        ({"limits": replace(LIMITS, grace=3 * DAY)}, [(1, -2), (2, -1), (3, 0)]),
        ({"limits": replace(LIMITS, grace=4 * DAY)}, [(2, -2), (3, -1), (4, 0)]),
        ({"limits": replace(LIMITS, min_keep=5)}, [(3, -2), (4, -1), (5, 0)]),
        ({"policy": "daily=unlimited"}, []),
        ({"slots": []}, []),
        ({"slots": DAILY[:1]}, [(1, -2)]),
    ],
    ids=["stack", "more", "own", "grace", "longer grace", "floor", "for ever", "no slot is known", "one run"],
)
def test_each_goes_at_the_run_that_no_rule_keeps_it_at(facts, expected):
    assert going(**facts) == expected


def test_one_run_deletes_no_more_than_its_share():
    points = [point(SLOT - number * HOUR) for number in range(8)]
    found = forecast(PLATFORM, points, DAILY[:2], replace(RULES, limits=replace(LIMITS, max_delete_share=0.5))).going
    assert found is not None
    assert [sum(item.at == slot for item in found) for slot in DAILY[:2]] == [4, 3], "half of 9, then of 6"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [({"lifeboat:hold": "case 7"}, [(1, -2), (2, -1)]), (SUSPECT, []), (PROVEN, [(1, -2), (2, -1), (3, 0)])],
    ids=["a held one stays", "nothing goes while a suspicion is open", "the next ones are proven as well"],
)
def test_the_newest_ones_tags_do_not_spread_to_those_to_come(tags, expected):
    assert going([point(SLOT, tags=tags), *POINTS[1:]]) == expected


def test_former_terms_keep_for_their_time_and_then_no_more():
    # The old policy kept four. The run of the first slot notices the change, and keeps for a day and an hour more.
    terms = Terms("daily=4", "UTC", LIMITS.min_keep, 0, LIMITS.grace)
    known = {STACK: Remembered(terms)}
    assert going(known=known, hold=DAY + HOUR) == [(2, -2), (3, -1), (3, 0)]
    assert going(known=known, hold=timedelta(0)) == [(1, -2), (2, -1), (3, 0)]


@pytest.mark.parametrize(
    "facts", [{"policy": "daily="}, {"own_policy": "weakly=3"}, {"policy": "x", "own_policy": "daily=1"}]
)
def test_a_policy_that_cannot_be_read_keeps_everything_and_is_named(facts):
    found = forecast(PLATFORM, POINTS, DAILY, replace(RULES, **facts))
    assert found.going is None
    assert "expected" in found.problem


def test_without_a_good_recovery_point_none_is_assumed_to_come():
    assert going([point(SLOT - DAY, state="error")]) == []


def test_too_many_are_not_rehearsed(monkeypatch):
    monkeypatch.setattr(forecasts, "MOST", 2)
    assert forecast(PLATFORM, POINTS, DAILY, RULES).going is None
