"""A retention plan as a calendar: one sheet for each lineage, a line for each month, a character for each day.

Below its calendar each sheet lists the kept recovery points with the reasons. The plan has the reasons for the deleted
ones.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from lifeboat.retention.plan import RetentionPlan, Verdict

LEGEND = "1-9: number kept (+: more than nine)   x: all of the day deleted   .: none taken"

_DAYS = range(1, 32)


@dataclass(slots=True)
class _Sheet:
    """The verdicts of one lineage, oldest first, each with its time on the policy's wall clock."""

    lineage: str
    verdicts: list[tuple[datetime, Verdict]] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"Lineage {self.lineage}" if self.lineage else "Without a known lineage"

    @property
    def summary(self) -> str:
        kept = sum(verdict.keep for _, verdict in self.verdicts)
        return f"{len(self.verdicts)} recovery points: {kept} kept, {len(self.verdicts) - kept} deleted."

    def grid(self) -> Iterator[str]:
        """The days of the month as two lines, then one line for each month that has a recovery point."""
        yield " " * 9 + "".join(str(day // 10) if day % 10 == 0 else " " for day in _DAYS).rstrip()
        yield " " * 9 + "".join(str(day % 10) for day in _DAYS)
        days: dict[date, tuple[int, int]] = {}
        for wall, verdict in self.verdicts:
            kept, taken = days.get(wall.date(), (0, 0))
            days[wall.date()] = (kept + verdict.keep, taken + 1)
        for year, month in dict.fromkeys((day.year, day.month) for day in days):
            last = monthrange(year, month)[1]
            marks = (_mark(*days.get(date(year, month, day), (0, 0))) for day in range(1, last + 1))
            yield f"{year:04}-{month:02}  {''.join(marks)}"

    def kept(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """For each kept recovery point, newest first: when it was taken, and the reasons."""
        for wall, verdict in reversed(self.verdicts):
            if verdict.keep:
                yield f"{wall:%Y-%m-%d %H:%M}", verdict.reasons


def render_text(plan: RetentionPlan, time_zone: str = "UTC") -> str:
    """The calendar as plain text. `time_zone` is the policy's (IANA name)."""
    lines = [*plan.notices, *([""] if plan.notices else []), LEGEND, f"Days and times in {time_zone}."]
    for sheet in _sheets(plan, time_zone):
        lines += ["", sheet.title, sheet.summary, *sheet.grid()]
        lines += [f"  {taken}  {'; '.join(reasons)}" for taken, reasons in sheet.kept()]
    return "\n".join(lines) + "\n"


def _sheets(plan: RetentionPlan, time_zone: str) -> list[_Sheet]:
    zone = ZoneInfo(time_zone)
    sheets: dict[str, _Sheet] = {}
    for verdict in plan.verdicts:
        wall = verdict.point.taken_at.astimezone(zone)
        for lineage in verdict.point.lineages or ("",):
            sheets.setdefault(lineage, _Sheet(lineage)).verdicts.append((wall, verdict))
    return [sheets[lineage] for lineage in sorted(sheets)]


def _mark(kept: int, taken: int) -> str:
    if not taken:
        return "."
    if not kept:
        return "x"
    return str(kept) if kept <= 9 else "+"
