"""Backup: begin recovery points for a slot, a request or the catch-up.

EC2 completes them and `confirm_workflow` publishes that. The invocation takes a few instances itself; a large run goes
to the work queue in batches, see `large_run_workflow`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lifeboat.aws import clock, ec2_instances, ec2_snapshots
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import PacedCalls
from lifeboat.backup import attempt_store as attempts
from lifeboat.backup import large_run_workflow as large_run
from lifeboat.backup import messages, selection
from lifeboat.backup import selected_store as selected
from lifeboat.backup.batch_workflow import Taken, Taking
from lifeboat.backup.large_run import burst
from lifeboat.backup.large_run import pace as pace_of
from lifeboat.backup.missed_slots import instances_missing, late_slot
from lifeboat.backup.overdue import Protected, protected
from lifeboat.backup.overdue_workflow import publish_overdue
from lifeboat.backup.request import BackupRequest, BatchRequest, CatchUpRequest
from lifeboat.by_hand.plan import Run
from lifeboat.by_hand.request import HandedOver, RunStatus
from lifeboat.by_hand.workflow import carry_out, continue_run, read_outcome
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.recovery_point_tags import recovery_point_id
from lifeboat.domain.text import iso
from lifeboat.domain.trigger import Trigger
from lifeboat.restore import store as restores


class BackupIncomplete(Exception):  # noqa: N818 - a fact; the retry may complete it
    """Some instances got no recovery point in this attempt. All others did; a retry makes the missing ones."""


ATTEMPTS = 3
"""How often Lambda invokes a function for one event: the template's MaximumRetryAttempts and one."""

INSTANCES_HELD = 1_000
"""Up to this many instances are held as they were selected: one page of DescribeInstances."""


def run(
    request: BackupRequest | CatchUpRequest | BatchRequest | RunStatus | HandedOver[BackupRequest],
    invocation: Invocation,
) -> dict[str, Any]:
    """Handle what invokes take_snapshots: a slot, a request by hand, the catch-up, or a batch of a large run.

    A repeated request by hand is the same run, with the slot of its first attempt.
    """
    if isinstance(request, RunStatus):
        return read_outcome(request.run_id, invocation)
    if isinstance(request, HandedOver):
        ask = request.request
        return continue_run(request, lambda run: _by_hand(ask, run, invocation), invocation)
    if isinstance(request, BatchRequest):
        return large_run.take_batch(request, invocation)
    if isinstance(request, CatchUpRequest):
        return catch_up(invocation)
    if request.trigger is Trigger.SCHEDULE and request.slot is not None and not request.dry_run:
        selected.remember_slot(invocation.config.table, invocation.config.schedule, request.slot)
    if request.trigger is Trigger.MANUAL:
        asked = {
            "instance_ids": sorted(request.instance_ids),
            "dry_run": request.dry_run,
            "request_id": request.request_id,
        }
        here = replace(request, retried=False)
        return carry_out(
            "backup", asked, lambda run: _by_hand(here, run, invocation), invocation, once=not request.dry_run
        )
    return take(request, invocation)


def _by_hand(request: BackupRequest, run: Run, invocation: Invocation) -> dict[str, Any]:
    return take(replace(request, slot=run.requested_at, request_id=run.id), invocation)


def catch_up(invocation: Invocation) -> dict[str, Any]:
    """Take the newest slot for every instance that misses it, marked late; then publish which backups are overdue.

    Instances that are selected for the first time are remembered and need nothing yet. Raises as `take`.
    """
    now = clock.now()
    since, volumes = _selected_since(invocation, now)
    schedule = selected.schedule_of(invocation.config)
    slot = late_slot(schedule, now=now, grace=invocation.config.catch_up_grace)
    answer: dict[str, Any] = {}
    try:
        answer = _take_late(slot, since, invocation)
    finally:  # an instance that is refused again and again must still be reported as overdue
        retried = _retried(answer, slot, since, invocation)
        try:
            late = publish_overdue(volumes, schedule, invocation, retried=retried)
        finally:
            if invocation.config.work_queue:
                large_run.publish_cut_off(invocation)
    return {**answer, **late}


def _take_late(slot: datetime | None, since: Mapping[str, datetime], invocation: Invocation) -> dict[str, Any]:
    if slot is None or not instances_missing(slot, since=since, taken=()):
        return {"caught_up": []}
    if run := large_run.open_run_of(slot, invocation):
        return {"caught_up": [], "under_way": run}
    missing = instances_missing(
        slot, since=since, taken=ec2_snapshots.instances_saved_by(invocation.config.stack, slot_tag=iso(slot))
    )
    if not missing:
        return {"caught_up": []}
    request = BackupRequest(slot=slot, instance_ids=missing, late=True)
    answer = take(request, invocation)
    return {"caught_up": [item["instance_id"] for item in answer.get("begun", ())], **answer}


def _retried(
    answer: Mapping[str, Any], slot: datetime | None, since: Mapping[str, datetime], invocation: Invocation
) -> Collection[str]:
    """The instances that this run takes again. For a large run that is all of them, but only at its first attempt."""
    if slot is not None and ("run" in answer or "under_way" in answer):
        return () if large_run.was_caught_up(slot, invocation) else since.keys()
    begun: Collection[str] = answer.get("caught_up", ())
    return begun


