"""One action at a time: asked again when it may be, given up when it is late."""

from __future__ import annotations

from dataclasses import replace
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
from lifeboat.restore.machine.history import at_step, in_words, with_entry
from lifeboat.restore.machine.situation import Place, Situation, attachment_of
from lifeboat.restore.record import (
    Direction,
    RestoreState,
    RestoreStep,
)

MAX_STARTS = 3
"""A start that EC2 accepted and that ended `stopped` again (a key it may not use, for one) is asked this many times."""


class TurnBack(Exception):  # noqa: N818 - no error: the restore rolls back
    """The restore cannot go forward. `reason` says why."""

    def __init__(self, situation: Situation, reason: str) -> None:
        super().__init__(reason)
        self.situation = situation
        self.reason = reason


def turn_back(s: Situation, reason: str) -> NoReturn:
    """Give up going forward. The state machine goes on with the first step back."""
    raise TurnBack(s, reason)


def stop_instance(s: Situation, why: str) -> Step:
    if s.power == "running":
        return take_action(s, RestoreStep.STOP, StopInstance(s.restore.instance_id), why)
    return requeue(s, RestoreStep.STOP, f"{s.restore.instance_id} is {s.power}")


def start_instance(s: Situation, why: str) -> Step:
    action = StartInstance(s.restore.instance_id)
    if not may_ask_again(s, action_key(action)):
        return requeue(s, RestoreStep.START, f"a start was asked for at {s.restore.asked_at:%H:%M:%S}")
    started = s.restore.started_on_restored or any(s.of_restored(item) is Place.HERE for item in s.restore.volumes)
    # Beyond MAX_STARTS only a failed roll-back goes on, and its count tells nobody anything.
    starts = min(s.restore.starts + 1, MAX_STARTS)
    step = take_action(s, RestoreStep.START, action, why)
    if step.action != action:  # too late: it turns back without having asked
        return step
    return replace(step, restore=replace(step.restore, started_on_restored=started, starts=starts))


def state_reason(s: Situation) -> str:
    said = s.observed.instance.state_message if s.observed.instance else ""
    return f"; EC2 says {said}" if said else ""


def detach_volume(s: Situation, volume: Volume | None, why: str) -> Step:
    attachment = attachment_of(volume) if volume else None
    if attachment is None:  # pragma: no cover - asked only of a volume that has one
        return requeue(s, RestoreStep.DETACH, "it is off")
    return take_action(
        s, RestoreStep.DETACH, DetachVolume(attachment.volume_id, attachment.instance_id, attachment.device), why
    )


def set_delete_on_termination(s: Situation, *, restored: bool) -> Step | None:
    for volume in s.restore.volumes:
        found = s.restored(volume) if restored else s.displaced(volume)
        if found and s.flag(found) != volume.displaced_delete_on_termination:
            action = SetDeleteOnTermination(
                s.restore.instance_id, volume.device, volume.displaced_delete_on_termination
            )
            return take_action(s, RestoreStep.ATTACH, action, "as it was for the displaced volume")
    return None


def take_action(s: Situation, step: RestoreStep, action: Change, why: str) -> Step:
    key = action_key(action)
    reason = f"{describe_call(action)}: {why}"
    if not may_ask_again(s, key):
        quick = not isinstance(action, CopySnapshot | CreateVolume | StopInstance | StartInstance)
        return requeue(s, step, f"asked at {s.restore.asked_at:%H:%M:%S}, not seen yet: {reason}", check_soon=quick)
    late = _late(
        s,
        step,
        f"{reason} (asked before, and not done within {in_words(s.deadlines.of(step))}{refusal_in_words(s, action)})",
    )
    if late:
        return late
    repeated = s.restore.asked == key and s.restore.step is step
    restore = replace(at_step(s.restore, step, s.now), asked=key, asked_at=s.now, refused="")
    return Step(action, restore if repeated else with_entry(restore, s.now, reason), reason)


def refusal_in_words(s: Situation, action: Change | None = None) -> str:
    """What EC2 said to the last action, if it refused it: why there was no capacity, for one."""
    said = s.restore.refused.removeprefix(f"{describe_call(action)}: " if action else "")
    return f"; EC2 said {said}" if said else ""


def requeue(s: Situation, step: RestoreStep, reason: str, *, check_soon: bool = False) -> Step:
    late = _late(s, step, f"{reason}, for longer than {in_words(s.deadlines.of(step))}{refusal_in_words(s)}")
    if late:
        return late
    # A failed roll-back is looked at by the sweep alone: it may take days.
    quick = check_soon and s.restore.status is RestoreState.OPEN
    restore = s.restore
    if restore.step is not step:
        restore = with_entry(at_step(restore, step, s.now), s.now, reason)
    return Step(Requeue(reason, quick), restore, reason)


def _late(s: Situation, step: RestoreStep, reason: str) -> Step | None:
    """The way out of a step that has taken too long: back, or, on the way back, told as failed."""
    if s.restore.status is not RestoreState.OPEN or step is RestoreStep.CLEAN_UP:
        return None
    overdue = s.restore.step is step and s.overdue()
    if s.restore.direction is Direction.FORWARD:
        return turn_back(s, reason) if overdue else None
    if s.restore.blocked or overdue:
        blocked = s.restore.blocked or reason
        restore = with_entry(
            replace(s.restore, status=RestoreState.FAILED, blocked=blocked), s.now, f"stuck: {blocked}"
        )
        action = Complete(RestoreState.FAILED, closes=False)
        return Step(action, at_step(restore, step, s.now), f"the roll-back cannot finish: {blocked}")
    return None


def complete(s: Situation, outcome: RestoreState, reason: str) -> Step:
    restore = replace(
        with_entry(at_step(s.restore, RestoreStep.DONE, s.now), s.now, reason), status=outcome, closed=True
    )
    return Step(Complete(outcome), restore, reason)


def may_ask_again(s: Situation, key: str) -> bool:
    asked_at = s.restore.asked_at
    return s.restore.asked != key or asked_at is None or s.now - asked_at >= s.deadlines.again


def action_key(action: Action) -> str:
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
