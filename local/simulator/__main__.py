"""`make simulate`: random worlds until interrupted, for so many seconds, or the one of a seed, again and to the letter.

Two processes share the seeds out. Each is made ready once; a world is lived in a child of it, so that it begins with
nothing that another one left.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
RESULT = ROOT / ".local" / "simulate.json"
HASH_SEED = "0"
SHRINK_SECONDS = 300.0
LINES = 60
"""Of a trace, when it is long: the first ones that people and misfortune wrote, and the last of all."""


def main() -> int:
    """See the module. Returns 1 if a rule was broken."""
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:  # the order of a set of texts hangs on it
        os.execve(  # noqa: S606
            sys.executable,
            [sys.executable, "-m", "local.simulator", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": HASH_SEED},
        )
    wanted = _arguments()
    from local.simulator import stage, world

    stage.begin()
    del world  # a child finds it imported
    if wanted.seeds:
        return _report(wanted, list(_lived(wanted.seeds, wanted.jobs, wanted, None)))
    first = secrets.randbelow(10**9) if wanted.first is None else wanted.first
    end = time.perf_counter() + wanted.seconds if wanted.seconds else None
    return _report(wanted, list(_lived(_endless(first), wanted.jobs, wanted, end)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description="Random worlds through the real handlers.")
    parser.add_argument("--seed", dest="seeds", type=int, nargs="*", default=[], help="these worlds only")
    parser.add_argument("--first", type=int, help="the seed of the first world; a random one if not given")
    parser.add_argument("--seconds", type=float, default=0.0, help="for how long; until interrupted if not given")
    parser.add_argument(
        "--days", type=float, help="how long things happen in each world; drawn from the seed if not given"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many worlds at once")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the happenings to let happen")
    parser.add_argument("--result", type=Path, default=RESULT, help="a file for the figures")
    parser.add_argument("--trace", type=Path, help="a file for the whole trace of the last world")
    parser.add_argument(
        "--shrink-seconds", type=float, default=SHRINK_SECONDS, help="for how long a failure is made short"
    )
    parser.add_argument("--shrink-tries", type=int, help="how many worlds are lived for that at most")
    parser.add_argument("--no-shrink", action="store_true", help="leave a failure as long as it is")
    return parser.parse_args()


def _endless(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def live(seed: int, days: float | None, keep: Collection[int] | None, *, to_the_end: bool = False) -> dict[str, Any]:
    """One world, lived in a child of this process; its outcome, with the trace.

    Raises:
        RuntimeError: the simulator itself failed.
    """
    reading, child = _begun(seed, days, keep, to_the_end=to_the_end)
    return _ended(reading, child, seed)


def _begun(seed: int, days: float | None, keep: Collection[int] | None, *, to_the_end: bool = False) -> tuple[int, int]:
    from local.simulator import plan, world

    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return reading, child
    os.close(reading)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        outcome = world.World(plan.draw(seed, days), keep).live(stop_at_violation=not to_the_end)
        with os.fdopen(writing, "w") as file:
            json.dump({**outcome.as_dict(), "trace": outcome.trace}, file)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ended(reading: int, child: int, seed: int) -> dict[str, Any]:
    with os.fdopen(reading) as file:
        text = file.read()
    _pid, status = os.waitpid(child, 0)
    if status or not text:
        raise RuntimeError(f"the simulator failed at seed {seed}")
    found: dict[str, Any] = json.loads(text)
    return found


def _lived(
    seeds: Iterator[int] | Sequence[int], jobs: int, wanted: argparse.Namespace, end: float | None
) -> Iterator[dict[str, Any]]:
    """The outcomes of these, `jobs` at once; no new one is begun after the end, or after a failure."""
    waiting: list[tuple[int, int, int]] = []
    coming = iter(seeds)
    keep = None if wanted.only is None else set(wanted.only)
    stop = False
    try:
        while True:
            while len(waiting) < jobs and not stop and (end is None or time.perf_counter() < end):
                seed = next(coming, None)
                if seed is None:
                    break
                waiting.append((*_begun(seed, wanted.days, keep), seed))
            if not waiting:
                return
            outcome = _ended(*waiting.pop(0))
            print(_line(outcome), flush=True)
            stop = stop or bool(outcome["violations"])
            yield outcome
    except KeyboardInterrupt:
        for reading, child, _seed in waiting:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)


def _line(outcome: dict[str, Any]) -> str:
    verdict = "BROKEN: " + outcome["violations"][0]["rule"] if outcome["violations"] else "ok"
    return (
        f"seed {outcome['seed']:>10}: {outcome['hours']:6.1f} h, {outcome['restores']:3} restores, "
        f"{outcome['points']:4} recovery points, {outcome['calls']:6,} calls, {outcome['seconds']:5.1f} s: {verdict}"
    )


def _report(wanted: argparse.Namespace, outcomes: list[dict[str, Any]]) -> int:
    total = summary(outcomes)
    print(
        f"\n{total['worlds']} worlds, {total['hours']:,.0f} virtual hours, {total['restores']:,} restores, "
        f"{total['points']:,} recovery points, {total['copies']:,} copies, {total['proofs']:,} snapshots "
        f"proven, {total['compared']:,} comparisons, {total['drills']:,} drills, "
        f"{total['calls']:,} calls in {total['seconds']:,.0f} s of processors"
    )
    for name in ("misfortune", "states", "events"):
        print(f"{name}: " + ", ".join(f"{key} {number:,}" for key, number in total[name].items()))
    wanted.result.parent.mkdir(exist_ok=True)
    wanted.result.write_text(json.dumps(total, indent=1) + "\n")
    if wanted.trace and outcomes:
        wanted.trace.write_text("\n".join(outcomes[-1]["trace"]) + "\n")
    broken = [outcome for outcome in outcomes if outcome["violations"]]
    for outcome in broken[:1]:
        total["shrunk"] = _explain(outcome, wanted)
        wanted.result.write_text(json.dumps(total, indent=1) + "\n")
    return 1 if broken else 0


def summary(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all worlds together."""
    total: dict[str, Any] = {"worlds": len(outcomes), "seeds": [outcome["seed"] for outcome in outcomes]}
    for name in (
        "hours",
        "seconds",
        "restores",
        "points",
        "copies",
        "proofs",
        "compared",
        "drills",
        "calls",
        "happened",
    ):
        total[name] = round(sum(outcome[name] for outcome in outcomes), 1)
    for name in ("misfortune", "events", "states", "invocations"):
        counted: Counter[str] = Counter()
        for outcome in outcomes:
            counted.update(outcome[name])
        total[name] = dict(sorted(counted.items()))
    total["traces"] = {str(outcome["seed"]): outcome["digest"] for outcome in outcomes}
    total["violations"] = [{"seed": o["seed"], **found} for o in outcomes for found in o["violations"]]
    return total


