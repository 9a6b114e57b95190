"""What several pages have: an open restore, what needs a person, instances as rows, and how each answer begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifeboat.domain.widget import Call
from lifeboat.restore.record import RestoreStep
from lifeboat.status.page import INSTANCE_ID
from lifeboat.status.widget.markup import Html, button, duration, element, items, join, marked, name, text
from lifeboat.status.widget.pictures import sparkline

type Answer = Mapping[str, Any]

SHOW, BACK_UP, RESTORE, HOLD = "show-status", "take-snapshots", "restore-volume", "prune-snapshots"
"""The functions that the buttons call, by the ends of their names."""

ASKED_BY = "a viewer of the CloudWatch dashboard"
"""What a request of the page says of who asks: the widget does not learn it. CloudTrail can."""

LINEAGES_SHOWN = 2
NEEDS_SHOWN = 4
"""In full. Of the following ones the page only says which they are."""
NEEDS_NAMED = 8
TIMELINE_SHOWN = 8
STEPS_SHOWN = 3
STEP_LENGTH = 200
COMMAND_LENGTH = 2_000
TIMELINE_LENGTH = 160

HEAD = ("Instance", "Standing", "Newest recovery point", "Proven", "Locked", "Copied", "Actions")

_STANDINGS = {
    "overdue": ("bad", "overdue"),
    "new": ("faint", "no backup due yet"),
    "in_progress": ("warn", "in progress"),
    "on_time": ("good", "on time"),
    "not_protected": ("warn", "not protected"),
}


def top(title: Html | str, call: Call, subtitle: Html) -> Html:
    """How each page begins: what it shows, and the ways back."""
    show = call.endpoint(SHOW)
    ways = element("p", join([button("All instances", show, {})]))
    return join([element("h2", title), subtitle, ways])


def unread(answer: Answer) -> Html:
    """What AWS did not show."""
    return join(marked("warn", "Not read:", text(reason)) for reason in answer["unread"])


def refusal(sentence: object) -> Html:
    """Why nothing was done."""
    return element("div", marked("bad", "Refused:", text(sentence, 1_000)), {"role": "alert"})


def who(instance_id: str, called: str) -> Html:
    """An instance by Name and id."""
    return join([name(called), Html(" "), element("code", instance_id)]) if called else element("code", instance_id)


def show_button(instance_id: str, call: Call, label: str = "Open") -> Html:
    """Opens the page of an instance. An id from a tag may be anything, and then has none."""
    if not INSTANCE_ID.fullmatch(instance_id):
        return Html("")
    return button(label, call.endpoint(SHOW), {"instance": instance_id}, about=instance_id)


def backup_button(instance_id: str, call: Call) -> Html:
    """Backs an instance up now, after a confirmation."""
    return button(
        "Back up now",
        call.endpoint(BACK_UP),
        {"instance_ids": [instance_id]},
        confirmation=f"Back up {instance_id} now?",
        about=instance_id,
    )


def needs(answer: Answer, call: Call) -> Html:
    """What needs a person now, the critical first."""
    found: Sequence[Answer] = answer["needs_a_person"]
    if not found:
        return Html("")
    named = found[NEEDS_SHOWN : NEEDS_SHOWN + NEEDS_NAMED]
    left = len(found[NEEDS_SHOWN + NEEDS_NAMED :]) + answer.get("needs_a_person_not_listed", 0)
    more = element("p", join([text(f"And {left} more."), all_button(call)], " ")) if left else Html("")
    return join(
        [
            element("h3", "What needs a person now"),
            *(_need(item, call) for item in found[:NEEDS_SHOWN]),
            element("ul", join(named_need(item, call) for item in named)) if named else Html(""),
            more,
        ]
    )


def all_button(call: Call) -> Html:
    """Names everything that is urgent."""
    return button("Show all that is urgent", call.endpoint(SHOW), {"urgent": True})


def named_need(need: Answer, call: Call) -> Html:
    """Which instance it is about, or else what the summary says of it."""
    instance_id = need["subject"].get("instance_id", "")
    about = who(text(instance_id, 40), need["name"]) if instance_id else text(need["summary"], 100)
    said = element("span", f"{need['severity']} {need['event']}", {"class": _severity(need)})
    return element("li", join([said, about, show_button(instance_id, call)], " "))


def _severity(need: Answer) -> str:
    return "bad" if need["severity"] == "critical" else "warn"


def _need(need: Answer, call: Call) -> Html:
    instance_id = need["subject"].get("instance_id", "")
    buttons = show_button(instance_id, call) if instance_id else Html("")
    asked = need["request"]
    if asked and asked["function"] == "TakeSnapshotsFunction" and INSTANCE_ID.fullmatch(instance_id):
        buttons = join([buttons, backup_button(instance_id, call)])
    of = [name(need["name"])] if need["name"] else []
    said = marked(_severity(need), need["severity"], join([*of, text(need["summary"])], " "))
    return element("div", join([said, steps(need), buttons]), {"class": "need"})


def steps(item: Answer) -> Html:
    """What to do next, shortened: the page has room for no long command."""
    return items([_cut(step) for step in item["next_steps"][:STEPS_SHOWN]])


def whole_steps(item: Answer) -> Html:
    """What to do next, with the commands as they paste."""
    found = [element("li", text(step, COMMAND_LENGTH)) for step in item["next_steps"]]
    return join([element("h3", "What to do next"), element("ol", join(found))]) if found else Html("")


def _cut(sentence: str) -> str:
    return (
        sentence if len(sentence) <= STEP_LENGTH else f"{sentence[:STEP_LENGTH]}... (lifeboat status shows all of it)"
    )


def row(instance: Answer, call: Call, label: str = "Open") -> list[Html]:
    """An instance as a row under HEAD. `label`: what the button says that shows it."""
    points = {point["id"]: point for point in instance["recovery_points"]}
    lineages: Sequence[Answer] = instance["lineages"]
    newest = [points[item["newest"]] for item in lineages if item["newest"] in points]
    style, word = _STANDINGS.get(instance["standing"], ("", instance["standing"]))
    problem = marked("bad", "Problem:", text(instance["problem"], 200))
    buttons = [show_button(instance["instance_id"], call, label)]
    if instance["standing"] != "not_protected" and not instance["restore"]:
        buttons.append(backup_button(instance["instance_id"], call))
    return [
        who(text(instance["instance_id"], 40), instance["name"]),
        join([element("span", word, {"class": style}), problem if instance["problem"] else Html("")]),
        _newest(lineages),
        text(_proven(lineages)),
        text(_all(point["locked"] for point in newest)),
        text(copied(newest)),
        join(buttons),
    ]


def _newest(lineages: Sequence[Answer]) -> Html:
    if not lineages:
        return text("no data volume")
    shown = [
        join(
            [
                element(
                    "span", f"{item['device']}: {duration(item['age_seconds'])} ago" if item["newest"] else _none(item)
                ),
                sparkline(item["ages_seconds"]),
            ]
        )
        for item in lineages[:LINEAGES_SHOWN]
    ]
    left = len(lineages) - LINEAGES_SHOWN
    return join([*shown, *([element("span", f"and {left} more volumes")] if left > 0 else [])])


def _none(lineage: Answer) -> str:
    return f"{lineage['device']}: {'in progress' if lineage['pending'] else 'none'}"


def _proven(lineages: Sequence[Answer]) -> str:
    if not lineages or not all(item["newest_proven"] for item in lineages):
        return "no"
    if all(item["newest_proven"] == item["newest"] for item in lineages):
        return "yes"
    return f"{duration(max(item['proven_age_seconds'] for item in lineages))} ago"


def _all(values: Any) -> str:
    found = list(values)
    if not found or any(item is None for item in found):
        return "not known" if found else "-"
    return "yes" if all(found) else "no"


def copied(points: Sequence[Answer]) -> str:
    """Where else these recovery points are, by the worst of them."""
    worst: dict[str, str] = {}
    order = ("copied", "copying", "unknown", "missing")
    for point in points:
        places = dict(point["copies"])
        if point["shared_with_vault"] is not None:
            places["vault"] = "copied" if point["shared_with_vault"] else "missing"
        for place, state in places.items():
            worst[place] = max(
                worst.get(place, "copied"), state, key=lambda word: order.index(word) if word in order else 2
            )
    words = {("vault", "copied"): "shared with the vault", ("vault", "missing"): "not shared with the vault"}
    return ", ".join(words.get((place, state), f"{place}: {state}") for place, state in worst.items()) or "-"


def restore(item: Answer, call: Call) -> Html:
    """A restore as show_status has it: how far it is, its timeline and what to do next."""
    entries = [f"{entry['at']} {entry['step']}: {entry['text']}" for entry in item["timeline"]]
    left = item["step_seconds_left"]
    time_left = f" {duration(left)} are left for this step." if left is not None else ""
    said = f"{item['step']}, {item['direction']}, for {duration(item['seconds'])}." + time_left
    may_cancel = item["status"] == "open" and item["direction"] == "forward"
    return join(
        [
            element(
                "h3",
                join(
                    [
                        text("Restore"),
                        element("code", item["restore_id"]),
                        text("onto"),
                        element("code", item["instance_id"]),
                    ],
                    " ",
                ),
            ),
            progress(item["step"], item["status"], item["direction"]),
            element("p", said),
            *(marked("warn", word, text(item[key])) for key, word in _WHY if item[key]),
            steps(item),
            timeline(entries),
            join(
                [
                    follow_button(item["restore_id"], call),
                    *([cancel_button(item["restore_id"], call)] if may_cancel else []),
                ]
            ),
        ]
    )


_WHY = (("failure", "Why it rolls back:"), ("blocked", "The roll-back waits:"), ("refused", "EC2 refused for now:"))


def progress(step: str, status: str, direction: str) -> Html:
    """The steps of a restore, with the one that it is at."""
    steps = [item.value for item in RestoreStep if item is not RestoreStep.DONE]
    if direction == "rollback":
        return element(
            "p", f"It {'was rolled back' if status == 'rolled_back' else 'rolls back'}: {step}", {"class": "warn"}
        )
    words = [
        element("strong", item, {"aria-current": "step"}) if item == step else element("span", item) for item in steps
    ]
    return element("p", join(words, " > "))


def timeline(entries: Sequence[str]) -> Html:
    """The last entries of a timeline, the newest last."""
    if not entries:
        return Html("")
    shown = [
        entry if len(entry) <= TIMELINE_LENGTH else f"{entry[:TIMELINE_LENGTH]}..."
        for entry in entries[-TIMELINE_SHOWN:]
    ]
    left = len(entries) - len(shown)
    before = element("p", f"{left} earlier entries are not shown.", {"class": "faint"}) if left else Html("")
    return join([before, items(shown, "ul")])


def follow_button(restore_id: str, call: Call, label: str = "Refresh") -> Html:
    """Shows the restore as it stands then, also onto an instance that is not protected."""
    return button(label, call.endpoint(RESTORE), {"status": restore_id}, about=restore_id)


def cancel_button(restore_id: str, call: Call) -> Html:
    """Rolls a restore back, after a confirmation."""
    return button(
        "Cancel the restore",
        call.endpoint(RESTORE),
        {"cancel": restore_id, "requested_by": ASKED_BY},
        confirmation=f"Roll {restore_id} back?",
        about=restore_id,
    )
