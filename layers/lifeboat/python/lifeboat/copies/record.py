"""The record of one recovery point on its way to one region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CopyState(StrEnum):
    """How the copying of one recovery point to one region stands."""

    OPEN = "open"
    COPIED = "copied"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """What the table keeps of one recovery point that is, or was, to be copied to one region.

    `attempts` are those that failed; before `not_before` there is no other one.
    """

    region: str
    point_id: str
    lineages: tuple[str, ...]
    taken_at: datetime
    attempts: int = 0
    not_before: datetime | None = None
    state: CopyState = CopyState.OPEN
