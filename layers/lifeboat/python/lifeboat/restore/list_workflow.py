"""List the recovery points that a restore may be requested of: ids, ages and states, the newest first."""

from __future__ import annotations

from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.message import listed
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore.preflight_workflow import MAX_SNAPSHOTS
from lifeboat.restore.request import ListPoints

MOST_LISTED = 100
"""Recovery points in one answer. `ShowStatusFunction` lists all of them, page by page."""


def list_points(request: ListPoints, invocation: Invocation) -> dict[str, Any]:
    """This stack's recovery points in this region, the newest first, of one backed-up instance if it is named.

    Raises BadRequest where they are too many to be read, and AwsError.
    """
    config = invocation.config
    wanted: dict[str, tuple[str, ...]] = {Tag.STACK: (config.stack,)}
    if request.instance_id:
        wanted[Tag.INSTANCE] = (request.instance_id,)
    try:
        snapshots = list(ec2_snapshots.recovery_point_snapshots_tagged(wanted, most=MAX_SNAPSHOTS))
    except ec2_describe.TooMany:
        raise BadRequest(
            f"list is true, expected instance_id beside it: this stack has more than {MAX_SNAPSHOTS:,} snapshots"
        ) from None
    points = sorted(read_catalogue(snapshots).points, key=lambda item: (item.taken_at, item.id), reverse=True)
    return listed(
        [_describe(point) for point in points[:MOST_LISTED]], "recovery_points", len(points), most=MOST_LISTED
    )


def _describe(point: RecoveryPoint) -> dict[str, Any]:
    """The fields of `ShowStatusFunction` that a choice needs, by the same names."""
    proof = point.proof
    return {
        "id": point.id,
        "instance_id": point.instance_id,
        "name": point.instance_name,
        "condition": point.condition.value,
        "taken_at": iso(point.taken_at),
        "age_seconds": int((clock.now() - point.taken_at).total_seconds()),
        "gib": point.size,
        "verified": "no" if proof is None else "proven" if proof.proven else "failed",
        "suspected": point.suspected,
    }
