"""Words of a person: whether there are any."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs by their category that show nothing: Hangul fillers, the blank pattern of Braille."""


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen: no letter, digit, sign or mark, in any script."""
    return not any(unicodedata.category(letter)[0] in "LNPS" and letter not in _BLANK for letter in text)


def iso(at: datetime) -> str:
    """`2026-11-23T02:00:00Z`: how times stand in tags and messages."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
