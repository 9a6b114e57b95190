"""What the check of the stack publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from lifeboat.doctor.line import Level, Line, count
from lifeboat.domain.message import Message, counted, sentence
from lifeboat.domain.text import iso

MOST_COMMAND = 10_000
"""Characters of a command in a message. A cut one would be wrong, and SNS takes 262,144 bytes in all."""

SEVERITY = {Level.OK: "info", Level.WARN: "warning", Level.FAIL: "critical"}

ASK = "lifeboat doctor, or invoke CheckStackFunction with {}"

ASK_COVERAGE = 'lifeboat coverage, or invoke CheckStackFunction with {"coverage": true}'

REHEARSE = "Run lifeboat doctor: it also lets each function rehearse the calls that its role must be able to make."


def stack_checked(*, stack: str, at: datetime, deployed_at: datetime, lines: Sequence[Line]) -> Message:
    """StackChecked: the day after each deployment, what a check of the stack has shown. It is critical if a check
    failed, a warning if one warns.
    """
    found = count(lines)
    worst = max((line.level for line in lines), key=list(Level).index, default=Level.OK)
    faults = [line for line in lines if line.level is not Level.OK]
    what = (
        f"{counted(found['fail'], 'fault')} and {counted(found['warn'], 'warning')}"
        if faults
        else f"no fault in {counted(len(lines), 'check')}"
    )
    return Message(
        event="StackChecked",
        at=at,
        stack=stack,
        severity=SEVERITY[worst],
        about="stack",
        verdict=_verdict(found),
        summary=sentence(f"The check of the stack {stack}, deployed at {iso(deployed_at)}, found {what}"),
        details={
            "deployed_at": iso(deployed_at),
            **found,
            "lines": [{key: value for key, value in line.as_dict().items() if key != "commands"} for line in lines],
        },
        next_steps=(*_steps(faults, ASK), REHEARSE),
    )


def coverage_report(*, stack: str, at: datetime, lines: Sequence[Line]) -> Message:
    """CoverageReport: each week, what the protection does not cover, a line and a command for each gap. It is a warning
    if there is a gap, or if a place could not be observed.
    """
    gaps = [line for line in lines if line.level is not Level.OK]
    what = counted(len(gaps), "gap") if gaps else "no gap"
    return Message(
        event="CoverageReport",
        at=at,
        stack=stack,
        severity=SEVERITY[Level.WARN if gaps else Level.OK],
        about="stack",
        verdict=f"has {what}" if gaps else "",
        summary=sentence(f"The protection by the stack {stack} has {what}"),
        details={
            "gaps": len(gaps),
            "table": [{key: value for key, value in line.as_dict().items() if key != "commands"} for line in lines],
        },
        next_steps=tuple(_steps(gaps, ASK_COVERAGE)),
    )


def _verdict(found: Mapping[str, int]) -> str:
    """In a few words; empty: that of the event."""
    if found["fail"]:
        return f"has {counted(found['fail'], 'fault')}"
    return f"has {counted(found['warn'], 'warning')}" if found["warn"] else ""


def _steps(faults: Sequence[Line], ask: str) -> Iterator[str]:
    """What to do about each fault, the failed checks first; one command may mend several. `ask` shows all commands."""
    done: set[tuple[str, ...]] = set()
    for line in sorted(faults, key=lambda item: item.level is not Level.FAIL):
        if line.commands in done:
            continue
        if line.commands and sum(map(len, line.commands)) <= MOST_COMMAND:
            done.add(line.commands)
            yield f"{line.text}. Run: {line.commands[0]}"
            yield from (f"Then: {command}" for command in line.commands[1:])
        elif line.commands:
            yield f"{line.text}. The command is too long for a message: run {ask}."
        if line.advice:
            yield f"{line.text}. {line.advice}" if not line.commands else line.advice
