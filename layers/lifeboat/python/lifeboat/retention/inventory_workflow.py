"""Observe all recovery points and plan retention for them: for the run, the preview and the adoption."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched

from lifeboat.aws import clock, ec2_describe, ec2_images, ec2_instances, ec2_snapshots, ec2_volumes
from lifeboat.aws.ec2_describe import LAST_CHARACTERS
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.catalogue import Catalogue, read_catalogue
from lifeboat.domain.config import Config
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point import Member, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import name_first
from lifeboat.restore import store as restores
from lifeboat.retention.limits import limits_of
from lifeboat.retention.plan import RetentionPlan, plan
from lifeboat.retention.policy import Policy, PolicyError, UnreadPolicyError, parse_policy
from lifeboat.retention.policy_change import Memory, Remembered

SNAPSHOTS_HELD = 20_000
"""How many snapshots are held in memory at once: with their plan some 55 MB."""


COPIES_NAMED = 5
"""How many snapshots a remark names; it counts the others."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The recovery points, and the other facts of a plan. `existing_volumes` is None where there is nothing to plan.

    `in_use` are the snapshots that a restore needs, each with the restore's id. `instance_ids` are the instances that
    exist. `unread` says why EC2 did not show this part. `part` is the last character of the instances' ids where the
    inventory is taken in parts, and `suspects` are then the suspected recovery points of all parts.
    """

    found: Catalogue
    overrides: Mapping[str, Policy | PolicyError]
    existing_volumes: Collection[str] | None
    in_use: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""
    instance_ids: frozenset[str] = frozenset()
    part: str = ""
    suspects: tuple[RecoveryPoint, ...] = ()

    def plan(
        self,
        config: Config,
        undeletable: Mapping[str, str] | None = None,
        known: Mapping[str, Remembered] | None = None,
    ) -> RetentionPlan:
        """The plan. `known` are the terms in force at the last run, None where they do not matter.

        `undeletable` are recovery points that this run could not delete, by id, each with the cause. The plan treats
        them as locked: they neither count as backups nor use up the limit of one run. So one that can never be deleted
        does not prevent the deletion of others.
        """
        undeletable = undeletable or {}
        return plan(
            [
                _blocked(point, undeletable[point.id]) if point.id in undeletable else point
                for point in self.found.points
            ],
            now=clock.now(),
            policy=_policy(config.retention, config.time_zone),
            overrides=self.overrides,
            limits=limits_of(config),
            stack=config.stack,
            existing_volumes=self.existing_volumes,
            in_use=self.in_use,
            suspects=self.suspects,
            # Recovery points that EC2 did not show still exist: their terms stay in the table.
            memory=None if known is None or self.unread else Memory(known, config.retention_hold, self.part),
        )

    def notices(self, decided: RetentionPlan) -> list[str]:
        unreadable = (f"{snapshot.id} is kept: {reason}" for snapshot, reason in self.found.unreadable)
        return [*decided.notices, *unreadable, *([self.unread] if self.unread else [])]

    def remarks(self) -> list[str]:
        """Facts for a message or an answer that is given anyway. They publish no message, as they may never change."""
        foreign = [snapshot.id for snapshot, _ in self.found.foreign]
        if not foreign:
            return []
        return [
            f"{name_first(foreign, COPIES_NAMED)}: copies that Lifeboat did not make, with its tags. They are neither "
            "counted nor deleted, because their dates are those of the copying."
        ]


def inventories(invocation: Invocation) -> Iterator[Inventory]:
    """All recovery points, observed once: in one part, or in several if they are more than SNAPSHOTS_HELD snapshots.

    A part has the recovery points of the instances whose ids end with the same character. The plan decides each lineage
    by itself. A lineage belongs to one instance, or to a few if its volume was moved: then each part of it has its own
    floor and cap, and more is kept. A snapshot without an instance tag is in no part, and is kept. So is a part that
    EC2 refuses to show: it is an empty inventory with the reason in `unread`.
    """
    blocks, in_use = _blocks(), restores.in_use(invocation.config.table)
    try:
        everything = ec2_snapshots.recovery_point_snapshots(most=SNAPSHOTS_HELD)
    except ec2_describe.TooMany:
        existing, suspects = ec2_volumes.all_volume_ids(), suspected_points()
        for character in LAST_CHARACTERS:
            try:
                part = ec2_snapshots.recovery_point_snapshots({f"tag:{Tag.INSTANCE}": [f"*{character}"]})
            except AwsError as problem:
                why = f"All recovery points of instances whose ids end with {character} are kept: EC2 did not show them"
                yield Inventory(read_catalogue(()), {}, None, unread=f"{why}: {problem}.")
                continue
            if part:
                yield replace(_inventory(part, blocks, in_use, invocation, existing), part=character, suspects=suspects)
    else:
        yield _inventory(everything, blocks, in_use, invocation, None)


def take_inventory(invocation: Invocation, adopted: Iterable[Snapshot] = ()) -> Inventory:
    """Observe all recovery points in one part. `adopted` are further snapshots that count as recovery points."""
    everything = (*ec2_snapshots.recovery_point_snapshots(), *adopted)
    return _inventory(everything, _blocks(), restores.in_use(invocation.config.table), invocation, None)


def suspected_points() -> tuple[RecoveryPoint, ...]:
    """The recovery points with an open suspicion, of all stacks, as EC2 shows them now. Raises AwsError."""
    return tuple(point for point in read_catalogue(ec2_snapshots.suspect_snapshots()).points if point.suspected)


type _Blocks = tuple[tuple[Collection[str], str], ...]


def _blocks() -> _Blocks:
    """The snapshots that must not be deleted: their ids, and the reason."""
    return (
        (ec2_snapshots.locked_snapshot_ids(), "locked"),
        (ec2_images.image_snapshot_ids(), "used by an image"),
        (ec2_snapshots.public_snapshot_ids(), "public"),
    )


def _inventory(
    snapshots: Iterable[Snapshot],
    blocks: _Blocks,
    in_use: Mapping[str, str],
    invocation: Invocation,
    existing_volumes: Collection[str] | None,
) -> Inventory:
    def marked(snapshot: Snapshot) -> Snapshot:
        reasons = [reason for ids, reason in blocks if snapshot.id in ids]
        if Tag.SHARED in snapshot.tags:
            reasons.append(f"shared, as its tag {Tag.SHARED} says")
        return replace(snapshot, blocked_by=tuple(reasons)) if reasons else snapshot

    found = read_catalogue(marked(item) for item in snapshots)
    instance_ids = sorted({point.instance_id for point in found.points if point.instance_id})
    overrides, there = _observe_instances(instance_ids, invocation)
    if found.points and existing_volumes is None:
        existing_volumes = ec2_volumes.all_volume_ids()
    return Inventory(found, overrides, existing_volumes, in_use, instance_ids=there)


def _observe_instances(
    instance_ids: Sequence[str], invocation: Invocation
) -> tuple[dict[str, Policy | PolicyError], frozenset[str]]:
    """The retention policies in the tags of these instances, and which of the instances exist.

    All recovery points of an instance that EC2 does not show are kept, because it may carry a policy.
    """
    overrides: dict[str, Policy | PolicyError] = {}
    there: set[str] = set()
    for some in batched(instance_ids, ec2_describe.IDS_PER_CALL, strict=False):
        try:
            found = ec2_instances.instances(some).values()
        except AwsError as problem:
            overrides |= dict.fromkeys(some, UnreadPolicyError(f"EC2 did not show the instance: {problem}"))
            continue
        there.update(instance.id for instance in found if instance.state != "terminated")
        overrides |= {
            instance.id: _policy(instance.tags[Tag.RETENTION], invocation.config.time_zone)
            for instance in found
            if Tag.RETENTION in instance.tags
        }
    return overrides, frozenset(there)


def _policy(text: str, time_zone: str) -> Policy | PolicyError:
    try:
        return parse_policy(text, time_zone)
    except PolicyError as problem:
        return problem


def _blocked(point: RecoveryPoint, cause: str) -> RecoveryPoint:
    first, *others = point.members
    marked = replace(first.snapshot, blocked_by=(*first.snapshot.blocked_by, f"deleting it was refused: {cause}"))
    return replace(point, members=(Member(marked, first.metadata), *others))
