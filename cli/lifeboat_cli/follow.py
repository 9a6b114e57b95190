"""Follow a restore to its end. Only what is shown ends with the command: the restore goes on in AWS."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lifeboat_cli.functions import Functions
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.restore_text import STEPS, now_at, position
from lifeboat_cli.words import shown

type Answer = Mapping[str, Any]
type Show = Callable[[Answer, list[str]], None]

PAUSE_SECONDS = 2.0
FAILURES = 10
"""After so many calls in a row that did not reach AWS, the command ends."""


def follow(functions: Functions, restore_id: str, *, quiet: bool) -> dict[str, Any]:
    """Show the timeline of a restore as it grows; its state at the end. Raises Problem, also when interrupted."""
    again = f"The restore goes on. To follow it: lifeboat follow {shown(restore_id)} {functions.options}"
    seen: set[str] = set()
    failures = 0
    try:
        with _progress(quiet=quiet) as show:
            while True:
                try:
                    answer = functions.invoke("restore-volume", {"status": restore_id})
                    failures = 0
                except Problem as problem:
                    failures += 1
                    if not problem.passes or failures == FAILURES:
                        raise
                else:
                    show(answer, [line for line in answer["timeline"] if line not in seen])
                    seen.update(answer["timeline"])
                    if answer["status"] != "open":
                        return answer
                time.sleep(PAUSE_SECONDS)
    except KeyboardInterrupt:
        raise Problem(again, Exit.NEEDS_A_PERSON) from None
    except Problem as problem:
        if failures == FAILURES:
            raise Problem(f"{problem}. {again}", Exit.NEEDS_A_PERSON) from None
        raise


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Show]:
    """What shows new lines: with a progress bar below them on a terminal, else the lines alone."""
    if quiet:
        yield lambda _answer, _lines: None
    elif not _on_terminal():
        yield lambda _answer, lines: print(*map(shown, lines), sep="\n", flush=True) if lines else None
    else:
        with _live() as show:
            yield show


def _on_terminal() -> bool:
    return sys.stdout.isatty()


@contextmanager
def _live() -> Iterator[Show]:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it, and it takes 50 ms
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(markup=False, emoji=False, highlight=False)
    columns = SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(STEPS) - 1)

        def show(answer: Answer, lines: list[str]) -> None:
            for line in lines:
                console.print(Text(shown(line)))
            progress.update(task, completed=position(answer), description=now_at(answer))

        yield show
