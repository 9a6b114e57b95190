"""protect: select an instance for backups, by its id or its Name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lifeboat_cli.functions import translated
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.session import Session, YesOption, command
from lifeboat_cli.words import quoted, shown

ENDED = frozenset({"shutting-down", "terminated"})
INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app)(protect)


def protect(
    session: Session,
    *,
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The id or the Name of an instance.")],
    tag: Annotated[
        str, typer.Option("--tag", help="The tag that selects instances, as KEY=VALUE; without it, the stack's.")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Stop its backups; its recovery points stay.")] = False,
    yes: YesOption = False,
) -> Exit:
    """Select an instance for backups: tag it with your own rights."""
    tag = tag or _selecting(session)
    key, equals, value = tag.partition("=")
    if not (key and equals):
        raise Problem(f"--tag is {shown(tag)}, expected KEY=VALUE", Exit.USAGE)
    if key == "Name":
        raise Problem("the stack selects instances by their Name: give the instance that Name instead", Exit.USAGE)
    ec2, what = session.functions.client("ec2"), f"EC2 in {session.functions.region}"
    with translated(what):
        found = _found(ec2, instance)
    root = found.get("RootDeviceName")
    disks = {item["DeviceName"]: item["Ebs"]["VolumeId"] for item in found.get("BlockDeviceMappings", ())}
    data = [f"{volume} at {device}" for device, volume in disks.items() if device != root]
    if not data and not remove:
        raise Problem(f"{shown(instance)} has no data volume, so there is nothing to back up", Exit.FAILED)
    instance_id = found["InstanceId"]
    session.say([f"{_named(found)}, {shown(found['State']['Name'])}", *(f"  {shown(line)}" for line in data)])
    now = {item["Key"]: item["Value"] for item in found.get("Tags", ())}.get(key)
    if now is not None and now != value:
        other = f"{instance_id} has the tag {shown(key)} with another value, {quoted(now) or 'an empty one'}"
        if remove:
            raise Problem(f"{other}: nothing was done", Exit.FAILED)
        session.say([f"  {other}, which {quoted(value)} replaces"])
    session.confirm("Stop its backups?" if remove else "Back up these volumes from now on?", yes=yes)
    with translated(what):
        if remove:
            # With the value, EC2 deletes no other one that was written meanwhile (API reference, DeleteTags).
            ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": key, "Value": value}])
        else:
            ec2.create_tags(Resources=[instance_id], Tags=[{"Key": key, "Value": value}])
    done = {"instance_id": instance_id, "tag": {key: value}, "protected": not remove}
    session.give(done, [f"{shown(tag)} was {'deleted from' if remove else 'written to'} {instance_id}."])
    return Exit.DONE


def _selecting(session: Session) -> str:
    """The tag by which the stack selects, as its parameters say."""
    name = session.functions.stack
    with translated("CloudFormation, which knows the stack's tag (or name it with --tag)"):
        [stack] = session.functions.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    values = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", ())}
    return f"{values.get('SelectTagKey', 'lifeboat:backup')}={values.get('SelectTagValue', 'true')}"


def _found(ec2: Any, instance: str) -> Mapping[str, Any]:
    """The one instance of this id or this Name. Raises Problem if there is none, or more than one."""
    by_id = INSTANCE_ID.fullmatch(instance)
    # `*` and `?` are wildcards in a filter, unless a backslash is before them (EC2 API reference, Filter).
    name = re.sub(r"([\\*?])", r"\\\1", instance)
    asked = {"InstanceIds": [instance]} if by_id else {"Filters": [{"Name": "tag:Name", "Values": [name]}]}
    found: list[Mapping[str, Any]] = [
        item
        for page in ec2.get_paginator("describe_instances").paginate(**asked)
        for reservation in page["Reservations"]
        for item in reservation["Instances"]
        if item["State"]["Name"] not in ENDED
    ]
    if not found:
        raise Problem(f"no instance has the {'id' if by_id else 'Name'} {quoted(instance)} here", Exit.FAILED)
    if len(found) > 1:
        ids = ", ".join(sorted(item["InstanceId"] for item in found))
        raise Problem(f"{len(found)} instances have the Name {quoted(instance)}: give the id of one, {ids}", Exit.USAGE)
    return found[0]


def _named(found: Mapping[str, Any]) -> str:
    name = next((item["Value"] for item in found.get("Tags", ()) if item["Key"] == "Name"), "")
    return f"{quoted(name) or 'An instance without a Name'} ({found['InstanceId']})"
