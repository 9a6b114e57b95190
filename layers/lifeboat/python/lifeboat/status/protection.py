"""How the protected instances stand: against the schedule, and which recovery points each of their lineages has."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lifeboat.backup.overdue import Key, LastGood, Protected, in_progress, newest_good, protected
from lifeboat.domain.data_volumes import data_attachments, root_problem
from lifeboat.domain.ec2 import Instance, Volume
from lifeboat.domain.recovery_point import Condition, RecoveryPoint, newest_proven
from lifeboat.domain.tags import Tag

AGES = 14
"""Of how many good recovery points of a lineage the ages are shown."""


class Standing(StrEnum):
    """How an instance stands against the schedule."""

    ON_TIME = "on_time"  # each data volume has a good recovery point of the expected slot or later
    IN_PROGRESS = "in_progress"  # EC2 is making it
    NEW = "new"  # no slot has been due since the instance, or a volume, came under protection
    OVERDUE = "overdue"  # as BackupOverdue counts it
    NOT_PROTECTED = "not_protected"  # the instance is gone or not selected; its recovery points are there


@dataclass(frozen=True, slots=True)
class Selected:
    """An instance that is backed up, without what nobody asks for: there may be 10,000.

    `problem` says why it cannot be backed up, if so. `devices` are those of its data volumes. `since` is when it was
    first observed as selected. `retention` is its own policy, None without the tag.
    """

    id: str
    name: str
    state: str
    since: datetime
    volumes: tuple[Protected, ...]
    devices: Mapping[str, str]
    problem: str
    retention: str | None


def select(instance: Instance, since: datetime) -> Selected:
    """What the status needs of a selected instance."""
    data = data_attachments(instance)
    problem = root_problem(instance)
    return Selected(
        id=instance.id,
        name=instance.name,
        state=instance.state,
        since=since,
        volumes=protected(instance, since),
        devices={item.volume_id: item.device for item in data},
        problem=problem or ("" if data else f"{instance.id} has no data volume"),
        retention=instance.tags.get(Tag.RETENTION),
    )


@dataclass(slots=True)
class Kept:
    """Of the recovery points of one lineage, or of one instance: how many are good, and the newest of each kind.

    `proven` is the newest that was read back and is not suspect, `pending` the newest that is still being made, `last`
    the newest whatever its condition. `taken` has when the newest good ones were taken, oldest first.
    """

    good: int = 0
    newest: RecoveryPoint | None = None
    proven: RecoveryPoint | None = None
    pending: RecoveryPoint | None = None
    last: RecoveryPoint | None = None
    taken: list[datetime] = field(default_factory=list)

    def add(self, point: RecoveryPoint) -> None:
        self.last = _later(self.last, point)
        if point.condition is Condition.PENDING:
            self.pending = _later(self.pending, point)
        if point.condition is not Condition.GOOD:
            return
        self.good += 1
        insort(self.taken, point.taken_at)
        del self.taken[:-AGES]
        self.newest = _later(self.newest, point)
        self.proven = newest_proven([*([self.proven] if self.proven else []), point])


def _later(known: RecoveryPoint | None, point: RecoveryPoint) -> RecoveryPoint:
    return point if known is None or (known.taken_at, known.id) < (point.taken_at, point.id) else known


@dataclass(slots=True)
class Digest:
    """What many recovery points say, read part by part, without holding them all.

    `expected` is the newest slot whose run and catch-up have had their time. `good` has the newest good one of each
    instance and volume; `pending` and `not_good` are of that slot or later, the newest of each instance.
    """

    now: datetime
    expected: datetime | None
    good: dict[Key, LastGood] = field(default_factory=dict)
    pending: set[Key] = field(default_factory=set)
    not_good: dict[str, RecoveryPoint] = field(default_factory=dict)
    by_lineage: dict[str, Kept] = field(default_factory=dict)
    by_instance: dict[str, Kept] = field(default_factory=dict)

    def add(self, points: Iterable[RecoveryPoint], *, kept: bool = True) -> None:
        """Add recovery points, each once. Without `kept` only what the schedule asks for is remembered."""
        points = tuple(points)
        for key, last in newest_good(points).items():
            if key not in self.good or self.good[key].taken_at < last.taken_at:
                self.good[key] = last
        recent = [point for point in points if self.expected is None or point.slot >= self.expected]
        self.pending |= in_progress(recent, self.now)
        for point in recent:
            if point.condition is not Condition.GOOD:
                self.not_good[point.instance_id] = _later(self.not_good.get(point.instance_id), point)
        for point in points if kept else ():
            self.by_instance.setdefault(point.instance_id, Kept()).add(point)
            for lineage in point.lineages:
                self.by_lineage.setdefault(lineage, Kept()).add(point)


@dataclass(frozen=True, slots=True)
class LineageView:
    """One lineage of an instance: its volume, the device, and its recovery points."""

    lineage: str
    volume_id: str
    device: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance with its lineages. `since` is None, and `state` empty, for one that is not protected."""

    id: str
    name: str
    state: str
    standing: Standing
    since: datetime | None
    problem: str
    lineages: tuple[LineageView, ...]

    def named(self) -> Iterator[RecoveryPoint]:
        """The recovery points that the view shows in full: the newest ones and the newest proven ones."""
        for item in self.lineages:
            yield from (point for point in (item.kept.newest, item.kept.proven, item.kept.pending) if point)