def _selected_since(invocation: Invocation, now: datetime) -> tuple[dict[str, datetime], list[Protected]]:
    """The instances selected now, with when each was first observed as selected, and their protected volumes.

    Updates the table with new instances and with those that are not selected any more.
    """
    known = selected.selected_since(invocation.config.table)
    since: dict[str, datetime] = {}
    volumes: list[Protected] = []
    for instance in _selected(invocation, but_not=selection.ENDED_STATES):
        since[instance.id] = known.get(instance.id, now)
        volumes += protected(instance, since[instance.id])
    selected.remember_selected(invocation.config.table, sorted(since.keys() - known.keys()), now)
    selected.forget_selected(invocation.config.table, sorted(known.keys() - since.keys()))
    return since, volumes


def take(request: BackupRequest, invocation: Invocation) -> dict[str, Any]:
    """Begin a recovery point for every instance that needs one. Answers what was begun, what existed already, what was
    skipped and why; for a large run, how many batches were queued.

    Raises BackupIncomplete after all have been tried, if EC2 refused some: the caller's retry tries those again. A
    transient refusal is published only after the last attempt.
    """
    slot = request.slot or clock.now()
    observed_at = clock.monotonic()
    observed: dict[str, Instance] = {}
    open_restores = restores.open_by_instance(invocation.config.table)
    instance_ids = _due(request, invocation, observed)
    if large_run.is_large(instance_ids, invocation) and not request.dry_run:
        asked = request.request_id or (invocation.request_id if request.late else "")
        return large_run.queue_batches(instance_ids, slot, invocation, late=request.late, asked=asked)
    last = request.dry_run or _is_last_attempt(request, invocation)
    since = clock.monotonic()
    pace = pace_of(invocation.config.api_share, workers=1, since=since, at_once=burst(invocation.config.api_share))
    calls = PacedCalls(pace, invocation)
    taking = Taking(
        slot,
        request.late,
        request.dry_run,
        invocation,
        calls,
        observed=observed,
        observed_at=observed_at,
        restores=open_restores,
        waits=True,
    )
    return _take_here(taking.take(instance_ids), slot, request, invocation, last_attempt=last)


def _is_last_attempt(request: BackupRequest, invocation: Invocation) -> bool:
    """Whether Lambda will not try again by itself."""
    if not invocation.request_id or not request.retried:
        return True
    return attempts.count_attempt(invocation.config.table, invocation.request_id, clock.now()) >= ATTEMPTS


def _due(request: BackupRequest, invocation: Invocation, observed: dict[str, Instance]) -> tuple[str, ...]:
    """The ids of the instances to take. Up to INSTANCES_HELD instances are put into `observed`.

    The catch-up names its instances. Raises BadRequest if a named instance is not selected.
    """
    if request.trigger is Trigger.RECONCILE:
        return request.instance_ids
    if not request.instance_ids:
        ids = []
        for instance in _selected(invocation):
            ids.append(instance.id)
            if len(ids) <= INSTANCES_HELD:
                observed[instance.id] = instance
        if len(ids) > INSTANCES_HELD:
            observed.clear()
        return tuple(sorted(ids))
    try:
        found = ec2_instances.instances(request.instance_ids)
        return tuple(
            item.id for item in selection.select(found.values(), invocation.config.selector, named=request.instance_ids)
        )
    except selection.SelectionError as refusal:
        raise BadRequest(str(refusal)) from None


def _selected(invocation: Invocation, but_not: Collection[str] = ()) -> Iterator[Instance]:
    found = ec2_instances.each_instance_with_tag(
        invocation.config.selector.tag_key, invocation.config.selector.tag_value
    )
    return (item for item in found if invocation.config.selector.selects(item) and item.state not in but_not)


def _take_here(
    taken: Taken,
    slot: datetime,
    request: BackupRequest,
    invocation: Invocation,
    *,
    last_attempt: bool,
) -> dict[str, Any]:
    """Publish and answer what this invocation has taken."""
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
        invocation.publish(
            messages.backup_started(
                **invocation.stamp(), slot=slot, begun=taken.begun, late=request.late, names=taken.names
            ),
        )
    final = [item for item in taken.failed if last_attempt or not item.get("passes")]
    _publish_failures(final, taken.names, slot, invocation)
    if taken.worth_retrying:
        raise BackupIncomplete(f"slot {iso(slot)}: {'; '.join(_missing(taken, invocation))}")
    return answer


def _missing(taken: Taken, invocation: Invocation) -> Iterator[str]:
    if taken.failed:
        yield "no recovery point for " + "; ".join(f"{item['instance_id']}: {item['reason']}" for item in taken.failed)
    if taken.left:
        remedy = "" if invocation.config.work_queue else "; deploy with LargeRuns=true for so many"
        yield f"{len(taken.left)} more were not tried in the time of one invocation{remedy}"


def _publish_failures(
    failures: Sequence[Mapping[str, Any]], names: Mapping[str, str], slot: datetime, invocation: Invocation
) -> None:
    for failure in failures:
        point_id = recovery_point_id(slot, failure["instance_id"])
        message = messages.backup_failed(
            **invocation.stamp(),
            recovery_point_id=point_id,
            instance_id=failure["instance_id"],
            name=names.get(failure["instance_id"], ""),
            reason=failure["reason"],
            snapshot_ids=(),
        )
        invocation.publish_once("published-not-begun", point_id, message)
