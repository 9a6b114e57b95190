"""Observe what the page shows: the answers of show_status, and which instances consent to a restore."""

from __future__ import annotations

from typing import Any

from lifeboat.aws import ec2_instances
from lifeboat.aws.invocation import Invocation
from lifeboat.backup.selection import ENDED_STATES
from lifeboat.domain.tags import Tag
from lifeboat.status.request import InstanceRequest, StatusRequest
from lifeboat.status.widget.overview import ROWS
from lifeboat.status.widget.request import DescribeRequest, InstancePageRequest, PageRequest, UrgentRequest
from lifeboat.status.workflow import show

POINTS = 200
"""How many recovery points the calendar of an instance has."""


def show_page(request: PageRequest, invocation: Invocation) -> dict[str, Any]:
    """What a page shows. Nothing is changed. Raises BadRequest as `show` does, and AwsError."""
    if isinstance(request, DescribeRequest):
        return {"describe": True}
    if isinstance(request, UrgentRequest):
        return {"urgent": show(StatusRequest(limit=1), invocation)}
    if not isinstance(request, InstancePageRequest):
        return {"overview": show(StatusRequest(limit=ROWS, next=request.next), invocation)}
    status = show(InstanceRequest(request.instance, points=POINTS), invocation)
    targets = _targets() if len(status["instances"]) == 1 else []
    return {"status": status, "targets": targets, "onto": request.onto}


def _targets() -> list[dict[str, str]]:
    """The instances that consent to a restore, by their ids."""
    found = ec2_instances.instances_with_tag(Tag.RESTORE_TARGET, "true")
    return [
        {"instance_id": item.id, "name": item.tags.get("Name", "")}
        for item in sorted(found, key=lambda item: item.id)
        if item.state not in ENDED_STATES
    ]
