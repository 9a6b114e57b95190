"""The e-mails that the demo shows: whole where they say why and what to do next, and short between."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NEXT_STEPS = "What to do next"
WHY = re.compile(r"(reasons?|failures?|findings?|stop took):")
FACTS = 6
"""Lines of facts that are shown of each paragraph."""


def chosen(letters: Iterable[Mapping[str, Any]], events: Sequence[str]) -> list[Mapping[str, Any]]:
    """The first letter of each event, in the order of the events; the last line of a letter names its event."""
    found: dict[str, Mapping[str, Any]] = {}
    for letter in letters:
        event = str(letter["text"]).rstrip().splitlines()[-1].partition(" (")[0]
        found.setdefault(event, letter)
    return [found[event] for event in events if event in found]


def opening(text: str) -> str:
    """A letter's text without its longer lists of facts; every line is whole."""
    paragraphs = text.rstrip().split("\n\n")
    last = len(paragraphs) - 1
    return "\n\n".join(
        part if at in {0, last} or part.startswith(NEXT_STEPS) else _short(part.splitlines())
        for at, part in enumerate(paragraphs)
    )


def _short(lines: list[str]) -> str:
    kept, whole, left_out = [], False, 0
    for at, line in enumerate(lines):
        if not line.startswith(" "):
            whole = bool(WHY.match(line))
        if at < FACTS or whole:
            kept.append(line)
        else:
            left_out += 1
    return "\n".join([*kept, f"... and {left_out} more lines"] if left_out else kept)
