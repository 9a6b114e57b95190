"""The page of one instance: how it stands, its recovery points with the plans of their restores, and its calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifeboat.domain.fields import RECOVERY_POINT_ID
from lifeboat.domain.widget import Call
from lifeboat.status.widget import parts
from lifeboat.status.widget.markup import Html, button, duration, element, join, name, table, text, yes_no
from lifeboat.status.widget.pictures import calendar, sparkline

POINTS_SHOWN = 20
TARGETS_SHOWN = 10
INSTANCES_SHOWN = 20

_LINEAGES_HEAD = ("Device", "Volume", "Lineage", "Good", "Newest", "Newest proven", "Ages")
_POINTS_HEAD = ("Recovery point", "Age", "Condition", "Proven", "Locked", "Copied", "Goes", "Actions")


def render_instance(answer: parts.Answer, call: Call) -> Html:
    """An instance that is named by its id, or the instances of a Name.

    `answer` has the `status` with its recovery points, and the `targets` that consent to a restore.
    """
    status = answer["status"]
    found: Sequence[parts.Answer] = status["instances"]
    label = "Refresh" if len(found) == 1 else "Open"
    sections = [
        parts.top(_title(found), call, _place(status)),
        parts.unread(status),
        parts.needs(status, call),
        *(parts.restore(item, call) for item in status["restores"]),
        *(_ended(item) for item in status["ended_restores"][:1]),
        table("How it stands", parts.HEAD, [parts.row(item, call, label) for item in found[:INSTANCES_SHOWN]]),
    ]
    if len(found) > INSTANCES_SHOWN or status["next"]:
        sections.append(element("p", "More instances have this Name: find one by its id."))
    if len(found) == 1:
        sections += _lineages(found[0])
        sections += _restorable(found[0], answer, call)
    return join(sections)


def _title(found: Sequence[parts.Answer]) -> Html:
    if len(found) != 1:
        return text(f"{len(found)} instances of one Name")
    return name(found[0]["name"]) or text(found[0]["instance_id"])


def _place(status: parts.Answer) -> Html:
    return element("p", f"Stack {status['stack']} in {status['region']}, at {status['at']}", {"class": "faint"})


def _ended(restore: parts.Answer) -> Html:
    """What is to be done after the last restore."""
    said = f"The restore {restore['restore_id']} has ended: {restore['status']}."
    return join([element("h3", "After the last restore"), element("p", said), parts.whole_steps(restore)])


def _lineages(instance: parts.Answer) -> list[Html]:
    """Each data volume with the ages of its recovery points."""
    rows = [
        [
            element("code", item["device"] or "-"),
            element("code", item["volume_id"] or "-"),
            element("code", item["lineage"]),
            text(item["good"]),
            text("in progress" if item["pending"] and not item["newest"] else duration(item["age_seconds"])),
            text(duration(item["proven_age_seconds"])),
            sparkline(item["ages_seconds"]),
        ]
        for item in instance["lineages"]
    ]
    return [table("Lineages: the data of each volume, and the ages of its recovery points", _LINEAGES_HEAD, rows)]


def _restorable(instance: parts.Answer, answer: parts.Answer, call: Call) -> list[Html]:
    points: Sequence[parts.Answer] = answer["status"]["recovery_points"]
    retention = instance["retention"] or {}
    going = {item["recovery_point"]: item["at"] for item in retention.get("next_deletions") or ()}
    onto, targets = _target(instance, answer, call)
    rows = [_point(point, going, onto, call) for point in points[:POINTS_SHOWN]]
    left = len(points) - len(rows)
    more = f" ({left} older ones are in the calendar and in lifeboat points)" if left > 0 else ""
    policy = f"Retention: {retention.get('policy', 'not known')}." + (
        f" {retention['problem']}" if retention.get("problem") else ""
    )
    return [
        element("h3", "Restore"),
        targets,
        table(f"Recovery points, the newest first{more}", _POINTS_HEAD, rows)
        if rows
        else element("p", "There is no recovery point."),
        element("h3", "Calendar"),
        element("p", policy),
        calendar(points, going) if points else Html(""),
    ]


def _target(instance: parts.Answer, answer: parts.Answer, call: Call) -> tuple[str, Html]:
    """The target instance of the plans, and how to choose another."""
    targets: Sequence[Mapping[str, Any]] = answer["targets"]
    ids = [item["instance_id"] for item in targets]
    onto = answer["onto"] if answer["onto"] in ids else ids[0] if len(ids) == 1 else ""
    if not targets:
        return "", element(
            "p",
            join(
                [
                    text("No instance consents to a restore. Tag a fresh instance:"),
                    Html(" "),
                    element("code", "lifeboat consent INSTANCE"),
                    text(", or write the tag lifeboat:restore-target=true on the instance and on its data volume."),
                ]
            ),
        )
    chosen = next((item for item in targets if item["instance_id"] == onto), None)
    said = (
        join([text("The plans are for the target instance"), Html(" "), parts.who(text(onto), chosen["name"])])
        if chosen
        else text("Choose the target instance.")
    )
    others = [
        button(
            f"Onto {item['instance_id']}",
            call.endpoint(parts.SHOW),
            {"instance": instance["instance_id"], "onto": item["instance_id"]},
            about=item["name"],
        )
        for item in targets[:TARGETS_SHOWN]
        if item["instance_id"] != onto
    ]
    left = len(targets) - TARGETS_SHOWN
    more = f"{left} more consent: use lifeboat restore --onto." if left > 0 else ""
    return onto, join([element("p", said), element("p", join([*others, text(more)]))])


def _point(point: parts.Answer, going: Mapping[str, str], onto: str, call: Call) -> list[Html]:
    proven = {"proven": "yes", "failed": "FAILED"}.get(point["verified"], "no")
    named = bool(RECOVERY_POINT_ID.fullmatch(point["id"]))
    plan = Html("")
    if onto and point["condition"] == "good" and named:
        plan = button(
            "Show the plan",
            call.endpoint(parts.RESTORE),
            {"instance_id": onto, "recovery_point": point["id"], "dry_run": True, "requested_by": parts.ASKED_BY},
            about=f"{point['id']} onto {onto}",
        )
    suspected = element("span", " suspected", {"class": "bad"}) if point["suspected"] else Html("")
    return [
        element("code", text(point["id"], 128)),
        text(duration(point["age_seconds"])),
        join([text(point["condition"]), suspected]),
        text(proven),
        text(yes_no(point["locked"])),
        text(parts.copied([point])),
        text("held" if point["held"] else going.get(point["id"], "stays")),
        join([plan, hold_button(point["id"], call) if named and not point["held"] else Html("")]),
    ]


def hold_button(point_id: str, call: Call) -> Html:
    """Holds a recovery point, after a confirmation."""
    return button(
        "Hold",
        call.endpoint(parts.HOLD),
        {"hold": point_id, "reason": parts.ASKED_BY},
        confirmation=f"Hold {point_id}? Retention then keeps it until the tag lifeboat:hold is removed.",
        about=point_id,
    )
