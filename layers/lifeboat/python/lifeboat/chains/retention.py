"""Retention: see every recovery point, decide once, then let go what no rule keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import clock, ec2, topic
from lifeboat.aws.errors import AwsError
from lifeboat.config import Config
from lifeboat.model import RecoveryPoint, Snapshot, Tag
from lifeboat.requests import PruneRequest
from lifeboat.rules.catalogue import Catalogue, iso, read_catalogue
from lifeboat.rules.retention import Limits, RetentionPlan, plan
from lifeboat.rules.retention_policy import Policy, PolicyError, parse_policy

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RECHECKED = 200
"""How many snapshots are looked at again in one call, just before they go."""

LEFT_FOR_RETURN = 20_000
"""Milliseconds of the invocation that are kept to tell what was done; what is left goes next time."""


def prune(request: PruneRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Delete what the plan lets go, or with `dry_run` only show the plan. A cut-off run is resumed by the next one."""
    found = _look()
    decided = _decide(found, config)
    answer: dict[str, Any] = {
        "kept": [_verdict(item) for item in decided.verdicts if item.keep],
        "delete": [_verdict(item) for item in decided.verdicts if not item.keep],
        "notices": [
            *decided.notices,
            *(f"{snapshot.id} is kept: {reason}" for snapshot, reason in found.unreadable),
        ],
        "saved_gib": decided.saved_gib,
    }
    if request.dry_run:
        return {**answer, "dry_run": True}
    deleted, refused = _carry_out(decided, context)
    answer.update(deleted=deleted, refused=refused)
    if deleted or refused or answer["notices"]:
        topic.publish(
            config.topic_arn,
            news.snapshots_pruned(
                stack=config.stack,
                at=clock.now(),
                deleted=deleted,
                kept=answer["kept"],
                refused=refused,
                notices=answer["notices"],
                saved_gib=sum(item["gib"] for item in deleted),
            ),
        )
    return {**answer, "kept": len(answer["kept"]), "delete": len(answer["delete"])}


def _look() -> Catalogue:
    """Every recovery point, with what forbids to delete its snapshots."""
    locked, imaged = ec2.locked_snapshot_ids(), ec2.image_snapshot_ids()

    def blocked(snapshot: Snapshot) -> Snapshot:
        reasons = [reason for ids, reason in ((locked, "locked"), (imaged, "used by an image")) if snapshot.id in ids]
        return replace(snapshot, blocked_by=tuple(reasons)) if reasons else snapshot

    return read_catalogue(blocked(item) for item in ec2.recovery_point_snapshots())


def _decide(found: Catalogue, config: Config) -> RetentionPlan:
    instance_ids = sorted({point.instance_id for point in found.points if point.instance_id})
    overrides = {
        instance.id: _policy(instance.tags[Tag.RETENTION], config.time_zone)
        for instance in ec2.instances(instance_ids).values()
        if Tag.RETENTION in instance.tags
    }
    return plan(
        found.points,
        now=clock.now(),
        policy=_policy(config.retention, config.time_zone),
        overrides=overrides,
        limits=Limits(
            min_keep=config.min_keep,
            max_delete_share=config.max_delete_share,
            grace=config.grace,
            failed_after=config.failed_after,
        ),
        stack=config.stack,
        living_volumes=ec2.all_volume_ids() if found.points else None,
    )


def _policy(text: str, time_zone: str) -> Policy | PolicyError:
    try:
        return parse_policy(text, time_zone)
    except PolicyError as problem:
        return problem


def _carry_out(
    decided: RetentionPlan, context: LambdaContext | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Delete, oldest first. Each snapshot is looked at again just before; a refusal is a result, not a crash."""
    deleted: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    points = list(decided.deletions)
    while points:
        some = _next_points(points)
        now = ec2.snapshots(member.snapshot.id for point in some for member in point.members)
        for point in some:
            if context is not None and context.get_remaining_time_in_millis() < LEFT_FOR_RETURN:
                return deleted, refused
            cause = _changed(point, now) or _delete(point, now)
            entry = {"recovery_point": point.id, "instance_id": point.instance_id, "gib": point.size}
            if cause:
                refused.append({**entry, "cause": cause})
            else:
                deleted.append(entry)
    return deleted, refused


def _next_points(points: list[RecoveryPoint]) -> list[RecoveryPoint]:
    some = [points.pop(0)]
    while points and sum(len(point.members) for point in some) + len(points[0].members) <= RECHECKED:
        some.append(points.pop(0))
    return some


def _changed(point: RecoveryPoint, now: Mapping[str, Snapshot]) -> str:
    """Why a recovery point must not be deleted after all: it is not what the plan was made of any more."""
    for member in point.members:
        current = now.get(member.snapshot.id)
        if current is None:
            continue  # gone already, by an earlier run that was cut off
        if Tag.HOLD in current.tags:
            return f"{current.id} is held by the tag {Tag.HOLD}"
        if current.tags != member.snapshot.tags or current.state != member.snapshot.state:
            return f"{current.id} has changed since the plan was made"
    return ""


def _delete(point: RecoveryPoint, now: Mapping[str, Snapshot]) -> str:
    for member in point.members:
        if member.snapshot.id not in now:
            continue
        try:
            ec2.delete_snapshot(member.snapshot.id)
        except AwsError as problem:
            if problem.code != "InvalidSnapshot.NotFound":
                return f"{member.snapshot.id}: {problem}"
    return ""


def _verdict(item: Any) -> dict[str, Any]:
    return {
        "recovery_point": item.point.id,
        "taken_at": iso(item.point.taken_at),
        "gib": item.point.size,
        "reasons": list(item.reasons),
    }
