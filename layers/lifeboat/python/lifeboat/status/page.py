"""Pages of a long answer. The field `next` says after what the following page begins, so nothing is stored.

A page of instances goes by their ids, a page of recovery points from the newest to the oldest. What is added or deleted
between two pages is listed or not, and never moves anything else from one page to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso, read_time

MOST = 500
"""The most instances or recovery points of one page."""

USUAL = 100
"""How many a page has if the request does not say."""

VOLUMES = 2_000
"""A page of instances ends with the one that takes it to so many data volumes, so that the answer stays below Lambda's
6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

INSTANCE_ID = re.compile(r"(?:[0-9]{12}/){0,4}i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
"""The id of an instance that was backed up. In a vault, its account precedes it."""

_AFTER_INSTANCE = re.compile(rf"after:({INSTANCE_ID.pattern})")
_AFTER_TAG = re.compile(r"after:~((?:[0-9a-f]{2}){0,1024})")
_BEFORE_POINT = re.compile(r"before:([0-9TZ:-]{20})/(snap-(?:[0-9a-f]{8}|[0-9a-f]{17}))")


@dataclass(frozen=True, slots=True)
class AfterInstance:
    """The page begins after the instance of this id. It may come from a tag, and is then anything."""

    instance_id: str

    def __str__(self) -> str:
        if INSTANCE_ID.fullmatch(self.instance_id):
            return f"after:{self.instance_id}"
        return f"after:~{self.instance_id.encode().hex()}"


@dataclass(frozen=True, slots=True)
class BeforePoint:
    """The page begins with what is older than the recovery point that has this snapshot. Its own id is a tag."""

    taken_at: datetime
    snapshot_id: str

    def __str__(self) -> str:
        return f"before:{iso(self.taken_at)}/{self.snapshot_id}"


type Position = AfterInstance | BeforePoint


def read_position(text: str) -> Position | None:
    """The position that `next` of an answer says. None for any other text."""
    if found := _AFTER_INSTANCE.fullmatch(text):
        return AfterInstance(found[1])
    if found := _AFTER_TAG.fullmatch(text):
        try:
            return AfterInstance(bytes.fromhex(found[1]).decode())
        except UnicodeDecodeError:
            return None
    found = _BEFORE_POINT.fullmatch(text)
    taken_at = read_time(found[1]) if found else None
    return BeforePoint(taken_at, found[2]) if found and taken_at else None


def page_of_instances(
    volumes: Iterable[tuple[str, int]], after: AfterInstance | None, limit: int
) -> tuple[tuple[str, ...], AfterInstance | None]:
    """The instances of a page, and where the next page begins. `volumes` has each instance with its data volumes."""
    rest = sorted(item for item in volumes if after is None or item[0] > after.instance_id)
    page: list[str] = []
    room = VOLUMES
    for instance_id, number in rest[:limit]:
        if page and number > room:
            break
        page.append(instance_id)
        room -= number
    return tuple(page), AfterInstance(page[-1]) if len(page) < len(rest) else None


def page_of_points(
    points: Iterable[RecoveryPoint], before: BeforePoint | None, limit: int
) -> tuple[Sequence[RecoveryPoint], BeforePoint | None]:
    """The recovery points of a page, the newest first, and where the next page begins."""
    start = (before.taken_at, before.snapshot_id) if before else None
    rest = sorted((point for point in points if start is None or _order(point) < start), key=_order, reverse=True)
    page = rest[:limit]
    return page, BeforePoint(*_order(page[-1])) if len(page) < len(rest) else None


def _order(point: RecoveryPoint) -> tuple[datetime, str]:
    """EC2's times have milliseconds, `next` has seconds."""
    return point.taken_at.replace(microsecond=0), min(member.snapshot.id for member in point.members)
