"""A fleet: how a run of many instances is cut into portions that several workers take, and what it came to.

EC2 begins 100 sets of snapshots at once and 5 a second then, for the account and region as a whole
(https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). So the workers share one bucket, and a
portion is as large as one worker's part of the rate lets it be within PORTION_SECONDS.
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
"""How many portions are worked on at once: `MaximumConcurrency` of the queue's event source. One call after the other,
a worker has 0.8 seconds for each, its reads and its notes included, to use up the bucket together with the others."""

DIRECT = 25
"""Up to so many instances are taken by the invocation that was woken for them; more are handed out."""

BATCH_SECONDS = 20.0
"""How long a portion lasts at a worker's share of the rate. An invocation has twice that. Longer ones cost fewer
describe calls, and more time in the end, when the last workers cannot use up the bucket alone."""

RESERVE = 10
"""Tokens of a full bucket that a held pace does not count on, as clocks differ."""

ATTEMPTS = 5
"""How often a portion is worked on before what still fails is told: over some seven minutes, see `retry_delay`."""

FIRST_DELAY = 30
"""Seconds until a portion with failures is worked on again; doubled each time."""

PATIENCE = timedelta(minutes=15)
"""How much longer than planned, twice, a run may take until it counts as cut off: see `is_cut_off`."""

WHOLE = 100
"""The share, in percent, with which all that EC2 gives is used, and the pace is learnt from its refusals alone."""


def pace(share: int, *, workers: int, since: float, at_once: float) -> Pace:
    """The pace of one of several workers, that may use `share` percent of the bucket together.

    With the whole of it calls go out as they come until EC2 refuses one, and then at the worker's part of the rate.
    With less the pace is held: `at_once` calls from `since` on, in seconds of the clock that the pace is asked with,
    and then the worker's part of the rate.
    """
    made = Pace(_rate(share) / workers, shared=workers > 1)
    if share != WHOLE:
        made.hold(since, at_once)
    return made


def burst(share: int) -> int:
    """How many calls may go out at once when the bucket is full."""
    return (CREATE_SNAPSHOTS_BURST - RESERVE) * share // 100


def batches(
    instance_ids: Sequence[str], *, share: int, run: str, slot: datetime, late: bool = False
) -> tuple[Batch, ...]:
    """The instances in portions of nearly the same size, as many for each worker; the first ones share the burst."""
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


def body_of(batch: Batch) -> str:
    """The message that hands a portion out; `events.snapshot_request` reads it."""
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
    """The same for the same slot and instances, so that a slot that fires twice is handed out once.

    `asked` tells runs apart that are meant to be made again: by hand, or by another look for what was missed.
    """
    named = hashlib.sha256("\n".join([*sorted(instance_ids), asked]).encode()).hexdigest()
    return f"{iso(slot)}/{named[:16]}"


def message_key(run: Run, outcome: BatchResult) -> str:
    """Under which a run's outcome is told once: its own, or of a failed one that of the slot's failed instances."""
    if not outcome.failed:
        return run.id
    failed = run_id(run.slot, [instance_id for instance_id, _ in outcome.failed])
    return f"{failed}/{'late' if run.late else 'due'}/{len(run.done)}of{run.batches}"


def retry_delay(attempt: int) -> int | None:
    """Seconds until a portion is worked on again after its n-th attempt has left something; None: no more."""
    return FIRST_DELAY * 2 ** (attempt - 1) if attempt < ATTEMPTS else None


def is_cut_off(run: Run, now: datetime, *, share: int) -> bool:
    """Whether a run that has portions out must have lost them: every one of them has had its time twice over."""
    needed = timedelta(seconds=run.instances / _rate(share))
    return not run.complete and now - run.planned_at > 2 * (needed + PATIENCE)


def together(results: Iterable[BatchResult]) -> BatchResult:
    """What came of a whole run, by instance."""
    results = tuple(results)
    return BatchResult(
        begun=tuple(sorted(item for result in results for item in result.begun)),
        skipped=tuple(sorted(item for result in results for item in result.skipped)),
        failed=tuple(sorted(item for result in results for item in result.failed)),
    )


def _rate(share: int) -> float:
    return CREATE_SNAPSHOTS_REFILL * share / 100
