"""A restore is a transaction: it ends with the instance on the restored data, or with everything as it was.

`next_step` is asked again and again, by every event and by the sweep, with the record and with how things stand. It
never asks how they came to stand so. Three facts in the record are all it must remember beyond what EC2 shows:

* `direction`. A restore turns back once and never forward again, so it cannot swing between two plans.
* `touched`, written before the first call that changes the instance. A restore that turns back earlier only deletes
  what it made; one that turns back later puts everything in its place, whatever was or was not carried out.
* `started_on_restored`, written before the first start on the restored volumes. From then on they may carry data that
  is nowhere else, and are kept.

The record is saved before the action is carried out, so an invocation may be killed anywhere. The same action is asked
for again only `Deadlines.again` later: what EC2 has accepted may take a moment to show, and two invocations that look
at the same moment shall not both act.

A displaced and a restored volume are never attached at once: XFS refuses two file systems of one UUID, and the fresh
platform would write to either. Restored volumes go to the very device that the displaced one had, so EC2, too, would
refuse the second.

A volume is ours to delete if it carries this restore's tag, was made of one of its snapshots, nothing ever ran on it,
and nobody has attached it.

A recovery point that is only in another region, or that another account shares, is copied here first. The copies are
recovery points like all others: a restore that turns back leaves them, and the next one takes them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lifeboat.restore.decision import Observed, Requeue, Step
from lifeboat.restore.machine.actions import TurnBack, requeue, turn_back
from lifeboat.restore.machine.clean_up import clean_up
from lifeboat.restore.machine.copies import make_copies, with_copy
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.history import RestoreError, turned_back
from lifeboat.restore.machine.roll_back import give_up, roll_back
from lifeboat.restore.machine.situation import ON_INSTANCE, Place, Situation, attachment_of, describe_place, is_ours
from lifeboat.restore.machine.swap import swap_volumes
from lifeboat.restore.machine.verify import start_and_verify
from lifeboat.restore.machine.volumes import make_volumes
from lifeboat.restore.record import (
    Direction,
    Restore,
    RestoreStep,
    TimelineEntry,
)


def begin(plan: Restore, now: datetime) -> Restore:
    """The record of a restore that starts now, from the plan that the pre-flight made."""
    return replace(
        plan,
        started_at=now,
        step_since=now,
        timeline=(TimelineEntry(now, plan.step, _opening(plan)),),
    )


def _opening(plan: Restore) -> str:
    text = f"asked to restore {plan.recovery_point_id} onto {plan.instance_id}"
    if plan.requested_by:
        text += f" by {plan.requested_by}"
    if plan.reason:
        text += f": {plan.reason}"
    if plan.ami_override:
        text += f" (AMI gate overridden: {plan.ami_override})"
    return text


def cancel(restore: Restore, now: datetime, requested_by: str = "", reason: str = "") -> Restore:
    """Turn the restore back. Raises RestoreError when it has ended, or is turning back already."""
    if restore.closed:
        raise RestoreError(
            f"cancel is {restore.id}, which is {restore.status}, expected a restore that is still going on"
        )
    if restore.direction is Direction.ROLLBACK:
        raise RestoreError(
            f"cancel is {restore.id}, expected a restore that is not rolling back already: {restore.failure}"
        )
    by = f" by {requested_by}" if requested_by else ""
    return turned_back(restore, now, f"cancelled{by}" + (f": {reason}" if reason else ""))


def next_step(restore: Restore, observed: Observed, now: datetime, deadlines: Deadlines | None = None) -> Step:
    """What to do now. Total: any record and anything seen has an answer, and each is safe to carry out twice."""
    if restore.closed:
        return Step(Requeue(f"it is {restore.status}"), restore, f"{restore.id} has ended: {restore.status}")
    situation = Situation(_noted(restore, observed), observed, now, deadlines or Deadlines())
    try:
        step = _decide(situation)
    except TurnBack as turn:
        step = roll_back(turn.situation.with_restore(turned_back(turn.situation.restore, now, turn.reason)))
    # The very record when nothing has changed: that is how the caller knows that there is nothing to save.
    return replace(step, restore=restore) if step.restore == restore else step


def _decide(s: Situation) -> Step:
    if s.power == "shutting-down" and not s.overdue():
        return requeue(s, s.restore.step, f"{s.restore.instance_id} is being terminated")
    if s.power in {"shutting-down", "terminated"}:
        return _without_instance(s)
    return go_forward(s) if s.restore.direction is Direction.FORWARD else roll_back(s)


def go_forward(s: Situation) -> Step:
    if not s.restore.touched:
        return make_copies(s) if s.restore.step is RestoreStep.COPIES else make_volumes(s)
    trouble = _trouble_with_restored(s)
    if trouble:
        return turn_back(s, trouble)
    swapped = all(s.of_restored(volume) is Place.HERE for volume in s.restore.volumes)
    swapped = swapped and not any(s.of_displaced(volume) in ON_INSTANCE for volume in s.restore.volumes)
    return start_and_verify(s) if swapped else swap_volumes(s)


def _trouble_with_restored(s: Situation) -> str:
    for volume in s.restore.volumes:
        place = s.of_restored(volume)
        name = volume.restored_volume_id
        if place in {Place.LOST, Place.MAKING}:
            found = s.restored(volume)
            return f"the restored volume {name} is {found.state if found else 'gone'}"
        if place in {Place.AWAY, Place.ASTRAY}:
            return f"somebody attached the restored volume {name} {describe_place(s.restored(volume))}"
    return ""


def _without_instance(s: Situation) -> Step:
    reason = f"{s.restore.instance_id} was terminated by somebody else"
    if s.restore.touched:
        return give_up(s, reason)
    if s.restore.direction is Direction.FORWARD:
        return turn_back(s, reason)
    return clean_up(s)


def _noted(restore: Restore, observed: Observed) -> Restore:
    """The record with what only a look can tell: the restored volumes' ids, and whether anything ran on them."""
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
        if (attachment := attachment_of(item)) and attachment.instance_id == restore.instance_id
    }
    # The launch time is that of the last start, so it tells of one that came and went between two looks.
    ran = observed.instance is not None and (
        observed.instance.state in {"pending", "running"}
        or (restore.touched and observed.instance.launched_at != restore.launched_at)
    )
    started = ran and any(volume.restored_volume_id in on_target for volume in volumes)
    return replace(
        restore,
        volumes=tuple(volumes),
        started_on_restored=restore.started_on_restored or started,
        stopped=restore.stopped or _was_stopped(restore, observed),
    )


def _was_stopped(restore: Restore, observed: Observed) -> bool:
    """Whether the instance, which ran when it was touched, has been stopped since, if only between two looks."""
    if not restore.touched or not restore.was_running or observed.instance is None:
        return False
    return observed.instance.state in {"stopping", "stopped"} or observed.instance.launched_at != restore.launched_at
