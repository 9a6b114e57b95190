"""The retention policy: a line such as `last=3 daily=14 weekly=8 monthly=12 yearly=7 within=2d`, and what it keeps.

A rule keeps the newest recovery point of each period. It counts from the newest recovery point and not from today, so a
lineage without new recovery points loses none. A rule only keeps, so a further rule never deletes more. The meaning is
that of restic's forget (https://restic.readthedocs.io/en/stable/060_forget.html), except on ambiguous wall clocks:

* Hours, days, ISO weeks, months and years are those of the policy's time zone.
* The hour that autumn repeats counts as two hours. One more recovery point of that night is kept. It takes one of the
  24 places of `hourly=24`, so the oldest is deleted an hour sooner.
* `within=1m` before 31 March begins on the last day of February (restic: on 3 March), which keeps more.

docs/guide/retention.md compares it with borg, kopia and sanoid.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

MAX_NUMBER = 999_999
"""The largest number in a policy: of recovery points, years, months, days or hours."""

UNLIMITED = "unlimited"

_NUMBER = re.compile(r"[0-9]{1,6}")
_DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,6})y)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?")
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class PolicyError(ValueError):
    """A retention policy cannot be read: one sentence that names the field, the value and what was expected."""


class UnreadPolicyError(PolicyError):
    """EC2 did not show the instance that may carry a policy: its policy is unknown, and counts as unchanged."""


class Period(StrEnum):
    """The period of which a rule keeps the newest. LAST is no span of time: each recovery point is its own period."""

    LAST = "last"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


_WITHIN = {"within": Period.LAST} | {f"within-{period}": period for period in list(Period)[1:]}
_NAMES = (*Period, *_WITHIN)


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of the calendar: years, months and days of the wall clock, hours of 3600 seconds."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def __str__(self) -> str:
        parts = ((self.years, "y"), (self.months, "m"), (self.days, "d"), (self.hours, "h"))
        return "".join(f"{number}{unit}" for number, unit in parts if number)

    def before(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The moment (aware, UTC) this span earlier on the wall clock of `zone`, or the earliest possible time."""
        try:
            return self._days_before(moment, zone).astimezone(UTC) - timedelta(hours=self.hours)
        except OverflowError:
            return _BEGINNING

    def _days_before(self, moment: datetime, zone: ZoneInfo) -> datetime:
        if not (self.years or self.months or self.days):
            return moment  # without the wall clock, which shows a repeated hour twice
        local = moment.astimezone(zone)
        year, month = divmod((local.year - self.years) * 12 + local.month - 1 - self.months, 12)
        if year < 1:
            return _BEGINNING
        day = min(local.day, monthrange(year, month + 1)[1])
        # The difference has fold=0: of a repeated hour it is the first, which keeps more.
        return local.replace(year=year, month=month + 1, day=day) - timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Keep the newest recovery point of each `period`.

    `count` is the number of periods; None means all. `within` limits the rule to recovery points taken at most that
    span before the newest one; None sets no limit.
    """

    period: Period
    count: int | None = None
    within: Duration | None = None

    def __str__(self) -> str:
        if self.within is None:
            return f"{self.period}={UNLIMITED if self.count is None else self.count}"
        return f"within={self.within}" if self.period is Period.LAST else f"within-{self.period}={self.within}"


@dataclass(frozen=True, slots=True)
class Policy:
    """At least one rule. `time_zone` (IANA name) defines where periods begin and end."""

    rules: tuple[KeepRule, ...]
    time_zone: str = "UTC"

    def __str__(self) -> str:
        return " ".join(str(rule) for rule in self.rules)

    def reasons(self, times: Sequence[datetime]) -> dict[int, tuple[str, ...]]:
        """The times (aware) that the policy keeps: their positions in `times`, each with the reasons.

        `times` must be sorted, the newest first. No rule keeps a position that is not in the result.
        """
        found: dict[int, tuple[str, ...]] = {}
        if not times:
            return found
        zone = ZoneInfo(self.time_zone)
        walls: Sequence[datetime] = ()
        if any(rule.period is not Period.LAST for rule in self.rules):
            walls = [time.astimezone(zone) for time in times]
        for rule in self.rules:
            after = rule.within.before(times[0], zone) if rule.within else None
            for position, reason in _kept(rule, times, walls, after):
                found[position] = (*found.get(position, ()), reason)
        return found


def parse_policy(text: str, time_zone: str = "UTC") -> Policy:
    """Read a policy: rules `name=value`, separated by spaces or commas, each at most once.

    A shell and SAM CLI cut a value at its spaces, but not at its commas.

    Names are last, hourly, daily, weekly, monthly and yearly, with a number of recovery points from 1, or `unlimited`;
    and within, within-hourly, within-daily, within-weekly, within-monthly and within-yearly, with a duration such as
    14d or 2y5m7d3h (years, months, days, hours).

    Raises PolicyError, also for an empty policy: it would keep nothing, and is most likely a mistake.
    """
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):  # OSError: the name is that of a folder of zones, such as Europe
        raise PolicyError(f"time zone is {time_zone!r}, expected an IANA name such as UTC or Europe/Berlin") from None
    rules: dict[str, KeepRule] = {}
    for part in text.replace(",", " ").split():
        name, equals, value = part.partition("=")
        if not equals or name not in _NAMES:
            raise PolicyError(f"{_where(text)} has {part!r}, expected name=value with {_hint(name)}")
        if name in rules:
            raise PolicyError(f"{_where(text)} has {name} twice, expected each rule at most once")
        rules[name] = _within(text, name, value) if name in _WITHIN else _count(text, name, value)
    if not rules:
        raise PolicyError(f"retention policy is {text!r}, expected at least one rule such as daily=14")
    return Policy(tuple(rules.values()), time_zone)


def _where(text: str) -> str:
    return f"retention policy {text!r}"


def _hint(name: str) -> str:
    # Other programs spell the same rules keep-daily, keep_daily, keep-within-daily or Daily.
    meant = name.lower().removeprefix("--").replace("_", "-").removeprefix("keep-")
    if meant in _NAMES:
        return f"the name {meant}"
    return f"one of the names {', '.join(_NAMES)}"


def _count(text: str, name: str, value: str) -> KeepRule:
    if value == UNLIMITED:
        return KeepRule(Period(name))
    if not _NUMBER.fullmatch(value) or not int(value):
        raise PolicyError(
            f"{_where(text)} has {name}={value}, expected a whole number from 1 to {MAX_NUMBER}, or {UNLIMITED} "
            "(to keep none, leave the rule out)"
        )
    return KeepRule(Period(name), int(value))


def _within(text: str, name: str, value: str) -> KeepRule:
    match = _DURATION.fullmatch(value)
    numbers = [int(number or 0) for number in match.groups()] if match else []
    if not any(numbers):
        raise PolicyError(
            f"{_where(text)} has {name}={value}, expected a duration of years, months, days and hours in this order, "
            "such as 14d or 2y5m7d3h"
        )
    return KeepRule(_WITHIN[name], within=Duration(*numbers))


def _kept(
    rule: KeepRule, times: Sequence[datetime], walls: Sequence[datetime], after: datetime | None
) -> Iterable[tuple[int, str]]:
    """The positions that one rule keeps, each with the reason."""
    words = f"{rule} keeps it"
    since = f", taken after {after:%Y-%m-%d %H:%M} UTC" if after else ""
    places = "" if rule.count is None else f" of {rule.count}"
    period_of = _PERIODS.get(rule.period)
    oldest = len(times) - 1
    kept = 0
    previous: tuple[int, ...] | None = None
    for position, time in enumerate(times):
        if kept == rule.count or (after is not None and time <= after):
            return
        if period_of is None:
            kept += 1
            yield position, f"{words}{since}" if after else f"{words}, number {kept}{places} from the newest"
            continue
        current = period_of(walls[position])
        if current != previous:
            previous = current
            kept += 1
            yield position, f"{words}, the newest of {_LABELS[rule.period](current)}{since or f' ({kept}{places})'}"
        elif position == oldest:
            # As in restic: while a rule has places left, the oldest one is kept, so the history stays long.
            room = f", as only {kept}{places} places are taken" if places else ""
            yield position, f"{words}, the oldest one{since}{room}"


def _iso_week(wall: datetime) -> tuple[int, int]:
    year, week, _ = wall.isocalendar()
    return year, week


_PERIODS: dict[Period, Callable[[datetime], tuple[int, ...]]] = {
    Period.HOURLY: lambda wall: (wall.year, wall.month, wall.day, wall.hour, wall.fold),
    Period.DAILY: lambda wall: (wall.year, wall.month, wall.day),
    Period.WEEKLY: _iso_week,
    Period.MONTHLY: lambda wall: (wall.year, wall.month),
    Period.YEARLY: lambda wall: (wall.year,),
}

_LABELS: dict[Period, Callable[[tuple[int, ...]], str]] = {
    Period.HOURLY: lambda of: f"{of[0]}-{of[1]:02}-{of[2]:02} {of[3]:02}h{', the repeated hour' if of[4] else ''}",
    Period.DAILY: lambda of: f"{of[0]}-{of[1]:02}-{of[2]:02}",
    Period.WEEKLY: lambda of: f"week {of[0]}-W{of[1]:02}",
    Period.MONTHLY: lambda of: f"{of[0]}-{of[1]:02}",
    Period.YEARLY: lambda of: f"{of[0]}",
}
