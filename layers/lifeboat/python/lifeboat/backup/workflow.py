"""Backup: a slot comes due, recovery points are begun. EC2 finishes them; backup/confirm_workflow.py tells it.

A few instances are taken by the invocation that was woken for them; a fleet is handed out in portions, see `fleet`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clock, ec2_instances, ec2_snapshots, topic
from lifeboat.aws.paced_calls import PacedCalls
from lifeboat.aws.publish_once import publish_once
from lifeboat.backup import attempt_store as attempts
from lifeboat.backup import large_run_workflow as large_run
from lifeboat.backup import messages, selection
from lifeboat.backup import selected_store as selected
from lifeboat.backup.batch_workflow import Taken, Taking
from lifeboat.backup.large_run import burst
from lifeboat.backup.large_run import pace as pace_of
from lifeboat.backup.missed_slots import late_slot, owing
from lifeboat.backup.overdue import Protected, protected
from lifeboat.backup.overdue_workflow import publish_overdue
from lifeboat.backup.request import BackupRequest, BatchRequest, CatchUpRequest
from lifeboat.backup.schedule import Schedule, parse_schedule
from lifeboat.by_hand.plan import Run
from lifeboat.by_hand.request import HandedOver, RunStatus
from lifeboat.by_hand.workflow import carry_out, go_on, outcome_of
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.config import Config
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.recovery_point_tags import recovery_point_id
from lifeboat.domain.text import iso
from lifeboat.domain.trigger import Trigger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class BackupIncomplete(Exception):  # noqa: N818 - it says what is, and the retry may mend it
    """Some instances got no recovery point in this attempt. All others did; asking again makes the missing ones."""


ATTEMPTS = 3
"""How often Lambda invokes a function for one event that it was given: the template's MaximumRetryAttempts and one."""

KEPT_AS_OBSERVED = 1_000
"""Of so many instances what was seen when they were selected is kept for the taking: one page of DescribeInstances."""

GONE = frozenset({"shutting-down", "terminated"})
"""States of an instance that owes nothing any more."""


def run(
    request: BackupRequest | CatchUpRequest | BatchRequest | RunStatus | HandedOver[BackupRequest],
    config: Config,
    context: LambdaContext | None = None,
) -> dict[str, Any]:
    """What take_snapshots is woken for: a slot, a person, the look for what was missed, or a portion of a fleet.

    What a person asks for again is the same run, of the slot of its first attempt.
    """
    if isinstance(request, RunStatus):
        return outcome_of(request.run_id, config)
    if isinstance(request, HandedOver):
        ask = request.request
        return go_on(request, lambda run: _by_hand(ask, run, config, context), config, context)
    if isinstance(request, BatchRequest):
        return large_run.work(request, config, context)
    if isinstance(request, CatchUpRequest):
        return catch_up(config, context)
    if request.trigger is Trigger.SCHEDULE and request.slot is not None and not request.dry_run:
        selected.remember_slot(config.table, config.schedule, request.slot)
    if request.trigger is Trigger.MANUAL:
        asked = {
            "instance_ids": sorted(request.instance_ids),
            "dry_run": request.dry_run,
            "request_id": request.request_id,
        }
        here = replace(request, retried=False)
        return carry_out(
            "backup", asked, lambda run: _by_hand(here, run, config, context), config, context, once=not request.dry_run
        )
    return take(request, config, context)


def _by_hand(request: BackupRequest, run: Run, config: Config, context: LambdaContext | None) -> dict[str, Any]:
    return take(replace(request, slot=run.asked_at, request_id=run.id), config, context)


