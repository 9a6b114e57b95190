"""Requests of check_ami_owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import BadRequest, read, shown
from lifeboat.domain.envelopes import INSTANCE, is_event, parse_event
from lifeboat.domain.fields import Fields, InstanceIds, Moment
from lifeboat.domain.trigger import Trigger


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Judge the images of these instances; none means all selected."""

    trigger: Trigger
    instance_ids: tuple[str, ...] = ()


class _Images(Fields):
    instance_ids: InstanceIds = []
    scheduled_time: Moment | None = None


def parse_check(event: Mapping[str, Any]) -> ImageRequest:
    """check_ami_owner: an instance's event, the daily schedule, or a person."""
    if is_event(event):
        fact = parse_event(event)
        if fact.kind != INSTANCE:
            raise BadRequest(f"detail-type is {shown(fact.kind)}, expected {INSTANCE}")
        if not fact.instance_ids:
            raise BadRequest(f"detail-type is {shown(fact.kind)} about no instance, expected an event that names one")
        return ImageRequest(Trigger.EVENT, fact.instance_ids)
    ask = read(_Images, event)
    return ImageRequest(
        Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL, tuple(dict.fromkeys(ask.instance_ids))
    )
