"""What show_status observes: instances by their tag, pages of snapshots, and the table. Nothing is asked one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import batched

from lifeboat.aws import clock, ec2_describe, ec2_instances, ec2_snapshots, ec2_volumes, queue, sharing, topic
from lifeboat.aws.errors import AwsError, translated
from lifeboat.aws.invocation import Invocation
from lifeboat.backup import selected_store as selected
from lifeboat.backup.cron import ScheduleError
from lifeboat.backup.overdue import expected_slot, slot_patterns
from lifeboat.backup.schedule import Schedule, next_slot
from lifeboat.backup.selection import ENDED_STATES
from lifeboat.copies import store as copies
from lifeboat.copies.record import CopyRecord
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Instance, Volume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore
from lifeboat.retention import store as retention
from lifeboat.retention.limits import limits_of
from lifeboat.retention.record import RetentionRun
from lifeboat.status.forecast import Rules
from lifeboat.status.places import Places, good_copies
from lifeboat.status.protection import Digest, Selected, lineage_of, select

HELD = 20_000
"""How many snapshots are held in memory at once, some 55 MB."""

WHOLE_INSTANCES = 500
"""Up to this many protected instances all recovery points are read, if they are no more than HELD snapshots."""

ONE_PART = 10_000
"""With more protected volumes, the snapshots of the last slots are read in parts."""

FAILED = 50
"""Of how many failed verifications it is observed whether a later recovery point is proven."""

RECENT = timedelta(days=7)
"""For how long the status of the stack shows what is to be done after a restore."""

ENDED_RESTORES = 10
"""How many ended restores are read, each by its id."""

ELSEWHERE = 20_000
"""How many copies are read in another region at most: those of one page's recovery points are fewer."""


