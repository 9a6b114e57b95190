"""backup, prune, adopt, verify, drill, hold, unhold and consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lifeboat_cli.functions import new_request_id, person, translated
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.outcome_text import (
    adopt_lines,
    backup_lines,
    drill_lines,
    has_backed_up,
    is_among,
    prune_lines,
    prune_plan_lines,
    verify_lines,
)
from lifeboat_cli.points import find_point
from lifeboat_cli.session import ReasonOption, Session, YesOption, command
from lifeboat_cli.status_text import describe_point
from lifeboat_cli.words import quoted, shown

HOLD = "lifeboat:hold"
CONSENT = "lifeboat:restore-target"
TAG_VALUE_LENGTH = 256
VERIFY_SECONDS = 920
"""Longer than verify_snapshots may run: it reads while the client waits."""

PointArgument = Annotated[str, typer.Argument(metavar="POINT", help="The id of a recovery point.")]
RequestIdOption = Annotated[str, typer.Option("--request-id", help="That of an earlier try: it is the same request.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app, in the order of --help."""
    for act in (backup, prune, hold, unhold, verify, drill, consent, adopt):
        command(app)(act)


def backup(
    session: Session,
    *,
    instances: Annotated[list[str] | None, typer.Argument(metavar="INSTANCE", help="Ids of instances.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All selected instances.")] = False,
    request_id: RequestIdOption = "",
) -> Exit:
    """Back up instances now."""
    if bool(instances) == every:
        raise Problem("expected the ids of instances, or --all", Exit.USAGE)
    request = {"request_id": request_id or new_request_id()} | ({"instance_ids": instances} if instances else {})
    answer = session.send("take-snapshots", request)
    session.give(answer, backup_lines(answer))
    return Exit.DONE if has_backed_up(answer, named=bool(instances)) else Exit.FAILED


def prune(
    session: Session,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be deleted.")] = False,
    yes: YesOption = False,
    request_id: RequestIdOption = "",
) -> Exit:
    """Delete what no rule keeps; shows the plan and asks."""
    if plan or not yes:
        rehearsed = session.send("prune-snapshots", {"dry_run": True, "request_id": new_request_id()})
        if plan or not rehearsed["delete"]:
            session.give(rehearsed, prune_plan_lines(rehearsed))
            return Exit.DONE
        session.say(prune_plan_lines(rehearsed))
    session.confirm("Delete these recovery points?", yes=yes)
    answer = session.send("prune-snapshots", {"request_id": request_id or new_request_id()})
    session.give(answer, prune_lines(answer))
    return Exit.FAILED if answer["refused"] else Exit.DONE


def hold(session: Session, *, point: PointArgument, reason: ReasonOption = "") -> Exit:
    """Hold a recovery point: retention keeps it. Writes the tag with your own rights."""
    value = (reason or person())[:TAG_VALUE_LENGTH]
    return _tag_point(session, point, "create_tags", {"Key": HOLD, "Value": value}, "is held")


def unhold(session: Session, *, point: PointArgument) -> Exit:
    """End a hold: retention decides again. Deletes the tag with your own rights."""
    return _tag_point(session, point, "delete_tags", {"Key": HOLD}, "is not held any more")


def verify(
    session: Session,
    *,
    point: PointArgument,
    level: Annotated[str, typer.Option("--level", help="read, sample or full; else as the stack's Verify.")] = "",
) -> Exit:
    """Read a recovery point back now."""
    request = {"recovery_point": point} | ({"level": level} if level else {})
    answer = session.functions.invoke("verify-snapshots", request, seconds=VERIFY_SECONDS)
    session.give(answer, verify_lines(answer, point))
    if is_among(answer, "failed", point):
        return Exit.FAILED
    return Exit.DONE if is_among(answer, "proven", point) else Exit.NEEDS_A_PERSON


def drill(
    session: Session,
    *,
    lineage: Annotated[str, typer.Argument(metavar="LINEAGE", help="A lineage; without it, all of them.")] = "",
) -> Exit:
    """Rehearse restores: create the volumes, and delete them."""
    answer = session.functions.invoke("drill-restores", {"lineage": lineage} if lineage else {})
    session.give(answer, drill_lines(answer))
    return Exit.DONE


