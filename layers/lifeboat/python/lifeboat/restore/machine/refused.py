"""What a refused or unanswered call does to a restore."""

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
from lifeboat.restore.machine.history import turned_back, with_entry, with_kept_volume
from lifeboat.restore.machine.volumes import key_problem
from lifeboat.restore.record import (
    Direction,
    Restore,
    RestoreVolume,
)


def after_failure(restore: Restore, action: Change, refusal: Refusal, now: datetime) -> Restore:
    """The record after an action was not carried out, or perhaps was. Save it, then look and ask `next_step` again."""
    if isinstance(action, CopySnapshot):
        return _after_failed_copy(restore, action, refusal, now)
    said = _refused(action, refusal)
    if not isinstance(refusal, Refused):
        # Nothing is known but that it was asked: look, and ask again in a moment.
        not_started = isinstance(refusal, Throttled) and isinstance(action, StartInstance)
        return with_refusal(_not_started(restore) if not_started else restore, said, now)
    match action:
        case CreateVolume():
            return _after_refused_volume(restore, action, refusal, said, now)
        case DeleteVolume(volume_id):
            not_now = _is_not_now(action, refusal) or refusal.code == "InvalidVolume.NotFound"
            return with_refusal(restore, said, now) if not_now else with_kept_volume(restore, volume_id, said, now)
        case UntagDisplaced():
            # A tag too many is no reason to call a roll-back failed.
            return with_entry(replace(restore, tags_left=True), now, said)
        case StartInstance():
            restore = _not_started(restore, surely=refusal.code in CAPACITY | NOT_ALLOWED)
        case _:
            pass
    if _is_not_now(action, refusal):
        return with_refusal(restore, said, now)
    if restore.blocked == said:
        return restore
    if restore.direction is Direction.FORWARD:
        return turned_back(restore, now, said)
    return replace(with_entry(restore, now, said), blocked=said)


def _refused(action: Change, refusal: Refusal) -> str:
    """What EC2 said to an action, in its own words."""
    if isinstance(refusal, Unknown):
        return f"{describe_call(action)}: no answer" + (f": {refusal.message}" if refusal.message else "")
    return f"{describe_call(action)}: {refusal.code}" + (f": {refusal.message}" if refusal.message else "")


def with_refusal(restore: Restore, said: str, now: datetime) -> Restore:
    """The record with what EC2 said, once however often it says so: if that does not pass, it is the reason."""
    if restore.timeline and restore.timeline[-1].text == said:
        return restore if restore.refused == said else replace(restore, refused=said)
    return with_entry(replace(restore, refused=said), now, said)


def _not_started(restore: Restore, *, surely: bool = True) -> Restore:
    """The record after EC2 did not start the instance. Only starts that it accepted tell that the instance falls back.

    If all were refused, and that in words that leave no doubt, nothing ran on the restored volumes. Should somebody
    else have started the instance, the next look tells.
    """
    starts = max(0, restore.starts - 1)
    forward = restore.direction is Direction.FORWARD
    started = restore.started_on_restored and not (forward and surely and not starts)
    return replace(restore, starts=starts, started_on_restored=started)


def _is_not_now(action: Change, refusal: Refused) -> bool:
    # A device that has just been freed may be reported in use for a moment, under EC2's most general code ("Invalid
    # value '/dev/sdh' for unixDevice. Attachment point /dev/sdh is already in use"). All else under it stays so.
    general = isinstance(action, AttachVolume) and refusal.code == "InvalidParameterValue"
    in_use = general and "in use" in refusal.message.lower()
    no_room = isinstance(action, StartInstance) and refusal.code in CAPACITY
    return refusal.code in NOT_NOW or in_use or no_room


def after_copy_begun(restore: Restore, action: CopySnapshot, copy_id: str) -> Restore:
    """The record after EC2 has told the id of a copy that was asked for: from now on it is known if it vanishes."""
    return _of_fetch(restore, action, copy_id=copy_id)


def _of_fetch(restore: Restore, action: CopySnapshot, **changes: Any) -> Restore:
    """The record with this changed of what the action fetches."""
    volumes = []
    for volume in restore.volumes:
        fetch = volume.fetch
        if fetch and fetch.call.snapshot_id == action.snapshot_id and fetch.copy_id is None:
            copy_id = changes.get("copy_id") or volume.snapshot_id
            volume = replace(volume, fetch=replace(fetch, **changes), snapshot_id=copy_id)  # noqa: PLW2901
        volumes.append(volume)
    return replace(restore, volumes=tuple(volumes))


def _after_failed_copy(restore: Restore, action: CopySnapshot, refusal: Refusal, now: datetime) -> Restore:
    said = _refused(action, refusal)
    if isinstance(refusal, Unknown):
        return with_refusal(restore, said, now)  # it may have begun: nobody asks again before it would be seen
    if isinstance(refusal, Throttled) or refusal.code in NOT_NOW | CAPACITY | SNAPSHOT_LIMITS | {TOO_MANY}:
        return with_refusal(_of_fetch(restore, action, not_before=now + Deadlines().again), said, now)
    if action.completion_minutes and refusal.code not in NOT_ALLOWED:
        # How EC2 refuses a time is not documented, and late is better than never; another reason comes again.
        restore = _of_fetch(restore, action, call=replace(action, completion_minutes=0), not_before=None)
        return with_entry(restore, now, f"{said}; once more without a time")
    return turned_back(restore, now, said) if restore.direction is Direction.FORWARD else restore


def _after_refused_volume(
    restore: Restore, action: CreateVolume, refusal: Refused, said: str, now: datetime
) -> Restore:
    if refusal.code == MISMATCH:
        # Each token is made of all that is asked for, so EC2 knows it from the same request: it has made the volume.
        gone = f"{said.rstrip('.')}. EC2 had made a volume of {action.snapshot_id}, and it is gone" + key_problem(
            action.encrypted, action.kms_key_id, action.snapshot_id
        )
        forward = restore.direction is Direction.FORWARD
        return turned_back(restore, now, gone) if forward else with_refusal(restore, said, now)
    if action.initialization_rate is not None and refusal.code not in NOT_ALLOWED:
        # Over the quota of initialization, or none to be had, the whole request fails
        # (https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html): a slower volume is better than none.
        volumes = _changed(restore, action, initialization_rate=None)
        return with_entry(replace(restore, volumes=volumes), now, f"{said}; once more without an initialization rate")
    if refusal.code in NOT_NOW | CAPACITY:
        return with_refusal(restore, said, now)
    restore = replace(restore, volumes=_changed(restore, action, action.initialization_rate))
    return turned_back(restore, now, said) if restore.direction is Direction.FORWARD else restore


def _changed(restore: Restore, action: CreateVolume, initialization_rate: int | None) -> tuple[RestoreVolume, ...]:
    return tuple(
        replace(volume, asked_at=None, initialization_rate=initialization_rate)
        if volume.snapshot_id == action.snapshot_id
        else volume
        for volume in restore.volumes
    )
