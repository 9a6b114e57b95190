"""How long a large run takes under EC2's buckets, and what it calls: the real stack on the local AWS's simulated clock.

The buckets are EC2's, at EC2's speed, and each call takes as long as `bench/_latency.py` assumes. What functions
compute takes no simulated time, and neither does a cold start. `back_up` is one such run, for whoever wants to check
it. 10,000 instances would keep the machine busy for most of an hour, so that run is worked out from the largest: beyond
its burst the bucket alone sets the pace, and a run is so much slower than it as 1,000 were.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
for place in (str(ROOT), str(LAYER)):
    if place not in sys.path:  # run as a program, not by pytest
        sys.path.insert(0, place)

from bench._latency import slow_calls  # noqa: E402
from lifeboat.backup import large_run  # noqa: E402

CAPACITY, REFILL = 100, 5.0
"""EC2's bucket of CreateSnapshots (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""
MORE_THAN_BOUND = 1.1
"""A run may take this many times what the buckets alone allow."""
MOST_SECONDS = 60
"""No invocation may last longer."""
SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
LAUNCHED = 200
"""How many the local AWS launches in one call, at most."""
LARGEST = (1_000, 100)
RUNS = ((200, 100), LARGEST, (1_000, 50))
"""Instances and `ApiSharePercent`."""
MANY = 10_000


def bound(instances: int, share: int = 100, *, speed: float = 1.0) -> float:
    """Seconds that the bucket alone takes for so many calls."""
    return max(0.0, instances - CAPACITY * share / 100) / (REFILL * share / 100) / speed


@dataclass(frozen=True, slots=True)
class Figure:
    """One run. Seconds are simulated, but for `wall_seconds`, the machine's. `pages` are describe calls of all kinds,
    `refused` throttled CreateSnapshots among `creates`."""

    instances: int
    share: int
    bound_seconds: float
    seconds: float
    creates: int
    refused: int
    pages: int
    invocations: int
    longest_seconds: float
    lost: int
    doubled: int
    published: tuple[str, ...]
    wall_seconds: float

    @property
    def row(self) -> str:
        times = f"{self.bound_seconds:7.1f} {self.seconds:8.1f} {self.longest_seconds:8.1f}"
        calls = f"{self.creates:7,} {self.refused:8,} {self.pages:6,} {self.invocations:6,}"
        ends = f"{self.lost:5} {self.doubled:8} {self.wall_seconds:7.1f}"
        return f"{self.instances:9,} {self.share:5} {times} {calls} {ends}"


HEAD = "instances share bound s  took s longest s  creates  refused  pages    inv  lost  doubled  wall s"


def back_up(stage: Any, instances: int, *, share: int = 100, speed: float | None = 1.0) -> Figure:
    """Back up so many new instances on the local AWS, the real stack deployed with LargeRuns=true.

    EC2's events are dropped meanwhile: what they start is not what is measured.

    Args:
        stage: a `tests.e2e.stage.Stage` on simulated time.
        share: the `ApiSharePercent` that the stack was deployed with.
        speed: EC2's buckets refill so much faster than AWS's; None, and there are no buckets.
    """
    stage.control.event_fault("drop", count=0)
    for first in range(0, instances, LAUNCHED):
        stage.launch(min(LAUNCHED, instances - first))
    if speed is not None:
        stage.control.set_throttling(speed=speed)
    slow_calls(stage.control)
    mark, begun, wall = stage.control.mark(), stage.control.now().timestamp(), perf_counter()
    stage.control.fire_schedule("TakeSnapshotsFunctionSlot", SLOT)
    stage.control.settle()
    wall = perf_counter() - wall
    stage.control.reset()
    calls = stage.control.calls(mark, service="ec2", caller="TakeSnapshots")
    creates = [call for call in calls if call["action"] == "CreateSnapshots"]
    worked = stage.control.invocations(mark, function="take-snapshots")
    saved = Counter(_instance_of(item) for item in stage.recovery_point_snapshots())
    return Figure(
        instances=instances,
        share=share,
        bound_seconds=bound(instances, share, speed=speed) if speed else 0.0,
        seconds=round(max(item["at"] + item["milliseconds"] / 1000 for item in worked) - begun, 1),
        creates=len(creates),
        refused=sum(call["error"] == "RequestLimitExceeded" for call in creates),
        pages=sum(call["action"].startswith("Describe") for call in calls),
        invocations=len(worked),
        longest_seconds=round(max(item["milliseconds"] for item in worked) / 1000, 1),
        lost=instances - len(saved),
        doubled=sum(count - 1 for count in saved.values()),
        published=tuple(message["event"] for message in stage.messages()),
        wall_seconds=round(wall, 1),
    )


def _instance_of(snapshot: dict[str, Any]) -> str:
    [found] = [tag["Value"] for tag in snapshot["Tags"] if tag["Key"] == "lifeboat:instance"]
    return str(found)


def longer(figure: Figure, instances: int) -> float:
    """Seconds that so many would take, worked out from a run of fewer: as much slower than the bucket as that one."""
    return round(bound(instances, figure.share) * figure.seconds / figure.bound_seconds, 1)


def problems_of(figure: Figure) -> list[str]:
    """The bars that a run does not meet, one sentence each."""
    name = f"{figure.instances} instances, share {figure.share}"
    slow = figure.bound_seconds and figure.seconds > MORE_THAN_BOUND * figure.bound_seconds
    bars = [
        (slow and figure.instances >= 1000, f"{figure.seconds} s, expected {MORE_THAN_BOUND} times the bound at most"),
        (figure.longest_seconds > MOST_SECONDS, f"an invocation of {figure.longest_seconds} s"),
        (figure.lost, f"{figure.lost} lost"),
        (figure.doubled, f"{figure.doubled} doubled"),
        (figure.published != ("BackupStarted",), f"published {figure.published}, expected one BackupStarted"),
        (figure.creates - figure.refused != figure.instances, f"{figure.creates} calls, expected one for each"),
        (figure.share < large_run.FULL_SHARE and figure.refused, f"{figure.refused} refused although a share was kept"),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


def measure(instances: int, share: int) -> Figure:
    """One run on a local AWS of its own."""
    from tests.e2e.stage import staged

    with staged({"LargeRuns": "true", "ApiSharePercent": str(share)}) as stage:
        return back_up(stage, instances, share=share)


def run() -> dict[str, Any]:
    """Run the real thing for each size, print the table, return the figures."""
    print(HEAD)
    figures = []
    for instances, share in RUNS:
        figures.append(measure(instances, share))
        print(figures[-1].row, flush=True)
    [largest] = [figure for figure in figures if (figure.instances, figure.share) == LARGEST]
    worked_out = longer(largest, MANY)
    print(
        f"{MANY:,} instances, worked out from {largest.instances:,}: {worked_out:,} s, the bound {bound(MANY):,.0f} s"
    )
    problems = [problem for figure in figures for problem in problems_of(figure)]
    return {
        "figures": [asdict(figure) for figure in figures],
        f"seconds_{MANY}_worked_out": worked_out,
        "problems": problems,
    }


if __name__ == "__main__":
    print("\n".join(run()["problems"]) or "all bars are met")
