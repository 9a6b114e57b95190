"""All steps, both directions: what is added to the record, such as a line of the timeline or the roll-back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.restore.record import Direction, KeptVolume, Restore, RestoreStep, TimelineEntry

ROLL_BACK_ENTRY = "rolls back: "
"""How the line of the timeline begins with which a roll-back starts."""

MAX_TIMELINE = 200
"""Lines that the timeline keeps: an item of DynamoDB has at most 400 KB."""


class RestoreError(ValueError):
    """A request that the state of the restore does not allow. The message is one sentence for a person."""


def restore_id(request_id: str) -> str:
    """The id of the restore that a request makes. The same request id gives the same restore."""
    return f"restore-{hashlib.sha256(request_id.encode()).hexdigest()[:16]}"


def describe_hibernation(instance_id: str) -> str:
    """Why the volumes of a hibernated instance are not swapped, and what to do."""
    return (
        f"{instance_id} is hibernated: its memory has the file systems of the attached volumes, and would write them "
        "to any volume in their place; start it, then shut it down without hibernation"
    )


def with_roll_back(restore: Restore, now: datetime, reason: str) -> Restore:
    """The record of a restore that starts to roll back. The count of starts and the last action begin anew."""
    restore = with_entry(restore, now, f"{ROLL_BACK_ENTRY}{reason}")
    return replace(
        restore,
        direction=Direction.ROLLBACK,
        failure=reason,
        step_since=now,
        starts=0,
        asked="",
        asked_at=None,
        refused="",
    )


def describe_as_before(restore: Restore) -> str:
    """That the instance is as before, except for what its stop removed permanently."""
    taken = f", except for what its stop removed permanently ({'; '.join(restore.taken)})" if restore.taken else ""
    return f"{restore.instance_id} is as it was{taken}"


def enter_step(restore: Restore, step: RestoreStep, now: datetime) -> Restore:
    """The record in a step. A new step starts its own deadline."""
    return restore if restore.step is step else replace(restore, step=step, step_since=now, refused="")


def with_entry(restore: Restore, now: datetime, text: str) -> Restore:
    """The record with one more line in its timeline."""
    line = TimelineEntry(now, restore.step, text)
    timeline = restore.timeline
    if len(timeline) >= MAX_TIMELINE:  # drop from the middle: the beginning explains more
        timeline = (*timeline[: MAX_TIMELINE // 2], *timeline[1 - MAX_TIMELINE // 2 :])
    return replace(restore, timeline=(*timeline, line))


def with_kept_volume(restore: Restore, volume_id: str, reason: str, now: datetime) -> Restore:
    """The record with a volume that the restore made and does not delete."""
    kept = (*restore.kept, KeptVolume(volume_id, reason))
    return with_entry(replace(restore, kept=kept), now, f"{volume_id} is kept: {reason}")


def describe_duration(time: timedelta) -> str:
    """`90 seconds`, `1 minute`, `15 minutes`."""
    seconds = time.total_seconds()
    if seconds % 60:
        return f"{seconds:g} seconds"
    minutes = seconds / 60
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"
