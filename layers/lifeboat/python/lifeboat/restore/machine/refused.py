"""All steps, both directions: what a refused or unanswered call does to the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from lifeboat.domain.copy_limits import TOO_MANY
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    Change,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    Refusal,
    Refused,
    StartInstance,
    Throttled,
    Unknown,
    UntagDisplaced,
)
from lifeboat.domain.error_codes import CAPACITY, MISMATCH, NOT_ALLOWED, NOT_NOW, SNAPSHOT_LIMITS
from lifeboat.restore.machine.actions import describe_call
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.history import with_entry, with_kept_volume, with_roll_back
from lifeboat.restore.machine.volumes import describe_key_problem
from lifeboat.restore.record import Direction, Restore, RestoreVolume


def after_failure(restore: Restore, action: Change, refusal: Refusal, now: datetime) -> Restore:
    """The record after EC2 refused an action or did not answer. Save it, observe, and call `next_step` again."""
    if isinstance(action, CopySnapshot):
        return _after_failed_copy(restore, action, refusal, now)
    said = _describe_answer(action, refusal)
    if not isinstance(refusal, Refused):
        # EC2 may have carried it out. The next observation shows it.
        not_started = isinstance(refusal, Throttled) and isinstance(action, StartInstance)
        return with_refusal(_uncount_start(restore) if not_started else restore, said, now)
    match action:
        case CreateVolume():
            return _after_refused_volume(restore, action, refusal, said, now)
        case DeleteVolume(volume_id):
            not_now = _is_temporary(action, refusal) or refusal.code == "InvalidVolume.NotFound"
            return with_refusal(restore, said, now) if not_now else with_kept_volume(restore, volume_id, said, now)
        case UntagDisplaced():
            # A roll-back does not fail because of a tag that stays.
            return with_entry(replace(restore, tags_left=True), now, said)
        case StartInstance():
            restore = _uncount_start(restore, certain=refusal.code in CAPACITY | NOT_ALLOWED)
        case _:
            pass
    if _is_temporary(action, refusal):
        return with_refusal(restore, said, now)
    if restore.blocked == said:
        return restore
    if restore.direction is Direction.FORWARD:
        return with_roll_back(restore, now, said)
    return replace(with_entry(restore, now, said), blocked=said)


def _describe_answer(action: Change, refusal: Refusal) -> str:
    """What EC2 said to an action, in its own words."""
    if isinstance(refusal, Unknown):
        return f"{describe_call(action)}: no answer" + (f": {refusal.message}" if refusal.message else "")
    return f"{describe_call(action)}: {refusal.code}" + (f": {refusal.message}" if refusal.message else "")


def with_refusal(restore: Restore, said: str, now: datetime) -> Restore:
    """The record with EC2's refusal, once however often it repeats. At the deadline it becomes the reason."""
    if restore.timeline and restore.timeline[-1].text == said:
        return restore if restore.refused == said else replace(restore, refused=said)
    return with_entry(replace(restore, refused=said), now, said)


def _uncount_start(restore: Restore, *, certain: bool = True) -> Restore:
    """The record after EC2 refused a start. `starts` counts only the starts that EC2 accepted.

    If EC2 refused every start with a code that leaves no doubt, no instance ran on the restored volumes. A start by
    another caller shows in the next observation.
    """
    starts = max(0, restore.starts - 1)
    forward = restore.direction is Direction.FORWARD
    started = restore.started_on_restored and not (forward and certain and not starts)
    return replace(restore, starts=starts, started_on_restored=started)


def _is_temporary(action: Change, refusal: Refused) -> bool:
    # EC2 may report a device that was just freed as in use, under its most general code: "Invalid value '/dev/sdh' for
    # unixDevice. Attachment point /dev/sdh is already in use". Every other error with this code is permanent.
    general = isinstance(action, AttachVolume) and refusal.code == "InvalidParameterValue"
    in_use = general and "in use" in refusal.message.lower()
    no_room = isinstance(action, StartInstance) and refusal.code in CAPACITY
    return refusal.code in NOT_NOW or in_use or no_room


def after_copy_begun(restore: Restore, action: CopySnapshot, copy_id: str) -> Restore:
    """The record with the id of a new copy. From now on a copy that vanishes is noticed."""
    return _with_fetch(restore, action, copy_id=copy_id)


def _with_fetch(restore: Restore, action: CopySnapshot, **changes: Any) -> Restore:
    """The record with changes to the fetch that the action belongs to."""
    volumes = []
    for volume in restore.volumes:
        fetch = volume.fetch
        if fetch and fetch.call.snapshot_id == action.snapshot_id and fetch.copy_id is None:
            copy_id = changes.get("copy_id") or volume.snapshot_id
            volume = replace(volume, fetch=replace(fetch, **changes), snapshot_id=copy_id)  # noqa: PLW2901
        volumes.append(volume)
    return replace(restore, volumes=tuple(volumes))


def _after_failed_copy(restore: Restore, action: CopySnapshot, refusal: Refusal, now: datetime) -> Restore:
    said = _describe_answer(action, refusal)
    if isinstance(refusal, Unknown):
        return with_refusal(restore, said, now)  # the copy may have started: `not_before` delays the next call
    if isinstance(refusal, Throttled) or refusal.code in NOT_NOW | CAPACITY | SNAPSHOT_LIMITS | {TOO_MANY}:
        return with_refusal(_with_fetch(restore, action, not_before=now + Deadlines().again), said, now)
    if action.completion_minutes and refusal.code not in NOT_ALLOWED:
        # EC2 does not document how it refuses a completion time. Another cause shows again without a time.
        restore = _with_fetch(restore, action, call=replace(action, completion_minutes=0), not_before=None)
        return with_entry(restore, now, f"{said}; retried without a completion time")
    return with_roll_back(restore, now, said) if restore.direction is Direction.FORWARD else restore


def _after_refused_volume(
    restore: Restore, action: CreateVolume, refusal: Refused, said: str, now: datetime
) -> Restore:
    if refusal.code == MISMATCH:
        # The token is a hash of all parameters, so EC2 knows it from the same request and had made the volume.
        gone = (
            f"{said.rstrip('.')}. EC2 had made a volume of {action.snapshot_id}, and it is gone"
            + describe_key_problem(action.encrypted, action.kms_key_id, action.snapshot_id)
        )
        forward = restore.direction is Direction.FORWARD
        return with_roll_back(restore, now, gone) if forward else with_refusal(restore, said, now)
    if action.initialization_rate is not None and refusal.code not in NOT_ALLOWED:
        # Over the quota for initialization the whole request fails. A slower volume is better than none
        # (https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html).
        volumes = _with_rate(restore, action, initialization_rate=None)
        return with_entry(replace(restore, volumes=volumes), now, f"{said}; retried without an initialization rate")
    if refusal.code in NOT_NOW | CAPACITY:
        return with_refusal(restore, said, now)
    restore = replace(restore, volumes=_with_rate(restore, action, action.initialization_rate))
    return with_roll_back(restore, now, said) if restore.direction is Direction.FORWARD else restore


def _with_rate(restore: Restore, action: CreateVolume, initialization_rate: int | None) -> tuple[RestoreVolume, ...]:
    return tuple(
        replace(volume, asked_at=None, initialization_rate=initialization_rate)
        if volume.snapshot_id == action.snapshot_id
        else volume
        for volume in restore.volumes
    )
