"""What the record of a restore gains: lines of its timeline, a step, a direction."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.restore.record import (
    Direction,
    KeptVolume,
    Restore,
    RestoreStep,
    TimelineEntry,
)

MAX_TIMELINE = 200
"""Lines of the timeline that are kept: an item of the table has 400 KB."""


class RestoreError(ValueError):
    """What was asked of a restore cannot be done; the message is one sentence for a person."""


def restore_id(request_id: str) -> str:
    """The id of the restore that a request makes. The same request id gives the same restore."""
    return f"restore-{hashlib.sha256(request_id.encode()).hexdigest()[:16]}"


def hibernation(instance_id: str) -> str:
    """Why a hibernated instance's volumes are not swapped, and what to do."""
    return (
        f"{instance_id} is hibernated: its memory still has the file systems of the volumes that are attached now, and "
        "would write to whatever takes their place; start it, shut it down without hibernation"
    )


def turned_back(restore: Restore, now: datetime, reason: str) -> Restore:
    restore = with_entry(restore, now, f"turns back: {reason}")
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


def as_it_was(restore: Restore) -> str:
    """That the instance is as it was, but for what its stop has taken for good."""
    taken = f", except for what its stop took for good ({'; '.join(restore.taken)})" if restore.taken else ""
    return f"{restore.instance_id} is as it was{taken}"


def at_step(restore: Restore, step: RestoreStep, now: datetime) -> Restore:
    return restore if restore.step is step else replace(restore, step=step, step_since=now, refused="")


def with_entry(restore: Restore, now: datetime, text: str) -> Restore:
    line = TimelineEntry(now, restore.step, text)
    timeline = restore.timeline
    if len(timeline) >= MAX_TIMELINE:  # the beginning tells more than the middle
        timeline = (*timeline[: MAX_TIMELINE // 2], *timeline[1 - MAX_TIMELINE // 2 :])
    return replace(restore, timeline=(*timeline, line))


def with_kept_volume(restore: Restore, volume_id: str, reason: str, now: datetime) -> Restore:
    kept = (*restore.kept, KeptVolume(volume_id, reason))
    return with_entry(replace(restore, kept=kept), now, f"{volume_id} is kept: {reason}")


def in_words(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds % 60:
        return f"{seconds:g} seconds"
    minutes = seconds / 60
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"
