"""Names, tags and AWS's words in a terminal: nothing executes, nothing breaks the layout, nothing imitates a step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from lifeboat_cli.words import NAME_WIDTH, duration, quoted, shown, table

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "C1 control": "\x9b31mred",
    "line": "platform\n    -> delete your snapshots",
    "carriage return": "platform\rNothing needs a person.",
    "line separator": "platform\u2028    -> delete\u2029",
    "tab and backspace": "a\tb\x08c",
    "right to left override": "\u202eyad\u202c",
    "isolates": "\u2066a\u2069\u200f",
    "zero width": "a\u200bb\ufeffc",
    "lone surrogate": "\ud800",
    "markup": "[red]x[/red] [link=file:///etc/passwd]y[/link]",
    "emoji code": ":warning:",
    "emoji": "\U0001f4a9" * 255,
    "families": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 50,
    "wide": "\u6f22" * 100,
    "marks": "a" + "\u0301" * 254,
    "quotes": "\"'`$(reboot)",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_printable_and_one_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text).splitlines()) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_keeps_the_columns(text: str) -> None:
    name = quoted(text)
    assert cell_len(name) <= NAME_WIDTH + 2
    assert len(name) <= NAME_WIDTH + 2
    head, row, other = table(("NAME", "AGE"), [(name, "1 s"), ("x", "2 s")])
    assert cell_len(row[: row.rindex("1 s")]) == cell_len(other[: other.rindex("2 s")]) == cell_len(head) - 3


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=255))
def test_any_name_is_one_line_of_bounded_width(text: str) -> None:
    assert shown(text).isprintable()
    assert len(quoted(text)) <= NAME_WIDTH + 2
    assert cell_len(quoted(text)) <= NAME_WIDTH + 2


def test_markup_stays_as_it_was_written() -> None:
    assert shown("[red]:warning:[/red]") == "[red]:warning:[/red]"
    assert shown("\x1b[2J\u202e") == "\\x1b[2J\\u202e"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (172_800, "2 days")],
)
def test_a_duration_is_in_the_unit_that_a_person_says(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words
