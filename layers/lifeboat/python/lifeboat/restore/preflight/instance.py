"""Pre-flight of the target instance: may it be stopped and changed, and what would a stop remove?"""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.ami.verdict import Trust
from lifeboat.domain.data_volumes import root_problem
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.message import sentence
from lifeboat.domain.tags import Tag
from lifeboat.restore.machine.history import describe_hibernation, restore_id
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.matching import Pair
from lifeboat.restore.preflight.source import Source
from lifeboat.restore.request import RestoreRequest

FIRST_BOOT = timedelta(minutes=10)
"""How long the protected platform's first boot takes. Before its end the installation is incomplete."""


_OVERRIDE = 'To restore anyway, send the request with "ami_override": {"reason": "..."}'


def check_instance(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, now: datetime, report: Report
) -> None:
    """Refuse an instance that cannot be stopped, changed and started again, or whose image is not trusted."""
    field = "instance_id"
    if instance.state not in {"running", "stopped"}:
        report.refuse("wrong-state", field, f"{instance.id} is {instance.state}, expected running or stopped")
    if instance.auto_scaling_group:
        report.refuse(
            "auto-scaling",
            field,
            f"{instance.id} is a member of the Auto Scaling group {instance.auto_scaling_group}, which replaces a "
            "stopped instance: detach it from the group first",
        )
    if instance.lifecycle:
        report.refuse(
            "spot",
            field,
            f"{instance.id} is a {instance.lifecycle} instance, expected one on demand: it may not start again",
        )
    if facts.stop_protected:
        report.refuse(
            "stop-protected",
            field,
            f"{instance.id} has stop protection; to remove it: aws ec2 modify-instance-attribute "
            f"--region {facts.region} --instance-id {instance.id} --no-disable-api-stop",
        )
    _check_stop(facts, instance, report)
    unclear = root_problem(instance)
    if unclear and instance.state not in {"shutting-down", "terminated"}:
        report.refuse("root-unclear" if instance.root_device else "no-root-device", field, unclear)
    if facts.open_restore and facts.open_restore != restore_id(request.request_id):
        report.refuse(
            "restore-open",
            field,
            f"The restore {facts.open_restore} is open on {instance.id}. Wait for it, or cancel it: send "
            f'{{"cancel": "{facts.open_restore}"}}',
        )
    _check_image(request, facts, instance, report)
    if instance.state == "running" and instance.launched_at and now - instance.launched_at < FIRST_BOOT:
        minutes = int((now - instance.launched_at).total_seconds() // 60)
        report.warn(
            "first-boot",
            field,
            f"{instance.id} was launched {minutes} minutes ago: the first boot of a new platform takes about "
            f"{int(FIRST_BOOT.total_seconds() // 60)} minutes; let it finish",
        )


def _check_stop(facts: PreflightFacts, instance: Instance, report: Report) -> None:
    """What forbids a stop and a swap, and what a stop removes whatever the outcome of the restore."""
    field = "instance_id"
    if instance.hibernated and instance.state == "stopped":
        report.refuse("hibernated", field, f"{describe_hibernation(instance.id)}, and send the request again")
    if instance.outpost:
        report.refuse(
            "outpost",
            field,
            f"{instance.id} is on the Outpost {instance.outpost}, expected an instance in a zone of {facts.region}: "
            "EC2 attaches only volumes of the Outpost there, and Lifeboat creates none",
        )
    if instance.has_instance_store_root:
        report.refuse(
            "instance-store-root",
            field,
            f"{instance.id} has its root on an instance store volume, expected one on EBS: EC2 cannot stop it",
        )
    elif instance.state == "running":
        for code, phrase in list_stop_losses(facts, instance):
            report.warn(code, field, f"the stop of {instance.id} permanently removes {phrase}, whatever the outcome")


def list_stop_losses(facts: PreflightFacts, instance: Instance) -> list[tuple[str, str]]:
    """What the instance has only while it runs, each as a finding's code and a phrase
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ec2-instance-stop-start-works.html)."""
    lost = []
    if facts.instance_store is None:
        phrase = f"the data on its instance store volumes, if {instance.type or 'its type'} has any (EC2 did not say)"
        lost.append(("instance-store", phrase))
    elif facts.instance_store:
        lost.append(("instance-store", f"the data on its {facts.instance_store} GB of instance store volumes"))
    lost += [
        ("public-address", f"its public address {address} (no Elastic IP address)")
        for address in instance.given_addresses
    ]
    return lost


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
            f"{sentence(said)} {facts.ami.remedy and sentence(facts.ami.remedy)} {_OVERRIDE}".replace("  ", " "),
        )


def find_crossings(facts: PreflightFacts, instance: Instance, source: Source) -> tuple[str, ...]:
    """The accounts, regions and instances between which the data moves, each a phrase."""
    owners = sorted({member.snapshot.owner_id for member in source.members} - {facts.account, ""})
    found = [f"account {owner} to {facts.account}" for owner in owners]
    tags = source.members[0].snapshot.tags
    zone = source.point.zone if source.point else tags.get(Tag.ZONE, "")
    # The name of every zone begins with its region, also for local zones and Wavelength Zones.
    if zone and not zone.startswith(facts.region):
        found.append(f"zone {zone} to region {facts.region}")
    before = source.point.instance_id if source.point else tags.get(Tag.INSTANCE, "")
    if before and before != instance.id:
        found.append(f"instance {before} to {instance.id}")
    return tuple(found)


def find_cloudformation_stack(instance: Instance, pairs: list[Pair]) -> str | None:
    """The stack that a displaced volume or the instance belongs to, by the tag that CloudFormation writes."""
    key = "aws:cloudformation:stack-name"
    tags = [pair[2][1].tags for pair in pairs if pair[2]] + [instance.tags]
    return next((item[key] for item in tags if key in item), None)
