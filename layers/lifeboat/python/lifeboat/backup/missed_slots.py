"""Missed slots: which slot the catch-up may take, and which instances have no recovery point of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from lifeboat.backup.schedule import Schedule, next_slot, previous_slot


def late_slot(schedule: Schedule, *, now: datetime, grace: timedelta) -> datetime | None:
    """The newest slot due at `now`, after the grace of its own run; None before that, or when no slot is known.

    The grace is `grace`, but at most half the period: a grace as long as the period would never end before the next
    slot. A recovery point taken now also covers all older slots. All times are aware.
    """
    if schedule.every is not None and schedule.start is None:
        return None
    newest = previous_slot(schedule, now)
    if newest is None:
        return None
    following = next_slot(schedule, newest)
    own_grace = grace if following is None else min(grace, (following - newest) / 2)
    return newest if now - newest > own_grace else None


def instances_missing(slot: datetime, *, since: Mapping[str, datetime], taken: Collection[str]) -> tuple[str, ...]:
    """The instances that were selected before the slot and have no recovery point of it.

    `since` is when each was first observed as selected. `taken` names those that have one, good or not.
    """
    return tuple(sorted(item for item, first in since.items() if first < slot and item not in taken))
