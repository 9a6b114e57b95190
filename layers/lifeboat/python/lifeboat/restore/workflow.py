"""Restore a recovery point: check everything first, make the volumes, swap them, or roll back.

`restore/machine` decides each step. This file runs the loop around it: observe, decide, save the record, act. The
record is saved before the action, and only if no other invocation has moved it. So Lambda may end an invocation at any
point, and two invocations may run at once. The next event or reconcile run continues from what EC2 shows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from lifeboat.aws import clock, ec2_calls, ec2_instances, ec2_snapshots, ec2_volumes, wakes
from lifeboat.aws.errors import AwsError, translated
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.table import Overtaken
from lifeboat.by_hand.request import HandedOver, RunStatus
from lifeboat.by_hand.workflow import carry_out, continue_run, find_or_create_run, read_outcome, replace_run
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import Change, CopySnapshot, CreateVolume, Refusal, Refused, Throttled, Unknown
from lifeboat.restore import messages as restore_messages
from lifeboat.restore import store as restores
from lifeboat.restore.decision import Complete, Observed, Requeue, Step
from lifeboat.restore.list_workflow import list_points
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.history import RestoreError
from lifeboat.restore.machine.history import restore_id as id_of_restore
from lifeboat.restore.machine.refused import after_copy_begun, after_failure
from lifeboat.restore.machine.rehearsal import after_rehearsal, plan_rehearsal
from lifeboat.restore.machine.transitions import begin, cancel, next_step
from lifeboat.restore.preflight_workflow import run_preflight
from lifeboat.restore.publish_workflow import describe, publish_and_close, publish_owed
from lifeboat.restore.record import Restore, RestoreState, RestoreStep
from lifeboat.restore.report import describe_restore
from lifeboat.restore.request import AdvanceRequest, CancelRestore, ListPoints, RestoreRequest, RestoreStatus

ADVANCES = "attach-volume"
"""The function that is woken."""

CHECK_SOON_SECONDS = 0.5
"""Seconds between two observations of a change that EC2 finishes within seconds: a detach, an attach."""

OBSERVE_ALL_SECONDS = 5.0
"""Seconds after which a restore is observed as a whole, although its volumes have not changed."""

WAIT_SECONDS = 30.0
"""Seconds that one invocation may wait for EC2. After that the next event or reconcile run continues."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A restore after the steps that could be taken.

    `changing`: its volumes as observed, if EC2 finishes a change within seconds. `again_at`: when to observe it again
    at the latest, though no event comes. None once it has ended.
    """

    restore: Restore
    changing: Mapping[str, Volume] = field(default_factory=dict)
    again_at: datetime | None = None


def answer(
    request: RestoreRequest | CancelRestore | RestoreStatus | ListPoints | RunStatus | HandedOver[RestoreRequest],
    invocation: Invocation,
) -> dict[str, Any]:
    """Start a restore, rehearse one, cancel one, report the state of one, or list what can be restored.

    Observing 100,000 snapshots can take longer than a client waits. A restore finds its record again when the request
    is repeated. A dry run has none, and is handed over.

    Raises BadRequest for a restore that does not exist, and for an instance on which another restore is open.
    """
    if isinstance(request, RestoreStatus):
        return describe(_load_known(request.restore_id, "status", invocation), invocation)
    if isinstance(request, ListPoints):
        return list_points(request, invocation)
    if isinstance(request, CancelRestore):
        return _cancel(request, invocation)
    if isinstance(request, RunStatus):
        return read_outcome(request.run_id, invocation)
    if isinstance(request, HandedOver):
        asked = request.request
        return continue_run(request, lambda _: _rehearse(asked, invocation), invocation)
    if request.dry_run:
        asked = request
        return carry_out("preflight", asked.as_sent(), lambda _: _rehearse(asked, invocation), invocation, once=False)
    if not request.request_id:
        request = replace(request, request_id=_derive_request_id(request, invocation))
    # A repeated request finds the instance stopped or on its new volumes. The pre-flight would refuse that.
    known = restores.load_restore(invocation.config.table, id_of_restore(request.request_id))
    return describe(known, invocation) if known else _start(request, invocation)


def _derive_request_id(request: RestoreRequest, invocation: Invocation) -> str:
    """The same id for the same request within minutes, because clients and Lambda retry.

    After a roll-back the same request gets a new id, so that it starts a new restore.
    """
    run = find_or_create_run("restore", asdict(request), invocation)
    before = restores.load_restore(invocation.config.table, id_of_restore(run.id))
    if before is not None and before.status is RestoreState.ROLLED_BACK:
        run = replace_run(run, invocation)
    return run.id


def advance_open(request: AdvanceRequest, invocation: Invocation) -> dict[str, Any]:
    """Advance the open restores that an event concerns, or all of them.

    While no restore is open, an event costs one read of the table. Raises RuntimeError after all restores were tried,
    if some of them could not be observed or published.
    """
    advanced: dict[str, Any] = {}
    failed: list[str] = []
    until = clock.monotonic() + WAIT_SECONDS
    waiting: dict[str, Mapping[str, Volume]] = {}
    again_at: dict[str, datetime | None] = {}  # also of those that fail
    wanted = _find_open(request, invocation)
    if wanted and request.reconcile:  # before the work, so that a run that is cut short is followed by another
        wakes.wake_while_open(ADVANCES, invocation)
    while wanted:
        for restore_id in wanted:
            waiting.pop(restore_id, None)
            restore = restores.load_restore(invocation.config.table, restore_id)
            if restore is None or not _is_concerned(restore, request):
                continue
            again_at[restore_id] = wakes.next_run()
            try:
                with translated():  # reading and publishing raise botocore's own errors
                    came = _advance(restore, invocation)
                    restore = publish_owed(came.restore, invocation)
            except AwsError as problem:  # the other restores go on
                failed.append(f"{restore_id}: {problem}")
                continue
            advanced[restore_id] = describe_restore(restore)
            again_at[restore_id] = came.again_at
            if came.changing:
                waiting[restore_id] = came.changing
        # Wait for all of them together, so that a slow one does not delay the others.
        wanted = _wait_for_change(waiting, until)
    if times := [at for at in again_at.values() if at]:
        wakes.wake(ADVANCES, min(times), invocation)
    if failed:
        raise RuntimeError("; ".join(failed))
    return {"restores": advanced}


def _find_open(request: AdvanceRequest, invocation: Invocation) -> tuple[str, ...]:
    """The ids of the open restores that a request may concern."""
    if request.reconcile or request.volume_ids or request.copy_ids:
        return restores.open_restores(invocation.config.table)
    found = (restores.open_on(invocation.config.table, instance_id) for instance_id in request.instance_ids)
    return tuple(restore_id for restore_id in found if restore_id)


def _wait_for_change(waiting: Mapping[str, Mapping[str, Volume]], until: float) -> tuple[str, ...]:
    """Wait until EC2 shows a changed volume. One call observes the volumes of all waiting restores.

    Returns:
        The restores to observe: those with a changed volume. After `OBSERVE_ALL_SECONDS` all of them, because not
        every change shows on a volume, and an action may be due again. None once `until` has passed.
    """
    ids = {volume_id for observed in waiting.values() for volume_id in observed}
    observe_all = clock.monotonic() + OBSERVE_ALL_SECONDS
    while waiting and clock.monotonic() < until:
        clock.wait(CHECK_SOON_SECONDS)
        if clock.monotonic() >= observe_all:
            return tuple(waiting)
        try:
            now = ec2_volumes.volumes(ids)
        except AwsError:  # observing each restore reports the error for each
            return tuple(waiting)
        changed = [
            restore_id
            for restore_id, observed in waiting.items()
            if any(now.get(volume_id) != volume for volume_id, volume in observed.items())
        ]
        if changed:
            return tuple(changed)
    return ()


def _is_concerned(restore: Restore, request: AdvanceRequest) -> bool:
    if request.reconcile or restore.instance_id in request.instance_ids:
        return True
    ours = {volume.displaced_volume_id for volume in restore.volumes}
    ours |= {volume.restored_volume_id for volume in restore.volumes}
    copies = {volume.fetch.copy_id for volume in restore.volumes if volume.fetch}
    # The first event of a volume or a copy may come before the record has its id.
    return any(
        known & set(named) or (named and None in known)
        for known, named in ((ours, request.volume_ids), (copies, request.copy_ids))
    )


# --- requests of a person


def _rehearse(request: RestoreRequest, invocation: Invocation) -> dict[str, Any]:
    """The findings and the plan. Nothing is recorded or changed."""
    return _start(replace(request, dry_run=True, request_id=request.request_id or "a dry run"), invocation)


def _start(request: RestoreRequest, invocation: Invocation) -> dict[str, Any]:
    checked = run_preflight(request, invocation)
    found = {
        "findings": [
            {"code": item.code, "severity": item.severity, "field": item.field, "finding": item.sentence}
            for item in checked.findings
        ],
        "plan": checked.text,
    }
    if request.dry_run:
        chosen = checked.plan.recovery_point_id if checked.plan else None
        return {"dry_run": True, "possible": checked.plan is not None, "recovery_point": chosen, **found}
    if checked.plan is None:
        return _refuse(request, found, checked.name, invocation)
    restore = begin(replace(checked.plan, plan=checked.text), checked.plan.started_at)
    wakes.wake_while_open(ADVANCES, invocation)  # before it is open, so that none is open without a wake
    try:
        restores.open_restore(invocation.config.table, restore)
    except restores.InstanceTaken as taken:
        if taken.restore_id == restore.id:  # the same request at the same moment
            return describe(_load_known(restore.id, "request_id", invocation), invocation)
        raise BadRequest(
            f"instance_id is {request.instance_id}, on which {taken.restore_id} is open, expected an instance without "
            "an open restore"
        ) from None
    # This function's role allows copies and volumes only. Their events invoke attach_volume, which does the rest.
    restore = _advance(restore, invocation, only=(CopySnapshot, CreateVolume)).restore
    with contextlib.suppress(AwsError), translated():  # the reconcile run publishes it, or fails with the error
        restore = publish_owed(restore, invocation)
    return {**describe(restore, invocation), **found}


def _refuse(request: RestoreRequest, found: dict[str, Any], name: str, invocation: Invocation) -> dict[str, Any]:
    reasons = [item["finding"] for item in found["findings"] if item["severity"] == "refuse"]
    message = restore_messages.restore_refused(
        **invocation.stamp(),
        instance_id=request.instance_id,
        reasons=reasons,
        asked_by=request.requested_by,
        name=name,
    )
    invocation.publish(message)
    return {"refused": f"nothing was touched: {' '.join(reasons)}", **found}


def _cancel(request: CancelRestore, invocation: Invocation) -> dict[str, Any]:
    restore = _load_known(request.restore_id, "cancel", invocation)
    try:
        cancelled = cancel(restore, clock.now(), request.requested_by, request.reason)
        cancelled = restores.save_restore(invocation.config.table, cancelled)
    except RestoreError as refusal:
        raise BadRequest(str(refusal)) from None
    except Overtaken:
        raise BadRequest(
            f"cancel is {request.restore_id}, which another invocation is advancing, expected the same request "
            "in some seconds"
        ) from None
    # This function's role does not allow the roll-back.
    wakes.wake(ADVANCES, clock.now(), invocation)
    return describe(cancelled, invocation)


def _load_known(restore_id: str, field: str, invocation: Invocation) -> Restore:
    restore = restores.load_restore(invocation.config.table, restore_id)
    if restore is None:
        raise BadRequest(f"{field} is {restore_id}, expected the id of a restore of this stack")
    return restore


# --- advancing one restore


def _advance(restore: Restore, invocation: Invocation, only: tuple[type[Change], ...] | None = None) -> Advanced:
    """Take steps until the restore has to wait for EC2. With `only`, stop before an action of another kind."""
    deadlines = replace(Deadlines(), **invocation.config.deadlines)
    try:
        while True:
            observed, step = _decide(restore, deadlines)
            action = step.action
            if only is not None and not isinstance(action, (*only, Requeue)):
                return Advanced(restore)
            if isinstance(action, Complete) and action.closes:
                ended = publish_and_close(step.restore, invocation)
                return Advanced(ended, again_at=wakes.next_run() if ended is step.restore else None)
            if step.restore.touched and not restore.touched:
                calls = plan_rehearsal(step.restore)
                refused = [(call, said) for call in calls if (said := ec2_calls.rehearse(call))]
                if refused:
                    restore = restores.save_restore(
                        invocation.config.table, after_rehearsal(restore, refused, clock.now())
                    )
                    continue
            if step.restore is not restore:
                restore = restores.save_restore(invocation.config.table, step.restore)
            if isinstance(action, Complete):  # the roll-back goes on, whether or not this can be published
                return Advanced(restore, again_at=wakes.next_run())
            if isinstance(action, Requeue):
                changing = observed.volumes if action.check_soon else {}
                return Advanced(restore, changing, min(action.again_at or wakes.next_run(), wakes.next_run()))
            restore = _perform(action, restore, invocation)
    except Overtaken:
        # Another invocation has moved the record, and continues from what it observed.
        return Advanced(_load_known(restore.id, "restore", invocation), again_at=wakes.next_run())


def _perform(action: Change, restore: Restore, invocation: Invocation) -> Restore:
    """Carry an action out. The record notes a refusal, and the next decision takes it into account."""
    try:
        made = ec2_calls.perform(action)
    except AwsError as problem:
        changed = after_failure(restore, action, _classify(problem), clock.now())
        return restore if changed is restore else restores.save_restore(invocation.config.table, changed)
    if isinstance(action, CopySnapshot):
        return restores.save_restore(invocation.config.table, after_copy_begun(restore, action, made))
    return restore


def _classify(problem: AwsError) -> Refusal:
    if problem.throttled:
        return Throttled(problem.code, problem.message)
    return Refused(problem.code, problem.message) if problem.answered else Unknown(str(problem))


def _decide(restore: Restore, deadlines: Deadlines) -> tuple[Observed, Step]:
    """Observe, and decide the next step.

    A volume without an id in the record is found by its tag. Once the record has every id, the tag is asked for only
    before the restore ends: EC2 may have made a volume twice, and that one is deleted last.
    """
    ids_missing = any(not volume.restored_volume_id for volume in restore.volumes)
    observed = _observe(restore, by_tag=ids_missing)
    step = next_step(restore, observed, clock.now(), deadlines)
    if isinstance(step.action, Complete) and not ids_missing:
        observed = _observe(restore, by_tag=True)
        step = next_step(restore, observed, clock.now(), deadlines)
    return observed, step


def _observe(restore: Restore, *, by_tag: bool) -> Observed:
    ids = {
        volume_id
        for volume in restore.volumes
        for volume_id in (volume.displaced_volume_id, volume.restored_volume_id)
        if volume_id
    }
    made = ec2_volumes.volumes_of_restore(restore.id) if by_tag else {}
    instance = ec2_instances.instances([restore.instance_id]).get(restore.instance_id)
    verifying = restore.started_on_restored and instance is not None and instance.state == "running"
    fetches = [volume.fetch.call for volume in restore.volumes if volume.fetch]
    fetching = fetches and restore.step is RestoreStep.COPIES
    return Observed(
        instance=instance,
        volumes={**ec2_volumes.volumes(ids), **made},
        status_checks=ec2_instances.status_checks(restore.instance_id) if verifying else "unknown",
        copies=ec2_snapshots.copies_of([item.snapshot_id for item in fetches], fetches[0].region) if fetching else {},
    )
