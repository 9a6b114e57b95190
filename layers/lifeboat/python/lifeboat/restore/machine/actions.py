"""All steps, both directions: call EC2, wait for the effect, call again, and give up after the deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    Change,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    SetDeleteOnTermination,
    StartInstance,
    StopInstance,
    TagDisplaced,
    UntagDisplaced,
)
from lifeboat.restore.decision import Action, Complete, Requeue, Step
from lifeboat.restore.machine.history import describe_duration, enter_step, with_entry
from lifeboat.restore.machine.situation import Place, Situation, find_attachment
from lifeboat.restore.record import Direction, RestoreState, RestoreStep

MAX_STARTS = 3
"""How often to start an instance whose starts EC2 accepts, but which falls back to `stopped`, as with a wrong key."""


class RollBackNeeded(Exception):  # noqa: N818 - a decision, not an error
    """The restore cannot go forward and rolls back from `situation`. `reason` says why."""

    def __init__(self, situation: Situation, reason: str) -> None:
        super().__init__(reason)
        self.situation = situation
        self.reason = reason


def start_roll_back(s: Situation, reason: str) -> NoReturn:
    """End the way forward. `next_step` continues with the roll-back. Raises RollBackNeeded."""
    raise RollBackNeeded(s, reason)


def stop_instance(s: Situation, why: str) -> Step:
    """Step `stop`, both directions: stop a running instance, or wait until it is stopped."""
    if s.power == "running":
        return take_action(s, RestoreStep.STOP, StopInstance(s.restore.instance_id), why)
    return requeue(s, RestoreStep.STOP, f"{s.restore.instance_id} is {s.power}")


def start_instance(s: Situation, why: str) -> Step:
    """Step `start`, both directions: start the stopped instance, and count the start."""
    action = StartInstance(s.restore.instance_id)
    if not may_ask_again(s, action_key(action)):
        return requeue(s, RestoreStep.START, f"StartInstance was called at {s.restore.asked_at:%H:%M:%S}")
    started = s.restore.started_on_restored or any(s.of_restored(item) is Place.HERE for item in s.restore.volumes)
    # Only a failed roll-back starts more often than MAX_STARTS. Nothing depends on its count.
    starts = min(s.restore.starts + 1, MAX_STARTS)
    step = take_action(s, RestoreStep.START, action, why)
    if step.action != action:  # too late: it rolls back without a start
        return step
    return replace(step, restore=replace(step.restore, started_on_restored=started, starts=starts))


def describe_state(s: Situation) -> str:
    """EC2's reason for the instance's state, as the end of a sentence."""
    said = s.observed.instance.state_message if s.observed.instance else ""
    return f"; EC2 says {said}" if said else ""


def wait_for_window(s: Situation) -> Step | None:
    """Step `verify`, both directions: an instance that was started keeps running. None once it has for long enough."""
    since = s.now if s.restore.step is not RestoreStep.VERIFY else s.restore.step_since
    if s.now - since >= s.deadlines.window:
        return None
    reason = f"{s.restore.instance_id} runs, and must still run in {describe_duration(s.deadlines.window)}"
    return requeue(s, RestoreStep.VERIFY, reason, again_at=since + s.deadlines.window)


def detach_volume(s: Situation, volume: Volume | None, why: str) -> Step:
    """Step `detach`, both directions."""
    attachment = find_attachment(volume) if volume else None
    if attachment is None:  # pragma: no cover - callers pass an attached volume
        return requeue(s, RestoreStep.DETACH, "it is detached")
    return take_action(
        s, RestoreStep.DETACH, DetachVolume(attachment.volume_id, attachment.instance_id, attachment.device), why
    )


def set_delete_on_termination(s: Situation, *, restored: bool) -> Step | None:
    """Step `attach`, both directions: give the attached volumes the flag that the displaced ones had."""
    for volume in s.restore.volumes:
        found = s.restored(volume) if restored else s.displaced(volume)
        if found and s.delete_on_termination(found) != volume.displaced_delete_on_termination:
            action = SetDeleteOnTermination(
                s.restore.instance_id, volume.device, volume.displaced_delete_on_termination
            )
            return take_action(s, RestoreStep.ATTACH, action, "as it was for the displaced volume")
    return None


def take_action(s: Situation, step: RestoreStep, action: Change, why: str) -> Step:
    """Call EC2, unless the same call was made moments ago: then wait for its effect.

    After the step's deadline the restore rolls back, or its roll-back fails.
    """
    key = action_key(action)
    reason = f"{describe_call(action)}: {why}"
    if not may_ask_again(s, key):
        quick = not isinstance(action, CopySnapshot | CreateVolume | StopInstance | StartInstance)
        return requeue(s, step, f"called at {s.restore.asked_at:%H:%M:%S}, no effect yet: {reason}", check_soon=quick)
    within = describe_duration(s.deadlines.of(step))
    late = _check_deadline(s, step, f"{reason} (called before, not done within {within}{describe_refusal(s, action)})")
    if late:
        return late
    repeated = s.restore.asked == key and s.restore.step is step
    restore = replace(enter_step(s.restore, step, s.now), asked=key, asked_at=s.now, refused="")
    return Step(action, restore if repeated else with_entry(restore, s.now, reason), reason)


def describe_refusal(s: Situation, action: Change | None = None) -> str:
    """EC2's words about the last action, as the end of a sentence, if EC2 refused it."""
    said = s.restore.refused.removeprefix(f"{describe_call(action)}: " if action else "")
    return f"; EC2 said {said}" if said else ""


