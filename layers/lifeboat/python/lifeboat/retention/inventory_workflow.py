"""What there is, and the retention plan for it: one look for the run, the preview and the adoption."""

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
from lifeboat.retention.limits import Limits
from lifeboat.retention.plan import RetentionPlan, plan
from lifeboat.retention.policy import Policy, PolicyError, UnreadPolicyError, parse_policy
from lifeboat.retention.policy_change import Memory, Remembered

SNAPSHOTS_HELD = 20_000
"""How many snapshots are held at once: with their plan some 55 MB of the function's memory."""


COPIES_NAMED = 5
"""How many of very many snapshots a remark names."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every recovery point, and what the plan needs beside them. `living_volumes` is None where nothing is planned.

    `in_use` are the snapshots that a restore needs, each with its id; `instance_ids` those of instances that exist.
    `part` is the last character of all instances' ids, of an inventory that is too large for one.
    """

    found: Catalogue
    overrides: Mapping[str, Policy | PolicyError]
    living_volumes: Collection[str] | None
    in_use: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""
    instance_ids: frozenset[str] = frozenset()
    part: str = ""

    def plan(
        self,
        config: Config,
        unwilling: Mapping[str, str] | None = None,
        known: Mapping[str, Remembered] | None = None,
    ) -> RetentionPlan:
        """The plan; `known` are the terms that were in force at the last look, None where they do not matter.

        `unwilling` are recovery points that could not be deleted just now, by id, each with the cause. Those are
        planned around as if they were locked: they neither count as backups nor use up what may go in one run, so that
        one that never goes does not keep the others from going.
        """
        unwilling = unwilling or {}
        return plan(
            [_blocked(point, unwilling[point.id]) if point.id in unwilling else point for point in self.found.points],
            now=clock.now(),
            policy=_policy(config.retention, config.time_zone),
            overrides=self.overrides,
            limits=Limits(
                min_keep=config.min_keep,
                max_delete_share=config.max_delete_share,
                grace=config.grace,
                orphan_keep=config.orphan_keep or None,
                failed_after=config.failed_after,
            ),
            stack=config.stack,
            living_volumes=self.living_volumes,
            in_use=self.in_use,
            # What was not shown has not gone: its terms stay remembered.
            memory=None if known is None or self.unread else Memory(known, config.retention_hold, self.part),
        )

    def notices(self, decided: RetentionPlan) -> list[str]:
        unreadable = (f"{snapshot.id} is kept: {reason}" for snapshot, reason in self.found.unreadable)
        return [*decided.notices, *unreadable, *([self.unread] if self.unread else [])]

    def remarks(self) -> list[str]:
        """What is worth a line where something is told anyway, and no message by itself: it may be so for ever."""
        foreign = [snapshot.id for snapshot, _ in self.found.foreign]
        if not foreign:
            return []
        return [
            f"{name_first(foreign, COPIES_NAMED)}: copies that others made, tags and all. They are neither "
            "counted nor deleted, because their dates are the copying's; whoever made them decides about them."
        ]


def inventories(invocation: Invocation) -> Iterator[Inventory]:
    """Everything there is, looked at once: in one part, or if that were too much to hold, in parts one after the other.

    A part is the recovery points of the instances whose ids end with the same character. Chains are planned one by one,
    and a chain is of one instance, or, after its volume was moved, of a few: then each part of it has its own floor and
    its own cap, and more stays. What has no instance in its tags is in no part, and stays. A part that EC2 refuses to
    show stays, too: it is an inventory of nothing, with the reason in `unseen`.
    """
    blocks, in_use = _blocks(), restores.in_use(invocation.config.table)
    try:
        everything = ec2_snapshots.recovery_point_snapshots(most=SNAPSHOTS_HELD)
    except ec2_describe.TooMany:
        living = ec2_volumes.all_volume_ids()
        for character in LAST_CHARACTERS:
            try:
                part = ec2_snapshots.recovery_point_snapshots({f"tag:{Tag.INSTANCE}": [f"*{character}"]})
            except AwsError as problem:
                why = f"All recovery points of instances whose ids end with {character} stay: EC2 did not show them"
                yield Inventory(read_catalogue(()), {}, None, unread=f"{why}: {problem}.")
                continue
            if part:
                yield replace(_inventory(part, blocks, in_use, invocation, living), part=character)
    else:
        yield _inventory(everything, blocks, in_use, invocation, None)


def take_inventory(invocation: Invocation, adopted: Iterable[Snapshot] = ()) -> Inventory:
    """Look at everything once, in one part; `adopted` are taken for recovery points beside."""
    everything = (*ec2_snapshots.recovery_point_snapshots(), *adopted)
    return _inventory(everything, _blocks(), restores.in_use(invocation.config.table), invocation, None)


type _Blocks = tuple[tuple[Collection[str], str], ...]


def _blocks() -> _Blocks:
    """What forbids to delete a snapshot: the ids, and the reason."""
    return (
        (ec2_snapshots.locked_snapshot_ids(), "locked"),
        (ec2_images.image_snapshot_ids(), "used by an image"),
        (ec2_snapshots.public_snapshot_ids(), "shared with everybody"),
    )


def _inventory(
    snapshots: Iterable[Snapshot],
    blocks: _Blocks,
    in_use: Mapping[str, str],
    invocation: Invocation,
    living_volumes: Collection[str] | None,
) -> Inventory:
    def marked(snapshot: Snapshot) -> Snapshot:
        reasons = [reason for ids, reason in blocks if snapshot.id in ids]
        if Tag.SHARED in snapshot.tags:
            reasons.append(f"shared, as its tag {Tag.SHARED} says")
        return replace(snapshot, blocked_by=tuple(reasons)) if reasons else snapshot

    found = read_catalogue(marked(item) for item in snapshots)
    instance_ids = sorted({point.instance_id for point in found.points if point.instance_id})
    overrides, there = _observe_instances(instance_ids, invocation)
    if found.points and living_volumes is None:
        living_volumes = ec2_volumes.all_volume_ids()
    return Inventory(found, overrides, living_volumes, in_use, instance_ids=there)


def _observe_instances(
    instance_ids: Sequence[str], invocation: Invocation
) -> tuple[dict[str, Policy | PolicyError], frozenset[str]]:
    """The policies that these instances carry, and those of them that exist.

    One that cannot be looked at keeps all that it has: it may carry a policy.
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
