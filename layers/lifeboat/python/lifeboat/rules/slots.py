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
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""The years a cron expression can name (schedule-types.html, as above)."""

MAX_MISSED = 1000
"""Missed slots are counted up to here: of a schedule of minutes nobody wants to know whether it was more."""

_RATE = re.compile(r"rate\(([0-9]{1,9}) (minutes?|hours?|days?)\)")
_CRON = re.compile(r"cron\((.*)\)")
_INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_OF_A_SLOT = re.compile(r"rp-\d{8}T\d{6}Z-", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_MAX_RATE = timedelta(days=3653)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)

# Not from `calendar`, whose names follow the locale.
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_SATURDAY = 7


class ScheduleError(ValueError):
    """A schedule, a time or an instance id is not one: the sentence names field, value and what was expected."""


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """The day-of-month field: plain days, `L` and `L-n` as days before the last, `nW`, and `LW`."""

    days: frozenset[int] = frozenset()
    before_last: frozenset[int] = frozenset()
    nearest_weekdays: frozenset[int] = frozenset()
    last_weekday: bool = False

    def of(self, year: int, month: int) -> set[int]:
        """The days of this month that the field names; a day that the month does not have is none of them."""
        last = monthrange(year, month)[1]
        found = {day for day in self.days if day <= last}
        found |= {last - before for before in self.before_last if before < last}
        found |= {_nearest_weekday(year, month, day, last) for day in self.nearest_weekdays if day <= last}
        if self.last_weekday:
            found.add(_nearest_weekday(year, month, last, last))
        return found


@dataclass(frozen=True, slots=True)
class DaysOfWeek:
    """The day-of-week field, 1 is Sunday: plain days, `nL` the last of the month, and `n#k` the k-th of the month."""

    days: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: tuple[int, int] | None = None

    def of(self, year: int, month: int) -> set[int]:
        """The days of this month that the field names; a fifth weekday that the month does not have is none."""
        first, last = monthrange(year, month)
        found = set()
        for day in range(1, last + 1):
            # monthrange counts weekdays from Monday as 0, the expression from Sunday as 1.
            weekday = (first + day) % 7 + 1
            if (
                weekday in self.days
                or (weekday in self.last and day + 7 > last)
                or self.nth == (weekday, (day - 1) // 7 + 1)
            ):
                found.add(day)
        return found


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, read. All numbers are sorted."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DaysOfMonth | DaysOfWeek
    months: tuple[int, ...]
    years: tuple[int, ...]


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
    read = _cron(text, cron[1].split())
    if next(_cron_slots(read, zone, datetime.min.replace(tzinfo=UTC)), None) is None:
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


def recovery_point_id(slot: datetime, instance_id: str) -> str:
    """`rp-20261123T020000Z-i-0123456789abcdef0`: the same for the same slot and instance, whoever asks, how often ever.

    Raises ScheduleError for a time without a zone, or what is no instance id.
    """
    if not _INSTANCE.fullmatch(instance_id):
        raise ScheduleError(f"instance_id is {instance_id!r}, expected an id such as i-0123456789abcdef0.")
    return f"rp-{_utc('slot', slot):%Y%m%dT%H%M%SZ}-{instance_id}"


def slot_prefix(recovery_point: str) -> str | None:
    """How the ids of all recovery points of its slot begin; None for an id that `recovery_point_id` has not made."""
    found = _OF_A_SLOT.match(recovery_point)
    return found[0] if found else None


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
    for instance_id, first_seen in since.items():
        newest = taken.get(instance_id)
        floors[instance_id] = _utc(f"since of {instance_id}", first_seen)
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


# --- slots of a schedule, both ways ---


def _slots(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    if schedule.cron is not None:
        # A microsecond less, so that the start itself, when it is a slot, is the first.
        floor = after if schedule.start is None else max(after, schedule.start - timedelta(microseconds=1))
        yield from _cron_slots(schedule.cron, _zone(schedule.time_zone), floor)
        return
    start, every = _rate_of(schedule)
    slot = start if after < start else start + ((after - start) // every + 1) * every
    while slot.year <= LAST_YEAR:
        yield slot
        slot += every


def _slots_back(schedule: Schedule, at: datetime) -> Iterator[datetime]:
    if schedule.cron is not None:
        back = _cron_slots_back(schedule.cron, _zone(schedule.time_zone), at)
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


def _cron_slots(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    floor = _wall_clock(after, zone, -_DAY)
    for year in cron.years[bisect_left(cron.years, floor.year) :]:
        for month in cron.months:
            if (year, month) < (floor.year, floor.month):
                continue
            for day in sorted(cron.days.of(year, month)):
                if date(year, month, day) < floor.date():
                    continue
                for hour in cron.hours:
                    if datetime(year, month, day, hour, 59, tzinfo=zone) < floor:
                        continue
                    for minute in cron.minutes:
                        slot = _instant(datetime(year, month, day, hour, minute, tzinfo=zone))
                        if slot is not None and slot > after:
                            yield slot


def _cron_slots_back(cron: Cron, zone: ZoneInfo, at: datetime) -> Iterator[datetime]:
    ceiling = _wall_clock(at, zone, _DAY)
    for year in reversed(cron.years[: bisect_right(cron.years, ceiling.year)]):
        for month in reversed(cron.months):
            if (year, month) > (ceiling.year, ceiling.month):
                continue
            for day in sorted(cron.days.of(year, month), reverse=True):
                if date(year, month, day) > ceiling.date():
                    continue
                for hour in reversed(cron.hours):
                    if datetime(year, month, day, hour, tzinfo=zone) > ceiling:
                        continue
                    for minute in reversed(cron.minutes):
                        slot = _instant(datetime(year, month, day, hour, minute, tzinfo=zone))
                        if slot is not None and slot <= at:
                            yield slot


def _wall_clock(at: datetime, zone: ZoneInfo, slack: timedelta) -> datetime:
    """What the zone's clock shows at `at`: no slot on the far side of `at` has a wall clock's time on the near side.

    With a day of slack where the clock is put forward or back within a day of it, because `at` may be of an hour that
    the clock shows twice.
    """
    # Clocks cannot be asked of the first and the last years that Python knows; no slot is beyond these two times.
    inside = min(max(at, datetime(FIRST_YEAR - 1, 12, 30, tzinfo=UTC)), datetime(LAST_YEAR + 1, 1, 2, tzinfo=UTC))
    shown = inside.astimezone(zone)
    steady = shown.utcoffset() == (inside - slack).astimezone(zone).utcoffset()
    return shown if steady else shown + slack


def _instant(local: datetime) -> datetime | None:
    """The UTC time of a wall clock's time: of its first pass when the clock shows it twice, None when it never does."""
    instant = local.astimezone(UTC)
    shown = instant.astimezone(local.tzinfo)
    return instant if shown.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    """The weekday (Monday to Friday) nearest to the day, without leaving the month."""
    weekday = date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < last else day - 2
    return day


