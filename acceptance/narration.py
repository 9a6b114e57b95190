"""The timeline and the checks of the demo and of an acceptance run: shown meanwhile, and kept at the end."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

PICTURE_COLUMNS = 120
"""As wide as can be read in a page."""

MINOR = re.compile(r"alarm \S+ is OK$|^(\S+: )?(BackupStarted|SnapshotsCopied): ")
"""What the picture leaves out."""

PICTURE_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Without the fonts that the format would fetch from elsewhere: a page's own monospace does."""

COLOURS = {"person": "cyan", "aws": "yellow", "lifeboat": "green", "demo": "dim", "acceptance": "dim"}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, `at` a time of AWS. `who`: person, aws, lifeboat, demo or acceptance."""

    at: datetime
    who: str
    what: str

    @property
    def time(self) -> str:
        """Weekday and time of day, in UTC."""
        return f"{self.at:%a %H:%M:%S}"

    def as_json(self) -> dict[str, str]:
        return {"at": self.at.isoformat(timespec="seconds"), "who": self.who, "what": self.what}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so, and what was seen."""

    name: str
    ok: bool
    detail: str


class Narration:
    """The timeline, live on the terminal, and the checks.

    Args:
        console: where it is shown.
        clock: the time of AWS, local or not; that of the machine says only how long it took.
    """

    def __init__(self, console: Console, clock: Callable[[], datetime]) -> None:
        self.console = console
        self._clock = clock
        self.moments: list[Moment] = []
        self.checks: list[Check] = []
        self._began = time.monotonic()
        self._waiting = ""
        self._live = Live(get_renderable=self._last_moments, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Narration:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds of the machine since the demo began."""
        return time.monotonic() - self._began

    def add(self, who: str, what: str, at: datetime | None = None) -> None:
        """Put a moment on the timeline.

        Args:
            at: when it happened; now if not given.
        """
        moment = Moment(at or self._clock(), who, what)
        self.moments.append(moment)
        self._live.console.print(_line(moment), soft_wrap=True)

    def waiting(self, what: str) -> None:
        """Say what is under way; where no line can be replaced, it is a line of its own."""
        self._waiting = what
        if not self.console.is_terminal:
            self.console.print(Text(f"... {what}", "dim"), soft_wrap=True)

    def check(self, name: str, ok: object, detail: object = "") -> bool:
        self.checks.append(Check(name, bool(ok), _words(detail)))
        return bool(ok)

    def equal(self, name: str, seen: object, expected: object) -> bool:
        detail = _words(seen) if seen == expected else f"{seen}, expected {expected}"
        return self.check(name, seen == expected, detail)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def verdict(self) -> str:
        """One line about all checks."""
        failed = sum(not check.ok for check in self.checks)
        return f"{len(self.checks)} checks: {f'{failed} FAILED' if failed else 'all ok'}"

    def failures(self) -> Table:
        """The checks that failed, and what was seen."""
        table = Table(title="What failed", title_justify="left", show_lines=False, expand=False)
        table.add_column("check", overflow="fold")
        table.add_column("seen", overflow="fold", max_width=90)
        for check in self.checks:
            if not check.ok:
                table.add_row(Text(check.name, "bold red"), check.detail)
        return table

    def timeline(self) -> Table:
        """What happened, in three columns, each moment on one line, without what only confirms the one before."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for column in range(3):
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if column == 2 else None)
        for moment in self.moments:
            if not MINOR.search(moment.what):
                table.add_row(
                    Text(moment.time, "dim"), Text(moment.who, COLOURS.get(moment.who, "")), Text(moment.what)
                )
        return table

    def as_json(self) -> str:
        return json.dumps(
            {
                "seconds": round(self.seconds, 1),
                "checks": [asdict(check) for check in self.checks],
                "timeline": [moment.as_json() for moment in self.moments],
            },
            indent=1,
        )

    def picture(self, path: Path) -> None:
        """Write the timeline as an SVG picture that fits a screen."""
        console = Console(record=True, width=PICTURE_COLUMNS, file=_Nowhere(), force_terminal=True)
        console.print(self.timeline())
        console.print()
        console.print(Text(self.verdict, "bold green" if self.ok else "bold red"))
        path.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(path), title="make demo", code_format=PICTURE_FORMAT, unique_id="demo")

    def _last_moments(self) -> Text:
        return Text(f"{self.moments[-1].time if self.moments else '':12}  ... {self._waiting}", "dim")


class _Nowhere:
    """Takes what a recording console would print."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""


def _line(moment: Moment) -> Text:
    line = Text(f"{moment.time}  ", "dim")
    line.append(f"{moment.who:<11}", COLOURS.get(moment.who, ""))
    line.append(moment.what)
    return line


def _words(seen: object) -> str:
    """What was seen, for people; nothing of a list is an empty text."""
    if isinstance(seen, list | tuple | set):
        return ", ".join(word for item in seen if (word := _words(item)))
    return str(seen)


def shorten(value: Any, length: int = 110) -> str:
    """One line of at most `length` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= length else text[: length - 3] + "..."
