"""The record of copying one recovery point to one region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CopyState(StrEnum):
    """The state of copying one recovery point to one region."""

    OPEN = "open"
    COPIED = "copied"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """The table's record of one recovery point that is to be copied to one region, or was.

    `attempts` counts the failed attempts. No further attempt starts before `not_before`.
    """

    region: str
    point_id: str
    lineages: tuple[str, ...]
    taken_at: datetime
    attempts: int = 0
    not_before: datetime | None = None
    state: CopyState = CopyState.OPEN
