"""Requests of drill_restores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from lifeboat.domain.bad_request import Fields, parse
from lifeboat.domain.envelopes import VOLUME, is_event, parse_event
from lifeboat.domain.fields import LineageName, Moment, ReconcileRequest


@dataclass(frozen=True, slots=True)
class DrillRequest(Fields):
    """Rehearse the restore of the newest good recovery point of each lineage, or of this one only.

    `slot` is the schedule's due time, None by hand.
    """

    lineage: LineageName | None = None
    slot: Annotated[Moment | None, Field(alias="scheduled_time")] = None


@dataclass(frozen=True, slots=True)
class AdvanceDrills(ReconcileRequest):
    """Advance all open drills, and delete the volumes that drills left behind."""


@dataclass(frozen=True, slots=True)
class VolumeChanged:
    """EC2 has created or deleted a volume, perhaps one of a drill."""


def parse_drill(event: Mapping[str, Any]) -> DrillRequest | AdvanceDrills | VolumeChanged:
    """Parse a request of drill_restores: the schedule, a volume's event, the reconcile run, or a person.

    Raises BadRequest.
    """
    if isinstance(event, Mapping) and "sweep" in event:
        return parse(event, AdvanceDrills)
    if not is_event(event):
        return parse(event, DrillRequest)
    parse_event(event, VOLUME)
    return VolumeChanged()
