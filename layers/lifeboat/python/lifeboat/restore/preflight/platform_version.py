"""Pre-flight of the platform's version: is the target's image older or newer than the one that wrote the data?"""

from __future__ import annotations

from lifeboat.ami.version import Comparison, NamedImage, PlatformComparison, compare_all
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.recovery_point_tags import read_image
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.source import Source
from lifeboat.restore.request import RestoreRequest


def compare_with_target(source: Source, facts: PreflightFacts, instance: Instance) -> PlatformComparison:
    """Compare the target's image with the one that the chosen snapshots record."""
    texts = dict.fromkeys(member.snapshot.tags.get(Tag.AMI, "") for member in source.members)
    recorded = [NamedImage(*read_image(text)) for text in texts]
    return compare_all(recorded, NamedImage(instance.ami_id, facts.ami.image_name))


def check_platform(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, source: Source, report: Report
) -> str:
    """What is known of the two versions, as a line of the plan.

    Refuses an older platform without an override. Warns of a newer one and of another product. What cannot be compared
    is only said in the plan.
    """
    compared = compare_with_target(source, facts, instance)
    said = compared.sentence
    if compared.result is Comparison.OLDER and request.ami_override_reason:
        report.warn("platform-overridden", "ami_override", f"{said}; overridden: {request.ami_override_reason}")
    elif compared.result is Comparison.OLDER:
        report.refuse(
            "platform-older",
            "instance_id",
            f'{said}; to restore anyway, send the request with "ami_override": {{"reason": "..."}}',
        )
    elif compared.result is Comparison.NEWER:
        report.warn("platform-newer", "instance_id", said)
    elif compared.result is Comparison.OTHER_PRODUCT:
        report.warn("platform-other", "instance_id", said)
    return said
