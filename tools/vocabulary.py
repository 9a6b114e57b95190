"""Checks the words, the length of the sentences and the size of the modules.

The files under `SOURCES` are read as text, so identifiers, docstrings, comments and strings are all checked.
`tools/vocabulary_baseline.txt` lists the files that are not clean yet, each with what is wrong. It only gets shorter:
`python -m tools.vocabulary --shorten` takes out what is clean.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.marked_page import ROOT
from tools.module_size import too_long

BASELINE = "tools/vocabulary_baseline.txt"
SOURCES = (
    "layers/**/*.py",
    "functions/**/*.py",
    "tests/**/*.py",
    "bench/**/*.py",
    "tools/**/*.py",
    "local/**/*.py",
    "acceptance/**/*.py",
    "cli/**/*.py",
    "template.yaml",
    "docs/**/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "local/README.md",
    "tests/golden/**/*.json",
    "tests/golden/**/*.txt",
    "tests/retention/golden/*",
)
OF_WORDS = ("tools/vocabulary.py", "tests/tools/test_vocabulary.py", "tests/template/test_docs_english.py")
"""The files that name the words that are out."""

LENGTHS = ("layers/", "functions/", "cli/", "docs/", "README.md", "CONTRIBUTING.md", "local/README.md")
"""Where sentences and modules have a greatest length."""

MOST_WORDS = 40

USE = {
    "handler": ["door", "doors"],
    "parse": ["ear", "ears", "hear", "hears", "heard", "hearing"],
    "observe, decide, act": ["eyes", "mind", "minds", "hands", "voice", "look", "looks", "looked", "looking"],
    "publish or notify": ["tell", "tells", "telling", "told", "untold", "news"],
    "workflow or lineage": ["chain", "chains", "line of data", "lines of data"],
    "volume metadata or recorded settings": ["story", "stories"],
    "batch": ["portion", "portions"],
    "large run": ["fleet", "fleets"],
    "reconcile": ["sweep", "sweeps", "sweeping", "swept", "sweeper"],
    "shared snapshots": ["offers", "is carried away"],
    "keep, release or delete": ["let go", "lets go", "letting go"],
    "roll back": ["turn back", "turns back", "turned back", "turning back"],
    "who it is": ["somebody", "everybody"],
}
"""What the project says, and the words that are out."""

ALLOWED = (
    r"lifeboat:chain\b",  # the tag's name
    r'"chain"|f"chain=',  # the name of the lineage in the value of the tag `lifeboat:volume/...`
    r"\bitertools\b.*\bchain\b|\bchain\.from_iterable\b",
    r"\b(?:supply|provider|credential|certificate) chains?\b",
    # The request's field, where it is written, read, refused or listed, and the sample of that request.
    r"(?P<quote>[\"'`])[Ss]weeps?(?P=quote)|\bsweep(?=: (?:bool|Literal)|=)|\.sweep\b|\bsweep\.json\b",
    r"\b[Ss]weeps? is\b(?=.* expected )|(?<=expected )sweep\b|(?<=expected one of )(?:\w+, )*sweep\b",
    r"\b(?:EC2|Spot) Fleets?\b|\bCreateFleet\b|\bdescribe_fleets\b",  # a service's name
    r"\b(?:EC2|AWS|Lambda|DynamoDB) offers\b",
    r"\blook(?:s|ed|ing)?[ -](?:up|like)\b",
    r"\bhands (?:[\w']+ ){0,6}(?:over|out|on)\b|HandsOver\b|\bin the hands of\b",
    r"https?://\S+",
)
"""What may stand although it holds such a word."""


def _spelled(word: str) -> str:
    """Matches a word on its own, in snake_case, in CamelCase and in capitals, and across a line's end."""
    lower, capital, upper = (r"[\s#]+".join(parts) for parts in _cases(word))
    return rf"(?<![A-Za-z]){lower}(?![a-z])|{capital}(?![a-z])|(?<![A-Za-z]){upper}(?![A-Za-z])"


def _cases(word: str) -> tuple[list[str], list[str], list[str]]:
    parts = word.split()
    return parts, [parts[0].capitalize(), *parts[1:]], [part.upper() for part in parts]


WORDS = {word: use for use, words in USE.items() for word in words}
_OUT = re.compile("|".join(_spelled(word) for word in sorted(WORDS, key=len, reverse=True)))
_ALLOWED = re.compile("|".join(f"(?:{pattern})" for pattern in ALLOWED))


