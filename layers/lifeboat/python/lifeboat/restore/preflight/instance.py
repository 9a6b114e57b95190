"""May the target instance be stopped and changed?"""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.ami.verdict import Trust
from lifeboat.domain.data_volumes import root_problem
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.tags import Tag
from lifeboat.restore.machine.history import hibernation, restore_id
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.matching import Pair
from lifeboat.restore.preflight.source import Source
from lifeboat.restore.request import RestoreRequest

FIRST_BOOT = timedelta(minutes=10)
"""How long the protected platform's first boot takes; a restore before its end meets a half-made installation."""


def check_instance(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, now: datetime, report: Report
) -> None:
    field = "instance_id"
    if instance.state not in {"running", "stopped"}:
        report.refuse("wrong-state", field, f"{instance.id} is {instance.state}, expected running or stopped")
    if instance.auto_scaling_group:
        report.refuse(
            "auto-scaling",
            field,
            f"{instance.id} is a member of the Auto Scaling group {instance.auto_scaling_group}, which replaces a "
            "stopped instance: take it out of the group first",
        )
    if instance.lifecycle:
        report.refuse(
            "spot", field, f"{instance.id} is a {instance.lifecycle} instance, expected one on demand: it may not start"
        )
    if facts.stop_protected:
        report.refuse(
            "stop-protected",
            field,
            f"{instance.id} is protected from being stopped: aws ec2 modify-instance-attribute --region {facts.region} "
            f"--instance-id {instance.id} --no-disable-api-stop",
        )
    _check_the_stop(facts, instance, report)
    unclear = root_problem(instance)
    if unclear and instance.state not in {"shutting-down", "terminated"}:
        report.refuse("root-unclear" if instance.root_device else "no-root-device", field, unclear)
    if facts.open_restore and facts.open_restore != restore_id(request.request_id):
        report.refuse(
            "restore-open",
            field,
            f"the restore {facts.open_restore} is open on {instance.id}: wait for it, or cancel it",
        )
    _check_image(request, facts, instance, report)
    if instance.state == "running" and instance.launched_at and now - instance.launched_at < FIRST_BOOT:
        minutes = int((now - instance.launched_at).total_seconds() // 60)
        report.warn(
            "first-boot",
            field,
            f"{instance.id} was launched {minutes} minutes ago: a fresh platform's first boot takes about "
            f"{int(FIRST_BOOT.total_seconds() // 60)}; let it finish",
        )


def _check_the_stop(facts: PreflightFacts, instance: Instance, report: Report) -> None:
    """What forbids to stop the instance and swap its volumes, and what a stop takes whatever comes of the restore."""
    field = "instance_id"
    if instance.hibernated and instance.state == "stopped":
        report.refuse("hibernated", field, f"{hibernation(instance.id)}, and ask again")
    if instance.outpost:
        report.refuse(
            "outpost",
            field,
            f"{instance.id} is on the Outpost {instance.outpost}, expected an instance in a zone of {facts.region}: "
            "EC2 attaches there only what was made there, and Lifeboat makes no volume on an Outpost",
        )
    if instance.has_instance_store_root:
        report.refuse(
            "instance-store-root",
            field,
            f"{instance.id} has its root on an instance store volume, expected one on EBS: EC2 cannot stop it",
        )
    elif instance.state == "running":
        for code, phrase in lost_by_stop(facts, instance):
            report.warn(code, field, f"stopping {instance.id} takes {phrase} for good, whatever comes of the restore")


def lost_by_stop(facts: PreflightFacts, instance: Instance) -> list[tuple[str, str]]:
    """What the instance has only as long as it runs: a finding's code and a phrase
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ec2-instance-stop-start-works.html)."""
    taken = []
    if facts.instance_store is None:
        phrase = f"what is on its instance store volumes, if {instance.type or 'its type'} has any (EC2 did not tell),"
        taken.append(("instance-store", phrase))
    elif facts.instance_store:
        taken.append(("instance-store", f"what is on its {facts.instance_store} GB of instance store volumes"))
    taken += [
        ("public-address", f"its public address {address}, which is no Elastic IP address,")
        for address in instance.given_addresses
    ]
    return taken


def _check_image(request: RestoreRequest, facts: PreflightFacts, instance: Instance, report: Report) -> None:
    if facts.ami.verdict is Trust.TRUSTED:
        return
    said = f"the image {instance.ami_id} of {instance.id} is {facts.ami.verdict}: {facts.ami.reason}"
    if request.ami_override_reason:
        report.warn("ami-overridden", "ami_override", f"{said}; overridden: {request.ami_override_reason}")
    else:
        report.refuse(
            f"ami-{facts.ami.verdict}",
            "instance_id",
            f'{said}; to restore all the same, ask with "ami_override": {{"reason": "..."}}',
        )


def crossed_boundaries(facts: PreflightFacts, instance: Instance, source: Source) -> tuple[str, ...]:
    """Borders that the data crosses on its way, each a phrase."""
    owners = sorted({member.snapshot.owner_id for member in source.members} - {facts.account, ""})
    found = [f"account {owner} to {facts.account}" for owner in owners]
    tags = source.members[0].snapshot.tags
    zone = source.point.zone if source.point else tags.get(Tag.ZONE, "")
    # A zone is its region and a letter, local zones and wavelength zones have more behind.
    if zone and not zone.startswith(facts.region):
        found.append(f"zone {zone} to region {facts.region}")
    before = source.point.instance_id if source.point else tags.get(Tag.INSTANCE, "")
    if before and before != instance.id:
        found.append(f"instance {before} to {instance.id}")
    return tuple(found)


def cloudformation_stack(instance: Instance, pairs: list[Pair]) -> str | None:
    key = "aws:cloudformation:stack-name"
    tags = [pair[2][1].tags for pair in pairs if pair[2]] + [instance.tags]
    return next((item[key] for item in tags if key in item), None)
