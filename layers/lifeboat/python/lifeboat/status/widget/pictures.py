"""Pictures of recovery points: the age that the newest one had, as a line, and what retention keeps, as a calendar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from lifeboat.domain.text import read_time
from lifeboat.status.widget.markup import Html, duration, element, join, table

WIDTH, HEIGHT = 90, 18
WEEKS = 20
"""How many weeks the calendar has at most, the newest first."""

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def sparkline(ages: Sequence[int]) -> Html:
    """How old the newest recovery point was at each moment: it grows until the next one, and then begins at zero.

    `ages` are seconds, the newest first. A high tooth is a gap in the backups, and the last one is still growing.
    """
    if not ages or ages[-1] <= 0:
        return Html("")
    taken = [*reversed(ages), 0]
    gaps = [before - after for before, after in pairwise(taken)]
    longest = max(gaps) or 1
    path = f"M0 {HEIGHT - 1}"
    for gap, at in zip(gaps, taken[1:], strict=True):
        x = round(WIDTH * (ages[-1] - at) / ages[-1])
        path += f"L{x} {HEIGHT - 1 - round((HEIGHT - 3) * gap / longest)}V{HEIGHT - 1}"
    points = "1 recovery point" if len(ages) == 1 else f"{len(ages)} recovery points"
    said = f"{points} in {duration(ages[-1])}, the longest gap {duration(longest)}"
    return Html(
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f'<path d="{path}"></path></svg>'
    )


def calendar(points: Sequence[Mapping[str, Any]], going: Mapping[str, str]) -> Html:
    """The days with recovery points, by weeks. `going` says when retention deletes a recovery point, by its id."""
    days: dict[date, list[datetime | None]] = defaultdict(list)
    for point in points:
        if taken_at := read_time(point["taken_at"]):
            days[taken_at.date()].append(read_time(going.get(point["id"], "")))
    mondays = sorted({day - timedelta(days=day.weekday()) for day in days}, reverse=True)
    rows = [
        [f"{monday:%d %b %Y}", *(_day(days.get(monday + timedelta(days=number), [])) for number in range(7))]
        for monday in mondays[:WEEKS]
    ]
    left = len(mondays) - len(rows)
    caption = "What retention keeps: the recovery points of each day, in UTC, and when they go" + (
        f". {left} older weeks are not shown" if left > 0 else ""
    )
    return table(caption, ["Week of", *_DAYS], rows)


def _day(found: Sequence[datetime | None]) -> Html:
    if not found:
        return element("span", "-", {"class": "faint"})
    leaving = sorted(at for at in found if at)
    stay = len(found) - len(leaving)
    parts = [element("span", f"{stay} kept", {"class": "good"})] if stay else []
    if leaving:
        until = f"{leaving[0]:%d %b}" + (f" to {leaving[-1]:%d %b}" if leaving[-1].date() != leaving[0].date() else "")
        parts.append(element("span", f"{len(leaving)} until {until}"))
    return join(parts, ", ")