def _explain(outcome: dict[str, Any], wanted: argparse.Namespace) -> dict[str, Any]:
    """Print the seed, the rule, and the shortest run that is found in which it is broken; that one's numbers and
    trace."""
    from local.simulator import plan, shrink

    seed, rule = outcome["seed"], outcome["violations"][0]["rule"]
    days = f" DAYS={wanted.days:g}" if wanted.days else ""
    print(f"\nseed {seed} breaks the rule: {rule}")
    for violation in outcome["violations"]:
        print(f"  {violation['sentence']}")
    print(f"\nagain: make simulate SEED={seed}{days}", flush=True)
    lived = outcome["hours"] * 3600 + 60  # what was still to come has not made it fail
    numbers = [item.number for item in plan.draw(seed, wanted.days).happenings if item.at <= lived]
    if wanted.only is not None:
        numbers = [number for number in numbers if number in set(wanted.only)]
    if wanted.no_shrink:
        return {"only": numbers, "trace": outcome["digest"]}
    shortest = outcome

    def fails(kept: Sequence[int]) -> bool:
        nonlocal shortest
        tried = live(seed, wanted.days, set(kept))
        if tried["violations"] and tried["violations"][0]["rule"] == rule:
            shortest = tried
            return True
        return False

    kept = shrink.shrink(numbers, fails, seconds=wanted.shrink_seconds, tries=wanted.shrink_tries)
    only = " ".join(map(str, kept)) or "-1"
    print(f"\nshrunk to {len(kept)} of {len(numbers)} happenings: make simulate SEED={seed}{days} ONLY='{only}'\n")
    trace = shortest["trace"]
    metadata = (
        trace
        if len(trace) <= 2 * LINES
        else [*trace[:LINES], f"... {len(trace) - 2 * LINES} more ...", *trace[-LINES:]]
    )
    print("\n".join(line[:240] for line in metadata), flush=True)
    return {"only": kept, "trace": shortest["digest"]}


if __name__ == "__main__":
    sys.exit(main())
