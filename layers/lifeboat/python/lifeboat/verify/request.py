"""Requests of verify_snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from lifeboat.domain.bad_request import BadRequest, Expected, Fields, parse, shown
from lifeboat.domain.envelopes import parse_notification
from lifeboat.domain.fields import RECOVERY_POINT_ID, Flag, ReconcileRequest, RecoveryPointId
from lifeboat.domain.proof import Level
from lifeboat.verify.canary_request import CloseSuspicionRequest

COMPLETED = ("BackupCompleted", "SnapshotsCopied")


@dataclass(frozen=True, slots=True)
class VerifyRequest(Fields):
    """Read one recovery point back, by hand. `level` None: as the stack's parameter Verify says.

    `expected`: a person has removed a file system that was there before, so that its loss is no failure.
    """

    form = "recovery_point"

    recovery_point: RecoveryPointId
    level: Annotated[Level, Expected("one of read, sample, full")] | None = None
    expected: Flag = False


@dataclass(frozen=True, slots=True)
class ContinueRequest(ReconcileRequest):
    """Continue the open verifications."""

    other_forms = ("recovery_point", "close_suspicion")


@dataclass(frozen=True, slots=True)
class PointCompleted:
    """A recovery point is complete, here or as a copy in `region`. `region` is empty for one that was taken here."""

    point_id: str
    region: str = ""


def parse_verify(event: Mapping[str, Any]) -> VerifyRequest | CloseSuspicionRequest | PointCompleted | ContinueRequest:
    """Parse a request of verify_snapshots: BackupCompleted, SnapshotsCopied, the schedule or a person.

    A message that names no recovery point continues what is open. Raises BadRequest.
    """
    if not isinstance(event, Mapping) or "Records" not in event:
        return parse(event, VerifyRequest, CloseSuspicionRequest, ContinueRequest)
    message = parse_notification(event)
    if message.get("event") not in COMPLETED:
        raise BadRequest(f"event is {shown(message.get('event'))}, expected one of {', '.join(COMPLETED)}")
    subject = message.get("subject")
    named = subject.get("recovery_point") if isinstance(subject, Mapping) else None
    if not isinstance(named, str) or not RECOVERY_POINT_ID.fullmatch(named):
        return ContinueRequest()
    region = subject.get("region") if isinstance(subject, Mapping) else None
    return PointCompleted(named, region if isinstance(region, str) else "")
