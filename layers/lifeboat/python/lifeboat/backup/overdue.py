"""Overdue: how old the newest good recovery point of each protected volume is, and for whom that is too old.

What would be lost if a volume were lost now is what was written since its newest good recovery point was *taken*, so
that is its age, however late EC2 finished it. Without one it counts from when the volume was first seen protected.

Too old is measured by slots, not by a fixed period, so that the weekend of a weekdays-only schedule is no alarm: the
newest slot that came due longer ago than its own run (`grace`) and one look of the catch-up (`CATCH_UP_EVERY`) take
must have a recovery point. A volume is overdue when it was protected before that slot and has neither a good recovery
point of that slot, or of a later time, nor one that EC2 is still making. A first snapshot may take EC2 hours; after
`STILL_MAKING` that is no excuse any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lifeboat.backup.schedule import Schedule, previous_slot
from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.recovery_point import Condition, RecoveryPoint

CATCH_UP_EVERY = timedelta(minutes=15)
"""The time between two looks of the catch-up (template.yaml): the one after the grace makes good what was missed."""

STILL_MAKING = timedelta(days=1)
"""How long a recovery point that is being made stands in for a good one."""

WINDOWS = 16
"""How many slots a look goes back, for all instances together, when many of them owe one."""

LOOKED_UP_AT_ONCE = 2_000
"""For how many instances one look asks EC2 for all their recovery points, at most; the next look takes others."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A data volume of a selected instance; `volume_id` is empty of an instance that shows none at all.

    `since` is from when the instance is known to be selected and the volume to be attached.
    """

    instance_id: str
    volume_id: str
    since: datetime

    @property
    def key(self) -> Key:
        return self.instance_id, self.volume_id


type Key = tuple[str, str]
"""An instance and a volume of it; or no volume: whatever the instance had."""


@dataclass(frozen=True, slots=True)
class LastGood:
    """The newest good recovery point of something."""

    recovery_point_id: str
    slot: datetime
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Age:
    """How old the newest good recovery point of a protected volume is; with no `newest`, for how long it has none."""

    of: Protected
    newest: LastGood | None
    age: timedelta

    @property
    def until(self) -> datetime:
        """Up to which slot nothing is owed. Selected anew, nothing is owed for the time between."""
        return self.of.since if self.newest is None else max(self.newest.slot, self.of.since)


@dataclass(frozen=True, slots=True)
class Overdue:
    """An instance with overdue `volumes`, of which the `oldest` one counts. `expected` is the slot that is missed."""

    instance_id: str
    expected: datetime
    oldest: Age
    volumes: tuple[Age, ...]

    @property
    def spell(self) -> str:
        """What stays the same until there is a newer good recovery point, so that it is told once until then."""
        return f"{self.instance_id}/{self.oldest.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def protected(instance: Instance, since: datetime) -> tuple[Protected, ...]:
    """What an instance that is selected `since` then has to protect."""
    data = data_attachments(instance)
    if not data:
        return (Protected(instance.id, "", since),)
    return tuple(
        Protected(instance.id, item.volume_id, max(since, item.attached_at) if item.attached_at else since)
        for item in data
    )


def expected_slot(schedule: Schedule, *, now: datetime, grace: timedelta) -> datetime | None:
    """The newest slot that has had its time; None before the first, and for a rate that is not known to have fired.

    The `start` of a schedule is a slot that has been seen to fire, not the first one: slots before it count, too.
    """
    return _newest_slot(schedule, now - grace - CATCH_UP_EVERY - timedelta(seconds=1))


def windows(schedule: Schedule, expected: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times from slot to slot before `expected`, newest first: in the first one most of a fleet has its last."""
    for _ in range(WINDOWS):
        last = expected - timedelta(seconds=1)
        before = _newest_slot(schedule, last)
        if before is None:
            return
        yield before, last
        expected = before


def _newest_slot(schedule: Schedule, at: datetime) -> datetime | None:
    if schedule.every is None:
        return previous_slot(schedule, at)
    if schedule.start is None:
        return None
    return schedule.start + (at - schedule.start) // schedule.every * schedule.every


