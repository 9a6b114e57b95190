"""Requests of copy_snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import BadRequest, read, shown
from lifeboat.domain.envelopes import COPIED, SNAPSHOT, completed_recovery_point, is_event, parse_event
from lifeboat.domain.fields import Flag, ReconcileFields


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """Continue copying and sharing. `retry`: without pauses, and with the copies that were given up.

    `completed` is the recovery point whose completion started the run, `ended` are the copies whose end did.
    """

    retry: bool = False
    completed: str | None = None
    ended: tuple[str, ...] = ()


class _Copy(ReconcileFields):
    retry: Flag = False


def parse_copy(event: Mapping[str, Any]) -> CopyRequest:
    """copy_snapshots: BackupCompleted, the end of a copy, the reconcile run, or a person, who may ask for a retry."""
    if isinstance(event, Mapping) and "Records" in event:
        return CopyRequest(completed=completed_recovery_point(event))
    if is_event(event):
        fact = parse_event(event)
        if fact.kind != SNAPSHOT:
            raise BadRequest(f"detail-type is {shown(fact.kind)}, expected {SNAPSHOT}")
        if fact.event != COPIED:
            raise BadRequest(f"detail.event is {shown(fact.event)}, expected {COPIED}")
        if not fact.snapshot_ids:
            raise BadRequest(f"detail-type is {shown(fact.kind)} about no snapshot, expected an event that names one")
        return CopyRequest(ended=fact.snapshot_ids)
    return CopyRequest(retry=read(_Copy, event).retry)
