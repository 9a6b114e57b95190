"""What the pre-flight of a restore takes of the function's memory and time in an account full of recovery points.

`python -m bench.restore_memory` runs the real handler of restore_volume, a dry run each time in a process of its own,
against an EC2 that lists so many snapshots here and in every other region. It exits with 1 when the peak of a process
reaches the memory that the template gives the function, or an invocation takes longer than it may.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from itertools import product
from time import perf_counter, process_time
from typing import Any

from bench._alone import Context, in_lambda, main, peak_mb, reported_alone
from bench.retention_memory import listing

SNAPSHOTS = (20_000, 100_000)
"""As many as are observed, and as many as a region has by default, of which some must be named
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html)."""
REGIONS = ("eu-central-1", "eu-north-1", "us-east-1")
"""As many as `RestoreFromRegions` takes."""
MEMORY_SIZE = 1024
"""`MemorySize` of the function in template.yaml."""
MAX_SECONDS = 300
"""`Timeout` of the function in template.yaml."""

INSTANCE = f"i-{1:017x}"
"""One of those that the recovery points are of; the restore is onto another."""
CHOICES: dict[str, Any] = {
    "latest": "latest",
    "of a lineage": {"lineage": f"vol-{1:017x}"},
    "of an instance": {"instance_id": INSTANCE},
}
"""What is asked for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one invocation took. `peak_mb` is the peak of the process, Python and boto3 included.

    `lambda_seconds` is how long it would take with Lambda's part of a processor as fast as this machine's.
    """

    choice: str
    snapshots: int
    regions: int
    peak_mb: float
    seconds: float
    lambda_seconds: float
    answer_mb: float
    findings: tuple[str, ...]


def measure_alone(choice: str, snapshots: int = SNAPSHOTS[0], regions: int = len(REGIONS)) -> Figure:
    """One invocation in a process of its own; so many snapshots are here, and so many in each of the other regions."""
    with listing(snapshots) as url:
        fetched = ",".join(REGIONS[:regions])
        asked = (choice, snapshots, regions)
        reported = reported_alone("bench.restore_memory", *asked, url=url, LIFEBOAT_RESTORE_FROM_REGIONS=fetched)
    return Figure(**{**reported, "findings": tuple(reported["findings"])})


def _invoke(choice: str, snapshots: int, regions: int) -> Figure:
    from functions.restore_volume.app import handler

    asked = {"instance_id": "i-0ffffffffffffffff", "recovery_point": CHOICES[choice], "dry_run": True}
    # Without an ARN the invocation does not hand the dry run over, but does it itself.
    context: Any = Context(MAX_SECONDS, MEMORY_SIZE, invoked_function_arn="")
    begin, begin_processor = perf_counter(), process_time()
    answer = handler({**asked, "request_id": "measured"}, context)
    took, processor = perf_counter() - begin, process_time() - begin_processor
    return Figure(
        choice=choice,
        snapshots=snapshots,
        regions=regions,
        peak_mb=round(peak_mb(), 1),
        seconds=round(took, 2),
        lambda_seconds=in_lambda(took, processor, MEMORY_SIZE),
        answer_mb=round(len(json.dumps(answer)) / 1e6, 3),
        findings=tuple(item["code"] for item in answer["findings"]),
    )


def problems_of(figure: Figure, *, timed: bool = True) -> list[str]:
    """What breaks a bound, one sentence each; not `timed`, and how fast this machine is counts for nothing."""
    name = f"{figure.snapshots} snapshots here and in {figure.regions} regions, {figure.choice}"
    bars = [
        (figure.peak_mb >= MEMORY_SIZE, f"{figure.peak_mb:.0f} MB, expected under {MEMORY_SIZE} MB"),
        (
            timed and figure.lambda_seconds >= MAX_SECONDS,
            f"{figure.lambda_seconds:.0f} s, expected under {MAX_SECONDS} s",
        ),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Measure every kind of request, print the table, return the figures."""
    print("asked for       snapshots  regions  peak MB  seconds  s in Lambda  answer MB  findings")
    figures = []
    for snapshots, choice in product(SNAPSHOTS, CHOICES):
        figure = measure_alone(choice, snapshots)
        figures.append(figure)
        print(
            f"{choice:15} {figure.snapshots:9,} {figure.regions + 1:8} {figure.peak_mb:8.1f} {figure.seconds:8.2f} "
            f"{figure.lambda_seconds:12.1f} {figure.answer_mb:10.3f}  {', '.join(figure.findings)}",
            flush=True,
        )
    problems = [problem for figure in figures for problem in problems_of(figure)]
    return {"figures": [asdict(figure) for figure in figures], "problems": problems}


if __name__ == "__main__":
    sys.exit(main(run, _invoke))