def newest_good(points: Iterable[RecoveryPoint]) -> dict[Key, LastGood]:
    """The newest good recovery point of each instance and of each volume in it."""
    found: dict[Key, LastGood] = {}
    for point in points:
        if point.condition is Condition.GOOD:
            good = LastGood(point.id, point.slot, point.taken_at)
            for key in _keys(point):
                if key not in found or found[key].taken_at < good.taken_at:
                    found[key] = good
    return found


def being_made(points: Iterable[RecoveryPoint], now: datetime) -> frozenset[Key]:
    """Of whom EC2 is making a recovery point, and not for too long."""
    return frozenset(
        key
        for point in points
        if point.condition is Condition.PENDING and now - point.taken_at < STILL_MAKING
        for key in _keys(point)
    )


def _keys(point: RecoveryPoint) -> Iterator[Key]:
    yield point.instance_id, ""
    for member in point.members:
        yield point.instance_id, member.metadata.volume_id


def owing(volumes: Iterable[Protected], expected: datetime) -> tuple[Protected, ...]:
    """Those that were protected before the slot that is expected."""
    return tuple(item for item in volumes if item.since < expected)


def uncovered(volumes: Iterable[Protected], good: Collection[Key]) -> tuple[str, ...]:
    """The instances that have a volume without a good recovery point, `good` being those with one."""
    return tuple(sorted({item.instance_id for item in volumes if item.key not in good}))


def turn(instance_ids: Sequence[str], now: datetime) -> tuple[str, ...]:
    """Those of very many that this look asks EC2 about, so that some looks in a row ask about each of them.

    The second half of each turn is the first half of the next one: a look may have no time for all.
    """
    observations = int(now.timestamp() / CATCH_UP_EVERY.total_seconds())
    start = observations * (LOOKED_UP_AT_ONCE // 2) % max(len(instance_ids), 1)
    return (*instance_ids[start:], *instance_ids[:start])[:LOOKED_UP_AT_ONCE]


def ages(volumes: Iterable[Protected], good: Mapping[Key, LastGood], now: datetime) -> tuple[Age, ...]:
    """The age of each, the oldest first."""
    found = [
        Age(item, newest, now - (item.since if newest is None else newest.taken_at))
        for item in volumes
        for newest in (good.get(item.key),)
    ]
    return tuple(sorted(found, key=lambda item: (-item.age, item.of.key)))


def overdue(found: Iterable[Age], *, expected: datetime, making: Collection[Key]) -> tuple[Overdue, ...]:
    """The instances that are overdue, the oldest first. `making` are those in `being_made` since `expected`."""
    late: dict[str, list[Age]] = {}
    for item in found:
        if item.until < expected and item.of.key not in making:
            late.setdefault(item.of.instance_id, []).append(item)
    return tuple(
        Overdue(instance_id, expected, min(volumes, key=lambda item: item.until), tuple(volumes))
        for instance_id, volumes in late.items()
    )


def slot_patterns(first: datetime, last: datetime) -> tuple[str, ...]:
    """Beginnings of the tag `lifeboat:slot` that cover all slots from `first` to `last`, and as few others as few
    patterns allow: whole hours, days, months and years. All times are aware.
    """
    at = first.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    last = last.astimezone(UTC)
    found = []
    while at <= last:
        step = next((step for step in _STEPS if _begins(at, step) and _after(at, step) <= last), "hour")
        found.append(f"{at:{_STEPS[step]}}*")
        at = _after(at, step)
    return tuple(found)


_STEPS = {"year": "%Y-", "month": "%Y-%m-", "day": "%Y-%m-%dT", "hour": "%Y-%m-%dT%H:"}


def _begins(at: datetime, step: str) -> bool:
    return {
        "year": (at.month, at.day, at.hour) == (1, 1, 0),
        "month": (at.day, at.hour) == (1, 0),
        "day": at.hour == 0,
        "hour": True,
    }[step]


def _after(at: datetime, step: str) -> datetime:
    if step == "year":
        return at.replace(year=at.year + 1)
    if step == "month":
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return at + (timedelta(days=1) if step == "day" else timedelta(hours=1))
