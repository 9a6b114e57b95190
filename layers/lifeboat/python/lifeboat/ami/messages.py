"""What the check of images publishes."""

from __future__ import annotations

from datetime import datetime

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.message import Message, sentence


def ami_owner_checked(*, stack: str, at: datetime, instance: Instance, verdict: AmiVerdict) -> Message:
    """An instance's image has been judged.

    AmiOwnerTrusted: an instance runs an image from an owner that is trusted.
    AmiOwnerUntrusted: an instance runs an image that is known not to be trusted: another owner, or a clone.
    AmiOwnerUnknown: it could not be found out whose the image of an instance is. Unknown is not trusted.
    """
    event = {
        Trust.TRUSTED: "AmiOwnerTrusted",
        Trust.UNTRUSTED: "AmiOwnerUntrusted",
        Trust.UNKNOWN: "AmiOwnerUnknown",
    }[verdict.verdict]
    steps = (
        ()
        if verdict.verdict is Trust.TRUSTED
        else (
            "Compare the image's owner with the parameter TrustedAmiOwners.",
            "If the instance is a clone of the platform's VM, replace it by a fresh deployment.",
        )
    )
    return Message(
        event=event,
        at=at,
        stack=stack,
        subject={"instance_id": instance.id, "ami": instance.ami_id},
        summary=sentence(f"The image of {instance.name or instance.id} is {verdict.verdict.value}: {verdict.reason}"),
        details={"code": verdict.code, "evidence": list(verdict.evidence)},
        next_steps=steps,
    )
