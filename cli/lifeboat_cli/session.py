"""What every command has: the options --stack, --region, --profile and --json, the output, and the exit code."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lifeboat_cli.functions import Functions, translated
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.words import shown

StackOption = Annotated[str, typer.Option("--stack", envvar="LIFEBOAT_STACK", help="The name of the stack.")]
RegionOption = Annotated[str | None, typer.Option("--region", help="The region; without it, as AWS tools find it.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="The profile; without it, as AWS tools find it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the function's answer as it is.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stays in the record.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True)
class Session:
    """One run of a command."""

    functions: Functions
    as_json: bool

    def send(self, function: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome of a request with an id. Raises Problem, which says how to send the same one again."""
        try:
            return self.functions.run(function, request)
        except (Problem, KeyboardInterrupt) as stop:
            if request.get("dry_run") or (isinstance(stop, Problem) and not stop.passes):
                raise
            why = str(stop) if isinstance(stop, Problem) else "interrupted"
            again = f"The request may have arrived. To send the same again, add --request-id {request['request_id']}"
            raise Problem(f"{why}. {again}", Exit.NEEDS_A_PERSON) from None

    def say(self, lines: Iterable[str]) -> None:
        """Print lines for a person; with --json nothing."""
        if not self.as_json:
            for line in lines:
                print(line, flush=True)

    def give(self, answer: Mapping[str, Any], lines: Iterable[str]) -> None:
        """Print an answer: as it is with --json, else the lines about it."""
        if self.as_json:
            print(json.dumps(answer, indent=2))
        self.say(lines)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask, unless the command line said yes. Raises Problem if the answer is no, or no terminal is there to ask."""
        if yes:
            return
        if self.as_json or not sys.stdin.isatty():
            raise Problem("nothing was done: without a terminal, add --yes", Exit.NEEDS_A_PERSON)
        try:
            agreed = input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
        except (EOFError, KeyboardInterrupt):
            agreed = False
        if not agreed:
            raise Problem("nothing was done", Exit.NEEDS_A_PERSON)


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., Exit]], Callable[..., Exit]]:
    """Make a function that takes a Session, and returns an exit code, a command of the app with the common options."""

    def add(act: Callable[..., Exit]) -> Callable[..., Exit]:
        common = {"stack": StackOption, "region": RegionOption, "profile": ProfileOption, "as_json": JsonOption}
        defaults: dict[str, object] = {"stack": "lifeboat", "region": None, "profile": None, "as_json": False}

        def run(stack: str, region: str | None, profile: str | None, as_json: bool, **more: Any) -> None:
            raise typer.Exit(_end_of(lambda: act(Session(Functions(stack, region, profile), as_json), **more), as_json))

        own = list(inspect.signature(act, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=defaults[key], annotation=kind)
            for key, kind in common.items()
        ]
        own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {
            **{item.name: item.annotation for item in own},
            **common,
        }
        run.__doc__ = act.__doc__
        app.command(name or act.__name__)(run)
        return act

    return add


def _end_of(act: Callable[[], Exit], as_json: bool) -> int:
    """Run a command; its exit code. What went wrong is one sentence on standard error."""
    try:
        with translated("AWS"):
            return int(act())
    except Problem as problem:
        if as_json and problem.answer is not None:
            print(json.dumps(problem.answer, indent=2))
        else:
            print(f"lifeboat: {problem}", file=sys.stderr)
        return int(problem.code)
    except KeyboardInterrupt:
        print("lifeboat: interrupted; what was requested before goes on in AWS", file=sys.stderr)
        return int(Exit.NEEDS_A_PERSON)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        what = shown(f"{type(error).__name__}: {error}")
        print(f"lifeboat: the answer has another form than expected ({what}): use --json", file=sys.stderr)
        return int(Exit.FAILED)
