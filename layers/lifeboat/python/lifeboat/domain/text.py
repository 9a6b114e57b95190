"""Text for people: cut to a length, checked for visible characters, times as they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by Unicode category that show nothing: Hangul fillers, the blank Braille pattern."""


def is_blank(text: str) -> bool:
    """Whether the text has no visible character: no letter, digit, symbol or mark in any script."""
    return not any(unicodedata.category(letter)[0] in "LNPS" and letter not in _BLANK for letter in text)


def iso(at: datetime) -> str:
    """`2026-11-23T02:00:00Z`: the form of times in tags and messages."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> datetime | None:
    """An ISO 8601 time with its zone; None for any other text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def clip(text: str, most: int) -> str:
    """The text in at most `most` characters; a text that was cut ends with `...`."""
    return text if len(text) <= most else text[: most - 3] + "..."


def one_line(text: str) -> str:
    """The text without line breaks, control characters and marks that change the reading direction.

    Names, tags and AWS's own words are untrusted: none may begin a line of its own.
    """
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(text.split())


def name_first(names: Sequence[str], most: int, *, count: int | None = None) -> str:
    """`a, b and 3 more`: the first `most` names. `count` is how many there are, if `names` are only some of them."""
    named = ", ".join(names[:most])
    more = (len(names) if count is None else count) - len(names[:most])
    return f"{named} and {more} more" if more > 0 else named
