"""Adoption: make recovery points of existing snapshots, when a person has seen the preview and confirms it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from lifeboat.aws import ec2_instances, ec2_snapshots, ec2_volumes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime, PacedCalls
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.message import listed
from lifeboat.domain.rate_limit import CREATE_TAGS_REFILL, Pace
from lifeboat.domain.text import iso
from lifeboat.retention import messages
from lifeboat.retention.adoption import Adopt, Leave, decide_adoption
from lifeboat.retention.inventory_workflow import take_inventory
from lifeboat.retention.request import AdoptRequest

_CONFIRM = "Send the request again with confirm true to adopt the listed snapshots."
_ALLOW = "deploy with AllowAdoption=true, adopt with confirm true, and deploy with AllowAdoption=false again"

ADOPTIONS_LISTED = 4_000
"""How many snapshots of a kind an answer lists; it counts the others. See VERDICTS_LISTED in `retention.workflow`."""


def adopt(request: AdoptRequest, invocation: Invocation) -> dict[str, Any]:
    """Show which snapshots can be adopted, and retention's verdict on each; with `confirm` write their tags.

    A snapshot that is already a recovery point is skipped. So after a run that was cut off, repeat the request.
    """
    decided = _decide(request, invocation)
    chosen = [item for item in decided if isinstance(item, Adopt)]
    refused = [_refusal(item.snapshot, item.reason) for item in decided if isinstance(item, Leave)]
    if not request.confirm:
        return {
            "confirm": False,
            **listed(_forecast(chosen, invocation), "adopt", most=ADOPTIONS_LISTED),
            **listed(refused, "refused", most=ADOPTIONS_LISTED),
            "next": "Nothing has been changed. "
            + (_CONFIRM if invocation.config.may_adopt else f"To adopt, {_ALLOW}."),
        }
    if not invocation.config.may_adopt:
        raise BadRequest(f"confirm is true, expected false, because this stack may not adopt: {_ALLOW}")
    return _confirmed(request, chosen, refused, invocation)


def _decide(request: AdoptRequest, invocation: Invocation) -> tuple[Adopt | Leave, ...]:
    if request.tag:
        found = ec2_snapshots.snapshots_with_tag(*request.tag)
        named = f"adopt.tag is {request.tag[0]}={request.tag[1]}, expected a tag that snapshots of this account carry"
    else:
        found = ec2_snapshots.snapshots_of_volume(str(request.volume_id))
        named = f"adopt.volume_id is {request.volume_id}, expected a volume that this account has snapshots of"
    if not found:
        raise BadRequest(named)
    volumes = ec2_volumes.volumes(snapshot.volume_id for snapshot in found)
    attached = {attachment.instance_id for volume in volumes.values() for attachment in volume.attachments}
    return decide_adoption(
        found,
        volumes=volumes,
        instances=ec2_instances.instances(sorted(attached - {""})),
        facts=request.facts,
        account=invocation.config.account,
        stack=invocation.config.stack,
    )


def _forecast(chosen: list[Adopt], invocation: Invocation) -> list[dict[str, Any]]:
    """The snapshots that would be adopted, each with retention's final verdict, without the limit of one run."""
    in_the_end = replace(invocation.config, max_delete_share=1.0)
    decided = take_inventory(invocation, [item.adopted for item in chosen]).plan(in_the_end)
    verdicts = {verdict.point.id: verdict for verdict in decided.verdicts}
    return [
        {
            **_entry(item),
            "then": "kept" if verdicts[item.recovery_point_id].keep else "deleted",
            "reasons": list(verdicts[item.recovery_point_id].reasons),
        }
        for item in chosen
    ]


def _confirmed(
    request: AdoptRequest,
    chosen: list[Adopt],
    refused: list[dict[str, Any]],
    invocation: Invocation,
) -> dict[str, Any]:
    adopted: list[dict[str, Any]] = []
    tried = 0
    calls = PacedCalls(Pace(CREATE_TAGS_REFILL), invocation)
    try:
        for item in chosen:
            try:
                calls.make(partial(ec2_snapshots.tag_snapshot, item.snapshot.id, item.tags))
                adopted.append(_entry(item))
            except AwsError as problem:
                refused.append(_refusal(item.snapshot, str(problem)))
            tried += 1
    except OutOfTime:
        pass
    left = len(chosen) - tried
    notices = [f"{left} more can be adopted: this run was cut off. Repeat the request."] if left else []
    if chosen:
        invocation.publish(
            messages.recovery_points_adopted(
                **invocation.stamp(),
                subject=_subject(request),
                adopted=adopted,
                refused=refused,
                notices=notices,
            ),
        )
    return {
        "confirm": True,
        **listed(adopted, "adopted", most=ADOPTIONS_LISTED),
        **listed(refused, "refused", most=ADOPTIONS_LISTED),
        "notices": notices,
    }


def _subject(request: AdoptRequest) -> dict[str, str]:
    return {"tag": "=".join(request.tag)} if request.tag else {"volume_id": str(request.volume_id)}


def _entry(item: Adopt) -> dict[str, Any]:
    return {
        "snapshot": item.snapshot.id,
        "recovery_point": item.recovery_point_id,
        "taken_at": iso(item.snapshot.started_at),
        "gib": item.snapshot.size,
        "lineage": item.metadata.lineage,
        "instance_id": item.instance_id,
        "device": item.metadata.device,
        **({"tags_left_out": list(item.left_out)} if item.left_out else {}),
    }


def _refusal(snapshot: Snapshot, cause: str) -> dict[str, Any]:
    return {"snapshot": snapshot.id, "taken_at": iso(snapshot.started_at), "gib": snapshot.size, "cause": cause}
