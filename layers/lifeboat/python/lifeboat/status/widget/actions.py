"""What the functions that change something answer to the page's buttons: a plan, a restore, a backup."""

from __future__ import annotations

from typing import Any

from lifeboat.domain.text import one_line
from lifeboat.domain.widget import Call
from lifeboat.status.widget import parts
from lifeboat.status.widget.markup import Html, button, element, items, join, marked, text
from lifeboat.status.widget.style import frame


def show_restore(answer: parts.Answer, call: Call) -> str:
    """The answer of restore_volume: a plan, a restore as it stands, or a refusal."""
    if "restore_id" in answer:
        return _page("Restore", _restore(answer, call), call)
    if "dry_run" in answer:
        return _page("Plan of a restore", _plan(answer, call), call)
    return _page("Restore", _other(answer, call, "The plan is not ready yet."), call)


def show_backup(answer: parts.Answer, call: Call) -> str:
    """The answer of take_snapshots."""
    if "begun" not in answer:
        return _page("Backup", _other(answer, call, "The backup is under way."), call)
    lines = [f"{item['recovery_point']} has begun. It is good when EC2 has completed it." for item in answer["begun"]]
    lines += [f"{item['recovery_point']} was there already." for item in answer["already"]]
    for key, words in (("skipped", "was skipped"), ("failed", "FAILED")):
        lines += [f"{item['instance_id']} {words}: {item['reason']}" for item in answer[key]]
    if answer.get("requested_at"):
        lines.append(f"It was asked for at {answer['requested_at']}: the same request within 10 minutes is one backup.")
    ids = [item.get("instance_id", "") for item in (*answer["begun"], *answer["already"])][:1]
    opened = join(parts.show_button(instance_id, call, "Open the instance") for instance_id in ids)
    return _page("Backup", join([items(lines or ["No instance is selected."], "ul"), opened]), call)


def show_hold(answer: parts.Answer, call: Call) -> str:
    """The answer of prune_snapshots to a hold, or its refusal of what else it was sent."""
    if "held" not in answer:
        return _page("Hold", parts.refusal(answer["refused"]), call)
    new = "now" if answer["snapshots"] else "since before"
    lines = [
        f"{answer['held']} is held {new}: retention keeps it.",
        "To end it: lifeboat unhold, or remove the tag lifeboat:hold from its snapshots.",
    ]
    return _page("Hold", items(lines, "ul"), call)


def _page(title: str, content: Html, call: Call) -> str:
    return frame(join([parts.top(title, call, Html("")), content]), dark=call.dark)


def _plan(answer: parts.Answer, call: Call) -> Html:
    """The plan with its findings, as restore_volume wrote it. Only a possible one has the button that restores it."""
    possible = bool(answer["possible"])
    verdict = "It is possible. Nothing was changed." if possible else "It is not possible. Nothing was changed."
    first, *rest = answer["plan"].split("\n")
    return join(
        [
            element("p", verdict, {"class": "good" if possible else "bad", "role": "status"}),
            element("p", text(first, parts.COMMAND_LENGTH)),
            element("ul", join(element("li", _line(line)) for line in rest)) if rest else Html(""),
            _restore_button(answer, call) if possible and answer["recovery_point"] else Html(""),
        ]
    )


_FINDINGS = (("REFUSE ", "bad"), ("WARN ", "warn"))


def _line(line: str) -> Html:
    """A line of a plan: a step, or a finding, whose severity and code are set apart."""
    for mark, style in _FINDINGS:
        if line.startswith(mark):
            code, _, finding = line.partition(": ")
            return join([element("span", f"{code}:", {"class": style}), text(finding, parts.COMMAND_LENGTH)], " ")
    return text(line.removeprefix("- "), parts.COMMAND_LENGTH)


def _restore_button(answer: parts.Answer, call: Call) -> Html:
    point, onto = answer["recovery_point"], call.asked.get("instance_id", "")
    request: dict[str, Any] = {key: value for key, value in call.asked.items() if key != "dry_run"}
    request |= {"recovery_point": point, "request_id": f"page-{call.id}"}  # clicked twice, it is one restore
    return button(
        "Restore",
        call.endpoint(parts.RESTORE),
        request,
        confirmation=f"Restore {one_line(str(point))} onto {one_line(str(onto))}? The instance is stopped for it.",
        about=f"{point} onto {onto}",
        primary=True,
    )


def _restore(answer: parts.Answer, call: Call) -> Html:
    may_cancel = answer["status"] == "open" and answer["direction"] == "forward"
    return join(
        [
            element(
                "p", f"{answer['restore_id']} onto {answer['instance_id']}: {answer['status']}", {"role": "status"}
            ),
            parts.progress(answer["step"], answer["status"], answer["direction"]),
            marked("warn", "Why it rolls back:", text(answer["failure"])) if answer["failure"] else Html(""),
            parts.whole_steps(answer),
            element("h3", "Timeline"),
            parts.timeline(answer["timeline"]),
            parts.follow_button(answer["restore_id"], call) if answer["status"] == "open" else Html(""),
            parts.cancel_button(answer["restore_id"], call) if may_cancel else Html(""),
            parts.show_button(answer["instance_id"], call, "Open the instance"),
        ]
    )


def _other(answer: parts.Answer, call: Call, waiting: str) -> Html:
    """A refusal, or a request that takes longer than a client waits. The same request again asks for its outcome."""
    if "refused" in answer:
        findings = [item["finding"] for item in answer.get("findings", ()) if item["severity"] != "refuse"]
        return join([parts.refusal(answer["refused"]), items(findings, "ul")])
    if "error" in answer:
        return marked("bad", "It failed:", text(answer["error"]))
    if "run" in answer:
        return element("p", f"The large run {answer['run']} takes {answer['instances']} instances.")
    again = button("Show it", call.endpoint(_asked_of(call)), call.asked)
    return join([element("p", waiting, {"role": "status"}), again])


def _asked_of(call: Call) -> str:
    return parts.BACK_UP if "instance_ids" in call.asked else parts.RESTORE
