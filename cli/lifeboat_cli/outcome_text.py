"""The answers of take_snapshots, prune_snapshots, verify_snapshots and drill_restores as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lifeboat_cli.words import shown

type Answer = Mapping[str, Any]

SHOWN = 50
"""How many entries of a list a person gets; --json has all that were answered."""


def backup_lines(answer: Answer) -> Iterator[str]:
    """What a backup began, and what it did not."""
    if "run" in answer:  # many instances are taken in batches
        yield f"The large run {shown(answer['run'])} takes {shown(answer['instances'])} instances."
        return
    for item in answer["begun"]:
        yield f"{shown(item['recovery_point'])} has begun. BackupCompleted says when it is good."
    for item in answer["already"]:
        yield f"{shown(item['recovery_point'])} was there already."
    for key, words in (("skipped", "was skipped"), ("failed", "FAILED")):
        for item in answer[key]:
            yield f"{shown(item['instance_id'])} {words}: {shown(item['reason'])}"
    if answer.get("left"):
        yield f"Not tried in the time of one invocation: {shown(', '.join(answer['left']))}"
    if not (answer["begun"] or answer["already"] or answer["failed"] or answer["skipped"]):
        yield "No instance is selected."


def has_backed_up(answer: Answer, *, named: bool) -> bool:
    """Whether every instance has its recovery point, begun or there. A named one that was skipped has none."""
    return not (answer.get("failed") or answer.get("left") or (named and answer.get("skipped")))


def prune_plan_lines(answer: Answer) -> Iterator[str]:
    """What a retention run would delete, and why."""
    more = answer.get("delete_not_listed", 0)
    kept = len(answer["kept"]) + answer.get("kept_not_listed", 0)
    yield f"Retention keeps {kept} recovery points and deletes {len(answer['delete']) + more}."
    yield from _listed(
        [f"{shown(item['recovery_point'])}: {shown('; '.join(item['reasons']))}" for item in answer["delete"]], more
    )
    yield from _notices(answer)


def prune_lines(answer: Answer) -> Iterator[str]:
    """What a retention run has deleted, and what was refused."""
    yield f"Retention kept {shown(answer['kept_count'])} recovery points and deleted {len(answer['deleted'])}."
    yield from _listed([shown(item["recovery_point"]) for item in answer["deleted"]])
    for item in answer["refused"]:
        yield f"  NOT DELETED  {shown(item['recovery_point'])}: {shown(item['cause'])}"
    yield from _notices(answer)


def adopt_lines(answer: Answer) -> Iterator[str]:
    """What an adoption would make, or has made, recovery points."""
    found = answer["adopted"] if answer["confirm"] else answer["adopt"]
    words = "were adopted" if answer["confirm"] else "can be adopted"
    yield f"{len(found)} snapshots {words}."
    for item in found[:SHOWN]:
        then = f"; retention: {shown(item['then'])}" if "then" in item else ""
        yield f"  {shown(item['snapshot'])} of {shown(item['taken_at'])} as {shown(item['recovery_point'])}{then}"
    yield from _listed([], len(found[SHOWN:]))
    for item in answer["refused"][:SHOWN]:
        yield f"  LEFT  {shown(item['snapshot'])}: {shown(item['cause'])}"
    yield from _notices(answer)
    if "next" in answer:
        yield shown(answer["next"])


def verify_lines(answer: Answer, point: str) -> Iterator[str]:
    """What reading a recovery point back has shown so far."""
    for key in ("proven", "failed", "stopped", "open"):
        for item in answer.get(key, ()):
            why = f": {shown(item['reason'])}" if item.get("reason") else ""
            yield f"{shown(item['recovery_point'])} is {key}{why}"
    if "waits_for" in answer:
        yield f"It waits for {shown(answer['waits_for'])}."
    if not any(is_among(answer, key, point) for key in ("proven", "failed")):
        yield f"{shown(point)} is not read yet. To see the outcome later: lifeboat points"


def is_among(answer: Answer, key: str, point: str) -> bool:
    """Whether the answer lists a recovery point under `key`."""
    return any(item["recovery_point"] == point for item in answer.get(key, ()))


def drill_lines(answer: Answer) -> Iterator[str]:
    """Which restore drills have begun."""
    for item in answer["drills"]:
        why = f": {shown(item['failure'])}" if "failure" in item else ""
        yield f"{shown(item['id'])} of {shown(item['recovery_point'])}: {shown(item['state'])}{why}"
    yield f"{len(answer['opened'])} drills were opened, {shown(answer['waiting'])} wait."
    yield "DrillPassed or DrillFailed ends each."


def _listed(lines: list[str], more: int = 0) -> Iterator[str]:
    for line in lines[:SHOWN]:
        yield f"  {line}"
    if left := len(lines[SHOWN:]) + more:
        yield f"  and {left} more"


def _notices(answer: Answer) -> Iterator[str]:
    for notice in answer.get("notices", ()):
        yield f"  NOTICE  {shown(notice)}"
