"""Slots: the due times of a schedule, and which of them have no recovery point yet.

Schedules are EventBridge Scheduler's: `rate(...)` and `cron(...)` in a time zone
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html). The expression says the due times of the
wall clock; here they become instants in UTC. Where the zone's clock is put forward, due times that do not exist are
skipped; where it is put back, the repeated hour runs once (same page). AWS does not say in which of the two passes: the
first is taken here. Where AWS runs the second, the only harm is one more recovery point in a year.

What AWS documents of an expression is accepted, and beyond that what Quartz, whose dialect it is, leaves no doubt
about (`L-3`, `LW`, ranges that wrap such as FRI-MON, a step wider than its field such as 0/90). The template's pattern
lets nothing through that cannot be read here, so a schedule fails at deployment or never; CreateSchedule has the last
word on the expression itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from lifeboat.backup.cron import DAY, LAST_YEAR, Cron, ScheduleError, cron_slots, cron_slots_back, parse_cron

MAX_MISSED = 1000
"""Missed slots are counted up to here: of a schedule of minutes nobody wants to know whether it was more."""


_RATE = re.compile(r"rate\(([0-9]{1,9}) (minutes?|hours?|days?)\)")


_CRON = re.compile(r"cron\((.*)\)")


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


_MAX_RATE = timedelta(days=3653)


_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring schedule: `cron`, or `every` (a rate: fixed hours, whatever the clocks do) counted from `start`.

    `text` and `time_zone` are as they were given. A rate without a start date begins when Scheduler got it, which the
    expression does not tell: until `start` is known its slots cannot be said (`counted_from`).
    """

    text: str
    time_zone: str
    cron: Cron | None = None
    every: timedelta | None = None
    start: datetime | None = None

    def counted_from(self, start: datetime) -> Schedule:
        """The same schedule with its first slot at `start` (aware), any slot that Scheduler is known to have had.

        Cron slots do not depend on it, but there is none before it.
        """
        return Schedule(self.text, self.time_zone, self.cron, self.every, _utc("start", start))


@dataclass(frozen=True, slots=True)
class DueSlot:
    """The newest slot of which an instance has no recovery point yet.

    `late`: its grace is over, so the catch-up takes it; before that, it is the schedule's own run that does. `missed`
    counts the slots without a recovery point, this one included, up to MAX_MISSED: they all get this one.
    """

    instance_id: str
    slot: datetime
    late: bool
    missed: int
    reason: str


def parse_schedule(text: str, time_zone: str = "UTC", start: datetime | None = None) -> Schedule:
    """Read `rate(...)` or `cron(...)`; `time_zone` is an IANA name, `start` the first slot of a rate (aware).

    Raises ScheduleError for anything that Scheduler would not run again and again: bad fields, a cron that never fires
    (the 30th of February), `at(...)`, an unknown time zone.
    """
    zone = _zone(time_zone)
    begins = None if start is None else _utc("start", start)
    rate, cron = _RATE.fullmatch(text), _CRON.fullmatch(text)
    if rate:
        return Schedule(text, time_zone, every=_every(text, int(rate[1]), rate[2]), start=begins)
    if not cron:
        raise ScheduleError(f"schedule is {text!r}, expected rate(value unit) or cron(six fields).")
    read = parse_cron(text, cron[1].split())
    if next(cron_slots(read, zone, datetime.min.replace(tzinfo=UTC)), None) is None:
        raise ScheduleError(f"schedule is {text!r}, expected a cron that fires at least once, this one never does.")
    return Schedule(text, time_zone, cron=read, start=begins)


