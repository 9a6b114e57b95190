"""What there is, and the retention plan for it: one look for the run, the preview and the adoption."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from lifeboat.aws import clock, ec2
from lifeboat.config import Config
from lifeboat.model import Member, RecoveryPoint, Snapshot, Tag
from lifeboat.rules.catalogue import Catalogue, read_catalogue
from lifeboat.rules.retention import Limits, RetentionPlan, plan
from lifeboat.rules.retention_policy import Policy, PolicyError, parse_policy


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every recovery point, and what the plan needs beside them. `living_volumes` is None where nothing is planned."""

    found: Catalogue
    overrides: Mapping[str, Policy | PolicyError]
    living_volumes: Collection[str] | None

    def plan(self, config: Config, unwilling: Mapping[str, str] | None = None) -> RetentionPlan:
        """The plan; `unwilling` are recovery points that could not be deleted just now, by id, each with the cause.

        Those are planned around as if they were locked: they neither count as backups nor use up what may go in one
        run, so that one that never goes does not keep the others from going.
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
        )

    def notices(self, decided: RetentionPlan) -> list[str]:
        unreadable = (f"{snapshot.id} is kept: {reason}" for snapshot, reason in self.found.unreadable)
        return [*decided.notices, *unreadable]


def take_inventory(config: Config, adopted: Iterable[Snapshot] = ()) -> Inventory:
    """Look at everything once, and at what forbids to delete it; `adopted` are taken for recovery points beside."""
    blocks = (
        (ec2.locked_snapshot_ids(), "locked"),
        (ec2.image_snapshot_ids(), "used by an image"),
        (ec2.public_snapshot_ids(), "shared with everybody"),
    )

    def marked(snapshot: Snapshot) -> Snapshot:
        reasons = [reason for ids, reason in blocks if snapshot.id in ids]
        if Tag.SHARED in snapshot.tags:
            reasons.append(f"shared, as its tag {Tag.SHARED} says")
        return replace(snapshot, blocked_by=tuple(reasons)) if reasons else snapshot

    found = read_catalogue(marked(item) for item in (*ec2.recovery_point_snapshots(), *adopted))
    instance_ids = sorted({point.instance_id for point in found.points if point.instance_id})
    overrides = {
        instance.id: _policy(instance.tags[Tag.RETENTION], config.time_zone)
        for instance in ec2.instances(instance_ids).values()
        if Tag.RETENTION in instance.tags
    }
    return Inventory(found, overrides, ec2.all_volume_ids() if found.points else None)


def _policy(text: str, time_zone: str) -> Policy | PolicyError:
    try:
        return parse_policy(text, time_zone)
    except PolicyError as problem:
        return problem


def _blocked(point: RecoveryPoint, cause: str) -> RecoveryPoint:
    first, *others = point.members
    marked = replace(first.snapshot, blocked_by=(*first.snapshot.blocked_by, f"deleting it was refused: {cause}"))
    return replace(point, members=(Member(marked, first.story), *others))
