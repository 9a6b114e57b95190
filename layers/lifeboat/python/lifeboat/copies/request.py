"""Requests of copy_snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from lifeboat.domain.bad_request import INTERNAL, parse
from lifeboat.domain.envelopes import COPIED, SNAPSHOT, completed_recovery_point, is_event, parse_event
from lifeboat.domain.fields import Flag, ReconcileRequest


@dataclass(frozen=True, slots=True)
class CopyRequest(ReconcileRequest):
    """Continue the copies to other regions. With `retry`, at once, and also those that were given up.

    `completed` is the recovery point whose completion triggered this. `ended` are the copies whose end triggered it.
    """

    retry: Flag = False
    completed: Annotated[str | None, INTERNAL] = None
    ended: Annotated[tuple[str, ...], INTERNAL] = ()


def parse_copy(event: Mapping[str, Any]) -> CopyRequest:
    """Parse a request of copy_snapshots: BackupCompleted, the end of a copy, the schedule or a person.

    Raises BadRequest.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return CopyRequest(completed=completed_recovery_point(event))
    if not is_event(event):
        return parse(event, CopyRequest)
    return CopyRequest(ended=parse_event(event, SNAPSHOT, of_snapshots=COPIED).snapshot_ids)
