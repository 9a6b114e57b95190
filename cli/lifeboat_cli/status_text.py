"""The answers of show_status as lines for a person. docs/reference/status.md has every field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lifeboat_cli.outcome import Exit
from lifeboat_cli.words import duration, quoted, shown, steps, table, yes_no

type Answer = Mapping[str, Any]

DELETIONS_SHOWN = 5


def exit_of_status(answer: Answer) -> Exit:
    """DONE only if all was read and nothing needs a person."""
    return Exit.NEEDS_A_PERSON if answer.get("needs_a_person") or answer["unread"] else Exit.DONE


def status_lines(answer: Answer) -> Iterator[str]:
    """How the stack stands, or one instance."""
    yield _place(answer)
    if "summary" in answer:
        yield shown(answer["summary"])
    yield from _unread(answer)
    yield from _needs(answer)
    yield from _instances("", answer["instances"])
    yield from _instances("Not protected, with recovery points left", answer.get("not_protected") or ())
    yield from _restores("Open restores", answer.get("restores", ()))
    yield from _restores("After the last restores", answer.get("ended_restores", ()))
    for item in answer.get("open_backups", ()):
        yield f"Backup under way: {shown(item['id'])}, begun at {shown(item['begun_at'])}"
    for instance in answer["instances"]:
        yield from _next_deletions(instance)
    yield ""
    if "schedule" in answer:
        yield f"Next backup: {shown(answer['schedule']['next_slot'] or 'not known')}"
    if runs := answer.get("retention", {}).get("runs"):
        last = runs[0]
        yield (
            f"Last retention run: {shown(last['at'])}, kept {shown(last['kept'])}, deleted {shown(last['deleted'])}, "
            f"refused {shown(last['refused'])}, waiting {shown(last['waiting'])}"
        )
    yield from _more("status", answer)


def points_lines(answer: Answer) -> Iterator[str]:
    """Recovery points, the newest first."""
    yield _place(answer)
    yield from _unread(answer)
    points = answer["recovery_points"]
    if not points:
        yield "There is no recovery point."
        return
    yield ""
    head = ("RECOVERY POINT", "AGE", "CONDITION", "VERIFIED", "GIB", "LOCKED", "ELSEWHERE", "REMARKS", "NAME")
    yield from table(head, [_point_row(point) for point in points])
    yield from _more("points", answer)


def describe_point(point: Answer) -> str:
    """Whose data a recovery point has and how old it is, in one sentence."""
    of = quoted(point["name"]) or "an instance without a Name"
    proof = {"proven": "proven", "failed": "its verification FAILED"}.get(point["verified"], "not proven")
    suspect = ", SUSPECT: it may be encrypted" if point["suspected"] else ""
    return (
        f"{of} ({shown(point['instance_id'])}), taken at {shown(point['taken_at'])}, "
        f"{duration(point['age_seconds'])} ago, {shown(point['condition'])}, {proof}{suspect}"
    )


def _place(answer: Answer) -> str:
    where = f"{shown(answer['stack'])} in {shown(answer['region'])}, account {shown(answer['account'])}"
    return f"{where}, at {shown(answer['at'])}"


def _unread(answer: Answer) -> Iterator[str]:
    for reason in answer["unread"]:
        yield f"NOT READ  {shown(reason)}"


def _needs(answer: Answer) -> Iterator[str]:
    needs = answer.get("needs_a_person", ())
    if needs:
        yield ""
        yield "Needs a person"
    for need in needs:
        of = f"{quoted(need['name'])} " if need["name"] else ""
        yield f"  {shown(need['severity']).upper()}  {of}{shown(need['summary'])}"
        yield from steps(need["next_steps"])
        if need["command"]:
            yield f"    $  {shown(need['command'])}"
    if left := answer.get("needs_a_person_not_listed"):
        yield f"  and {shown(left)} more"


def _instances(title: str, instances: Iterable[Answer]) -> Iterator[str]:
    found = list(instances)
    if not found:
        return
    yield ""
    if title:
        yield title
    head = ("INSTANCE", "STANDING", "DEVICE", "NEWEST RECOVERY POINT", "AGE", "PROVEN", "NAME")
    yield from table(head, [row for instance in found for row in _instance_rows(instance)])
    for instance in found:
        if instance["problem"]:
            yield f"  {shown(instance['instance_id'])}: {shown(instance['problem'])}"


def _instance_rows(instance: Answer) -> Iterator[tuple[str, ...]]:
    first, name = (shown(instance["instance_id"]), shown(instance["standing"])), quoted(instance["name"])
    if not instance["lineages"]:
        yield (*first, "-", "none", "-", "-", name)
    for item in instance["lineages"]:
        newest = item["newest"]
        proven = "yes" if newest and item["newest_proven"] == newest else "no"
        if proven == "no" and item["newest_proven"]:
            proven = f"{duration(item['proven_age_seconds'])} ago"
        yield (
            *first,
            shown(item["device"] or "-"),
            shown(newest or ("in progress" if item["pending"] else "none")),
            duration(item["age_seconds"]),
            proven,
            name,
        )
        first, name = ("", ""), ""


def _point_row(point: Answer) -> tuple[str, ...]:
    remarks = [word for word in ("held", "suspected", "late") if point[word]]
    elsewhere = [f"{shown(region)} {shown(state)}" for region, state in point["copies"].items()]
    if point["shared_with_vault"] is not None:
        elsewhere.append(f"vault {'shared' if point['shared_with_vault'] else 'not shared'}")
    return (
        shown(point["id"]),
        duration(point["age_seconds"]),
        shown(point["condition"]),
        shown(point["verified"]),
        shown(point["gib"]),
        yes_no(point["locked"]),
        ", ".join(elsewhere) or "-",
        ", ".join(remarks) or "-",
        quoted(point["name"]),
    )


def _restores(title: str, restores: Iterable[Answer]) -> Iterator[str]:
    found = list(restores)
    if found:
        yield ""
        yield title
    for item in found:
        left = item["step_seconds_left"]
        time = f", {duration(left)} until the deadline of this step" if left is not None else ""
        state = f"{item['step']}, {item['direction']}{time}" if item["status"] == "open" else item["status"]
        yield f"  {shown(item['restore_id'])} onto {shown(item['instance_id'])}: {shown(state)}"
        if item["failure"]:
            yield f"    {shown(item['failure'])}"
        if item["status"] != "open" or item["blocked"]:
            yield from steps(item["next_steps"])


def _next_deletions(instance: Answer) -> Iterator[str]:
    retention = instance["retention"]
    if not retention:
        return
    yield ""
    yield f"Retention of {shown(instance['instance_id'])}: {shown(retention['policy'])}"
    if retention["problem"]:
        yield f"  nothing is deleted: {shown(retention['problem'])}"
    deletions = retention["next_deletions"] or ()
    for item in deletions[:DELETIONS_SHOWN]:
        yield f"  {shown(item['recovery_point'])} goes after {shown(item['at'])}: {shown('; '.join(item['why']))}"
    more = len(deletions[DELETIONS_SHOWN:]) + retention.get("next_deletions_not_listed", 0)
    if more:
        yield f"  and {shown(more)} more within 40 backups"


def _more(command: str, answer: Answer) -> Iterator[str]:
    if answer["next"]:
        yield f"There is more: add --next '{shown(answer['next'])}' to the same lifeboat {command}"
