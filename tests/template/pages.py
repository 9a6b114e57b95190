"""The pages that the tests of the docs read."""

from __future__ import annotations

from tools.marked_page import ROOT

PROSE = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "local" / "README.md"])
