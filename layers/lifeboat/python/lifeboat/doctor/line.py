"""One line of the check: what was checked, how it stands, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lifeboat.domain.text import one_line


class Level(StrEnum):
    """How a check stands."""

    OK = "ok"
    WARN = "warn"  # it works, and a person should know
    FAIL = "fail"  # backups, restores or messages do not work, or will not


@dataclass(frozen=True, slots=True)
class Line:
    """`check` is a name for programs. A fault has `commands`, run in their order, or `advice`, or both."""

    check: str
    level: Level
    text: str
    commands: tuple[str, ...] = ()
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "level": self.level.value,
            "text": one_line(self.text),
            "commands": [*self.commands],
            "advice": one_line(self.advice),
        }


def ok(check: str, text: str, advice: str = "") -> Line:
    return Line(check, Level.OK, text, advice=advice)


def warn(check: str, text: str, *commands: str, advice: str = "") -> Line:
    return Line(check, Level.WARN, text, commands, advice)


def fail(check: str, text: str, *commands: str, advice: str = "") -> Line:
    return Line(check, Level.FAIL, text, commands, advice)


GONE = (
    *("ResourceNotFoundException", "NotFound", "NotFoundException"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
)
"""What DynamoDB, SNS and SQS answer about a part that was deleted: no policy hides it."""


def not_seen(check: str, what: str, said: str, again: Sequence[str] = ()) -> Line:
    """What was not seen is not judged, and never taken for good. `again` makes the stack's deleted parts again."""
    if said.partition(":")[0] in GONE:
        advice = "" if again else "Run the commands of the part that was deleted, then lifeboat doctor again."
        text = f"{what} cannot be read, because a part of the stack was deleted. AWS said: {said}"
        return fail(check, text, *again, advice=advice)
    advice = "Find the policy that denies it: the role of CheckStackFunction reads it with rights of its own."
    return Line(check, Level.WARN, f"{what} was not seen, so it is not judged. AWS said: {said}", advice=advice)


def count(lines: Iterable[Line]) -> dict[str, int]:
    """How many lines stand at each level."""
    found = Counter(line.level for line in lines)
    return {level.value: found[level] for level in Level}