# --- reading an expression ---


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
    return _DAY * value // days


def _cron(text: str, fields: list[str]) -> Cron:
    if len(fields) != 6:
        raise ScheduleError(
            f"schedule is {text!r} with {len(fields)} fields, expected six: "
            "minutes, hours, day of month, month, day of week, year."
        )
    minutes, hours, day_of_month, months, day_of_week, years = fields
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ScheduleError(
            f"schedule is {text!r}, expected ? in exactly one of day of month ({day_of_month}) "
            f"and day of week ({day_of_week})."
        )
    return Cron(
        minutes=_numbers(_Field("minutes", 0, 59), minutes),
        hours=_numbers(_Field("hours", 0, 23), hours),
        days=_days_of_month(day_of_month) if day_of_week == "?" else _days_of_week(day_of_week),
        months=_numbers(_Field("month", 1, 12, _MONTHS), months),
        years=_numbers(_Field("year", FIRST_YEAR, LAST_YEAR), years),
    )


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Mapping[str, int] | None = None

    def refuse(self, part: str, problem: str = "") -> ScheduleError:
        named = f" or {next(iter(self.names))}-{list(self.names)[-1]}" if self.names else ""
        return ScheduleError(
            f"{self.name} has {part!r}, expected {problem or f'numbers from {self.low} to {self.high}{named}'}."
        )

    def number(self, text: str, part: str) -> int:
        value = (self.names or {}).get(text.upper())
        if value is None and re.fullmatch(r"[0-9]{1,4}", text):
            value = int(text)
        if value is None or not self.low <= value <= self.high:
            raise self.refuse(part)
        return value

    def part(self, part: str) -> set[int]:
        """The numbers of one part of a list: `*`, `n`, `n-m`, each perhaps with `/step`."""
        span, slash, step_text = part.partition("/")
        step = 1
        if slash:
            # One wider than its field, as in 0/90, fires once in it: AWS accepts it, and so it has to be understood.
            if not re.fullmatch(r"[0-9]{1,4}", step_text) or not int(step_text):
                raise self.refuse(part, "a step from 1 to 9999")
            step = int(step_text)
        if span == "*":
            return set(range(self.low, self.high + 1, step))
        first_text, dash, last_text = span.partition("-")
        first = self.number(first_text, part)
        if not dash:
            return set(range(first, self.high + 1, step)) if slash else {first}
        last = self.number(last_text, part)
        if first <= last:
            return set(range(first, last + 1, step))
        if self.low == FIRST_YEAR:
            raise self.refuse(part, "a range that begins with the earlier year")
        size = self.high - self.low + 1
        return {(value - self.low) % size + self.low for value in range(first, last + size + 1, step)}


def _numbers(field: _Field, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        found |= field.part(part)
    return tuple(sorted(found))


def _days_of_month(text: str) -> DaysOfMonth:
    field = _Field("day of month", 1, 31)
    days: set[int] = set()
    before_last: set[int] = set()
    nearest: set[int] = set()
    last_weekday = False
    for part in text.upper().split(","):
        if part == "LW":
            last_weekday = True
        elif match := re.fullmatch(r"L(?:-([0-9]{1,2}))?", part):
            before = int(match[1] or 0)
            if before > 30:
                raise field.refuse(part, "L-0 to L-30")
            before_last.add(before)
        elif part.endswith("W"):
            nearest.add(field.number(part[:-1], part))
        else:
            days |= field.part(part)
    return DaysOfMonth(frozenset(days), frozenset(before_last), frozenset(nearest), last_weekday)


def _days_of_week(text: str) -> DaysOfWeek:
    field = _Field("day of week", 1, 7, _WEEKDAYS)
    text = text.upper()
    if "#" in text:
        # "If you use a '#' character, you can define only one expression in the day-of-week field."
        weekday, _, nth = text.partition("#")
        if nth not in {"1", "2", "3", "4", "5"}:
            raise field.refuse(text, "one weekday with its count in the month from 1 to 5, such as FRI#2")
        return DaysOfWeek(nth=(field.number(weekday, text), int(nth)))
    days: set[int] = set()
    last: set[int] = set()
    for part in text.split(","):
        if part == "L":
            days.add(_SATURDAY)  # the last day of the week
        elif part.endswith("L"):
            last.add(field.number(part[:-1], part))
        else:
            days |= field.part(part)
    return DaysOfWeek(frozenset(days), frozenset(last))
