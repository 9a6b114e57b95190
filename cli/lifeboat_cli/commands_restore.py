"""status, points, restore, follow and cancel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lifeboat_cli.follow import follow
from lifeboat_cli.functions import new_request_id, person
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.restore_text import end_lines, exit_of_restore, plan_lines
from lifeboat_cli.session import ReasonOption, Session, YesOption, command
from lifeboat_cli.status_text import exit_of_status, points_lines, status_lines
from lifeboat_cli.words import shown

INSTANCE_ID = re.compile(r"(\d{12}/)?i-[0-9a-f]{8,17}")
NEWEST = ("latest", "latest-proven")
"""Words for a recovery point that may be another one a moment later."""

InstanceArgument = Annotated[str, typer.Argument(metavar="INSTANCE", help="An instance's id or its Name.")]
NextOption = Annotated[str, typer.Option("--next", help="The following page, as the page before names it.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many a page has.")]
FollowOption = Annotated[bool, typer.Option("--follow/--no-follow", help="Whether to follow it to its end.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app, in the order of --help."""
    for act in (status, points, restore, follow_restore, cancel):
        command(app, "follow" if act is follow_restore else None)(act)


def status(
    session: Session, *, instance: InstanceArgument = "", next_page: NextOption = "", limit: LimitOption = 100
) -> Exit:
    """Show how everything stands, or one instance.

    The exit code is 3 if something needs a person, or AWS did not show everything.
    """
    answer = session.functions.invoke("show-status", _page({"instance": instance}, next_page, limit))
    session.give(answer, status_lines(answer))
    return exit_of_status(answer)


def points(
    session: Session, *, instance: InstanceArgument = "", next_page: NextOption = "", limit: LimitOption = 100
) -> Exit:
    """List recovery points, the newest first."""
    answer = session.functions.invoke("show-status", _page({"instance": instance, "list": True}, next_page, limit))
    session.give(answer, points_lines(answer))
    return Exit.NEEDS_A_PERSON if answer["unread"] else Exit.DONE


def restore(
    session: Session,
    *,
    instance: Annotated[str, typer.Argument(help="Whose data is restored: an id, with --onto also a Name.")],
    onto: Annotated[str, typer.Option("--onto", help="The id of the target instance, if it is another one.")] = "",
    point: Annotated[
        str, typer.Option("--point", help="latest, latest-proven, or the id of a recovery point or a snapshot.")
    ] = "latest",
    plan: Annotated[bool, typer.Option("--plan", help="Only show the plan.")] = False,
    yes: YesOption = False,
    device: Annotated[str, typer.Option("--device", help="The device of the volume to displace.")] = "",
    ami_override: Annotated[
        str, typer.Option("--ami-override", help="Why to restore onto an instance whose image is not trusted.")
    ] = "",
    reason: ReasonOption = "",
    request_id: Annotated[
        str, typer.Option("--request-id", help="That of an earlier try: it is the same restore, without a plan.")
    ] = "",
    wait: FollowOption = True,
) -> Exit:
    """Restore: show the plan, ask, and follow to the end."""
    target = onto or instance
    request: dict[str, Any] = {
        "instance_id": target,
        "recovery_point": _chosen(session, instance, point) if onto else point,
        "request_id": request_id or new_request_id(),
        "requested_by": person(),
    }
    optional = {"device": device, "reason": reason, "ami_override": {"reason": ami_override} if ami_override else ""}
    request |= {key: value for key, value in optional.items() if value}
    if plan or not (request_id or (yes and session.as_json)):  # a repeated request finds the instance changed already
        rehearsed = session.send("restore-volume", {**request, "dry_run": True})
        lines = plan_lines(rehearsed)
        if plan or not rehearsed["possible"]:
            session.give(rehearsed, lines)
            return Exit.DONE if rehearsed["possible"] else Exit.FAILED
        session.say(lines)
        if point in NEWEST:  # the one that was shown, also if there is a newer one by now
            request["recovery_point"] = rehearsed["recovery_point"]
    session.confirm(f"Restore onto {shown(target)}?", yes=yes)
    begun = session.send("restore-volume", request)
    session.say([f"{shown(begun['restore_id'])} has begun."])
    if not wait:
        session.give(begun, ())
        return Exit.DONE
    return _to_the_end(session, begun["restore_id"])


def follow_restore(
    session: Session, *, restore_id: Annotated[str, typer.Argument(help="The id of a restore.")]
) -> Exit:
    """Follow a restore to its end. Ctrl-C ends only the command."""
    return _to_the_end(session, restore_id)


def cancel(
    session: Session,
    *,
    restore_id: Annotated[str, typer.Argument(help="The id of a restore.")],
    reason: ReasonOption = "",
    yes: YesOption = False,
    wait: FollowOption = True,
) -> Exit:
    """Roll a restore back that has not completed."""
    session.confirm(f"Roll {shown(restore_id)} back?", yes=yes)
    request = {"cancel": restore_id, "requested_by": person()} | ({"reason": reason} if reason else {})
    answer = session.functions.invoke("restore-volume", request)
    if not wait:
        session.give(answer, [f"{shown(restore_id)} rolls back."])
        return Exit.DONE
    end = _to_the_end(session, restore_id)
    return Exit.DONE if end is Exit.FAILED else end  # rolled back is what was asked for


def _page(request: Mapping[str, Any], next_page: str, limit: int) -> dict[str, Any]:
    sent = {**request, "next": next_page, "limit": limit if limit != 100 else None}
    return {key: value for key, value in sent.items() if value}


def _chosen(session: Session, instance: str, point: str) -> str | dict[str, Any]:
    """The recovery point of a request for the data of an instance that may be gone. A Name must be that of one."""
    if point not in NEWEST:
        return point
    if not INSTANCE_ID.fullmatch(instance):
        found = session.functions.invoke("show-status", {"instance": instance})["instances"]
        ids = [item["instance_id"] for item in found if any(lineage["newest"] for lineage in item["lineages"])]
        if len(ids) != 1:
            listed = ", ".join(map(shown, ids)) or "none"
            raise Problem(
                f"INSTANCE is {shown(instance)}, a Name of several instances or of none with a good recovery point "
                f"({listed}), expected the id of one",
                Exit.USAGE,
            )
        [instance] = ids
    return {"instance_id": instance} | ({"proven": True} if point == "latest-proven" else {})


def _to_the_end(session: Session, restore_id: str) -> Exit:
    answer = follow(session.functions, restore_id, quiet=session.as_json)
    session.give(answer, end_lines(answer, None if session.as_json else _record(session, answer)))
    return exit_of_restore(answer)


def _record(session: Session, answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What show_status has of a restore: the next steps. It has none of one that was rolled back."""
    try:
        found = session.functions.invoke("show-status", {"instance": answer["instance_id"]})
        known = [*found["restores"], *found["ended_restores"]]
        return next((item for item in known if item["restore_id"] == answer["restore_id"]), None)
    except (Problem, LookupError, TypeError):  # the instance is not protected yet, or this person may not ask
        return None
