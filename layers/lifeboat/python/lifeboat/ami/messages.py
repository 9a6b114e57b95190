"""What the check of images publishes."""

from __future__ import annotations

from datetime import datetime

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.message import Message, sentence
from lifeboat.domain.title import quote


def ami_owner_checked(*, stack: str, at: datetime, instance: Instance, verdict: AmiVerdict) -> Message:
    """The check of an instance's image.

    AmiOwnerTrusted: an instance runs an image of a trusted owner.
    AmiOwnerUntrusted: an instance runs an image that is not trusted: one of another owner, or a clone.
    AmiOwnerUnknown: Lifeboat could not find out who owns the image of an instance. Unknown is not trusted.
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
            verdict.remedy or "Compare the image's owner with the parameter TrustedAmiOwners.",
            "If the instance is a clone of the platform's VM, replace it with a fresh deployment.",
        )
    )
    return Message(
        event=event,
        at=at,
        stack=stack,
        subject={"instance_id": instance.id, "ami": instance.ami_id},
        name=instance.name,
        summary=sentence(
            f"The image of {quote(instance.name, instance.id)} is {verdict.verdict.value}: {verdict.reason}"
        ),
        details={"code": verdict.code, "evidence": list(verdict.evidence)},
        next_steps=steps,
    )