def slots_between(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The slots later than `after`, up to and including `until`, oldest first, in UTC, made as they are asked for.

    Raises ScheduleError for a rate without `start`, or a time without a zone.
    """
    last = _utc("until", until)
    return takewhile(lambda slot: slot <= last, _slots(schedule, _utc("after", after)))


def next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    """The first slot later than `after`; None when the schedule has ended. Raises as `slots_between`."""
    return next(_slots(schedule, _utc("after", after)), None)


def previous_slot(schedule: Schedule, at: datetime) -> datetime | None:
    """The newest slot that has come due at `at`, `at` itself included; None before the first.

    Raises as `slots_between`.
    So `previous_slot(s, t) <= t < next_slot(s, t)`, and a slot is the previous one of itself.
    """
    return next(_slots_back(schedule, _utc("at", at)), None)


def period(schedule: Schedule, at: datetime) -> timedelta | None:
    """How long the schedule lets pass between recovery points around `at`: the longer one of the gaps before and after
    the newest slot at `at`, or the first gap of all. After Monday's slot of a weekdays-only schedule it is the weekend.

    None when the schedule has fewer than two slots there, so that nothing can be expected. Raises as `slots_between`.
    """
    at = _utc("at", at)
    if schedule.every is not None:
        return schedule.every
    back = list(islice(_slots_back(schedule, at), 2))
    ahead = list(islice(_slots(schedule, at), 1 if back else 2))
    return max((later - earlier for earlier, later in pairwise([*reversed(back), *ahead])), default=None)


def slot_of(scheduled_time: str) -> datetime:
    """The slot that `<aws.scheduler.scheduled-time>` names, `2026-11-23T02:00:00Z`, to the second.

    Raises ScheduleError for any other text, such as the keyword itself when nothing replaced it.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    try:
        if not _TIME.fullmatch(scheduled_time):
            raise ValueError
        return datetime.fromisoformat(scheduled_time).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise ScheduleError(
            f"scheduled_time is {scheduled_time!r}, expected a time such as 2026-11-23T02:00:00Z."
        ) from None


def manual_slot(now: datetime) -> datetime:
    """The slot of a backup asked for by hand: the second in which it was asked for. Keep it through retries.

    Raises ScheduleError for a time without a zone.
    """
    return _utc("now", now).replace(microsecond=0)


def due(
    schedule: Schedule,
    *,
    now: datetime,
    grace: timedelta,
    taken: Mapping[str, datetime | None],
    since: Mapping[str, datetime],
) -> tuple[DueSlot, ...]:
    """Which instances have no recovery point of the newest slot, one entry each however many slots were missed.

    `since` names the selected instances and when each was first seen as such: slots until then were not its own. It
    counts only as long as the instance has no recovery point, because EC2's LaunchTime is renewed by every start and
    would forgive what was missed before a restart. `taken` is the slot of each one's newest recovery point, by hand or
    not: what is newer than a slot covers it.

    `grace` is how long the schedule's own run may take; of a short period, half of it at most. Until then an instance
    is due but not late: leave it to that run.

    A rate without `start` is counted from the newest slot taken of all; with none taken, nothing is due, the schedule's
    own first run will say when it began.

    Raises ScheduleError for a time without a zone or a negative grace.
    """
    now, grace = _utc("now", now), _checked_grace(grace)
    floors = _floors(taken, since)
    based = _based(schedule, taken)
    newest = None if based is None else previous_slot(based, now)
    if based is None or newest is None or not floors:
        return ()
    oldest = min(floors.values())
    owed: list[datetime] = []
    for slot in _slots_back(based, now):
        if slot <= oldest or len(owed) == MAX_MISSED:
            break
        owed.append(slot)
    owed.reverse()
    following = next_slot(based, newest)
    # A grace as long as the period would let every slot wait for the next one, for ever.
    late = now - newest > (grace if following is None else min(grace, (following - newest) / 2))
    found = []
    for instance_id, floor in sorted(floors.items()):
        missed = len(owed) - bisect_right(owed, floor)
        if missed:
            reason = _why_due(instance_id, newest, late=late, missed=missed)
            found.append(DueSlot(instance_id, newest, late, missed, reason))
    return tuple(found)


def _floors(taken: Mapping[str, datetime | None], since: Mapping[str, datetime]) -> dict[str, datetime]:
    """The time of each selected instance up to which it owes nothing."""
    floors = {}
    for instance_id, first_observed in since.items():
        newest = taken.get(instance_id)
        floors[instance_id] = _utc(f"since of {instance_id}", first_observed)
        if newest is not None:
            floors[instance_id] = _utc(f"taken of {instance_id}", newest)
    return floors


def _based(schedule: Schedule, taken: Mapping[str, datetime | None]) -> Schedule | None:
    """The schedule with what its slots are counted from; None when a rate's first slot is not known by any means."""
    if schedule.every is None or schedule.start is not None:
        return schedule
    slots = [slot for slot in taken.values() if slot is not None]
    return schedule.counted_from(max(slots)) if slots else None


def _checked_grace(grace: timedelta) -> timedelta:
    if grace < timedelta():
        raise ScheduleError(f"grace is {grace}, expected a duration of zero or more.")
    return grace


def _why_due(instance_id: str, slot: datetime, *, late: bool, missed: int) -> str:
    what = f"{instance_id} has no recovery point of {_iso(slot)}"
    if not late:
        return f"{what}, whose own run still has time."
    if missed == 1:
        return f"{what}, and its grace is over."
    count = f"{missed} or more" if missed == MAX_MISSED else str(missed)
    return f"{what} and missed {count} slots in all: one late recovery point stands for them."


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _utc(field: str, at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ScheduleError(f"{field} is {at.isoformat()} without a time zone, expected an aware time.")
    return at.astimezone(UTC)


def _slots(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    if schedule.cron is not None:
        # A microsecond less, so that the start itself, when it is a slot, is the first.
        floor = after if schedule.start is None else max(after, schedule.start - timedelta(microseconds=1))
        yield from cron_slots(schedule.cron, _zone(schedule.time_zone), floor)
        return
    start, every = _rate_of(schedule)
    slot = start if after < start else start + ((after - start) // every + 1) * every
    while slot.year <= LAST_YEAR:
        yield slot
        slot += every


def _slots_back(schedule: Schedule, at: datetime) -> Iterator[datetime]:
    if schedule.cron is not None:
        back = cron_slots_back(schedule.cron, _zone(schedule.time_zone), at)
        yield from takewhile(lambda slot: schedule.start is None or slot >= schedule.start, back)
        return
    start, every = _rate_of(schedule)
    slot = start + ((at - start) // every) * every
    while slot >= start:
        yield slot
        slot -= every


def _rate_of(schedule: Schedule) -> tuple[datetime, timedelta]:
    if schedule.every is None or schedule.start is None:
        raise ScheduleError(f"start of {schedule.text!r} is not known, expected the time its first slot was due.")
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
    days = {"m": 1440, "h": 24, "d": 1}[unit[0]]
    if value == 0 or value > _MAX_RATE.days * days:
        raise ScheduleError(f"schedule is {text!r}, expected a value of 1 or more and of ten years at most.")
    return DAY * value // days