def standing_of(instance: Selected, digest: Digest, late: Collection[str]) -> Standing:
    """How an instance stands; `late` are the overdue ones."""
    if instance.id in late:
        return Standing.OVERDUE
    uncovered = [item.key for item in instance.volumes if not _is_covered(item, digest)]
    if not uncovered:
        return Standing.ON_TIME
    return Standing.IN_PROGRESS if digest.pending.intersection(uncovered) else Standing.NEW


def _is_covered(volume: Protected, digest: Digest) -> bool:
    newest = digest.good.get(volume.key)
    return newest is not None and (digest.expected is None or newest.slot >= digest.expected)


def lineage_of(volume_id: str, volumes: Mapping[str, Volume]) -> str:
    """The lineage of an attached volume: of a restored one its tag says it."""
    volume = volumes.get(volume_id)
    return (volume.tags.get(Tag.LINEAGE) if volume else "") or volume_id


def view(instance: Selected, digest: Digest, volumes: Mapping[str, Volume], late: Collection[str]) -> InstanceView:
    """A protected instance. `volumes` are its data volumes as EC2 describes them."""
    lineages = ((lineage_of(item.volume_id, volumes), item.volume_id) for item in instance.volumes if item.volume_id)
    return InstanceView(
        id=instance.id,
        name=instance.name,
        state=instance.state,
        standing=standing_of(instance, digest, late),
        since=instance.since,
        problem=instance.problem,
        lineages=tuple(
            LineageView(name, volume_id, instance.devices[volume_id], digest.by_lineage.get(name, Kept()))
            for name, volume_id in lineages
        ),
    )


def view_unprotected(instance_id: str, digest: Digest) -> InstanceView:
    """An instance that is not protected, by its recovery points: its volumes as the newest of them records them."""
    kept = digest.by_instance[instance_id]
    newest = kept.newest or kept.last
    return InstanceView(
        id=instance_id,
        name=newest.instance_name if newest else "",
        state="",
        standing=Standing.NOT_PROTECTED,
        since=None,
        problem="",
        lineages=tuple(
            LineageView(item.lineage, item.volume_id, item.device, digest.by_lineage[item.lineage])
            for member in (newest.members if newest else ())
            for item in (member.metadata,)
        ),
    )


def unprotected(digest: Digest, protected_ids: Collection[str], lineages: Collection[str]) -> tuple[str, ...]:
    """The instances with good recovery points of data that no protected instance has, the newest recovery point first.

    After a restore onto a fresh instance the data is protected there; the old instance is then not listed.
    """
    found = [
        (kept.newest.taken_at, instance_id)
        for instance_id, kept in digest.by_instance.items()
        if kept.newest and instance_id not in protected_ids and not set(lineages).issuperset(kept.newest.lineages)
    ]
    return tuple(instance_id for _, instance_id in sorted(found, reverse=True))
