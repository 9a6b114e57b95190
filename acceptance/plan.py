"""What a run is going to do, in words, and why an account looks like production."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from acceptance import cost
from acceptance.known_bytes import VOLUME_GIB
from acceptance.state import STACK_NAME, TAG, State

PROTECTED = "lifeboat:backup"
"""The tag by which a stack selects instances, unless its parameters say otherwise."""
STACKS = ("lifeboat", STACK_NAME)


class PlanError(RuntimeError):
    """A run cannot begin here."""


def why_production(session: Any, region: str) -> list[str]:
    """Sentences that say why an account looks like one in use; none if it does not."""
    ec2, cloudformation = (
        session.client("ec2", region_name=region),
        session.client("cloudformation", region_name=region),
    )
    groups = ec2.describe_instances(Filters=[{"Name": f"tag:{PROTECTED}", "Values": ["true"]}])["Reservations"]
    protected = [item["InstanceId"] for group in groups for item in group["Instances"]]
    why = [f"{len(protected)} instances have the tag {PROTECTED}=true, such as {protected[0]}"] if protected else []
    for name in STACKS:
        try:
            cloudformation.describe_stacks(StackName=name)
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] == "ValidationError":  # there is none
                continue
            raise
        why.append(f"the stack {name} is there")
    return why


def choose_subnets(session: Any, region: str, given: str) -> tuple[list[str], list[str]]:
    """Two subnets in two zones, and their zones: the given ones, or the zones' default ones.

    Raises:
        PlanError: there are no two.
    """
    ec2 = session.client("ec2", region_name=region)
    wanted = given.split(",") if given else []
    if wanted:
        found = ec2.describe_subnets(SubnetIds=wanted)["Subnets"]
    else:
        found = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    by_zone = {item["AvailabilityZone"]: item["SubnetId"] for item in found}
    if len(by_zone) < 2:
        raise PlanError(
            f"{region} has {len(by_zone)} of these subnets, expected two in different zones: give SUBNETS=subnet-...,"
            "subnet-... of any VPC"
        )
    zones = sorted(by_zone)[:2]
    return [by_zone[zone] for zone in zones], zones


def words(state: State) -> str:
    """What is asked before anything is made."""
    lines = [
        f"Account {state.account}, region {state.region}.",
        "",
        "This makes, all under the tag " + f"{TAG}={state.run}:",
        f"  - the stack {STACK_NAME}, from this template, with a bucket for it;",
        f"  - three instances t3.nano in {' and '.join(state.facts['zones'])}, with data volumes of {VOLUME_GIB} GiB;",
        "  - snapshots of these volumes, an image of an instance, a KMS key;",
        "  - a queue, and a rule that sends EC2's events of this region to it.",
        "It takes backups of its own instances only. At the end it deletes all; KMS keeps the key for 7 days more.",
        "",
        f"It takes about {cost.MINUTES_USUAL} minutes, and costs at most ${cost.at_most():.2f}:",
        *(f"  {item.dollars:6.3f}  {item.what}" for item in cost.items()),
        f"(list prices, nothing free, for {cost.HOURS_AT_MOST} hours, in the dearest region)",
    ]
    return "\n".join(lines)