def catch_up(config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Take the newest slot of the schedule for every instance that should have it and has not, marked late; then tell
    whose newest good recovery point is too old all the same.

    Instances seen for the first time are written down and owe nothing yet. Raises as `take`.
    """
    now = clock.now()
    since, volumes = _selected_since(config, now)
    schedule = _schedule(config)
    slot = late_slot(schedule, now=now, grace=config.catch_up_grace)
    answer: dict[str, Any] = {}
    try:
        answer = _take_late(slot, since, config, context)
    finally:  # whoever is refused again and again is who is overdue
        mending = _mending(answer, slot, since, config)
        try:
            late = publish_overdue(volumes, schedule, config, context, mending=mending)
        finally:
            if config.work_queue:
                large_run.publish_cut_off(config, context)
    return {**answer, **late}


def _schedule(config: Config) -> Schedule:
    """The schedule; a rate's slots are counted from one that has fired, a cron's are known without."""
    schedule = parse_schedule(config.schedule, config.time_zone)
    fired = selected.fired_slot(config.table, config.schedule) if schedule.every else None
    return schedule.counted_from(fired) if fired else schedule


def _take_late(
    slot: datetime | None, since: Mapping[str, datetime], config: Config, context: LambdaContext | None
) -> dict[str, Any]:
    if slot is None or not owing(slot, since=since, taken=()):
        return {"caught_up": []}
    if run := large_run.under_way(slot, config, context):
        return {"caught_up": [], "under_way": run}
    missing = owing(slot, since=since, taken=ec2_snapshots.instances_saved_by(config.stack, slot_tag=iso(slot)))
    if not missing:
        return {"caught_up": []}
    request = BackupRequest(Trigger.RECONCILE, slot=slot, instance_ids=missing, late=True)
    answer = take(request, config, context)
    return {"caught_up": [item["instance_id"] for item in answer.get("begun", ())], **answer}


def _mending(
    answer: Mapping[str, Any], slot: datetime | None, since: Mapping[str, datetime], config: Config
) -> Collection[str]:
    """Who gets a recovery point by this very look. Of a fleet it is not known yet: all do, if it is the first try."""
    if slot is not None and ("run" in answer or "under_way" in answer):
        return () if large_run.was_caught_up(slot, config) else since.keys()
    begun: Collection[str] = answer.get("caught_up", ())
    return begun


def _selected_since(config: Config, now: datetime) -> tuple[dict[str, datetime], list[Protected]]:
    """The instances selected now, with when each was first seen so, and what of each is protected.

    Who is new, and who is not any more, is noted.
    """
    known = selected.selected_since(config.table)
    since: dict[str, datetime] = {}
    volumes: list[Protected] = []
    for instance in _selected(config, but_not=GONE):
        since[instance.id] = known.get(instance.id, now)
        volumes += protected(instance, since[instance.id])
    selected.remember_selected(config.table, sorted(since.keys() - known.keys()), now)
    selected.forget_selected(config.table, sorted(known.keys() - since.keys()))
    return since, volumes


def take(request: BackupRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Begin a recovery point for every instance that is due. Answers what was begun, what was there already, what was
    left out and why; of a fleet, how it was handed out.

    Raises BackupIncomplete after all have been tried, when EC2 refused some: the caller's retry tries those again. What
    EC2 refused for a reason that passes is told only when the last attempt at it has failed.
    """
    slot = request.slot or clock.now()
    observed_at = clock.monotonic()
    observed: dict[str, Instance] = {}
    instance_ids = _due(request, config, observed)
    if large_run.is_one(instance_ids, config) and not request.dry_run:
        by_hand = request.trigger is Trigger.MANUAL
        asked = request.request_id if by_hand else context.aws_request_id if context and request.late else ""
        return large_run.hand_out(instance_ids, slot, config, context, late=request.late, asked=asked)
    last = request.dry_run or _is_last_attempt(request, config, context)
    since = clock.monotonic()
    pace = pace_of(config.api_share, workers=1, since=since, at_once=burst(config.api_share))
    calls = PacedCalls(pace, context)
    taking = Taking(
        slot, request.late, request.dry_run, config, calls, observed=observed, observed_at=observed_at, patient=True
    )
    return _take_here(taking.take(instance_ids), slot, request, config, context, last_attempt=last)


def _is_last_attempt(request: BackupRequest, config: Config, context: LambdaContext | None) -> bool:
    """Whether Lambda will not try again by itself."""
    if context is None or not request.retried:
        return True
    return attempts.count_attempt(config.table, context.aws_request_id, clock.now()) >= ATTEMPTS


def _due(request: BackupRequest, config: Config, observed: dict[str, Instance]) -> tuple[str, ...]:
    """The ids of the instances to take, which is all that is kept of a large fleet. The sweep has looked itself.

    Of no more than KEPT_AS_SEEN instances all are noted in `seen` as they are.
    """
    if request.trigger is Trigger.RECONCILE:
        return request.instance_ids
    if not request.instance_ids:
        ids = []
        for instance in _selected(config):
            ids.append(instance.id)
            if len(ids) <= KEPT_AS_OBSERVED:
                observed[instance.id] = instance
        if len(ids) > KEPT_AS_OBSERVED:
            observed.clear()
        return tuple(sorted(ids))
    try:
        found = ec2_instances.instances(request.instance_ids)
        return tuple(item.id for item in selection.select(found.values(), config.selector, named=request.instance_ids))
    except selection.SelectionError as refusal:
        raise BadRequest(str(refusal)) from None


def _selected(config: Config, but_not: Collection[str] = ()) -> Iterator[Instance]:
    found = ec2_instances.each_instance_with_tag(config.selector.tag_key, config.selector.tag_value)
    return (item for item in found if config.selector.selects(item) and item.state not in but_not)


def _take_here(
    taken: Taken,
    slot: datetime,
    request: BackupRequest,
    config: Config,
    context: LambdaContext | None,
    *,
    last_attempt: bool,
) -> dict[str, Any]:
    """Tell what was taken in this invocation, as far as its time went."""
    answer: dict[str, Any] = {
        "slot": iso(slot),
        "begun": taken.begun,
        "already": taken.already,
        "skipped": taken.skipped,
        "failed": taken.failed,
    }
    if taken.left:
        answer["left"] = taken.left
    if request.dry_run:
        return {**answer, "dry_run": True}
    if taken.begun:
        topic.publish(
            config.topic_arn,
            messages.backup_started(
                stack=config.stack, at=clock.now(), slot=slot, begun=taken.begun, late=request.late
            ),
        )
    final = [item for item in taken.failed if last_attempt or not item.get("passes")]
    _publish_failures(final, slot, config, context)
    if taken.worth_retrying:
        raise BackupIncomplete(f"slot {iso(slot)}: {'; '.join(_missing(taken, config))}")
    return answer


def _missing(taken: Taken, config: Config) -> Iterator[str]:
    if taken.failed:
        yield "no recovery point for " + "; ".join(f"{item['instance_id']}: {item['reason']}" for item in taken.failed)
    if taken.left:
        remedy = "" if config.work_queue else "; deploy with Fleet=true for so many"
        yield f"{len(taken.left)} more were not reached in the time of one invocation{remedy}"


def _publish_failures(
    failures: Sequence[Mapping[str, Any]], slot: datetime, config: Config, context: LambdaContext | None
) -> None:
    for failure in failures:
        point_id = recovery_point_id(slot, failure["instance_id"])
        message = messages.backup_failed(
            stack=config.stack,
            at=clock.now(),
            recovery_point_id=point_id,
            instance_id=failure["instance_id"],
            reason=failure["reason"],
            snapshot_ids=(),
        )
        publish_once("told-not-begun", point_id, message, config, context)
