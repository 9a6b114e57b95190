"""Hold a recovery point by request: retention keeps what carries the tag."""

from __future__ import annotations

from typing import Any

from lifeboat.aws import ec2_describe, ec2_snapshots
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest, shown
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import clip, one_line
from lifeboat.retention.request import HoldRequest

TAG_VALUE_LENGTH = 256
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"""

WITHOUT_REASON = "a request"
"""The value of the tag where the request gives no reason. An empty value would say nothing."""


def hold(request: HoldRequest, invocation: Invocation) -> dict[str, Any]:
    """Tag the snapshots of a recovery point that are not held yet. The reason of an earlier hold stays.

    Only a person ends a hold, with rights of their own. Raises BadRequest for a recovery point that this stack does not
    have, and AwsError.
    """
    of_point = ec2_describe.tag_filters({Tag.RECOVERY_POINT: [request.recovery_point_id]})
    found = ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, of_point)
    if not found:
        raise BadRequest(
            f"hold is {shown(request.recovery_point_id)}, expected the id of a recovery point of this stack"
        )
    free = sorted(item.id for item in found if Tag.HOLD not in item.tags)
    value = clip(one_line(request.reason), TAG_VALUE_LENGTH) or WITHOUT_REASON
    for snapshot_id in free:
        ec2_snapshots.tag_snapshot(snapshot_id, {Tag.HOLD: value})
    already = sorted(item.id for item in found if Tag.HOLD in item.tags)
    return {"held": request.recovery_point_id, "snapshots": free, "already": already}
