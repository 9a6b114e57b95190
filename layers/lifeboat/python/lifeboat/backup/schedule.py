"""Schedules and their slots: a slot is a due time of a schedule.

Schedules are EventBridge Scheduler's `rate(...)` and `cron(...)` in a time zone
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html). An expression names times of the zone's
clock; this module turns them into instants in UTC. When the clock is put forward, the skipped times have no slot. When
it is put back, the repeated hour runs once (same page). AWS does not say in which of the two passes; this module takes
the first. If AWS runs the second, the only effect is one more recovery point a year.

This module reads all that AWS documents, and what Quartz defines beyond that (`L-3`, `LW`, ranges that wrap such as
FRI-MON, a step wider than its field such as 0/90). The template's pattern rejects what this module cannot read, so a
wrong schedule fails at deployment and not later. CreateSchedule has the last word on the expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lifeboat.backup.cron import DAY, LAST_YEAR, Cron, ScheduleError, cron_slots, cron_slots_back, parse_cron

_RATE = re.compile(r"rate\(([0-9]{1,9}) (minutes?|hours?|days?)\)")
_CRON = re.compile(r"cron\((.*)\)")
_MAX_RATE_DAYS = 3653


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring schedule: `cron`, or a rate, `every` so much time whatever the clocks do.

    `text` and `time_zone` are as given. A rate counts from `start`, a slot that Scheduler has fired. The expression
    does not contain it, so a rate has no known slots until `counted_from` sets it.
    """

    text: str
    time_zone: str
    cron: Cron | None = None
    every: timedelta | None = None
    start: datetime | None = None

    def counted_from(self, start: datetime) -> Schedule:
        """The same rate, counted from `start` (aware). A cron ignores it."""
        return replace(self, start=_utc("start", start))


def parse_schedule(text: str, time_zone: str = "UTC") -> Schedule:
    """Read `rate(...)` or `cron(...)`; `time_zone` is an IANA name.

    Raises ScheduleError for everything that does not recur: bad fields, a cron that never fires (the 30th of February),
    `at(...)`, an unknown time zone.
    """
    zone = _zone(time_zone)
    rate, cron = _RATE.fullmatch(text), _CRON.fullmatch(text)
    if rate:
        return Schedule(text, time_zone, every=_every(text, int(rate[1]), rate[2]))
    if not cron:
        raise ScheduleError(f"schedule is {text!r}, expected rate(value unit) or cron(six fields).")
    parsed = parse_cron(text, cron[1].split())
    if next(cron_slots(parsed, zone, datetime.min.replace(tzinfo=UTC)), None) is None:
        raise ScheduleError(f"schedule is {text!r}, expected a cron that fires at least once, this one never does.")
    return Schedule(text, time_zone, cron=parsed)


def next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    """The first slot later than `after`, in UTC; None when the schedule has ended.

    Raises ScheduleError for a rate without `start`, or a time without a zone.
    """
    after = _utc("after", after)
    if schedule.cron is not None:
        return next(cron_slots(schedule.cron, _zone(schedule.time_zone), after), None)
    start, every = _rate_of(schedule)
    slot = start if after < start else start + ((after - start) // every + 1) * every
    return slot if slot.year <= LAST_YEAR else None


def previous_slot(schedule: Schedule, at: datetime) -> datetime | None:
    """The newest slot due at `at`, `at` itself included, in UTC; None before the first. Raises as `next_slot`.

    So `previous_slot(s, t) <= t < next_slot(s, t)`, and a slot is the previous one of itself.
    """
    at = _utc("at", at)
    if schedule.cron is not None:
        return next(cron_slots_back(schedule.cron, _zone(schedule.time_zone), at), None)
    start, every = _rate_of(schedule)
    return start + (at - start) // every * every if at >= start else None


def _utc(field: str, at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ScheduleError(f"{field} is {at.isoformat()} without a time zone, expected an aware time.")
    return at.astimezone(UTC)


def _rate_of(schedule: Schedule) -> tuple[datetime, timedelta]:
    if schedule.every is None or schedule.start is None:
        raise ScheduleError(f"start of {schedule.text!r} is not known, expected the time of one of its slots.")
    return schedule.start, schedule.every


def _zone(time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (OSError, ValueError, LookupError):
        # ZoneInfoNotFoundError is a KeyError; a folder or an absolute path of the database is an OSError or ValueError.
        raise ScheduleError(
            f"time_zone is {time_zone!r}, expected a name of the IANA time zone database such as Europe/Berlin."
        ) from None


def _every(text: str, value: int, unit: str) -> timedelta:
    units_a_day = {"m": 1440, "h": 24, "d": 1}[unit[0]]
    if value == 0 or value > _MAX_RATE_DAYS * units_a_day:
        raise ScheduleError(f"schedule is {text!r}, expected a value of 1 or more and of ten years at most.")
    return DAY * value // units_a_day
