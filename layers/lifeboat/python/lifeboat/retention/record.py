"""A run of retention as the table keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """When a run ended, and how many recovery points it kept, deleted and could not delete.

    `waiting` were to be deleted and wait for the next run. `gib` are those of the deleted ones' volumes. `noticed`
    counts the notices.
    """

    at: datetime
    kept: int
    deleted: int
    refused: int
    waiting: int
    gib: int
    noticed: int


def record_run(at: datetime, answer: Mapping[str, Any]) -> RetentionRun:
    """What is kept of the answer of a run."""
    deleted, refused = len(answer["deleted"]), len(answer["refused"])
    return RetentionRun(
        at=at,
        kept=answer["kept_count"],
        deleted=deleted,
        refused=refused,
        waiting=max(0, answer["delete_count"] - deleted - refused),
        gib=answer["saved_gib"],
        noticed=len(answer["notices"]),
    )
