"""Who woke a function."""

from __future__ import annotations

from enum import StrEnum


class Trigger(StrEnum):
    """Who woke the function."""

    SCHEDULE = "schedule"
    EVENT = "event"
    RECONCILE = "sweep"
    MANUAL = "manual"
