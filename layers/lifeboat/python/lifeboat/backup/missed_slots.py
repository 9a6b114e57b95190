"""Missed: the newest slot that its own run has left behind, and which instances still owe a recovery point of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from lifeboat.backup.schedule import Schedule, next_slot, previous_slot


def late_slot(schedule: Schedule, *, now: datetime, grace: timedelta) -> datetime | None:
    """The newest slot due at `now`, once its own run has had its time; None until then, or when no slot is known.

    The time is `grace`, of a short period half of it at most: with a grace as long as the period every slot would wait
    for the next one, for ever. Older slots are covered by this one: what is taken now is newer than all of them. All
    times are aware.
    """
    if schedule.every is not None and schedule.start is None:
        return None
    newest = previous_slot(schedule, now)
    if newest is None:
        return None
    following = next_slot(schedule, newest)
    patience = grace if following is None else min(grace, (following - newest) / 2)
    return newest if now - newest > patience else None


def owing(slot: datetime, *, since: Mapping[str, datetime], taken: Collection[str]) -> tuple[str, ...]:
    """The instances that have no recovery point of the slot though they were selected before it.

    `since` says from when each is known to be selected, `taken` names those that have one, good or not.
    """
    return tuple(sorted(item for item, first in since.items() if first < slot and item not in taken))
