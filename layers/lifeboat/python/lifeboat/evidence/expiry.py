"""What the lifecycle rules will make go, and when: counted page by page, in a tally that another invocation continues.

S3 adds the days of a rule to the creation of the object, or to when a version became noncurrent, and rounds up to the
next midnight UTC (https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lifeboat.domain.evidence import LifecycleRule, ObjectVersion

SOON = timedelta(days=30)
"""What goes within this time goes soon."""


@dataclass(frozen=True, slots=True)
class Going:
    """What one rule makes go: so many objects with `size` bytes, the first at `first_at`, and what of it goes soon.

    `noncurrent`: whether these are noncurrent versions. `at_most`: the rule narrows by tags, which a listing does not
    show, so that less may go.
    """

    rule: str
    noncurrent: bool = False
    at_most: bool = False
    objects: int = 0
    size: int = 0
    first_at: datetime | None = None
    soon_objects: int = 0
    soon_size: int = 0

    def plus(self, item: ObjectVersion, at: datetime, now: datetime) -> Going:
        soon = at - now <= SOON
        return replace(
            self,
            objects=self.objects + 1,
            size=self.size + item.size,
            first_at=min(at, self.first_at or at),
            soon_objects=self.soon_objects + soon,
            soon_size=self.soon_size + (item.size if soon else 0),
        )


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The last version of a page. The next page may begin with older versions of its key."""

    key: str
    modified_at: datetime
    noncurrent: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a listing has shown so far. Sizes are in bytes; `objects` are current ones, without delete markers."""

    versions: int = 0
    objects: int = 0
    size: int = 0
    archived: int = 0
    archived_size: int = 0
    noncurrent: int = 0
    noncurrent_size: int = 0
    going: tuple[Going, ...] = ()
    last: LastSeen | None = None

    @property
    def archived_percent(self) -> int:
        """The share of the current bytes that must be brought back before they can be read."""
        return round(100 * self.archived_size / self.size) if self.size else 0


def next_midnight(at: datetime) -> datetime:
    """The first midnight UTC after a time."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def begin_tally(rules: Iterable[LifecycleRule]) -> Tally:
    """An empty tally, with an entry for each rule that makes something go."""
    going: list[Going] = []
    for rule in rules:
        if rule.expires:
            going.append(Going(rule.id, at_most=bool(rule.tags)))
        if rule.removes_noncurrent:
            going.append(Going(rule.id, noncurrent=True, at_most=bool(rule.tags)))
    return Tally(going=tuple(going))


def add_page(tally: Tally, versions: Sequence[ObjectVersion], rules: Sequence[LifecycleRule], now: datetime) -> Tally:
    """The tally with the next page of the listing, whose keys are in order, each with its newest version first."""
    counted = _Count(tally, rules, now)
    for item in versions:
        counted.add(item)
    return counted.tally()


class _Count:
    """The tally while a page is counted."""

    def __init__(self, tally: Tally, rules: Sequence[LifecycleRule], now: datetime) -> None:
        self._before = tally
        self._now = now
        self._last = tally.last
        self._counts = dict.fromkeys(("objects", "archived", "noncurrent"), 0)
        self._sizes = dict.fromkeys(("objects", "archived", "noncurrent"), 0)
        self._versions = 0
        self._going = {(item.rule, item.noncurrent): item for item in tally.going}
        self._expiring = [rule for rule in rules if rule.expires]
        self._removing = [rule for rule in rules if rule.removes_noncurrent]

    def tally(self) -> Tally:
        before = self._before
        return replace(
            before,
            versions=before.versions + self._versions,
            objects=before.objects + self._counts["objects"],
            size=before.size + self._sizes["objects"],
            archived=before.archived + self._counts["archived"],
            archived_size=before.archived_size + self._sizes["archived"],
            noncurrent=before.noncurrent + self._counts["noncurrent"],
            noncurrent_size=before.noncurrent_size + self._sizes["noncurrent"],
            going=tuple(self._going.values()),
            last=self._last,
        )

    def add(self, item: ObjectVersion) -> None:
        self._versions += 1
        successor = self._last if self._last and self._last.key == item.key else None
        newer = successor.noncurrent if successor else 0
        self._last = LastSeen(item.key, item.last_modified, newer + (not item.is_latest))
        if item.delete_marker:
            return
        if item.is_latest:
            self._add_current(item)
        else:
            # Without the version that replaced it, the earliest time is the safe one to name.
            self._add_noncurrent(item, successor.modified_at if successor else item.last_modified, newer)

    def _count(self, kind: str, item: ObjectVersion) -> None:
        self._counts[kind] += 1
        self._sizes[kind] += item.size

    def _add_current(self, item: ObjectVersion) -> None:
        self._count("objects", item)
        if item.archived:
            self._count("archived", item)
        for rule in self._expiring:
            if rule.covers(item):
                days = rule.expires_days
                at = rule.expires_at or next_midnight(item.last_modified + timedelta(days=days or 0))
                self._goes(rule.id, False, item, at)

    def _add_noncurrent(self, item: ObjectVersion, since: datetime, newer: int) -> None:
        self._count("noncurrent", item)
        for rule in self._removing:
            if rule.covers(item) and newer >= rule.newer_noncurrent:
                self._goes(rule.id, True, item, next_midnight(since + timedelta(days=rule.noncurrent_days or 0)))

    def _goes(self, rule: str, noncurrent: bool, item: ObjectVersion, at: datetime) -> None:
        self._going[rule, noncurrent] = self._going[rule, noncurrent].plus(item, at, self._now)
