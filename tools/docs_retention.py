"""The generated part of docs/guide/retention.md: the calendar of the default policy.

It is the golden file of the rule's tests, so what the page shows is what the planner is tested to do.
`python tools/generate_docs.py` writes it into the page.
"""

from __future__ import annotations

from tools.marked_page import ROOT, MarkedPage

PATH = ROOT / "docs" / "guide" / "retention.md"
GOLDEN = ROOT / "tests" / "retention" / "golden" / "default-calendar.md"
BEGIN = "<!-- retention calendar: written by `make docs` -->"
END = "<!-- end of the retention calendar -->"


def render() -> str:
    """What stands between the markers, the line ends beside them included."""
    return f"\n{GOLDEN.read_text()}\n"


PAGE = MarkedPage(path=PATH, begin=BEGIN, end=END, render=render)
