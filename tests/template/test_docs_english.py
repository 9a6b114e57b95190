"""The pages are in plain English: short sentences, and the vocabulary's words (CONTRIBUTING.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.template.pages import PROSE
from tools.marked_page import ROOT

MOST_WORDS = 40
OUT = re.compile(
    r"\b(doors?|ears?|hears?|heard|unheard|eyes?|mind|hands|voices?|tells?|told|news|chains?|lines? of data|story"
    r"|stories|portions?|fleets?|sweeps?|looks?|looked|looking|lets? go|letting go|turn(?:s|ed)? (?:it )?back|somebody"
    r"|everybody|offers|carried away)\b",
    re.IGNORECASE,
)
"""The words that are out. In code spans they may be names of the public face, such as `lifeboat:chain`."""


def prose(page: str) -> str:
    """The page without its generated parts, code and links' targets."""
    page = re.sub(r"<!-- [^>]*: written by `make docs` -->.*?<!-- end of [^>]*-->", "", page, flags=re.DOTALL)
    page = re.sub(r"^ *```.*?^ *```", "", page, flags=re.DOTALL | re.MULTILINE)
    page = re.sub(r"^    .*$", "", page, flags=re.MULTILINE) if "    make " in page else page
    page = re.sub(r"`[^`]*`", "X", page)
    return re.sub(r"\]\([^)]*\)", "]", page)


def sentences(page: str) -> Iterator[str]:
    """The sentences. A cell of a table and an item of a list end one; in a table a semicolon does, too."""
    page = re.sub(r"^ *\|.*$", lambda row: row.group().replace(";", "."), prose(page), flags=re.MULTILINE)
    lines = re.sub(r"\n(?=\s*([*|#>-]|\d+\.)\s)|\n\n", "\n\n", page).replace(" | ", "\n\n")
    for block in lines.split("\n\n"):
        yield from re.split(r"(?<=[.!?])\**\s+", " ".join(block.split()))


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_is_too_long(path):
    long = [said for said in sentences(path.read_text()) if len(said.split()) > MOST_WORDS]
    assert not long


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_is_out(path):
    text = prose(path.read_text())
    assert not [text[max(found.start() - 60, 0) : found.end() + 30] for found in OUT.finditer(text)]


def test_a_long_sentence_and_a_word_that_is_out_are_found():
    assert max(len(said.split()) for said in sentences("A short one. " + "word " * 41 + ".")) > MOST_WORDS
    assert OUT.search(prose("The chain `lifeboat:chain` is told."))
    assert not OUT.search(prose("Its tag is `lifeboat:chain`."))
