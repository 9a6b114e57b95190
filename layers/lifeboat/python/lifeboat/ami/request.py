"""Requests of check_ami_owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import Fields, parse
from lifeboat.domain.envelopes import INSTANCE, is_event, parse_event
from lifeboat.domain.fields import InstanceIds, ScheduledTime
from lifeboat.domain.trigger import Trigger


@dataclass(frozen=True, slots=True)
class ImageRequest(Fields):
    """Judge the images of these instances; without any, of all selected instances."""

    instance_ids: InstanceIds = ()
    trigger: ScheduledTime = Trigger.MANUAL


def parse_check(event: Mapping[str, Any]) -> ImageRequest:
    """Parse a request of check_ami_owner: an instance's event, the daily schedule or a person. Raises BadRequest."""
    if not is_event(event):
        return parse(event, ImageRequest)
    return ImageRequest(parse_event(event, INSTANCE).instance_ids, Trigger.EVENT)
