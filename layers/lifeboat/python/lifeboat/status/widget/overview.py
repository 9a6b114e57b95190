"""The first page: what needs a person, open restores, and a page of the instances, the most urgent first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifeboat.domain.widget import Call
from lifeboat.status.widget import parts
from lifeboat.status.widget.markup import Html, button, element, join, table, text
from lifeboat.status.widget.request import TYPED

ROWS = 20
"""Instances of a page. With it and the limits in `parts` a page stays below 60 kB, whatever names and tags say."""

RESTORES_SHOWN = 2
NOT_PROTECTED_SHOWN = 3

_URGENCY = ("overdue", "in_progress", "new", "on_time")


def render_overview(answer: parts.Answer, call: Call) -> Html:
    """The answer of show_status for the stack as HTML, or only a page of instances."""
    first = "summary" in answer
    sections = [
        parts.top(_title(answer), call, _place(answer)),
        parts.unread(answer),
        _find(call),
        *(
            [
                element("p", text(answer["summary"])),
                parts.needs(answer, call),
                _restores(answer, call),
                _ended(answer, call),
            ]
            if first
            else []
        ),
        _instances(answer, call),
        *([_not_protected(answer, call), _beside(answer)] if first else []),
    ]
    return join(sections)


def render_urgent(answer: parts.Answer, call: Call) -> Html:
    """Everything that needs a person and every open restore, as far as show_status lists them."""
    needs = [parts.named_need(item, call) for item in answer["needs_a_person"]]
    restores = [
        element(
            "li",
            join(
                [
                    element("code", item["restore_id"]),
                    text(f"onto {item['instance_id']}: {item['step']}"),
                    parts.follow_button(item["restore_id"], call),
                ],
                " ",
            ),
        )
        for item in answer["restores"]
    ]
    left = answer.get("needs_a_person_not_listed", 0) + answer.get("restores_not_listed", 0)
    sections = [
        parts.top(_title(answer), call, _place(answer)),
        parts.unread(answer),
        element("p", text(answer["summary"])),
    ]
    for title, found in (("What needs a person now", needs), ("Open restores", restores)):
        sections += [element("h3", title), element("ul", join(found))] if found else []
    return join([*sections, element("p", f"{left} more are in the messages only.") if left else Html("")])


def _title(answer: parts.Answer) -> Html:
    return text(f"Backups of the stack {answer['stack']}")


def _place(answer: parts.Answer) -> Html:
    return element("p", f"{answer['region']}, account {answer['account']}, at {answer['at']}", {"class": "faint"})


def _find(call: Call) -> Html:
    """The field is inside its label: an id would be there twice with two widgets on one dashboard."""
    field = Html(f'<input name="{TYPED}" type="text" maxlength="256">')
    label = element("label", join([text("Instance, by id or Name"), field], " "))
    return element("form", element("p", join([label, button("Find", call.endpoint(parts.SHOW), {"find": True})])))


def _restores(answer: parts.Answer, call: Call) -> Html:
    found: Sequence[Any] = answer["restores"]
    left = len(found) - RESTORES_SHOWN + answer.get("restores_not_listed", 0)
    more = element("p", join([text(f"And {left} more open restores."), parts.all_button(call)], " "))
    return join([*(parts.restore(item, call) for item in found[:RESTORES_SHOWN]), more if left > 0 else Html("")])


def _ended(answer: parts.Answer, call: Call) -> Html:
    """Where it is said what to do after the restores of the last days."""
    found: Sequence[Any] = answer["ended_restores"][:RESTORES_SHOWN]
    return join(
        element(
            "p",
            join(
                [
                    text(f"The restore onto {item['instance_id']} has ended: {item['status']}."),
                    parts.follow_button(item["restore_id"], call, "What to do next"),
                ],
                " ",
            ),
        )
        for item in found
    )


def _instances(answer: parts.Answer, call: Call) -> Html:
    found = sorted(answer["instances"], key=_urgency)
    if not found:
        return element("p", "No instance is protected.")
    following = answer["next"]
    caption = f"Protected instances, the most urgent of this page first ({len(found)} shown)"
    more = button("Next page", call.endpoint(parts.SHOW), {"next": following}, primary=True) if following else Html("")
    return join([table(caption, parts.HEAD, [parts.row(item, call) for item in found]), more])


def _urgency(instance: parts.Answer) -> tuple[int, str]:
    standing = instance["standing"]
    order = _URGENCY.index(standing) if standing in _URGENCY else len(_URGENCY)
    return (-1 if instance["restore"] or instance["problem"] else order), instance["instance_id"]


def _not_protected(answer: parts.Answer, call: Call) -> Html:
    found = answer["not_protected"]
    if found is None:
        return element("p", "Instances that are gone are not listed here: find one by its id or Name.")
    if not found:
        return Html("")
    left = len(found) - NOT_PROTECTED_SHOWN + answer.get("not_protected_not_listed", 0)
    more = element("p", f"And {left} more: find one by its id or Name.") if left > 0 else Html("")
    rows = [parts.row(item, call) for item in found[:NOT_PROTECTED_SHOWN]]
    return join([table("Gone or not selected, with recovery points left", parts.HEAD, rows), more])


def _beside(answer: parts.Answer) -> Html:
    schedule, runs = answer["schedule"], answer["retention"]["runs"]
    lines = [f"Next backup: {schedule['next_slot'] or 'not known'}. Retention: {answer['retention']['policy']}."]
    if runs:
        last = runs[0]
        lines.append(
            f"The last retention run, at {last['at']}, kept {last['kept']} recovery points and deleted "
            f"{last['deleted']}. {last['refused']} were refused and {last['waiting']} wait for the next run."
        )
    return join(element("p", line, {"class": "faint"}) for line in lines)
