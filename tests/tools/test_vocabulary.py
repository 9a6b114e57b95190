"""The check of words, sentences and sizes finds a planted breach in each kind of place."""

from __future__ import annotations

import pytest

from tools.module_size import too_long
from tools.vocabulary import BASELINE, WORDS, long_sentences, main, words_out

MODULE = "layers/lifeboat/python/lifeboat/backup/plan.py"
BLANK = "\n" * 398


@pytest.fixture
def tree(tmp_path):
    """A tree with an empty baseline."""
    write(tmp_path, BASELINE, "# The baseline.\n")
    return tmp_path


def write(tree, name, text):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        pytest.param(MODULE, "x = 1\ndef open_door(): ...\n", 2, id="in an identifier"),
        pytest.param(MODULE, "class FleetRun: ...\n", 1, id="in a class name"),
        pytest.param(MODULE, "x = 1\nFLEET_SIZE = 1\n", 2, id="in a constant"),
        pytest.param(MODULE, '"""One.\n\nWhat somebody told.\n"""\n', 3, id="in a docstring"),
        pytest.param(MODULE, "x = 1  # the sweep does it\n", 1, id="in a comment"),
        pytest.param(MODULE, "# What the plan lets\n# go at last.\n", 1, id="in a comment of two lines"),
        pytest.param(MODULE, 'x = "the story is missing"\n', 1, id="in a message"),
        pytest.param("functions/take_snapshots/app.py", '"""The door."""\n', 1, id="in a function"),
        pytest.param("template.yaml", "A: 1\n# for the sweep\n", 2, id="in a comment of the template"),
        pytest.param("template.yaml", "Resources:\n  NewsTopic:\n", 2, id="in a name of the template"),
        pytest.param("docs/guide/restore.md", "# Restore\n\nIt tells.\n", 3, id="on a page"),
        pytest.param("docs/adr/0011-fleets.md", "# Large runs\n", 1, id="in the name of a page"),
        pytest.param("README.md", "It turns back.\n", 1, id="in the README"),
        pytest.param("CONTRIBUTING.md", "Eyes, mind and hands\n", 1, id="in CONTRIBUTING"),
        pytest.param("tests/golden/messages/A.txt", "A\n\nnothing was told\n", 3, id="in a golden message"),
        pytest.param("tests/golden/refusals/a.txt", "expected a chain's name\n", 1, id="in a golden refusal"),
    ],
)
def test_a_planted_word_is_found(tree, capsys, name, text, line):
    write(tree, name, text)
    assert main([], tree) == 1
    assert f"{name}:{line}: '" in capsys.readouterr().out


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_that_is_out_is_found(word):
    (found,) = words_out(f"a {word} b")
    assert found.text == f"'{word}' is out: say {WORDS[word]}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("the tag `lifeboat:chain/vol-1`", id="the tag lifeboat:chain"),
        pytest.param('{"sweep": true}', id="the request"),
        pytest.param("sweep: bool", id="the request's field"),
        pytest.param("sweep is 'yes', expected true, without quotes", id="a refusal of the request's field"),
        pytest.param("expected one of scheduled_time, sweep", id="a list of the request's fields"),
        pytest.param("from itertools import chain", id="itertools"),
        pytest.param("the supply chain", id="a supply chain"),
        pytest.param("the credential chain of boto3", id="boto3's credentials"),
        pytest.param("the least that EC2 offers", id="what AWS offers"),
        pytest.param("a name that looks like an ARN; look up; a look-up", id="to look like and a look-up"),
        pytest.param("the function hands the request over", id="to hand over"),
        pytest.param("https://example.org/news/fleet", id="an address"),
        pytest.param("a clear year, the earlier one; a reminder; indoors; newspaper; overlooked", id="parts of words"),
    ],
)
def test_a_text_that_needs_the_word_is_allowed(text):
    assert list(words_out(text)) == []


def test_the_request_field_is_out_as_a_noun():
    assert [finding.line for finding in words_out('{"sweep": true}\nthe sweep does it\n')] == [2]


