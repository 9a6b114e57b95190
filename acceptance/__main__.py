"""`make acceptance` and `make acceptance-clean`.

The credentials are a person's own: those of PROFILE, or of the environment. It knows nothing of the local AWS; where
`AWS_ENDPOINT_URL` points to one, it runs there.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from acceptance import clean, plan, report
from acceptance.deploy import Deploy, with_sam
from acceptance.narration import Check, Narration
from acceptance.recorder import Recorder
from acceptance.run import Run
from acceptance.state import FOLDER, OtherRunError, State
from acceptance.steps import steps

GOOD, FAILED, REFUSED = 0, 1, 2


@dataclass(frozen=True)
class Options:
    """What a person asked for.

    Attributes:
        clean_only: delete what an earlier attempt has made.
        yes: do not ask.
        anyway: also in an account that looks like production.
        subnets: two, with a comma, in place of default ones.
    """

    session: Any
    deploy: Deploy
    region: str
    clean_only: bool = False
    yes: bool = False
    anyway: bool = False
    subnets: str = ""
    folder: Path = FOLDER
    ask: Callable[[str], str] = input


def main(arguments: list[str] | None = None) -> int:
    """Run, or clean up; 0 if every check held and nothing is left."""
    parser = argparse.ArgumentParser(prog="make acceptance", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--profile", help="of the credentials")
    parser.add_argument("--region", help="where; that of the profile if not given")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--anyway", action="store_true", help="also in an account that looks like production")
    parser.add_argument("--subnets", default="", help="two subnets in different zones, in place of default ones")
    parser.add_argument("--clean", action="store_true", help="delete what an earlier attempt has made")
    given = parser.parse_args(arguments)
    region = given.region or os.environ.get("AWS_REGION")
    session = boto3.Session(profile_name=given.profile, region_name=region)
    if not session.region_name:
        parser.error("there is no region: give REGION=, such as REGION=eu-west-1")
    options = Options(
        session=session,
        deploy=with_sam(given.profile),
        region=session.region_name,
        clean_only=given.clean,
        yes=given.yes,
        anyway=given.anyway,
        subnets=given.subnets,
    )
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        return carry_out(options, console)
    except (BotoCoreError, ClientError, OtherRunError, plan.PlanError) as problem:
        # Nothing was begun, or the deletion is not finished: what was made is in the file.
        console.print(f"{type(problem).__name__}: {problem}")
        return REFUSED


def carry_out(options: Options, console: Console) -> int:
    """Begin a run or go on with one, delete all of it, and write its report."""
    identity = options.session.client("sts", region_name=options.region).get_caller_identity()
    began = parsedate_to_datetime(identity["ResponseMetadata"]["HTTPHeaders"]["date"])
    state = State.load(options.folder)
    if state is None and options.clean_only:
        console.print(f"{options.folder} has no run that is not cleaned up.")
        return GOOD
    new = state is None
    if state is None:
        state = _begin(options, identity["Account"], console)
        if state is None:
            return REFUSED
    state.check_place(identity["Account"], options.region)
    state.facts["partition"] = identity["Arn"].split(":")[1]
    console.print(f"{'This is' if new else 'Going on with'} the run {state.run}: {state.path}")
    recorder = Recorder.load(options.folder / "observed.jsonl", began)
    recorder.watch(options.session)
    narration = Narration(console, lambda: recorder.now)
    narration.checks += [Check(**check) for check in recorder.checks]
    run = Run(options.session, state, recorder, narration)
    with narration:
        try:
            if not options.clean_only and "cleaning" not in state.facts:
                _play(run, steps(options.deploy))
            left = clean.clean(run)
        except KeyboardInterrupt:
            console.print("Interrupted. `make acceptance` goes on, `make acceptance-clean` deletes what was made.")
            return FAILED
    return _end(run, left, options, console)


def _begin(options: Options, account: str, console: Console) -> State | None:
    """A new run, if the account is one to try things in, and the person agrees."""
    why = plan.why_production(options.session, options.region)
    if why and not options.anyway:
        console.print(f"Account {account} looks like production: {'; '.join(why)}. ANYWAY=1 runs there all the same.")
        return None
    subnets, zones = plan.choose_subnets(options.session, options.region, options.subnets)
    state = State.begin(options.folder, account, options.region)
    state.facts |= {"subnets": subnets, "zones": zones}
    console.print(plan.words(state))
    if not options.yes and options.ask("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        state.path.unlink()
        return None
    state.save()
    return state


def _play(run: Run, wanted: dict[str, Callable[[Run], None]]) -> None:
    """Do all steps that are not done yet. What goes wrong ends them, and what was made is deleted all the same."""
    for name, step in wanted.items():
        if name in run.state.done:
            continue
        run.recorder.step, began, before = name, run.recorder.now, len(run.narration.checks)
        try:
            step(run)
        except Exception as problem:
            run.narration.check(f"the step {name!r} ran to its end", False, f"{type(problem).__name__}: {problem}")
            run.state.facts["problem"] = traceback.format_exc()
            return
        finally:
            made = [asdict(check) for check in run.narration.checks[before:]]
            seconds = (run.recorder.now - began).total_seconds()
            if name not in run.state.done:
                run.recorder.ended(name, seconds, made)
        run.state.finish(name)
    run.narration.check("all steps ran to their end", True)


def _end(run: Run, left: list[clean.Left], options: Options, console: Console) -> int:
    """The report, the checks, and what is left with the commands that delete it."""
    run.narration.equal("nothing is left", [f"{item.kind} {item.resource}" for item in left], [])
    written = report.write(options.folder, run.state, run.recorder, run.narration.checks)
    if not run.narration.ok:
        console.print(run.narration.failures())
    console.print(run.narration.verdict)
    for item in left:
        console.print(f"{item.kind} {item.resource} is left: {item.why}\n  {item.command}")
    console.print(f"{len(written.differences)} differences from the local AWS: {options.folder / 'report.md'}")
    return GOOD if run.narration.ok and not left else FAILED


if __name__ == "__main__":
    sys.exit(main())
