"""Backup: a slot comes due, recovery points are begun. EC2 finishes them; chains/confirmation.py tells it.

Once per slot: CreateSnapshots has no idempotency token, so the recovery point's id, made of slot and instance, is the
key. It is taken in the table while EC2 is asked (`once`), and looked for among the snapshots' tags before EC2 is asked
at all, because the table can be lost and an answer can be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import backups, clock, ec2, selected, topic
from lifeboat.aws.errors import AwsError
from lifeboat.aws.once import UnderWay, once
from lifeboat.chains.telling import tell_once
from lifeboat.config import Config
from lifeboat.events import BadRequest
from lifeboat.model import Instance, RecoveryPoint, Tag, Volume
from lifeboat.requests import BackupRequest, CatchUpRequest, Trigger
from lifeboat.rules import selection
from lifeboat.rules.catalogue import iso, read_catalogue
from lifeboat.rules.missed import late_slot, owing
from lifeboat.rules.slots import parse_schedule, recovery_point_id

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class BackupIncomplete(Exception):  # noqa: N818 - it says what is, and the retry may mend it
    """Some instances got no recovery point in this attempt. All others did; asking again makes the missing ones."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How things stood when the run began."""

    instances: tuple[Instance, ...]
    volumes: Mapping[str, Volume]
    owners: Mapping[str, str]
    points: tuple[RecoveryPoint, ...]


GONE = frozenset({"shutting-down", "terminated"})
"""States of an instance that owes nothing any more."""


def run(
    request: BackupRequest | CatchUpRequest, config: Config, context: LambdaContext | None = None
) -> dict[str, Any]:
    """What take_snapshots is woken for: a slot, a person, or the look for what was missed."""
    if isinstance(request, CatchUpRequest):
        return catch_up(config, context)
    if request.trigger is Trigger.SCHEDULE and request.slot is not None and not request.dry_run:
        selected.remember_slot(config.table, config.schedule, request.slot)
    return take(request, config, context)


