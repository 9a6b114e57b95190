"""A retention plan as a calendar: one sheet for each chain, a line for each month, a character for each day.

The same sheets as plain text, for a terminal or an e-mail, and as markdown. What each recovery point was judged for
stands below its sheet for those that stay; of those that go the plan itself has the reasons.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from lifeboat.retention.plan import RetentionPlan, Verdict

LEGEND = "1-9: so many stay (+: more than nine)   x: all of the day go   .: none was taken"

_DAYS = range(1, 32)


@dataclass(slots=True)
class _Sheet:
    """One chain's verdicts, oldest first, each with its time on the policy's wall clock."""

    lineage: str
    verdicts: list[tuple[datetime, Verdict]] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"Chain {self.lineage}" if self.lineage else "Of no known chain"

    @property
    def summary(self) -> str:
        staying = sum(verdict.keep for _, verdict in self.verdicts)
        return f"{len(self.verdicts)} recovery points: {staying} stay, {len(self.verdicts) - staying} go."

    def grid(self) -> Iterator[str]:
        """The days of the month as two lines, then one line for each month that has a recovery point."""
        yield " " * 9 + "".join(str(day // 10) if day % 10 == 0 else " " for day in _DAYS).rstrip()
        yield " " * 9 + "".join(str(day % 10) for day in _DAYS)
        days: dict[date, tuple[int, int]] = {}
        for wall, verdict in self.verdicts:
            staying, all_of_it = days.get(wall.date(), (0, 0))
            days[wall.date()] = (staying + verdict.keep, all_of_it + 1)
        for year, month in dict.fromkeys((day.year, day.month) for day in days):
            last = monthrange(year, month)[1]
            marks = (_mark(*days.get(date(year, month, day), (0, 0))) for day in range(1, last + 1))
            yield f"{year:04}-{month:02}  {''.join(marks)}"

    def staying(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """When each one that stays was taken, and its reasons, newest first."""
        for wall, verdict in reversed(self.verdicts):
            if verdict.keep:
                yield f"{wall:%Y-%m-%d %H:%M}", verdict.reasons


def render_text(plan: RetentionPlan, time_zone: str = "UTC") -> str:
    """The calendar as plain text. `time_zone` is the policy's (IANA name)."""
    lines = [*plan.notices, *([""] if plan.notices else []), LEGEND, f"Days and times of {time_zone}."]
    for sheet in _sheets(plan, time_zone):
        lines += ["", sheet.title, sheet.summary, *sheet.grid()]
        lines += [f"  {taken}  {'; '.join(reasons)}" for taken, reasons in sheet.staying()]
    return "\n".join(lines) + "\n"


def render_markdown(plan: RetentionPlan, time_zone: str = "UTC") -> str:
    """The calendar as markdown. `time_zone` is the policy's (IANA name)."""
    lines = [*(f"* {notice}" for notice in plan.notices), *([""] if plan.notices else [])]
    lines += [f"`{LEGEND}`", "", f"Days and times of {time_zone}."]
    for sheet in _sheets(plan, time_zone):
        lines += ["", f"#### {sheet.title}", "", sheet.summary, "", "```text", *sheet.grid(), "```"]
        rows = [f"| {taken} | {'<br>'.join(map(_cell, reasons))} |" for taken, reasons in sheet.staying()]
        if rows:
            lines += ["", "| stays | because |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _sheets(plan: RetentionPlan, time_zone: str) -> list[_Sheet]:
    zone = ZoneInfo(time_zone)
    sheets: dict[str, _Sheet] = {}
    for verdict in plan.verdicts:
        wall = verdict.point.taken_at.astimezone(zone)
        for lineage in verdict.point.lineages or ("",):
            sheets.setdefault(lineage, _Sheet(lineage)).verdicts.append((wall, verdict))
    return [sheets[lineage] for lineage in sorted(sheets)]


def _mark(staying: int, all_of_it: int) -> str:
    if not all_of_it:
        return "."
    if not staying:
        return "x"
    return str(staying) if staying <= 9 else "+"


def _cell(reason: str) -> str:
    return reason.replace("|", "\\|")
