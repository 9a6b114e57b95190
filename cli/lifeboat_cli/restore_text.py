"""The answers of restore_volume as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lifeboat_cli.outcome import Exit
from lifeboat_cli.words import duration, shown, steps

type Answer = Mapping[str, Any]

STEPS = ("copies", "volumes", "stop", "detach", "attach", "start", "verify", "clean-up", "done")
"""What a restore goes through, in this order (docs/design/restore-machine.md)."""


def plan_lines(answer: Answer) -> Iterator[str]:
    """The plan of a dry run. Its first line says whose data it is and how old."""
    for line in answer["plan"].split("\n"):
        yield shown(line)
    if any(item["code"] == "no-consent" for item in answer["findings"]):
        yield "To consent: lifeboat consent with the id of the target instance"


def exit_of_restore(answer: Answer) -> Exit:
    """How a restore has ended. A failed one needs a person; an open one has not ended."""
    ends = {"completed": Exit.DONE, "rolled_back": Exit.FAILED}
    return ends.get(answer["status"], Exit.NEEDS_A_PERSON)


def end_lines(answer: Answer, record: Answer | None) -> Iterator[str]:
    """How a restore has ended. `record` is what show_status has of it, with the next steps, if it is there."""
    words = {
        "completed": "is completed",
        "rolled_back": "was rolled back: the instance is as it was before",
        "failed": "FAILED: its roll-back cannot finish by itself",
    }
    after = f" after {duration(record['seconds'])}" if record else ""
    yield f"{shown(answer['restore_id'])} {words.get(answer['status'], shown(answer['status']))}{after}."
    if answer["failure"]:
        yield f"Why: {shown(answer['failure'])}"
    yield from steps(answer["next_steps"])


def position(answer: Answer) -> int:
    """How many of STEPS are over."""
    return STEPS.index(answer["step"]) if answer["step"] in STEPS else 0


def now_at(answer: Answer) -> str:
    """What a restore does now, in a few words."""
    return f"rolls back: {shown(answer['step'])}" if answer["direction"] == "rollback" else shown(answer["step"])
