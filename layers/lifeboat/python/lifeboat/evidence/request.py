"""Requests of guard_evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import Fields, parse
from lifeboat.domain.fields import Moment, ReconcileRequest


@dataclass(frozen=True, slots=True)
class GuardRequest(Fields):
    """Judge the evidence bucket. `scheduled_time` is the schedule's due time, None by hand."""

    scheduled_time: Moment | None = None


@dataclass(frozen=True, slots=True)
class ContinueGuard(ReconcileRequest):
    """Continue the listing of the evidence bucket, if one is open."""


def parse_guard(event: Mapping[str, Any]) -> GuardRequest | ContinueGuard:
    """Parse a request of guard_evidence: its two schedules, or a person. Raises BadRequest."""
    if isinstance(event, Mapping) and "sweep" in event:
        return parse(event, ContinueGuard)
    return parse(event, GuardRequest)