def consent(
    session: Session,
    *,
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The id of the target instance.")],
    volumes: Annotated[
        list[str] | None, typer.Option("--volume", help="A volume that may be displaced, if there are several.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the consent back.")] = False,
    yes: YesOption = False,
) -> Exit:
    """Allow a restore onto an instance: tag it and its data volume with your own rights."""
    ec2, what = session.functions.client("ec2"), f"EC2 in {session.functions.region}"
    with translated(what):
        reservations = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    found = reservations[0]["Instances"][0]
    attached = {item["Ebs"]["VolumeId"]: item["DeviceName"] for item in found.get("BlockDeviceMappings", ())}
    data = [volume for volume, device in attached.items() if device != found.get("RootDeviceName")]
    chosen = volumes or data
    if unknown := [volume for volume in chosen if volume not in data]:
        raise Problem(f"--volume is {shown(unknown[0])}, expected a data volume of {shown(instance)}", Exit.USAGE)
    if len(data) > 1 and not volumes:
        listed = ", ".join(f"{volume} at {attached[volume]}" for volume in data)
        raise Problem(f"name with --volume what may be displaced of {shown(listed)}", Exit.USAGE)
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
    session.say(
        [
            f"{quoted(tags.get('Name', '')) or 'An instance without a Name'} ({shown(instance)}), "
            f"{shown(found['State']['Name'])}, launched at {shown(found['LaunchTime'])}",
            *(f"  {volume} at {shown(attached[volume])}: a restore may displace it, and keeps it" for volume in chosen),
        ]
    )
    session.confirm("Take the consent back?" if remove else "Allow a restore onto it?", yes=yes)
    tag = {"Key": CONSENT} if remove else {"Key": CONSENT, "Value": "true"}
    with translated(what):
        (ec2.delete_tags if remove else ec2.create_tags)(Resources=[instance, *chosen], Tags=[tag])
    done = {"instance_id": instance, "volumes": chosen, "consent": not remove}
    session.give(
        done, [f"{CONSENT} was {'deleted from' if remove else 'written to'} {', '.join([instance, *chosen])}."]
    )
    return Exit.DONE


def adopt(
    session: Session,
    *,
    volume: Annotated[str, typer.Option("--volume", help="Adopt the snapshots of this volume.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Adopt the snapshots that carry this tag, as KEY=VALUE.")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only show the preview.")] = False,
    yes: YesOption = False,
    request_id: RequestIdOption = "",
) -> Exit:
    """Make recovery points of existing snapshots; shows a preview and asks."""
    key, equals, value = tag.partition("=")
    if bool(volume) == bool(tag) or (tag and not equals):
        raise Problem("expected either --volume or --tag KEY=VALUE", Exit.USAGE)
    request = {
        "adopt": {"volume_id": volume} if volume else {"tag": {"key": key, "value": value}},
        "request_id": request_id or new_request_id(),
    }
    if plan or not (yes and session.as_json):
        preview = session.send("prune-snapshots", request)
        if plan or not preview["adopt"]:
            session.give(preview, adopt_lines(preview))
            return Exit.DONE if plan else Exit.FAILED
        session.say(adopt_lines(preview))
    session.confirm("Adopt these snapshots?", yes=yes)
    answer = session.send("prune-snapshots", {**request, "confirm": True})
    session.give(answer, adopt_lines(answer))
    return Exit.DONE if answer["adopted"] and not answer["notices"] else Exit.FAILED


def _tag_point(session: Session, point_id: str, action: str, tag: Mapping[str, Any], words: str) -> Exit:
    """Tag every snapshot of a recovery point, or take the tag off."""
    point = find_point(session.functions, point_id)
    snapshots = list(point["snapshots"])
    with translated(f"EC2 in {session.functions.region}"):
        getattr(session.functions.client("ec2"), action)(Resources=snapshots, Tags=[dict(tag)])
    done = {"recovery_point": point_id, "snapshots": snapshots, "tag": dict(tag)}
    session.give(done, [f"{shown(point_id)} {words}: {describe_point(point)}"])
    return Exit.DONE
