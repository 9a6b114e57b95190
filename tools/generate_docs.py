"""Writes the generated part of each page anew; with --check it only says, and exits 1, if a page is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools import docs_cost, docs_events, docs_restore, docs_retention, docs_template
from tools.marked_page import ROOT, MarkedPage

PAGES: tuple[MarkedPage, ...] = (
    docs_cost.PAGE,
    docs_retention.PAGE,
    docs_restore.PAGE,
    docs_events.PAGE,
    docs_template.PARAMETERS,
    docs_template.SECURITY,
)


def stale_pages(pages: Sequence[MarkedPage] = PAGES) -> Mapping[Path, str]:
    """The pages that are not as they would be written now, with what they should be."""
    found = {page.path: (page.path.read_text(), page) for page in pages}
    return {path: page.written(text) for path, (text, page) in found.items() if page.written(text) != text}


def main(arguments: Sequence[str], pages: Sequence[MarkedPage] = PAGES) -> int:
    """The exit status: 1 if --check has found a stale page, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is stale")
    check = parser.parse_args(arguments).check
    stale = stale_pages(pages)
    for path, text in stale.items():
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if check:
            print(f"{name} is stale: make docs writes it anew", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"{name} written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
