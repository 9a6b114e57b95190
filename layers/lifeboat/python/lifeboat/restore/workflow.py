"""Restore: a person asks; everything is checked and made beforehand; the volumes are swapped; or all is as it was.

The state machine is `restore/machine.py`. Here is the loop around it: look, decide, write the record down, act, look
again. The record is written before the act (write-ahead), and only if nobody moved it meanwhile; so an invocation may
be killed anywhere, two may run at once, and any event or the sweep goes on where things stand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.ami.workflow import judge
from lifeboat.aws import clock, ec2_calls, ec2_describe, ec2_instances, ec2_snapshots, ec2_volumes, topic
from lifeboat.aws.errors import AwsError, translated
from lifeboat.aws.invocation import Invocation
from lifeboat.by_hand.workflow import begin_anew, run_of
from lifeboat.copies import shared_snapshots
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import VaultSource
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import Change, CopySnapshot, CreateVolume, Refusal, Refused, Throttled, Unknown
from lifeboat.domain.message import Message
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso
from lifeboat.restore import messages as restore_messages
from lifeboat.restore import store as restores
from lifeboat.restore.decision import Complete, Observed, Requeue
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.history import RestoreError
from lifeboat.restore.machine.history import restore_id as id_of_restore
from lifeboat.restore.machine.refused import after_copy_begun, after_failure
from lifeboat.restore.machine.rehearsal import after_rehearsal, rehearsal
from lifeboat.restore.machine.transitions import begin, cancel, next_step
from lifeboat.restore.machine.volumes import beginnings
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.selection import may_be_elsewhere, may_be_shared_by, of_the_named, sought
from lifeboat.restore.record import Restore, RestoreState, RestoreStep
from lifeboat.restore.report import outcome
from lifeboat.restore.request import AdvanceRequest, CancelRestore, RecoveryPointChoice, RestoreRequest, RestoreStatus

if TYPE_CHECKING:
    pass

CHECK_SOON_SECONDS = 0.5
"""Seconds between two looks at what EC2 finishes within seconds: a detach, an attach."""

LOOK_AT_ALL = 5.0
"""Seconds after which a restore is looked at as a whole although its volumes show nothing new."""

AT_ONCE = 20_000
"""Snapshots that a pre-flight looks at in one region, in 20 answers of EC2: a person waits for it."""

_NO_IMAGE = AmiVerdict(Trust.UNKNOWN, "no-instance", "there is no instance whose image could be looked up")

PATIENCE = 30.0
"""Seconds one invocation may spend on such looks (design.md, "The chains"); the rest is for the next event or sweep."""


def answer(request: RestoreRequest | CancelRestore | RestoreStatus, invocation: Invocation) -> dict[str, Any]:
    """What a person asks of restores: begin one, call one off, or tell where one stands."""
    if isinstance(request, RestoreStatus):
        return _report(_known(request.restore_id, "status", invocation))
    if isinstance(request, CancelRestore):
        return _cancel(request, invocation)
    if request.dry_run:
        return _begin(replace(request, request_id=request.request_id or "a dry run"), invocation)
    if not request.request_id:
        request = replace(request, request_id=_asked_again(request, invocation))
    # What is asked again finds the instance stopped, or on its new volumes: no pre-flight would let that pass.
    known = restores.load_restore(invocation.config.table, id_of_restore(request.request_id))
    return _report(known) if known else _begin(request, invocation)


def _asked_again(request: RestoreRequest, invocation: Invocation) -> str:
    """A request's id that is the same when the same is asked again within minutes, as clients and Lambda's own retries
    do. A restore that was rolled back meanwhile is not meant: asked again, it is tried again.
    """
    run = run_of("restore", asdict(request), invocation)
    before = restores.load_restore(invocation.config.table, id_of_restore(run.id))
    if before is not None and before.status is RestoreState.ROLLED_BACK:
        run = begin_anew(run, invocation)
    return run.id


def advance_open(request: AdvanceRequest, invocation: Invocation) -> dict[str, Any]:
    """Move on the restores that an event speaks of, or all open ones. An event of an instance without one costs one
    read, as does any other while none is open.
    """
    moved: dict[str, Any] = {}
    failed: list[str] = []
    patience = clock.monotonic() + PATIENCE
    waiting: dict[str, Mapping[str, Volume]] = {}
    wanted = _open_ones(request, invocation)
    while wanted:
        for restore_id in wanted:
            waiting.pop(restore_id, None)
            restore = restores.load_restore(invocation.config.table, restore_id)
            if restore is None or not _concerns(request, restore):
                continue
            try:
                with translated():  # looks and messages fail in botocore's own words
                    restore, unfinished = _advance(restore, invocation)
                    restore = _publish_owed(restore, invocation)
            except AwsError as problem:  # one restore that cannot be looked at stops no other
                failed.append(f"{restore_id}: {problem}")
                continue
            moved[restore_id] = _report(restore)
            if unfinished:
                waiting[restore_id] = unfinished
        # All wait together: one that EC2 keeps waiting costs no other its turn.
        wanted = _until_changed(waiting, patience)
    if failed:
        raise RuntimeError("; ".join(failed))
    return {"restores": moved}


def _open_ones(request: AdvanceRequest, invocation: Invocation) -> tuple[str, ...]:
    """The ids of the open restores that a request may be about; of one about instances alone just those on them."""
    if request.reconcile or request.volume_ids or request.copy_ids:
        return restores.open_restores(invocation.config.table)
    found = (restores.open_on(invocation.config.table, instance_id) for instance_id in request.instance_ids)
    return tuple(restore_id for restore_id in found if restore_id)


def _until_changed(waiting: Mapping[str, Mapping[str, Volume]], patience: float) -> tuple[str, ...]:
    """Wait until EC2 shows a volume otherwise than it was seen last. One call looks at those of all that wait.

    Returns:
        The restores to look at: those of such a volume, or all after `LOOK_AT_ALL`, because not everything shows on a
        volume, and an action may be asked for again. None when there is no patience left.
    """
    ids = {volume_id for observed in waiting.values() for volume_id in observed}
    look_at_all = clock.monotonic() + LOOK_AT_ALL
    while waiting and clock.monotonic() < patience:
        clock.wait(CHECK_SOON_SECONDS)
        if clock.monotonic() >= look_at_all:
            return tuple(waiting)
        try:
            now = ec2_volumes.volumes(ids)
        except AwsError:  # the look at each of them says so of each
            return tuple(waiting)
        changed = [
            restore_id
            for restore_id, observed in waiting.items()
            if any(now.get(volume_id) != volume for volume_id, volume in observed.items())
        ]
        if changed:
            return tuple(changed)
    return ()


def _concerns(request: AdvanceRequest, restore: Restore) -> bool:
    if request.reconcile or restore.instance_id in request.instance_ids:
        return True
    ours = {volume.displaced_volume_id for volume in restore.volumes}
    ours |= {volume.restored_volume_id for volume in restore.volumes}
    copies = {volume.fetch.copy_id for volume in restore.volumes if volume.fetch}
    # The first event of a volume or a copy may come before its id has been noted.
    return any(
        known & set(named) or (named and None in known)
        for known, named in ((ours, request.volume_ids), (copies, request.copy_ids))
    )


# --- beginning


def _begin(request: RestoreRequest, invocation: Invocation) -> dict[str, Any]:
    now = clock.now()
    facts = _facts(request, invocation)
    checked = preflight(request, facts, now)
    if checked.draft is not None:
        dry_runs = {
            f"{type(call).__name__} of {call.snapshot_id}": ec2_calls.rehearse(call)
            for call in beginnings(checked.draft)
        }
        checked = preflight(request, replace(facts, dry_runs=dry_runs), now)
    found = {
        "findings": [
            {"code": item.code, "severity": item.severity, "field": item.field, "finding": item.sentence}
            for item in checked.findings
        ],
        "plan": checked.text,
    }
    if request.dry_run:
        return {"dry_run": True, "possible": checked.plan is not None, **found}
    if checked.plan is None:
        return _refuse(request, found, invocation)
    restore = begin(replace(checked.plan, plan=checked.text), now)
    try:
        restores.open_restore(invocation.config.table, restore)
    except restores.InstanceTaken as taken:
        if taken.restore_id == restore.id:  # asked twice: it is the same restore
            return _report(_known(restore.id, "request_id", invocation))
        raise BadRequest(
            f"instance_id is {request.instance_id}, on which {taken.restore_id} is open, expected an instance without"
        ) from None
    # Only copies and volumes are begun here: this function has no right to do more. Their events wake attach_volume.
    restore, _ = _advance(restore, invocation, only=(CopySnapshot, CreateVolume))
    with contextlib.suppress(AwsError), translated():  # the sweep tells it, or fails and is heard of
        restore = _publish_owed(restore, invocation)
    return {**_report(restore), **found}


def _facts(request: RestoreRequest, invocation: Invocation) -> PreflightFacts:
    """Everything the pre-flight rests on."""
    instance = ec2_instances.instances([request.instance_id]).get(request.instance_id)
    attached = [item.volume_id for item in instance.attachments] if instance else []
    choice = request.recovery_point
    shown = ec2_snapshots.snapshots(choice.snapshot_ids) if choice.snapshot_ids else {}
    facts = PreflightFacts(
        instance=instance,
        volumes=ec2_volumes.volumes(attached) if attached else {},
        account=invocation.config.account,
        region=invocation.config.region,
        stack=invocation.config.stack,
        ami=judge(instance, invocation) if instance else _NO_IMAGE,
        stop_protected=ec2_instances.stop_protected(instance.id) if instance else False,
        open_restore=restores.open_on(invocation.config.table, request.instance_id),
        snapshots=shown,
        trusted_snapshot_owners=invocation.config.trusted_snapshot_owners,
        encrypt_restored=invocation.config.encrypt_restored,
        encryption_by_default=ec2_volumes.encryption_by_default(),
        kms_key_id=invocation.config.kms_key_id,
        completion_minutes=invocation.config.copy_completion_minutes,
        restore_from=invocation.config.restore_from,
        vault_key=invocation.config.vault_key or None,
        instance_store=ec2_instances.instance_store(instance.type) if instance else 0,
        product_codes=ec2_instances.product_codes(instance) if instance else {},
    )
    try:
        facts = replace(facts, points=_here(sought(choice, shown.values())))
        return _with_elsewhere(facts, choice, invocation) if may_be_elsewhere(choice, facts) else facts
    except ec2_describe.TooMany:
        return replace(facts, too_many=AT_ONCE)


def _here(tags: Mapping[str, Sequence[str]] | None) -> tuple[RecoveryPoint, ...]:
    return (
        () if tags is None else read_catalogue(ec2_snapshots.recovery_point_snapshots_tagged(tags, most=AT_ONCE)).points
    )


def _with_elsewhere(facts: PreflightFacts, choice: RecoveryPointChoice, invocation: Invocation) -> PreflightFacts:
    """With this stack's recovery points in the regions that may be fetched from, and those that a vault's sources
    share, or why some were not looked at.
    """
    found: list[RecoveryPoint] = []
    unread, unread_accounts = {}, {}
    for region in invocation.config.restore_from:
        try:
            points = _elsewhere(region, choice, invocation)
        except AwsError as problem:
            unread[region] = str(problem)
        else:
            found += (replace(point, region=region) for point in points)
    for source in invocation.config.vault_sources:
        try:
            points = _shared_elsewhere(source, choice, invocation)
        except AwsError as problem:
            unread_accounts[source.account] = str(problem)
        except ec2_describe.TooMany:
            unread_accounts[source.account] = f"it is more than {shared_snapshots.AT_ONCE:,} snapshots"
        else:
            found += (replace(point, region=invocation.config.region, account=source.account) for point in points)
    if choice.snapshot_ids and found:
        # Copies of theirs may be here, though their ids are of elsewhere.
        known = (member.snapshot for point in (*facts.points, *found) for member in point.members)
        facts = replace(facts, points=_here(sought(choice, known)))
    return replace(facts, elsewhere=tuple(found), unread=unread, unread_accounts=unread_accounts)


def _elsewhere(region: str, choice: RecoveryPointChoice, invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    look = partial(ec2_snapshots.recovery_point_snapshots_elsewhere, region, invocation.config.stack, most=AT_ONCE)
    tags = sought(choice, look({}, ids=choice.snapshot_ids) if choice.snapshot_ids else ())
    return () if tags is None else read_catalogue(look(tags)).points


def _shared_elsewhere(
    source: VaultSource, choice: RecoveryPointChoice, invocation: Invocation
) -> tuple[RecoveryPoint, ...]:
    """What a source shares, under the names that it would have here. Raises AwsError, and TooMany."""
    if not may_be_shared_by(source.account, choice):
        return ()
    return of_the_named(
        choice, shared_snapshots.described_by(source, shared_snapshots.shared_by(source), invocation).points
    )


def _refuse(request: RestoreRequest, found: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
    reasons = [item["finding"] for item in found["findings"] if item["severity"] == "refuse"]
    message = restore_messages.restore_refused(
        stack=invocation.config.stack,
        at=clock.now(),
        instance_id=request.instance_id,
        reasons=reasons,
        asked_by=request.requested_by,
    )
    topic.publish(invocation.config.topic_arn, message)
    return {"refused": f"nothing was touched: {' '.join(reasons)}", **found}


def _cancel(request: CancelRestore, invocation: Invocation) -> dict[str, Any]:
    restore = _known(request.restore_id, "cancel", invocation)
    try:
        turned = cancel(restore, clock.now(), request.requested_by, request.reason)
        # The sweep rolls it back: this function has no right to.
        return _report(restores.save_restore(invocation.config.table, turned))
    except RestoreError as refusal:
        raise BadRequest(str(refusal)) from None
    except restores.Overtaken:
        raise BadRequest(f"cancel is {request.restore_id}, which is moving just now, expected another try") from None


def _known(restore_id: str, field: str, invocation: Invocation) -> Restore:
    restore = restores.load_restore(invocation.config.table, restore_id)
    if restore is None:
        raise BadRequest(f"{field} is {restore_id}, expected the id of a restore of this stack")
    return restore


# --- moving on


def _advance(
    restore: Restore, invocation: Invocation, only: tuple[type[Change], ...] | None = None
) -> tuple[Restore, Mapping[str, Volume]]:
    """Take steps until there is nothing to do but wait for EC2, or none is left of the kind that this may take.

    Returns:
        The restore as it stands then, and its volumes as they were seen if EC2 is done with one of them in a moment.
    """
    deadlines = _deadlines(invocation)
    try:
        while True:
            observed = _observe(restore)
            step = next_step(restore, observed, clock.now(), deadlines)
            action = step.action
            if only is not None and not isinstance(action, (*only, Requeue)):
                return restore, {}
            if isinstance(action, Complete) and action.closes:
                return _complete_action(step.restore, invocation), {}
            if step.restore.touched and not restore.touched:
                refused = [(change, said) for change in rehearsal(step.restore) if (said := ec2_calls.rehearse(change))]
                if refused:
                    restore = restores.save_restore(
                        invocation.config.table, after_rehearsal(restore, refused, clock.now())
                    )
                    continue
            if step.restore is not restore:
                restore = restores.save_restore(invocation.config.table, step.restore)
            if isinstance(action, Complete):  # it goes on trying, whether or not that can be told
                return restore, {}
            if isinstance(action, Requeue):
                return restore, observed.volumes if action.check_soon else {}
            restore = _act(action, restore, invocation)
    except restores.Overtaken:
        # Another invocation is at it; it goes on from what it saw.
        return _known(restore.id, "restore", invocation), {}


def _act(action: Change, restore: Restore, invocation: Invocation) -> Restore:
    """Carry the step out. A refusal is noted in the record, and the next look decides what it means."""
    try:
        made = ec2_calls.perform(action)
    except AwsError as problem:
        changed = after_failure(restore, action, _refusal(problem), clock.now())
        return restore if changed is restore else restores.save_restore(invocation.config.table, changed)
    if isinstance(action, CopySnapshot):
        return restores.save_restore(invocation.config.table, after_copy_begun(restore, action, made))
    return restore


def _refusal(problem: AwsError) -> Refusal:
    if problem.throttled:
        return Throttled(problem.code, problem.message)
    return Refused(problem.code, problem.message) if problem.answered else Unknown(str(problem))


def _publish_owed(restore: Restore, invocation: Invocation) -> Restore:
    """Tell what nobody has told yet of a restore that is open: that it has begun, and that its roll-back has failed.

    Whoever moves it on does so afterwards: no step waits for a topic that cannot be used, and that is heard of all the
    same, as the function fails. Raises AwsError.
    """
    if restore.closed:
        return restore
    owed = restore
    if not owed.told:
        owed = replace(owed, told=_publish_started(restore, invocation))
    if owed.told and owed.status is RestoreState.FAILED and not owed.failure_published:
        message = _ended(restore, invocation)
        owed = replace(owed, failure_published=invocation.publish_once("restore-told", f"{restore.id} failed", message))
    try:
        return restore if owed == restore else restores.save_restore(invocation.config.table, owed)
    except restores.Overtaken:
        return restore  # it stands in no record yet, and is not told twice


def _publish_started(restore: Restore, invocation: Invocation) -> bool:
    message = restore_messages.restore_started(
        stack=invocation.config.stack, at=restore.started_at, restore=restore, plan=restore.plan
    )
    return invocation.publish_once("restore-told", f"{restore.id} started", message)


def _complete_action(restore: Restore, invocation: Invocation) -> Restore:
    """Tell the outcome, then close the restore: no message is lost, and none is told by two invocations at once.

    The end is not told before the beginning, nor closed by another than the one who tells it: who was cut short while
    telling holds the key for two minutes more, and the sweep looks again.
    """
    if not restore.told and not _publish_started(restore, invocation):
        return restore
    # A roll-back that was told as failed and tried on may be told once more, as given up.
    key = f"{restore.id} {restore.status} for good"
    if not invocation.publish_once("restore-told", key, _ended(restore, invocation)):
        return restore
    return restores.close_restore(invocation.config.table, replace(restore, told=True))


def _ended(restore: Restore, invocation: Invocation) -> Message:
    told = outcome(restore, clock.now(), invocation.config.region, invocation.config.account)
    return restore_messages.restore_ended(stack=invocation.config.stack, at=clock.now(), restore=restore, outcome=told)


def _observe(restore: Restore) -> Observed:
    ids = {
        volume_id
        for volume in restore.volumes
        for volume_id in (volume.displaced_volume_id, volume.restored_volume_id)
        if volume_id
    }
    instance = ec2_instances.instances([restore.instance_id]).get(restore.instance_id)
    verifying = restore.started_on_restored and instance is not None and instance.state == "running"
    fetches = [volume.fetch.call for volume in restore.volumes if volume.fetch]
    fetching = fetches and restore.step is RestoreStep.COPIES
    return Observed(
        instance=instance,
        volumes={**ec2_volumes.volumes(ids), **ec2_volumes.volumes_of_restore(restore.id)},
        status_checks=ec2_instances.status_checks(restore.instance_id) if verifying else "unknown",
        copies=ec2_snapshots.copies_of([item.snapshot_id for item in fetches], fetches[0].region) if fetching else {},
    )


def _deadlines(invocation: Invocation) -> Deadlines:
    return replace(Deadlines(), **invocation.config.deadlines)


def _report(restore: Restore) -> dict[str, Any]:
    return {
        "restore_id": restore.id,
        "status": restore.status.value,
        "direction": restore.direction.value,
        "step": restore.step.value,
        "instance_id": restore.instance_id,
        "recovery_point": restore.recovery_point_id,
        "volumes": [
            {
                "device": volume.device,
                "snapshot_id": volume.snapshot_id,
                **({"copied_from": volume.fetch.call.origin} if volume.fetch else {}),
                "restored_volume_id": volume.restored_volume_id,
                "displaced_volume_id": volume.displaced_volume_id,
            }
            for volume in restore.volumes
        ],
        "failure": restore.failure,
        "timeline": [f"{iso(entry.at)} {entry.step.value}: {entry.text}" for entry in restore.timeline],
    }
