"""Check the images of instances: when an instance runs, daily, or on request."""

from __future__ import annotations

from typing import Any

from lifeboat.ami import messages
from lifeboat.ami import verdict as ami
from lifeboat.ami.request import ImageRequest
from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.aws import ec2_images, ec2_instances
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.ec2 import Instance


def check(request: ImageRequest, invocation: Invocation) -> dict[str, Any]:
    """Judge the image of each requested instance and publish the verdict; the daily run publishes no trusted ones.

    The event of an instance that is not selected is ignored. An instance that a person names is judged even if it is
    not selected, so that a fresh deployment can be checked before a restore.
    """
    verdicts = []
    for instance in _asked_for(request, invocation):
        verdict = judge(instance, invocation)
        verdicts.append(
            {
                "instance_id": instance.id,
                "ami": instance.ami_id,
                "verdict": verdict.verdict.value,
                "code": verdict.code,
                "reason": verdict.reason,
                "evidence": list(verdict.evidence),
                **({"remedy": verdict.remedy} if verdict.remedy else {}),
            }
        )
        if verdict.verdict is not Trust.TRUSTED or request.trigger != "schedule":
            invocation.publish(
                messages.ami_owner_checked(**invocation.stamp(), instance=instance, verdict=verdict),
            )
    return {"verdicts": verdicts}


def judge(instance: Instance, invocation: Invocation) -> AmiVerdict:
    """The verdict on one instance's image. A restore uses the same verdict.

    The template's patterns refuse a malformed list at deployment. If one gets here another way, nothing is trusted and
    the verdict says so. Backups need no list and continue.
    """
    evidence = ec2_images.image_evidence(instance)
    try:
        return ami.verdict(
            evidence,
            trusted_owners=invocation.config.trusted_owners,
            allowed_images=invocation.config.allowed_images,
            trusted_product_codes=invocation.config.trusted_product_codes,
            trusted_watermarks=invocation.config.trusted_watermarks,
            account=invocation.config.account,
        )
    except ami.TrustError as mistyped:
        reason = f"no owner can be trusted: {mistyped}"
        return AmiVerdict(Trust.UNKNOWN, "trust-mistyped", reason, image_name=evidence.name or "")


def _asked_for(request: ImageRequest, invocation: Invocation) -> tuple[Instance, ...]:
    if not request.instance_ids:
        found = ec2_instances.instances_with_tag(
            invocation.config.selector.tag_key, invocation.config.selector.tag_value
        )
        return tuple(item for item in found if invocation.config.selector.selects(item) and item.state != "terminated")
    known = ec2_instances.instances(request.instance_ids)
    if request.trigger == "manual":
        missing = [instance_id for instance_id in request.instance_ids if instance_id not in known]
        if missing:
            gone = ", ".join(missing)
            raise BadRequest(f"instance_ids names {gone}, expected instances that exist in {invocation.config.region}")
        return tuple(known.values())
    return tuple(item for item in known.values() if invocation.config.selector.selects(item))
