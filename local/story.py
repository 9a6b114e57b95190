"""The demo's timeline and checks: what is shown while it runs, and what is left when it ends."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

COLOURS = {"person": "cyan", "aws": "yellow", "lifeboat": "green", "demo": "dim"}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, `at` seconds after the demo began. `who`: person, aws, lifeboat or demo."""

    at: float
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so, and what was seen."""

    name: str
    ok: bool
    detail: str


class Story:
    """The timeline, live on the terminal, and the checks."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.moments: list[Moment] = []
        self.checks: list[Check] = []
        self._began = time.monotonic()
        self._waiting = ""
        self._live = Live(get_renderable=self._last_moments, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Story:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def tell(self, who: str, what: str) -> None:
        moment = Moment(round(self.seconds, 1), who, what)
        self.moments.append(moment)
        self._live.console.print(_line(moment), soft_wrap=True)

    def waiting(self, what: str) -> None:
        self._waiting = what

    def check(self, name: str, ok: bool, detail: object = "") -> bool:
        self.checks.append(Check(name, bool(ok), str(detail)))
        return bool(ok)

    def equal(self, name: str, seen: object, expected: object) -> bool:
        detail = f"{seen}" if seen == expected else f"{seen}, expected {expected}"
        return self.check(name, seen == expected, detail)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)

    def table(self) -> Table:
        table = Table(title="What was checked", title_justify="left", show_lines=False, expand=False)
        table.add_column("")
        table.add_column("check", overflow="fold")
        table.add_column("seen", overflow="fold", max_width=70)
        for check in self.checks:
            mark = Text("ok", "green") if check.ok else Text("FAILED", "bold red")
            table.add_row(mark, check.name, check.detail)
        return table

    def timeline(self) -> Group:
        return Group(*(_line(moment) for moment in self.moments))

    def as_json(self) -> str:
        return json.dumps(
            {
                "seconds": round(self.seconds, 1),
                "checks": [asdict(check) for check in self.checks],
                "timeline": [asdict(moment) for moment in self.moments],
            },
            indent=1,
        )

    def picture(self, path: Path) -> None:
        """Write the timeline and the checks as an SVG picture."""
        console = Console(record=True, width=150, file=_Nowhere(), force_terminal=True)
        console.print(self.timeline())
        console.print(self.table())
        path.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(path), title="make demo")

    def _last_moments(self) -> Text:
        return Text(f"{self.seconds:6.1f}s  ... {self._waiting}", "dim")


class _Nowhere:
    """Takes what a recording console would print."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""


def _line(moment: Moment) -> Text:
    line = Text(f"{moment.at:6.1f}s  ", "dim")
    line.append(f"{moment.who:<9}", COLOURS.get(moment.who, ""))
    line.append(moment.what)
    return line


def shorten(value: Any, length: int = 110) -> str:
    """One line of at most `length` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= length else text[: length - 3] + "..."


def shorten_line(line: str, length: int = 140) -> str:
    """A line of at most `length` characters, its indentation kept."""
    return line if len(line) <= length else line[: length - 3] + "..."
