"""doctor: the check of the stack, with each function's rehearsal of its own calls. coverage: what is not protected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from lifeboat_cli.functions import Functions
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.session import Session, command
from lifeboat_cli.words import shown

LEVELS = ("ok", "warn", "fail")
NO_REHEARSAL = "Only the function's own role can ask whether that role may make its calls."

type Line = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    command(app)(doctor)
    command(app)(coverage)


def doctor(
    session: Session,
    *,
    rehearse: Annotated[
        bool, typer.Option("--rehearse/--no-rehearse", help="Let each function rehearse its calls with DryRun.")
    ] = True,
) -> Exit:
    """Check the deployed stack: one line for each check, and what to do about each fault."""
    answer = session.functions.invoke("check-stack", {})
    names = answer["rehearse"] if rehearse else ()
    lines = [*answer["lines"], *(line for name in names for line in _rehearsed(session.functions, name))]
    counted = Counter(line["level"] for line in lines)
    whole = {**answer, "lines": lines, "counts": {level: counted[level] for level in LEVELS}}
    session.give(whole, doctor_lines(whole))
    return Exit.FAILED if counted["fail"] else Exit.DONE


def coverage(session: Session) -> Exit:
    """Show what the protection does not cover, with a command for each gap. Exit code 3: there is one."""
    answer = session.functions.invoke("check-stack", {"coverage": True})
    session.give(answer, doctor_lines(answer))
    return Exit.NEEDS_A_PERSON if answer["counts"]["warn"] else Exit.DONE


def _rehearsed(functions: Functions, name: str) -> Sequence[Line]:
    """The lines of a function's rehearsal; one line if it does not answer."""
    try:
        found: Sequence[Line] = functions.invoke(name, {"rehearse": True})["lines"]
    except Problem as problem:
        text = f"{name} did not rehearse its calls: {problem}"
        return [{"check": "rehearsal", "level": "fail", "text": text, "commands": [], "advice": NO_REHEARSAL}]
    return found


def doctor_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """One line for each check, with the commands and the advice under a fault."""
    where = f"{shown(answer['stack'])} in {shown(answer['region'])}, account {shown(answer['account'])}"
    yield f"{where}, at {shown(answer['at'])}"
    for line in answer["lines"]:
        yield f"{shown(line['level']):4}  {shown(line['text'])}"
        for number, run in enumerate(line["commands"]):
            yield f"      {'then ' if number else ''}$ {shown(run)}"
        if line["advice"]:
            yield f"      -> {shown(line['advice'])}"
    yield ", ".join(f"{answer['counts'][level]} {level}" for level in LEVELS)