def requeue(
    s: Situation, step: RestoreStep, reason: str, *, check_soon: bool = False, again_at: datetime | None = None
) -> Step:
    """Wait in a step. `check_soon`: EC2 finishes within seconds. `again_at`: for a wait whose end no event shows.

    Deadlines as in `take_action`.
    """
    limit = describe_duration(s.deadlines.of(step))
    late = _check_deadline(s, step, f"{reason}, for longer than {limit}{describe_refusal(s)}")
    if late:
        return late
    # Only the reconcile run advances a failed roll-back, because that may take days.
    quick = check_soon and s.restore.status is RestoreState.OPEN
    restore = s.restore
    if restore.step is not step:
        restore = with_entry(enter_step(restore, step, s.now), s.now, reason)
    return Step(Requeue(reason, quick, again_at), restore, reason)


def _check_deadline(s: Situation, step: RestoreStep, reason: str) -> Step | None:
    """After the deadline: roll back or, in a roll-back, publish that it has failed and keep trying."""
    if s.restore.status is not RestoreState.OPEN or step is RestoreStep.CLEAN_UP:
        return None
    overdue = s.restore.step is step and s.overdue()
    if s.restore.direction is Direction.FORWARD:
        return start_roll_back(s, reason) if overdue else None
    if s.restore.blocked or overdue:
        blocked = s.restore.blocked or reason
        restore = with_entry(
            replace(s.restore, status=RestoreState.FAILED, blocked=blocked), s.now, f"stuck: {blocked}"
        )
        action = Complete(RestoreState.FAILED, closes=False)
        return Step(action, enter_step(restore, step, s.now), f"the roll-back cannot finish: {blocked}")
    return None


def complete(s: Situation, outcome: RestoreState, reason: str) -> Step:
    """End the restore with an outcome. The instance is free for another restore."""
    restore = replace(
        with_entry(enter_step(s.restore, RestoreStep.DONE, s.now), s.now, reason), status=outcome, closed=True
    )
    return Step(Complete(outcome), restore, reason)


def may_ask_again(s: Situation, key: str) -> bool:
    """Whether the call differs from the last one, or enough time has passed to repeat it."""
    asked_at = s.restore.asked_at
    return s.restore.asked != key or asked_at is None or s.now - asked_at >= s.deadlines.again


def action_key(action: Action) -> str:
    """What makes two calls the same. The record keeps the key of the last one."""
    match action:
        case CopySnapshot(region, snapshot, completion_minutes=minutes):
            return f"CopySnapshot {region} {snapshot} {minutes}"
        case CreateVolume(client_token=token):
            return f"CreateVolume {token}"
        case DetachVolume(volume, instance, device) | AttachVolume(volume, instance, device):
            return f"{type(action).__name__} {volume} {instance} {device}"
        case SetDeleteOnTermination(instance, device, value):
            return f"SetDeleteOnTermination {instance} {device} {value}"
        case TagDisplaced(volume) | UntagDisplaced(volume) | DeleteVolume(volume):
            return f"{type(action).__name__} {volume}"
        case _:
            return type(action).__name__


def describe_call(action: Change) -> str:
    """A call in words, for reasons and the timeline."""
    match action:
        case CopySnapshot(snapshot_id=snapshot):
            return f"CopySnapshot of {snapshot} from {action.origin}"
        case CreateVolume(snapshot_id=snapshot):
            return f"CreateVolume of {snapshot}"
        case StopInstance(instance) | StartInstance(instance):
            return f"{type(action).__name__} {instance}"
        case DetachVolume(volume, instance, device):
            return f"DetachVolume {volume} from {device} of {instance}"
        case AttachVolume(volume, instance, device):
            return f"AttachVolume {volume} at {device} of {instance}"
        case SetDeleteOnTermination(instance, device, value):
            return f"SetDeleteOnTermination {str(value).lower()} at {device} of {instance}"
        case _:
            return f"{type(action).__name__} {action.volume_id}"
