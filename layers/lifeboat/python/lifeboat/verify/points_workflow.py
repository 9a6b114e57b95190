"""Find this stack's recovery points: those of an id, and those that share a lineage with one."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.aws import ec2_snapshots
from lifeboat.aws.ec2_describe import literal
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.recovery_point_tags import VOLUME_TAG
from lifeboat.domain.tags import Tag


def points_named(point_ids: Iterable[str], invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    """All sets whose tags have one of these ids, oldest first. Raises AwsError."""
    wanted = sorted({item.partition("+")[0] for item in point_ids})
    if not wanted:
        return ()
    asked = {f"tag:{Tag.RECOVERY_POINT}": wanted}
    return read_catalogue(ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, asked)).points


def point_named(point_id: str, invocation: Invocation) -> RecoveryPoint | None:
    """The recovery point of this id, None if it does not exist. Raises AwsError."""
    return next((item for item in points_named([point_id], invocation) if item.id == point_id), None)


def points_of_lineages(point: RecoveryPoint, invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    """This stack's recovery points that share a lineage with this one, oldest first, with itself. Raises AwsError.

    A restore carries a lineage on to another instance. So these are those of its own instance, those of one volume with
    the lineage's tag, and those of the lineage's first volume, whose id is the lineage's name. Only sets of several
    restored volumes of a third instance are not among them. If nothing was restored or copied, the last ones are all.
    """
    filters: list[dict[str, list[str]]] = [{f"tag:{literal(VOLUME_TAG + name)}": ["*"]} for name in point.lineages]
    if any(
        item.metadata.lineage != item.metadata.volume_id or Tag.COPY_OF in item.snapshot.tags for item in point.members
    ):
        filters += [{f"tag:{Tag.INSTANCE}": [literal(point.instance_id)]}]
        filters += [{f"tag:{Tag.LINEAGE}": [literal(name) for name in point.lineages]}]
    found = {
        snapshot.id: snapshot
        for asked in filters
        for snapshot in ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, asked)
    }
    lineages = set(point.lineages)
    return tuple(item for item in read_catalogue(found.values()).points if lineages & set(item.lineages))
