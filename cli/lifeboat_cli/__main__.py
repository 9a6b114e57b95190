"""The entry point of the command `lifeboat`."""

from __future__ import annotations

import sys

import typer

from lifeboat_cli import (
    commands_doctor,
    commands_evidence,
    commands_failed,
    commands_first,
    commands_protect,
    commands_restore,
)

APP = typer.Typer(
    name="lifeboat",
    help="Back up EC2 data volumes and restore one, whole, with the stack in this account.",
    epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 needs a person or AWS was not reached.",
    no_args_is_help=True,
    rich_markup_mode=None,  # names and AWS's words are data, and help starts in half the time
    pretty_exceptions_enable=False,
)
commands_restore.register(APP)
commands_protect.register(APP)
commands_first.register(APP)
commands_failed.register(APP)
commands_evidence.register(APP)
commands_doctor.register(APP)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    APP()


if __name__ == "__main__":
    main()
