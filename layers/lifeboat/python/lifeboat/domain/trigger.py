"""The origin of an invocation."""

from __future__ import annotations

from enum import StrEnum


class Trigger(StrEnum):
    """What invoked the function."""

    SCHEDULE = "schedule"
    EVENT = "event"
    RECONCILE = "sweep"
    MANUAL = "manual"