@dataclass(slots=True)
class Observer:
    """One observation. `unread` says in AWS's words what it did not show."""

    invocation: Invocation
    now: datetime = field(init=False)
    unread: list[str] = field(default_factory=list)
    schedule: Schedule = field(init=False)
    expected: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        self.now = clock.now()
        config = self.invocation.config
        with translated():
            self.schedule = selected.schedule_of(config)
        self.expected = expected_slot(self.schedule, now=self.now, grace=config.catch_up_grace)

    def digest(self) -> Digest:
        """A digest of no recovery points yet."""
        return Digest(self.now, self.expected)

    def slots_to_come(self, number: int) -> tuple[datetime, ...]:
        """So many of the next slots; none of a rate that has not fired yet."""
        found: list[datetime] = []
        with suppress(ScheduleError):
            while len(found) < number and (following := next_slot(self.schedule, found[-1] if found else self.now)):
                found.append(following)
        return tuple(found)

    def rules(self) -> Callable[[str | None], Rules]:
        """The terms of retention of an instance with this policy of its own. Raises AwsError."""
        config = self.invocation.config
        with translated():
            known = retention.remembered_terms(config.table)
        terms = config.time_zone, limits_of(config), known, config.retention_hold
        return lambda own_policy: Rules(config.stack, config.retention, own_policy, *terms)

    def runs(self) -> tuple[RetentionRun, ...]:
        """The last runs of retention, the newest first. Raises AwsError."""
        with translated():
            return retention.last_runs(self.invocation.config.table)

    # --- instances

    def protected(self, found: Iterable[Instance]) -> dict[str, Selected]:
        """Those of the instances that are protected, by id. Raises AwsError."""
        with translated():
            since = selected.selected_since(self.invocation.config.table)
        selects = self.invocation.config.selector.selects
        return {
            item.id: select(item, since.get(item.id, self.now))
            for item in found
            if selects(item) and item.state not in ENDED_STATES
        }

    def all_protected(self) -> dict[str, Selected]:
        """Every protected instance. Raises AwsError."""
        selector = self.invocation.config.selector
        return self.protected(ec2_instances.each_instance_with_tag(selector.tag_key, selector.tag_value))

    # --- recovery points

    def everything(self) -> tuple[RecoveryPoint, ...] | None:
        """All recovery points of this stack; None if they are more than HELD snapshots. Raises AwsError."""
        try:
            return self._tagged({}, HELD)
        except ec2_describe.TooMany:
            return None

    def recent(self, volumes: int) -> Iterator[tuple[RecoveryPoint, ...]]:
        """The recovery points of the expected slot and later, of so many volumes, in parts. Raises AwsError."""
        if self.expected is None:
            return
        slots = {f"tag:{Tag.SLOT}": slot_patterns(self.expected, self.now + timedelta(minutes=1))}
        try:
            if volumes <= ONE_PART:
                yield self._filtered(slots, HELD)
                return
        except ec2_describe.TooMany:
            pass
        for character in ec2_describe.LAST_CHARACTERS:
            yield self._filtered({**slots, f"tag:{Tag.INSTANCE}": [f"*{character}"]}, None)

    def of_instance(self, instance_id: str) -> tuple[RecoveryPoint, ...]:
        """All recovery points of an instance. Raises AwsError."""
        return self._tagged({Tag.INSTANCE: [instance_id]}, None)

    def of_name(self, name: str) -> tuple[RecoveryPoint, ...] | None:
        """All recovery points of instances of this Name; None if they are more than HELD snapshots. Raises AwsError."""
        try:
            return self._tagged({Tag.INSTANCE_NAME: [name]}, HELD)
        except ec2_describe.TooMany:
            return None

    def of(self, tag: Tag, values: Iterable[str]) -> Iterator[tuple[RecoveryPoint, ...]]:
        """All recovery points with one of these values in a tag, in parts of at most HELD snapshots if possible.

        Raises AwsError.
        """
        for some in batched(sorted(set(values)), ec2_describe.IDS_PER_CALL, strict=False):
            yield from self._halved(tag, some)

    def _halved(self, tag: Tag, values: Sequence[str]) -> Iterator[tuple[RecoveryPoint, ...]]:
        try:
            yield self._tagged({tag: values}, HELD if len(values) > 1 else None)
            return
        except ec2_describe.TooMany:
            pass
        middle = len(values) // 2
        yield from self._halved(tag, values[:middle])
        yield from self._halved(tag, values[middle:])

    def _tagged(self, tags: Mapping[str, Sequence[str]], most: int | None) -> tuple[RecoveryPoint, ...]:
        filters = ec2_describe.tag_filters(tags)
        return self._filtered(filters, most)

    def _filtered(self, filters: Mapping[str, Sequence[str]], most: int | None) -> tuple[RecoveryPoint, ...]:
        stack = self.invocation.config.stack
        return read_catalogue(ec2_snapshots.recovery_point_snapshots_of(stack, filters, most=most)).points

    def of_instances(self, instances: Sequence[Selected], volumes: Mapping[str, Volume]) -> Digest:
        """What all recovery points of these instances and of their volumes' lineages say. Raises AwsError.

        A restored volume continues a lineage whose older recovery points are of another instance.
        """
        digest = self.digest()
        ids = {item.id for item in instances}
        for points in self.of(Tag.INSTANCE, ids):
            digest.add(points)
        lineages = {lineage_of(volume_id, volumes) for item in instances for volume_id in item.devices}
        own = {volume_id for item in instances for volume_id in item.devices}
        for points in self.of(Tag.LINEAGE, lineages - own):
            digest.add(point for point in points if point.instance_id not in ids)
        return digest

    def suspects(self) -> tuple[RecoveryPoint, ...]:
        """This stack's recovery points with an open suspicion."""
        stack = self.invocation.config.stack
        found = self.tried("the suspicions", ec2_snapshots.suspect_snapshots) or ()
        return tuple(point for point in read_catalogue(found).points if point.suspected and point.stack == stack)

    def failed(self) -> tuple[RecoveryPoint, ...]:
        """The newest FAILED recovery points of which the last verification of a snapshot has failed."""
        wanted = {f"tag:{Tag.VERIFIED}": ["result=failed*"]}
        found = self.tried("the failed verifications", partial(self._filtered, wanted, HELD)) or ()
        return found[-FAILED:]

    # --- beside them

    def ended_restores(self, volumes: Iterable[Volume]) -> tuple[Restore, ...]:
        """The restores that made these volumes and have ended, the newest first. Raises AwsError."""
        return self._ended(sorted({volume.tags[Tag.RESTORE] for volume in volumes if Tag.RESTORE in volume.tags}))

    def recent_restores(self) -> tuple[Restore, ...]:
        """The restores of the last days that have ended and whose volumes exist, the newest first."""
        since = self.now - RECENT
        ids = self.tried("the volumes of restores", partial(ec2_volumes.restores_with_volumes, since)) or ()
        return self._ended(ids)

    def _ended(self, ids: Sequence[str]) -> tuple[Restore, ...]:
        with translated():
            loaded = [restores.load_restore(self.invocation.config.table, item) for item in ids[:ENDED_RESTORES]]
        found = [item for item in loaded if item and item.closed]
        return tuple(sorted(found, key=lambda item: item.started_at, reverse=True))

    def volumes(self, instances: Iterable[Selected]) -> dict[str, Volume]:
        """The data volumes of these instances, by id. Raises AwsError."""
        return ec2_volumes.volumes(volume_id for item in instances for volume_id in item.devices)

    def copying(self) -> dict[str, dict[str, CopyRecord]]:
        """What is still to be copied to each region, or was given up, by the recovery point's id. Raises AwsError."""
        table = self.invocation.config.table
        with translated():
            return {
                item.region: copies.unfinished_records(table, item.region) for item in self.invocation.config.copy_to
            }

    def places(self, points: Iterable[RecoveryPoint], copying: Mapping[str, Mapping[str, CopyRecord]]) -> Places:
        """Where else these recovery points are. What AWS does not show is None, with the reason in `unread`."""
        config = self.invocation.config
        ids = sorted({member.snapshot.id for point in points for member in point.members})
        vault = config.vault_account
        locked = self.tried("the locks", partial(ec2_snapshots.locked_among, ids))
        shared = partial(sharing.shared_with, vault, config.stack, ids)
        copied = {
            item.region: self.tried(f"the copies in {item.region}", partial(self._copies, item.region, ids))
            for item in config.copy_to
        }
        return Places(
            locked=locked,
            shared=self.tried("what is shared with the vault", shared) if vault and ids else None,
            copied=copied,
            copying=copying,
        )

    def _copies(self, region: str, ids: Sequence[str]) -> frozenset[tuple[str, str]]:
        if not ids:
            return frozenset()
        stack = self.invocation.config.stack
        found = ec2_snapshots.recovery_point_snapshots_elsewhere(region, stack, {Tag.COPY_OF: ids}, most=ELSEWHERE)
        return good_copies(read_catalogue(found).points)

    def unconfirmed(self) -> int | None:
        """How many subscriptions of the topic were not confirmed; None: SNS did not say."""
        arns = self.invocation.config.topics_read
        return self.tried("the subscriptions of the topic", lambda: sum(map(topic.unconfirmed, arns)))

    def failed_events(self) -> int | None:
        """How many events have failed for good; None: SQS did not say."""
        url = self.invocation.config.failed_events
        return self.tried("the queue FailedEvents", lambda: queue.waiting(url)) if url else None

    def tried[Value](self, what: str, read: Callable[[], Value]) -> Value | None:
        """What a read answers; None if AWS refused it, with its words in `unread`."""
        try:
            return read()
        except AwsError as problem:
            self.unread.append(f"AWS did not show {what}: {problem}")
        except ec2_describe.TooMany:
            self.unread.append(f"{what} are too many to be read at once")
        return None
