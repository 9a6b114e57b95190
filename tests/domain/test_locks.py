"""How long a lock lasts: without LockDays never longer than the retention grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.domain.locks import MOST_DAYS, Lock, LockSettings, NoLock, lock_for

TAKEN = datetime(2026, 11, 23, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def asked(mode, days, cool_off=0, *, grace=24, after=0.5):
    return lock_for(
        LockSettings(mode, days, cool_off), taken_at=TAKEN, grace=grace * HOUR, now=TAKEN + timedelta(hours=after)
    )


@pytest.mark.parametrize(
    ("mode", "days", "cool_off", "grace", "after", "expected"),
    [
        ("governance", 7, 0, 24, 0.5, ("governance", 7, None)),
        ("governance", 7, 24, 24, 0.5, ("governance", 7, None)),  # EC2 refuses a cool-off there
        ("compliance", 7, 24, 24, 0.5, ("compliance", 7, 24)),
        ("compliance", 7, 0, 24, 0.5, ("compliance", 7, None)),  # at once, for good
        ("compliance", 1, 99, 0, 0.5, ("compliance", 1, 72)),
        ("governance", 99_999, 0, 0, 0.5, ("governance", MOST_DAYS, None)),
        ("governance", 0, 0, 25, 1, ("governance", 1, None)),
        ("governance", 0, 0, 48, 0.5, ("governance", 1, None)),  # a day begun is not a day
        ("governance", 0, 0, 72, 0, ("governance", 3, None)),
        ("compliance", 0, 12, 240, 30, ("compliance", 8, 12)),
    ],
)
def test_a_lock(mode, days, cool_off, grace, after, expected):  # noqa: PLR0917 a row of the table
    found = asked(mode, days, cool_off, grace=grace, after=after)
    assert isinstance(found, Lock)
    assert (found.mode, found.days, found.cool_off_hours) == expected


@pytest.mark.parametrize(("grace", "after", "hours"), [(24, 0.5, 23), (0, 0.5, 0), (48, 24.5, 23), (24, 100, 0)])
def test_less_than_a_day_is_no_lock_and_said(grace, after, hours):
    found = asked("governance", 0, grace=grace, after=after)
    assert isinstance(found, NoLock)
    assert found.wanted
    assert f"another {hours} hours" in found.reason


def test_without_locks_nothing_is_published():
    assert asked("none", 7) == NoLock("LockMode is none", wanted=False)


@given(
    grace=st.integers(0, 8760),
    after=st.floats(0, 20_000, allow_nan=False),
    mode=st.sampled_from(("governance", "compliance")),
)
def test_nothing_asked_for_outlives_the_grace(grace, after, mode):
    found = asked(mode, 0, grace=grace, after=after)
    if isinstance(found, Lock):
        now = TAKEN + timedelta(hours=after)
        assert now + timedelta(days=found.days) <= TAKEN + grace * HOUR
        assert found.days >= 1
