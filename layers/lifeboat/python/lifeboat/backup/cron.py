"""AWS's cron expressions: parse them, and list their slots forward and backward in time."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""The years that a cron expression can name
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html)."""


DAY = timedelta(days=1)


# Not from `calendar`: its names follow the locale.
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}


_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}


_SATURDAY = 7


class ScheduleError(ValueError):
    """A schedule or a time is not valid. The message names the field, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """The day-of-month field: days, days before the last (`L`, `L-n`), nearest weekdays (`nW`), last weekday (`LW`)."""

    days: frozenset[int] = frozenset()
    before_last: frozenset[int] = frozenset()
    nearest_weekdays: frozenset[int] = frozenset()
    last_weekday: bool = False

    def in_month(self, year: int, month: int) -> set[int]:
        """The days that the field names and this month has."""
        last = monthrange(year, month)[1]
        found = {day for day in self.days if day <= last}
        found |= {last - before for before in self.before_last if before < last}
        found |= {_nearest_weekday(year, month, day, last) for day in self.nearest_weekdays if day <= last}
        if self.last_weekday:
            found.add(_nearest_weekday(year, month, last, last))
        return found


@dataclass(frozen=True, slots=True)
class DaysOfWeek:
    """The day-of-week field, 1 is Sunday: every such day, the last of the month (`nL`), the k-th of it (`n#k`)."""

    days: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: tuple[int, int] | None = None

    def in_month(self, year: int, month: int) -> set[int]:
        """The days that the field names and this month has."""
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
    """A parsed cron expression. All numbers are sorted."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DaysOfMonth | DaysOfWeek
    months: tuple[int, ...]
    years: tuple[int, ...]


def cron_slots(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The slots later than `after`, in UTC, oldest first."""
    floor = _wall_clock(after, zone, -DAY)
    for year in cron.years[bisect_left(cron.years, floor.year) :]:
        for month in cron.months:
            if (year, month) < (floor.year, floor.month):
                continue
            for day in sorted(cron.days.in_month(year, month)):
                if date(year, month, day) < floor.date():
                    continue
                for hour in cron.hours:
                    if datetime(year, month, day, hour, 59, tzinfo=zone) < floor:
                        continue
                    for minute in cron.minutes:
                        slot = _instant(datetime(year, month, day, hour, minute, tzinfo=zone))
                        if slot is not None and slot > after:
                            yield slot


def cron_slots_back(cron: Cron, zone: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """The slots up to and including `at`, in UTC, newest first."""
    ceiling = _wall_clock(at, zone, DAY)
    for year in reversed(cron.years[: bisect_right(cron.years, ceiling.year)]):
        for month in reversed(cron.months):
            if (year, month) > (ceiling.year, ceiling.month):
                continue
            for day in sorted(cron.days.in_month(year, month), reverse=True):
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
    """The time on the zone's clock at `at`: a bound for the walk over wall-clock times.

    If the clock changes within `slack` of `at`, the bound is moved by `slack`: `at` may be in an hour that the clock
    shows twice.
    """
    # ZoneInfo fails in Python's first and last year. No slot is outside these two times.
    inside = min(max(at, datetime(FIRST_YEAR - 1, 12, 30, tzinfo=UTC)), datetime(LAST_YEAR + 1, 1, 2, tzinfo=UTC))
    shown = inside.astimezone(zone)
    steady = shown.utcoffset() == (inside - slack).astimezone(zone).utcoffset()
    return shown if steady else shown + slack


def _instant(local: datetime) -> datetime | None:
    """A wall-clock time in UTC: the first pass if the clock shows it twice, None if it never shows it."""
    instant = local.astimezone(UTC)
    shown = instant.astimezone(local.tzinfo)
    return instant if shown.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    """The day of Monday to Friday nearest to the day, within the month."""
    weekday = date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < last else day - 2
    return day


def parse_cron(text: str, fields: list[str]) -> Cron:
    """Parse the six fields of a cron; `text` is the whole expression, for the message. Raises ScheduleError."""
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
            # AWS accepts a step wider than its field, such as 0/90: it fires once.
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
        # "If you use a '#' character, you can define only one expression in the day-of-week field" (same page)
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
