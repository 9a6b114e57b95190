"""What the retention planner costs: time and memory for 1,000, 10,000 and 100,000 recovery points, on one core.

`python -m bench.retention_planner` prints one line for each size and policy, and exits with 1 when 100,000 recovery
points take a second or 300 MB, or when the time grows faster than the number of recovery points.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
if str(LAYER) not in sys.path:  # run as a program, not by pytest
    sys.path.insert(0, str(LAYER))

from lifeboat.domain.ec2 import Snapshot  # noqa: E402
from lifeboat.domain.recovery_point import Member, RecoveryPoint, VolumeMetadata  # noqa: E402
from lifeboat.domain.tags import Tag  # noqa: E402
from lifeboat.retention.limits import Limits  # noqa: E402
from lifeboat.retention.plan import parse_policy, plan  # noqa: E402

SIZES = (1_000, 10_000, 100_000)
POLICIES = {
    "default": "last=3 daily=14 weekly=8 monthly=12 yearly=7",
    "keeps-all": "hourly=unlimited daily=unlimited weekly=unlimited monthly=unlimited within=50y",
}
LINEAGES = (1, 100)
ROUNDS = 3
"""How often every size is measured, in turn, so that a busy moment of the machine does not fall on one size alone."""
MAX_SECONDS = 1.0
MAX_MEGABYTES = 300.0
MAX_GROWTH = 1.5
"""How much longer one recovery point may take among 100,000 than among 10,000 (sorting and the cache cost a little)."""

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one plan cost. `seconds` is the best of three in each round; `planner_mb` is the peak of what the planner
    allocated beside its input, `process_mb` the peak of a process that does nothing else, its input and Python
    included."""

    points: int
    lineages: int
    policy: str
    seconds: float
    planner_mb: float
    process_mb: float
    deleted: int


def recovery_points(count: int, lineages: int) -> list[RecoveryPoint]:
    """Hourly recovery points of one volume each, the newest an hour old, shared out among lineages."""
    points = []
    for number in range(count):
        lineage, hours = number % lineages, number // lineages
        taken = NOW - timedelta(hours=1 + hours)
        volume, instance = f"vol-{lineage:017x}", f"i-{lineage:017x}"
        tags = {Tag.STACK.value: "lifeboat", Tag.LINEAGE.value: volume, Tag.INSTANCE.value: instance}
        snapshot = Snapshot(f"snap-{number:017x}", volume, "completed", taken, 100, "111122223333", tags=tags)
        metadata = VolumeMetadata(volume, volume, "/dev/sdh", "gp3", 100, True, False)
        points.append(
            RecoveryPoint(f"rp-{number:017x}", instance, "lifeboat", taken, (Member(snapshot, metadata),), 1, taken)
        )
    return points


def measure(count: int, lineages: int, policy: str) -> Figure:
    """Plan three times for the time, once more for the memory."""
    points = recovery_points(count, lineages)
    living = {f"vol-{lineage:017x}" for lineage in range(lineages)}
    parsed = parse_policy(POLICIES[policy], "Europe/Berlin")

    def run() -> int:
        decided = plan(
            points,
            now=NOW,
            policy=parsed,
            overrides={},
            limits=Limits(),
            stack="lifeboat",
            existing_volumes=living,
        )
        return len(decided.deletions)

    gc.collect()
    gc.freeze()  # the collector's walks through the input are not the planner's work
    seconds = []
    for _ in range(3):
        begin = perf_counter()
        deleted = run()
        seconds.append(perf_counter() - begin)
    process_mb = getrusage(RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    tracemalloc.start()
    run()
    planner_mb = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return Figure(count, lineages, policy, min(seconds), planner_mb, process_mb, deleted)


def measure_alone(count: int, lineages: int, policy: str) -> Figure:
    """Measure in a process of its own, so that one size does not leave its memory to the next."""
    command = [sys.executable, "-m", "bench.retention_planner", str(count), str(lineages), policy]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Figure(**json.loads(answer.stdout))


def best(rounds: Sequence[Figure]) -> Figure:
    """The figure of one size over all rounds: the least time, the most memory."""
    return replace(
        rounds[0],
        seconds=min(figure.seconds for figure in rounds),
        planner_mb=max(figure.planner_mb for figure in rounds),
        process_mb=max(figure.process_mb for figure in rounds),
    )


def too_much(figures: Sequence[Figure]) -> list[str]:
    """What breaks a bound, one sentence each."""
    problems = []
    for figure in figures:
        if figure.points != SIZES[-1]:
            continue
        name = f"{figure.points} recovery points in {figure.lineages} lineages, policy {figure.policy}"
        if figure.seconds >= MAX_SECONDS:
            problems.append(f"{name}: {figure.seconds:.2f} s, expected under {MAX_SECONDS} s")
        if figure.process_mb >= MAX_MEGABYTES:
            problems.append(f"{name}: {figure.process_mb:.0f} MB, expected under {MAX_MEGABYTES:.0f} MB")
        before = next(
            other
            for other in figures
            if (other.points, other.lineages, other.policy) == (SIZES[-2], figure.lineages, figure.policy)
        )
        growth = (figure.seconds / figure.points) / (before.seconds / before.points)
        if growth > MAX_GROWTH:
            problems.append(f"{name}: {growth:.2f} times the time per recovery point of {before.points}")
    return problems


def run() -> dict[str, Any]:
    """Measure every size and policy, print the table, return the figures."""
    print("  points lineages policy     seconds  us/point  planner MB  process MB  deleted")
    figures = []
    for policy in POLICIES:
        for lineages in LINEAGES:
            rounds = [[measure_alone(count, lineages, policy) for count in SIZES] for _ in range(ROUNDS)]
            for count, measured in zip(SIZES, zip(*rounds, strict=True), strict=True):
                figure = best(measured)
                figures.append(figure)
                print(
                    f"{count:8,} {lineages:6} {policy:10} {figure.seconds:7.3f} {figure.seconds / count * 1e6:9.2f} "
                    f"{figure.planner_mb:11.1f} {figure.process_mb:11.1f} {figure.deleted:8,}",
                    flush=True,
                )
    return {"figures": [asdict(figure) for figure in figures], "problems": too_much(figures)}


def main() -> int:
    if len(sys.argv) > 1:
        count, lineages, policy = sys.argv[1:]
        print(json.dumps(asdict(measure(int(count), int(lineages), policy))))
        return 0
    problems = run()["problems"]
    print("\n".join(problems) or "all within the bounds")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
