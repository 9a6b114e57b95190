"""Requests of guard_evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import StringConstraints

from lifeboat.domain.bad_request import Expected, Fields, parse
from lifeboat.domain.fields import Moment, ReconcileRequest

OLDEST = "oldest"

ManifestId = Annotated[
    str,
    StringConstraints(pattern=rf"^({OLDEST}|[0-9]{{8}}T[0-9]{{6}}Z)$"),
    Expected(f"{OLDEST}, or a manifest's id such as 20261123T020000Z"),
]

ObjectKey = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), Expected("an object's key of at most 1024 characters")
]


@dataclass(frozen=True, slots=True)
class GuardRequest(Fields):
    """Judge the evidence bucket. `scheduled_time` is the schedule's due time, None by hand."""

    scheduled_time: Moment | None = None


@dataclass(frozen=True, slots=True)
class ContinueGuard(ReconcileRequest):
    """Continue the listing of the evidence bucket, if one is open."""


@dataclass(frozen=True, slots=True)
class CompareManifests(Fields):
    """Name what an earlier manifest has that the newest one has not: `compare` is its id, or `oldest`.

    `after` is the key after which the names go on, as the answer before says.
    """

    compare: ManifestId
    after: ObjectKey | None = None


def parse_guard(event: Mapping[str, Any]) -> GuardRequest | ContinueGuard | CompareManifests:
    """Parse a request of guard_evidence: its two schedules, or a person. Raises BadRequest."""
    if isinstance(event, Mapping) and "sweep" in event:
        return parse(event, ContinueGuard)
    if isinstance(event, Mapping) and not event.keys().isdisjoint(("compare", "after")):
        return parse(event, CompareManifests)
    return parse(event, GuardRequest)