_SENTENCE_END = re.compile(r"(?<=[.!?:])[)*_\"']*\s+(?=[\W_]*[A-Z0-9])|(?<=[.!?])\s+(?=code\b)")
"""A sentence may begin with a piece of code, which is the word `code` in `_prose`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach in a file; `kind` is `word`, `sentence` or `size`."""

    kind: str
    line: int
    text: str


def words_out(text: str) -> Iterator[Finding]:
    """Every word of `text` that is out, with what to say instead."""
    kept = _ALLOWED.sub(lambda match: re.sub(r"\S", "-", match.group()), text)
    for match in _OUT.finditer(kept):
        word = re.sub(r"[\s#]+", " ", match.group()).lower()
        yield Finding("word", _line(text, match.start()), f"'{word}' is out: say {WORDS[word]}")


def long_sentences(text: str, first_line: int = 1) -> Iterator[Finding]:
    """Every sentence of a Markdown text, or of a docstring, that has more than `MOST_WORDS` words."""
    for line, block in _blocks(text):
        for sentence in _SENTENCE_END.split(_prose(block)):
            count = len(re.findall(r"\S*\w\S*", sentence))
            if count > MOST_WORDS:
                start = " ".join(sentence.split()[:8])
                yield Finding("sentence", first_line - 1 + line, f"{count} words in a sentence: {start} ...")


def _prose(block: str) -> str:
    """A block without its marks: a link is its text, and a piece of code is one word."""
    return re.sub(r"`[^`]*`", "code", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", block))


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each paragraph, list item, heading, table cell and line that explains a `name:`.

    Fenced code is left out.
    """
    start, block, fenced = 1, list[str](), False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        fence = line.lstrip().startswith("```")
        table = line.lstrip().startswith("|")
        if block and (fence or table or not line.strip() or re.match(r"\s*(?:(?:[*+-]|\d+\.|#+|>)\s|`\w+`:)", line)):
            yield start, " ".join(block)
            block = []
        fenced ^= fence
        if table and not fenced:
            yield from ((number, cell) for cell in re.split(r"(?<!\\)\|", line))
        elif line.strip() and not fenced and not fence:
            start = start if block else number
            block.append(line.strip())


def findings(path: Path) -> list[Finding]:
    """What is wrong in one file."""
    text = path.read_text()
    found = list(words_out(text))
    if path.suffix == ".md":
        found += long_sentences(text)
    elif path.suffix == ".py":
        found += (finding for line, docstring in _docstrings(text) for finding in long_sentences(docstring, line))
        found += (Finding("size", line, problem) for line, problem in too_long(text))
    return sorted(found, key=lambda finding: finding.line)


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each string that is a statement: docstrings, and those below a constant."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def check(root: Path = ROOT) -> dict[str, list[Finding]]:
    """The findings by entry of the baseline: a kind and a path below `root`."""
    found: dict[str, list[Finding]] = {}
    for path in sorted({path for pattern in SOURCES for path in root.glob(pattern) if path.is_file()}):
        name = path.relative_to(root).as_posix()
        if name in OF_WORDS:
            continue
        for finding in (*words_out(name), *findings(path)):
            if finding.kind != "word" and not name.startswith(LENGTHS):
                continue
            found.setdefault(f"{finding.kind} {name}", []).append(finding)
    return found


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Print what is wrong outside the baseline, or with `--all` everywhere; 1 if that, or a clean entry, was found.

    `--counts` prints the number of findings of each file, `--shorten` takes the clean entries out of the baseline.
    """
    found, baseline = check(root), root / BASELINE
    lines = baseline.read_text().splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    new, clean = found.keys() - listed, listed - found.keys()
    if "--shorten" in arguments:
        baseline.write_text("".join(f"{line}\n" for line in lines if line not in clean))
        listed, clean = listed - clean, set()
    if "--counts" in arguments:
        print(*(f"{len(found[entry]):5} {entry}" for entry in found), sep="\n")
    for entry in sorted(found if "--all" in arguments else new):
        for finding in found[entry]:
            print(f"{entry.partition(' ')[2]}:{finding.line}: {finding.text}")
    for entry in sorted(clean):
        print(f"'{entry}' is clean: take it out of {BASELINE} (python -m tools.vocabulary --shorten)")
    print(f"vocabulary: {len(listed)} entries in the baseline, {len(new)} beside it, {len(clean)} clean")
    return 1 if new or clean else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
