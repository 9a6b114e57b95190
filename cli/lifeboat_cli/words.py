"""Text for a terminal. What comes from tags, names or AWS is data: it can neither move the cursor nor begin a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

NAME_WIDTH = 32
"""Columns that a Name gets at most."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def shown(text: object) -> str:
    """The text on one line. Control characters and marks that change the reading direction are written as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in str(text))


def quoted(name: object) -> str:
    """A Name in quotes, cut to NAME_WIDTH columns; an empty one is not shown."""
    text = shown(name)
    if not text:
        return ""
    if len(text) > NAME_WIDTH or cell_len(text) > NAME_WIDTH:  # marks that combine have no width
        text = set_cell_size(text[: NAME_WIDTH - 3], min(NAME_WIDTH - 3, cell_len(text[: NAME_WIDTH - 3]))) + "..."
    return f'"{text}"'


def duration(seconds: float | None) -> str:
    """Seconds as a person says them, such as `20 min`; `-` where they are not known."""
    if seconds is None:
        return "-"
    for unit, name, most in ((1, "s", 2 * MINUTE), (MINUTE, "min", 2 * HOUR), (HOUR, "h", 2 * DAY)):
        if seconds < most:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // DAY)} days"


def yes_no(value: Any) -> str:
    """`yes`, `no`, or `?` for what is not known."""
    return {True: "yes", False: "no"}.get(value, "?")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows in columns under their heads. The last column may have any width."""
    widths = [max(cell_len(row[index]) for row in (head, *rows)) for index in range(len(head))]
    for row in (head, *rows):
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def steps(sentences: Sequence[object]) -> Iterator[str]:
    """What to do next, one step a line."""
    for sentence in sentences:
        yield f"    -> {shown(sentence)}"
