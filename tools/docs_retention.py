"""The generated part of docs/retention.md: the calendar of the default policy.

It is the golden file of the rule's tests, so what the page shows is what the planner is tested to do.
`python tools/docs_retention.py` writes it into the page; `tools/generate_docs.py` does so for all pages.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "docs" / "retention.md"
GOLDEN = ROOT / "tests" / "rules" / "golden" / "retention" / "default-calendar.md"
BEGIN = "<!-- retention calendar: written by `make docs` -->"
END = "<!-- end of the retention calendar -->"


def render() -> str:
    """What stands between the markers, the line ends beside them included."""
    return f"\n{GOLDEN.read_text()}\n"


def written(page: str) -> str:
    """The page with its generated part written anew. Raises ValueError if the page does not have each marker once."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{PATH.name} has not the lines {BEGIN!r} and {END!r} once each")
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{render()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PATH.write_text(written(PATH.read_text()))