LONG = " ".join(["word"] * 41)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        pytest.param("docs/a.md", f"# A\n\n{LONG}.\n", 3, id="in a paragraph"),
        pytest.param("docs/a.md", f"Short.\n* one\n* {LONG}\n", 3, id="in a list"),
        pytest.param("docs/a.md", f"| a |\n|---|\n| b | {LONG} |\n", 3, id="in a table"),
        pytest.param(MODULE, f'x = 1\ndef plan():\n    """{LONG}."""\n', 3, id="in a docstring"),
    ],
)
def test_a_long_sentence_is_found(tree, capsys, name, text, line):
    write(tree, name, text)
    assert main([], tree) == 1
    assert f"{name}:{line}: 41 words in a sentence: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" ".join(["word"] * 40) + ". " + " ".join(["Word"] * 40) + ".", id="two sentences"),
        pytest.param(f"{'word ' * 40}. `a b` {'word ' * 39}.", id="a sentence that begins with code"),
        pytest.param(f"{'word ' * 39}one? `a b` {'word ' * 39}.", id="a question before it"),
        pytest.param(" ".join(["`a b c`"] * 40), id="code counts as one word"),
        pytest.param(f"```\n{LONG}\n```", id="fenced code"),
        pytest.param("".join(f"* {'word ' * 20}\n" for _ in range(3)), id="a list without full stops"),
        pytest.param("".join(f"`name`: {'word ' * 20}\n" for _ in range(3)), id="a list of names"),
    ],
)
def test_a_text_of_short_sentences_is_clean(text):
    assert list(long_sentences(text)) == []


def test_a_module_over_400_lines_is_found(tree, capsys):
    write(tree, MODULE, f"x = 1\n{BLANK}y = 2\nz = 3\n")
    assert main([], tree) == 1
    assert f"{MODULE}:1: 401 lines: split the module" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"x = 1\n{BLANK}y = 2\n", id="400 lines"),
        pytest.param(f"# Over 400 lines because AWS has as many names.\n{BLANK}\n\ny = 2\n", id="a reason at its top"),
        pytest.param("def plan():\n" + "    x = 1\n" * 49, id="a function of 50 lines"),
    ],
)
def test_a_module_of_an_allowed_size_is_clean(text):
    assert list(too_long(text)) == []


@pytest.mark.parametrize("start", ["def plan():", "async def plan():"])
def test_a_function_over_50_lines_is_found(start):
    assert list(too_long(f"{start}\n" + "    x = 1\n" * 50)) == [
        (1, "plan has 51 lines, expected at most 50: split it")
    ]


class TestBaseline:
    def test_keeps_quiet_about_a_file_that_it_lists(self, tree, capsys):
        write(tree, "README.md", "It tells.\n")
        write(tree, BASELINE, "word README.md\n")
        assert main([], tree) == 0
        assert "README.md:1" not in capsys.readouterr().out

    def test_covers_only_the_kind_that_it_lists(self, tree):
        write(tree, "README.md", f"It tells.\n\n{LONG}\n")
        write(tree, BASELINE, "word README.md\n")
        assert main([], tree) == 1

    def test_must_lose_a_file_that_is_clean(self, tree, capsys):
        write(tree, "README.md", "It publishes.\n")
        write(tree, BASELINE, "# The baseline.\nword README.md\n")
        assert main([], tree) == 1
        assert "'word README.md' is clean" in capsys.readouterr().out
        assert main(["--shorten"], tree) == 0
        assert (tree / BASELINE).read_text() == "# The baseline.\n"

    def test_never_takes_a_file_in(self, tree):
        write(tree, "README.md", "It tells.\n")
        assert main(["--shorten"], tree) == 1
        assert (tree / BASELINE).read_text() == "# The baseline.\n"

    def test_does_not_hide_its_findings_from_all(self, tree, capsys):
        write(tree, "README.md", "It tells.\n")
        write(tree, BASELINE, "word README.md\n")
        assert main(["--all", "--counts"], tree) == 0
        output = capsys.readouterr().out
        assert "README.md:1: 'tells' is out: say publish or notify" in output
        assert "    1 word README.md" in output
