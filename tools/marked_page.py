"""A page of which one part, between two marker lines, is generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class MarkedPage:
    """Where a page is, its marker lines, and what `render` puts between them, the line ends beside them included."""

    path: Path
    begin: str
    end: str
    render: Callable[[], str]

    def written(self, page: str) -> str:
        """The page with its generated part written anew. Raises ValueError unless the page has each marker once."""
        if page.count(self.begin) != 1 or page.count(self.end) != 1:
            raise ValueError(f"{self.path.name} has not the lines {self.begin!r} and {self.end!r} once each")
        before, rest = page.split(self.begin)
        return f"{before}{self.begin}\n{self.render()}{self.end}{rest.split(self.end)[1]}"


def table(head: str, rows: list[list[str]]) -> str:
    """A Markdown table; `head` has the columns between bars. Bars within a cell are escaped."""
    columns = head.split("|")
    lines = [_row(columns), "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(_row([cell.replace("|", "\\|") for cell in row]) for row in rows)])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.strip() for cell in cells) + " |"
