"""The text of LVM2's metadata: sections in braces, and names with a number, a string or a list.

Specification: LVM2's lib/format_text and libdm/libdm-config.c. The text is hostile: its depth and size are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

MOST_DEPTH = 16
_TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<token>"(?:[^"\\]|\\.)*"|[A-Za-z0-9_.+-]+|[{}=\[\],])""")

type Value = int | str | list[Value] | Section
type Section = dict[str, Value]


class TextError(ValueError):
    """The text is not metadata; the message says where."""


def parse_text(text: str) -> Section:
    """The sections and values of the text. Raises TextError."""
    tokens = _tokens(text)
    return _section(tokens, 0)


def section_of(section: Section, name: str) -> Section:
    """A section in a section, empty if there is none."""
    value = section.get(name)
    return value if isinstance(value, dict) else {}


def number_of(section: Section, name: str) -> int | None:
    """A number in a section, None if there is none."""
    value = section.get(name)
    return value if isinstance(value, int) else None


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise TextError(f"has a strange character at {at}")
        if found["token"]:
            yield found["token"]
        at = found.end()


def _section(tokens: Iterator[str], depth: int) -> Section:
    section: Section = {}
    if depth > MOST_DEPTH:
        raise TextError(f"is deeper than {MOST_DEPTH} sections")
    for name in tokens:
        if name == "}" and depth:
            return section
        follows = next(tokens, "")
        if follows == "{":
            section[name] = _section(tokens, depth + 1)
        elif follows == "=":
            section[name] = _value(tokens)
        else:
            raise TextError(f"has {follows or 'its end'} behind {name[:40]}, expected = or a section")
    if depth:
        raise TextError("ends inside a section")
    return section


def _value(tokens: Iterator[str]) -> Value:
    first = next(tokens, "")
    if first != "[":
        return _scalar(first)
    values: list[Value] = []
    for item in tokens:
        if item == "]":
            return cast(Value, values)
        if item != ",":
            values.append(_scalar(item))
    raise TextError("ends inside a list")


def _scalar(token: str) -> Value:
    if token.startswith('"'):
        return token[1:-1]
    if re.fullmatch(r"-?[0-9]{1,20}", token):
        return int(token)
    if re.fullmatch(r"[0-9.]{1,40}", token):
        return token
    raise TextError(f"has the value {token[:40] or 'nothing'}")
