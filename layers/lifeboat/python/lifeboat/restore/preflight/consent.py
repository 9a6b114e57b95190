"""Pre-flight of the displaced volumes: do tags allow the restore, and can each volume be detached and put back?"""

from __future__ import annotations

from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.devices import is_taken_by_ec2
from lifeboat.domain.ec2 import Attachment, Instance, Volume
from lifeboat.domain.recovery_point_tags import MAX_TAGS
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.matching import Pair


def check_consent(facts: PreflightFacts, instance: Instance, pairs: list[Pair], report: Report) -> None:
    """Refuse an instance or a displaced volume without the consent tag. Check each displaced volume."""
    wanted = [(instance.id, instance.tags)]
    for _, device, displaced in pairs:
        if displaced is None:
            continue
        wanted.append((displaced[1].id, displaced[1].tags))
        _check_displaced(facts, instance, device, displaced, report)
    missing = [resource for resource, tags in wanted if tags.get(Tag.RESTORE_TARGET) != "true"]
    if missing:
        # One command tags everything that needs the tag, whatever is tagged already.
        ids = " ".join(resource for resource, _ in wanted)
        report.refuse(
            "no-consent",
            "instance_id",
            f"{', '.join(missing)} lack{'s' if len(missing) == 1 else ''} the tag {Tag.RESTORE_TARGET}=true, expected "
            f"on the instance and on each displaced volume: aws ec2 create-tags --region {facts.region} "
            f"--resources {ids} --tags Key={Tag.RESTORE_TARGET},Value=true",
        )


def _check_displaced(
    facts: PreflightFacts, instance: Instance, device: str, displaced: tuple[Attachment, Volume], report: Report
) -> None:
    """Can the volume be detached, tagged, and put back by a roll-back?"""
    attachment, volume = displaced
    if attachment.state != "attached" or volume.state != "in-use":
        report.refuse("not-attached", "device", f"{volume.id} at {device} is {attachment.state}, expected attached")
    codes = facts.product_codes.get(volume.id)
    if codes:
        report.warn(
            "product-codes",
            "device",
            f"{volume.id} at {device} has the Marketplace product code {', '.join(codes)}: EC2 attaches it "
            "again only while this account is subscribed to the product and the instance supports it. Otherwise a "
            f"roll-back cannot put it back, and {instance.id} stays stopped",
        )
    if not is_taken_by_ec2(device):
        report.warn(
            "odd-device",
            "device",
            f"{volume.id} is at {device}, which is not on AWS's list of device names: EC2 may refuse to attach "
            "the restored volume there, and this one in a roll-back",
        )
    if volume.multi_attach:
        report.refuse(
            "multi-attach", "device", f"{volume.id} at {device} may be attached to several instances: not supported"
        )
    own = [key for key in volume.tags if not key.startswith("aws:")]
    new = {Tag.DISPLACED_BY.value, Tag.DISPLACED_FROM.value} - set(own)
    if len(own) + len(new) > MAX_TAGS:
        report.refuse(
            "too-many-tags",
            "device",
            f"{volume.id} has {len(own)} tags; the restore needs {len(new)} more, and EC2 allows {MAX_TAGS}",
        )


def warn_of_other_volumes(instance: Instance, pairs: list[Pair], report: Report) -> None:
    """Warn of the data volumes that the restore does not displace."""
    displaced = {pair[2][1].id for pair in pairs if pair[2]}
    rest = [item for item in data_attachments(instance) if item.volume_id not in displaced]
    if rest:
        names = ", ".join(f"{item.volume_id} at {item.device}" for item in sorted(rest, key=lambda item: item.device))
        report.warn("volumes-left", "instance_id", f"the restore does not change {names}")
