"""Overdue backups: the age of each protected volume's newest good recovery point, and which are too old.

The age counts from when the recovery point was *taken*, not from when EC2 completed it: losing the volume now loses
what was written since then. A volume without a good recovery point counts from when it was first observed as protected.

"Too old" follows the slots and not a fixed period, so the weekend of a weekdays-only schedule raises no alarm. The
expected slot is the newest one whose own run (`grace`) and one catch-up (`CATCH_UP_EVERY`) have had their time. A
volume is overdue if it was protected before the expected slot and has no good recovery point of that slot or later. A
pending recovery point suppresses the alert for `PENDING_ACCEPTED`: EC2 may need hours for a first snapshot.
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
"""The interval of the catch-up (template.yaml). The first one after the grace takes what the slot's run missed."""

PENDING_ACCEPTED = timedelta(days=1)
"""How long a pending recovery point suppresses the alert."""

SLOT_WINDOWS = 16
"""How many slots one run goes back for all instances together, when many have no recent recovery point."""

INSTANCES_QUERIED = 2_000
"""For how many instances one run queries all recovery points at most. The next run queries others."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A data volume of a selected instance. `volume_id` is empty if the instance has no data volume.

    `since` is when the instance was first observed as selected, or the volume was attached, whichever is later.
    """

    instance_id: str
    volume_id: str
    since: datetime

    @property
    def key(self) -> Key:
        return self.instance_id, self.volume_id


type Key = tuple[str, str]
"""An instance and one of its volumes; an empty volume id stands for the instance as a whole."""


@dataclass(frozen=True, slots=True)
class LastGood:
    """The newest good recovery point of an instance or a volume. `name` is the Name of the instance then."""

    recovery_point_id: str
    slot: datetime
    taken_at: datetime
    name: str = ""


@dataclass(frozen=True, slots=True)
class Age:
    """The age of a protected volume's newest good recovery point; without one, how long it has had none."""

    of: Protected
    newest: LastGood | None
    age: timedelta

    @property
    def until(self) -> datetime:
        """Slots up to this time are covered. An instance that is selected again needs none of the time between."""
        return self.of.since if self.newest is None else max(self.newest.slot, self.of.since)


@dataclass(frozen=True, slots=True)
class Overdue:
    """An instance with overdue `volumes`. `oldest` is the one covered for the shortest; `expected` the missed slot."""

    instance_id: str
    expected: datetime
    oldest: Age
    volumes: tuple[Age, ...]

    @property
    def episode(self) -> str:
        """Deduplication key of one overdue episode: it changes with the next good recovery point."""
        return f"{self.instance_id}/{self.oldest.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def protected(instance: Instance, since: datetime) -> tuple[Protected, ...]:
    """The volumes to protect of an instance that has been selected since `since`."""
    data = data_attachments(instance)
    if not data:
        return (Protected(instance.id, "", since),)
    return tuple(
        Protected(instance.id, item.volume_id, max(since, item.attached_at) if item.attached_at else since)
        for item in data
    )


def expected_slot(schedule: Schedule, *, now: datetime, grace: timedelta) -> datetime | None:
    """The newest slot whose run and catch-up have had their time; None before the first.

    None also for a rate without `start`. That is a slot that has fired, not the first one: slots before it count, too.
    """
    return _newest_slot(schedule, now - grace - CATCH_UP_EVERY - timedelta(seconds=1))


def slot_windows(schedule: Schedule, expected: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The periods from slot to slot before `expected`, newest first."""
    for _ in range(SLOT_WINDOWS):
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
            good = LastGood(point.id, point.slot, point.taken_at, point.instance_name)
            for key in _keys(point):
                if key not in found or found[key].taken_at < good.taken_at:
                    found[key] = good
    return found


def in_progress(points: Iterable[RecoveryPoint], now: datetime) -> frozenset[Key]:
    """The instances and volumes with a pending recovery point that is younger than PENDING_ACCEPTED."""
    return frozenset(
        key
        for point in points
        if point.condition is Condition.PENDING and now - point.taken_at < PENDING_ACCEPTED
        for key in _keys(point)
    )


def _keys(point: RecoveryPoint) -> Iterator[Key]:
    yield point.instance_id, ""
    for member in point.members:
        yield point.instance_id, member.metadata.volume_id


def protected_before(volumes: Iterable[Protected], expected: datetime) -> tuple[Protected, ...]:
    """The volumes that were protected before the expected slot."""
    return tuple(item for item in volumes if item.since < expected)


def uncovered(volumes: Iterable[Protected], good: Collection[Key]) -> tuple[str, ...]:
    """The instances with a volume that is not in `good`, the volumes with a good recovery point."""
    return tuple(sorted({item.instance_id for item in volumes if item.key not in good}))


def next_queried(instance_ids: Sequence[str], now: datetime) -> tuple[str, ...]:
    """The instances that this run queries, so that consecutive runs together query all of them.

    Each run repeats the second half of the previous one, which may have had no time for it.
    """
    number = int(now.timestamp() / CATCH_UP_EVERY.total_seconds())
    start = number * (INSTANCES_QUERIED // 2) % max(len(instance_ids), 1)
    return (*instance_ids[start:], *instance_ids[:start])[:INSTANCES_QUERIED]


def ages(volumes: Iterable[Protected], good: Mapping[Key, LastGood], now: datetime) -> tuple[Age, ...]:
    """The age of each volume, the oldest first."""
    found = [
        Age(item, newest, now - (item.since if newest is None else newest.taken_at))
        for item in volumes
        for newest in (good.get(item.key),)
    ]
    return tuple(sorted(found, key=lambda item: (-item.age, item.of.key)))


def overdue(found: Iterable[Age], *, expected: datetime, pending: Collection[Key]) -> tuple[Overdue, ...]:
    """The overdue instances, the oldest first. `pending` are those `in_progress` since `expected`."""
    late: dict[str, list[Age]] = {}
    for item in found:
        if item.until < expected and item.of.key not in pending:
            late.setdefault(item.of.instance_id, []).append(item)
    return tuple(
        Overdue(instance_id, expected, min(volumes, key=lambda item: item.until), tuple(volumes))
        for instance_id, volumes in late.items()
    )


def slot_patterns(first: datetime, last: datetime) -> tuple[str, ...]:
    """Wildcard patterns of the tag `lifeboat:slot` that match all slots from `first` to `last` (aware).

    They match whole hours, days, months and years, so there are few patterns and few other matches.
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
