"""Large runs: divide the instances into batches for several workers, and combine the results.

EC2 allows 100 calls of CreateSnapshots at once and then 5 a second, for the whole account and region
(https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). The workers share this bucket. A batch has
as many instances as one worker's share of the rate allows in BATCH_SECONDS.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil

from lifeboat.backup.batch import Batch, BatchResult, Run
from lifeboat.domain.rate_limit import CREATE_SNAPSHOTS_BURST, CREATE_SNAPSHOTS_REFILL, Pace
from lifeboat.domain.text import iso

WORKERS = 4
"""Concurrent workers: `MaximumConcurrency` of the queue's event source. Each has 0.8 seconds for a call, with its reads
and writes, if all of them together are to use the whole rate."""

DIRECT_INSTANCES = 25
"""Up to this many instances are taken by the invocation itself; more go to the work queue."""

BATCH_SECONDS = 20.0
"""Seconds of a batch at a worker's share of the rate. An invocation has twice as long. Longer batches need fewer
describe calls, but the run ends later, because its last workers alone cannot use the whole rate."""

RESERVE = 10
"""Tokens of a full bucket that a held pace leaves unused, because clocks differ."""

ATTEMPTS = 5
"""Attempts at a batch before its failures are published: over seven minutes or so, see `retry_delay`."""

FIRST_DELAY = 30
"""Seconds until a batch with failures is retried; doubled each time."""

CUT_OFF_MARGIN = timedelta(minutes=15)
"""Time added to the planned duration of a run in `is_cut_off`."""

FULL_SHARE = 100
"""The share, in percent, that uses all of EC2's rate. The pace is then learnt from EC2's refusals alone."""


def pace(share: int, *, workers: int, since: float, at_once: float) -> Pace:
    """The pace of one of several workers that together may use `share` percent of the bucket.

    With FULL_SHARE calls are not delayed until EC2 refuses one, and then keep to the worker's part of the rate. With
    less the pace is held: `at_once` calls from `since` on (seconds of the pace's own clock), then the worker's part.
    """
    made = Pace(_rate(share) / workers, shared=workers > 1)
    if share != FULL_SHARE:
        made.hold(since, at_once)
    return made


def burst(share: int) -> int:
    """How many calls may be made at once when the bucket is full."""
    return (CREATE_SNAPSHOTS_BURST - RESERVE) * share // 100


def batches(
    instance_ids: Sequence[str], *, share: int, run: str, slot: datetime, late: bool = False
) -> tuple[Batch, ...]:
    """The instances in batches of nearly equal size, equally many for each worker. The first ones share the burst."""
    most = max(1, int(_rate(share) / WORKERS * BATCH_SECONDS))
    rounds = ceil(len(instance_ids) / (WORKERS * most))
    count = min(len(instance_ids), rounds * WORKERS)
    cuts = [len(instance_ids) * number // count for number in range(count + 1)] if count else [0]
    left = burst(share)
    made: list[Batch] = []
    for number in range(1, count + 1):
        ids = tuple(instance_ids[cuts[number - 1] : cuts[number]])
        at_once = min(len(ids), ceil(left / max(1, WORKERS + 1 - number)))
        left -= at_once
        made.append(Batch(run, number, count, slot, ids, late, at_once))
    return tuple(made)


def message_body(batch: Batch) -> str:
    """The queue message of a batch; `backup.request.parse_batch` reads it."""
    return json.dumps(
        {
            "run": batch.run,
            "number": batch.number,
            "of": batch.of,
            "slot": iso(batch.slot),
            "late": batch.late,
            "at_once": batch.at_once,
            "instance_ids": batch.instance_ids,
        }
    )


def run_id(slot: datetime, instance_ids: Iterable[str], asked: str = "") -> str:
    """The id of a run: the same for the same slot and instances, so that a slot that fires twice is queued once.

    `asked` distinguishes intended repetitions: a request by hand, or another run of the catch-up.
    """
    named = hashlib.sha256("\n".join([*sorted(instance_ids), asked]).encode()).hexdigest()
    return f"{iso(slot)}/{named[:16]}"


def message_key(run: Run, outcome: BatchResult) -> str:
    """Deduplication key of a run's outcome: the run's id, or for failures the slot and the failed instances."""
    if not outcome.failed:
        return run.id
    failed = run_id(run.slot, [instance_id for instance_id, _ in outcome.failed])
    return f"{failed}/{'late' if run.late else 'due'}/{len(run.done)}of{run.batches}"


def retry_delay(attempt: int) -> int | None:
    """Seconds until a batch is retried after attempt `attempt`; None after the last one."""
    return FIRST_DELAY * 2 ** (attempt - 1) if attempt < ATTEMPTS else None


def is_cut_off(run: Run, now: datetime, *, share: int) -> bool:
    """Whether an open run has lost batches: it has taken more than twice the time that it needs."""
    needed = timedelta(seconds=run.instances / _rate(share))
    return not run.complete and now - run.planned_at > 2 * (needed + CUT_OFF_MARGIN)


def combined(results: Iterable[BatchResult]) -> BatchResult:
    """The outcome of a whole run, sorted by instance."""
    results = tuple(results)
    return BatchResult(
        begun=tuple(sorted(item for result in results for item in result.begun)),
        skipped=tuple(sorted(item for result in results for item in result.skipped)),
        failed=tuple(sorted(item for result in results for item in result.failed)),
    )


def _rate(share: int) -> float:
    return CREATE_SNAPSHOTS_REFILL * share / 100
