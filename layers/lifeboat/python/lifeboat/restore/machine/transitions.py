"""All steps, both directions: which step is next. A restore completes, or leaves everything as it was.

Every event and every reconcile run calls `next_step` with the record and with what EC2 shows. It does not ask how that
came about. Beyond what EC2 shows, the record remembers three facts:

* `direction`. A restore rolls back once and never goes forward again, so it cannot swing between two plans.
* `touched`, saved before the first call that changes the instance. Before that, a roll-back only deletes what the
  restore made. After that, it puts every volume in its place, whether or not a call was carried out.
* `started_on_restored`, saved before the first start on the restored volumes. From then on they may hold data that is
  nowhere else, and are kept.

The record is saved before the action, so Lambda may end an invocation at any point. The same action is repeated only
after `Deadlines.again`: EC2 may take a moment to show what it accepted, and of two invocations only one shall act.

A displaced and a restored volume are never attached at once. XFS refuses two file systems with one UUID, and the
platform could write to either. A restored volume gets the device that the displaced one had, so EC2, too, refuses the
second.

The restore deletes a volume only if it has this restore's tag, was made of one of its snapshots, is not attached, and
no instance ran on it.

A recovery point that is only in another region, or that another account shares, is copied here first. The copies are
recovery points like all others. A roll-back leaves them, and the next restore uses them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lifeboat.restore.decision import Observed, Requeue, Step
from lifeboat.restore.machine.actions import RollBackNeeded, requeue, start_roll_back
from lifeboat.restore.machine.clean_up import clean_up
from lifeboat.restore.machine.copies import make_copies, with_copy
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.history import RestoreError, with_roll_back
from lifeboat.restore.machine.roll_back import give_up, roll_back
from lifeboat.restore.machine.situation import ON_INSTANCE, Place, Situation, describe_place, find_attachment, is_ours
from lifeboat.restore.machine.swap import swap_volumes
from lifeboat.restore.machine.verify import start_and_verify
from lifeboat.restore.machine.volumes import make_volumes
from lifeboat.restore.record import Direction, Restore, RestoreStep, TimelineEntry


def begin(plan: Restore, now: datetime) -> Restore:
    """The record of a restore that starts now, from the plan of the pre-flight."""
    return replace(
        plan,
        started_at=now,
        step_since=now,
        timeline=(TimelineEntry(now, plan.step, _describe_request(plan)),),
    )


def _describe_request(plan: Restore) -> str:
    text = f"restore of {plan.recovery_point_id} onto {plan.instance_id} requested"
    if plan.requested_by:
        text += f" by {plan.requested_by}"
    if plan.reason:
        text += f": {plan.reason}"
    if plan.ami_override:
        text += f" (AMI gate overridden: {plan.ami_override})"
    return text


def cancel(restore: Restore, now: datetime, requested_by: str = "", reason: str = "") -> Restore:
    """Roll the restore back. Raises RestoreError when it has ended, or is rolling back already."""
    if restore.closed:
        raise RestoreError(f"cancel is {restore.id}, which is {restore.status}, expected a restore that has not ended")
    if restore.direction is Direction.ROLLBACK:
        raise RestoreError(
            f"cancel is {restore.id}, expected a restore that is not rolling back already: {restore.failure}"
        )
    by = f" by {requested_by}" if requested_by else ""
    noted = replace(restore, cancelled_by=requested_by, cancel_reason=reason)
    return with_roll_back(noted, now, f"cancelled{by}" + (f": {reason}" if reason else ""))


def next_step(restore: Restore, observed: Observed, now: datetime, deadlines: Deadlines | None = None) -> Step:
    """Decide what to do now. Every record and observation has an answer, and each is safe to carry out twice."""
    if restore.closed:
        return Step(Requeue(f"it is {restore.status}"), restore, f"{restore.id} has ended: {restore.status}")
    situation = Situation(_note_observed(restore, observed), observed, now, deadlines or Deadlines())
    try:
        step = _decide(situation)
    except RollBackNeeded as needed:
        step = roll_back(needed.situation.with_restore(with_roll_back(needed.situation.restore, now, needed.reason)))
    # An unchanged record is the same object, so the caller knows that there is nothing to save.
    return replace(step, restore=restore) if step.restore == restore else step


def _decide(s: Situation) -> Step:
    if s.power == "shutting-down" and not s.overdue():
        return requeue(s, s.restore.step, f"{s.restore.instance_id} is being terminated")
    if s.power in {"shutting-down", "terminated"}:
        return _end_without_instance(s)
    return go_forward(s) if s.restore.direction is Direction.FORWARD else roll_back(s)


def go_forward(s: Situation) -> Step:
    """The next step forward, from wherever the volumes are."""
    if not s.restore.touched:
        return make_copies(s) if s.restore.step is RestoreStep.COPIES else make_volumes(s)
    problem = _find_restored_problem(s)
    if problem:
        return start_roll_back(s, problem)
    swapped = all(s.of_restored(volume) is Place.HERE for volume in s.restore.volumes)
    swapped = swapped and not any(s.of_displaced(volume) in ON_INSTANCE for volume in s.restore.volumes)
    return start_and_verify(s) if swapped else swap_volumes(s)


def _find_restored_problem(s: Situation) -> str:
    for volume in s.restore.volumes:
        place = s.of_restored(volume)
        name = volume.restored_volume_id
        if place in {Place.LOST, Place.MAKING}:
            found = s.restored(volume)
            return f"the restored volume {name} is {found.state if found else 'gone'}"
        if place in {Place.AWAY, Place.ASTRAY}:
            return f"the restored volume {name} is attached {describe_place(s.restored(volume))}"
    return ""


def _end_without_instance(s: Situation) -> Step:
    reason = f"{s.restore.instance_id} was terminated"
    if s.restore.touched:
        return give_up(s, reason)
    if s.restore.direction is Direction.FORWARD:
        return start_roll_back(s, reason)
    return clean_up(s)


def _note_observed(restore: Restore, observed: Observed) -> Restore:
    """The record with what EC2 shows: the ids of copies and restored volumes, and whether an instance ran on them."""
    volumes = []
    for volume in restore.volumes:
        volume = with_copy(volume, observed.copies)  # noqa: PLW2901
        if volume.restored_volume_id is None:
            found = sorted(
                item.id
                for item in observed.volumes.values()
                if is_ours(restore, item) and item.snapshot_id == volume.snapshot_id and item.state != "deleted"
            )
            volume = replace(volume, restored_volume_id=found[0]) if found else volume  # noqa: PLW2901
        volumes.append(volume)
    on_target = {
        attachment.volume_id
        for item in observed.volumes.values()
        if (attachment := find_attachment(item)) and attachment.instance_id == restore.instance_id
    }
    # EC2 shows the time of the last start, which reveals a start and stop between two observations.
    ran = observed.instance is not None and (
        observed.instance.state in {"pending", "running"}
        or (restore.touched and observed.instance.launched_at != restore.launched_at)
    )
    started = restore.started_on_restored or (ran and any(item.restored_volume_id in on_target for item in volumes))
    stopped = restore.stopped or _was_stopped(restore, observed)
    if (tuple(volumes), started, stopped) == (restore.volumes, restore.started_on_restored, restore.stopped):
        return restore  # as nearly always; the check of the whole machine sees 200,000 observations
    return replace(restore, volumes=tuple(volumes), started_on_restored=started, stopped=stopped)


def _was_stopped(restore: Restore, observed: Observed) -> bool:
    """Whether the instance ran when the swap began and has been stopped since, even between two observations."""
    if not restore.touched or not restore.was_running or observed.instance is None:
        return False
    return observed.instance.state in {"stopping", "stopped"} or observed.instance.launched_at != restore.launched_at