def catch_up(config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Take the newest slot of the schedule for every instance that should have it and has not, marked late.

    Instances seen for the first time are written down and owe nothing yet. Raises as `take`.
    """
    now = clock.now()
    since = _selected_since(config, now)
    schedule = parse_schedule(config.schedule, config.time_zone, selected.fired_slot(config.table, config.schedule))
    slot = late_slot(schedule, now=now, grace=config.catch_up_grace)
    if slot is None or not owing(slot, since=since, taken=()):
        return {"caught_up": []}
    points = read_catalogue(ec2.recovery_point_snapshots_of(config.stack, {f"tag:{Tag.SLOT}": [iso(slot)]})).points
    missing = owing(slot, since=since, taken={point.instance_id for point in points})
    if not missing:
        return {"caught_up": []}
    request = BackupRequest(Trigger.SWEEP, slot=slot, instance_ids=missing, late=True)
    answer = take(request, config, context)
    return {"caught_up": [item["instance_id"] for item in answer["begun"]], **answer}


def _selected_since(config: Config, now: datetime) -> dict[str, datetime]:
    """The instances selected now, with when each was first seen so; who is new, and who is not any more, is noted."""
    found = ec2.instances_with_tag(config.selector.tag_key, config.selector.tag_value)
    here = {item.id for item in selection.select(found, config.selector) if item.state not in GONE}
    known = selected.selected_since(config.table)
    selected.remember_selected(config.table, sorted(here - known.keys()), now)
    selected.forget_selected(config.table, sorted(known.keys() - here))
    return {instance_id: known.get(instance_id, now) for instance_id in here}


def take(request: BackupRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Begin a recovery point for every instance that is due. Answers what was begun, what was there already, what was
    left out and why.

    Raises BackupIncomplete after all have been tried, when EC2 refused some: the caller's retry tries those again.
    """
    slot = request.slot or clock.now()
    seen = _look(request, config, slot)
    plans = [_plan(instance, seen, slot, config, context, late=request.late) for instance in seen.instances]
    answer: dict[str, Any] = {"slot": iso(slot), "begun": [], "already": [], "skipped": [], "failed": []}
    taken = {point.id: point for point in seen.points}
    for plan in plans:
        if isinstance(plan, selection.Skip):
            left_out = {"instance_id": plan.instance_id, "reason": plan.reason}
            answer["failed" if plan.failure else "skipped"].append(left_out)
        elif plan.recovery_point_id in taken:
            answer["already"].append({"instance_id": plan.instance_id, "recovery_point": plan.recovery_point_id})
        elif request.dry_run:
            answer["begun"].append(_planned(plan))
        else:
            _begin(plan, config, context, answer)
    if request.dry_run:
        return {**answer, "dry_run": True}
    if answer["begun"]:
        topic.publish(
            config.topic_arn,
            news.backup_started(
                stack=config.stack, at=clock.now(), slot=slot, begun=answer["begun"], late=request.late
            ),
        )
    _tell_failures(answer["failed"], slot, config, context)
    if any(item.get("retry") for item in answer["failed"]):
        raise BackupIncomplete(
            f"slot {iso(slot)}: no recovery point for "
            + "; ".join(f"{item['instance_id']}: {item['reason']}" for item in answer["failed"])
        )
    return answer


def _look(request: BackupRequest, config: Config, slot: datetime) -> Seen:
    found = ec2.instances_with_tag(config.selector.tag_key, config.selector.tag_value)
    try:
        instances = selection.select(found, config.selector, named=request.instance_ids)
    except selection.SelectionError as refusal:
        raise BadRequest(str(refusal)) from None
    data = [item.volume_id for instance in instances for item in selection.data_attachments(instance)]
    return Seen(
        instances=instances,
        volumes=ec2.volumes(data) if data else {},
        owners=_owners([instance.id for instance in instances]),
        points=read_catalogue(ec2.recovery_point_snapshots_of(config.stack, {f"tag:{Tag.SLOT}": [iso(slot)]})).points,
    )


def _owners(instance_ids: Sequence[str]) -> Mapping[str, str]:
    # The AMI's owner goes into the story, but no backup is missed for it.
    try:
        return ec2.image_owners(instance_ids) if instance_ids else {}
    except AwsError:
        return {}


def _plan(
    instance: Instance, seen: Seen, slot: datetime, config: Config, context: LambdaContext | None, *, late: bool
) -> selection.CreateRecoveryPoint | selection.Skip:
    return selection.plan_recovery_point(
        instance,
        seen.volumes,
        recovery_point_id=recovery_point_id(slot, instance.id),
        set_id=context.aws_request_id if context else "by-hand",
        stack=config.stack,
        slot=slot,
        ami_owner=seen.owners.get(instance.id, ""),
        late=late,
    )


def _planned(plan: selection.CreateRecoveryPoint) -> dict[str, Any]:
    return {
        "instance_id": plan.instance_id,
        "recovery_point": plan.recovery_point_id,
        "volumes": list(plan.volume_ids),
        "reason": plan.reason,
    }


def _begin(
    plan: selection.CreateRecoveryPoint, config: Config, context: LambdaContext | None, answer: dict[str, Any]
) -> None:
    """Ask EC2 once. One bad instance stops nobody: what goes wrong becomes an entry of the answer."""

    asked = False

    def create() -> dict[str, Any]:
        nonlocal asked
        asked = True
        backups.open_backup(config.table, plan.recovery_point_id, clock.now())
        return {"snapshots": ec2.create_snapshots(plan.instance_id, plan.description, plan.tags)}

    try:
        made = once(config.table, "slot", plan.recovery_point_id, create, context)
    except UnderWay:
        answer["already"].append({"instance_id": plan.instance_id, "recovery_point": plan.recovery_point_id})
    except AwsError as problem:
        reason = str(problem)
        if not problem.answered:
            reason += " (EC2 may have begun it all the same; the next attempt looks first)"
        answer["failed"].append({"instance_id": plan.instance_id, "reason": reason, "retry": True})
    else:
        if asked:
            answer["begun"].append({**_planned(plan), "snapshots": dict(made["snapshots"])})
        else:  # done before, though EC2 does not show it: not yet, or somebody has deleted it since
            answer["already"].append({"instance_id": plan.instance_id, "recovery_point": plan.recovery_point_id})


def _tell_failures(
    failures: Sequence[Mapping[str, Any]], slot: datetime, config: Config, context: LambdaContext | None
) -> None:
    for failure in failures:
        point_id = recovery_point_id(slot, failure["instance_id"])
        message = news.backup_failed(
            stack=config.stack,
            at=clock.now(),
            recovery_point_id=point_id,
            instance_id=failure["instance_id"],
            reason=failure["reason"],
            snapshot_ids=(),
        )
        tell_once("told-not-begun", point_id, message, config, context)
