"""Large runs: put the batches of a run on the work queue, take them, and publish the outcome of the run once.

The planning invocation keeps only ids, so its memory stays bounded; the worker of a batch observes for itself. A batch
that is not finished is retried until its attempts are used up. Then its failures become part of the run's outcome,
which the worker that reports last publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clock, queue
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.once import UnderWay
from lifeboat.aws.paced_calls import PacedCalls
from lifeboat.backup import large_run, messages
from lifeboat.backup import large_run_store as runs
from lifeboat.backup.batch import Batch, BatchResult, Run
from lifeboat.backup.batch_workflow import Taken, Taking
from lifeboat.backup.request import BatchRequest
from lifeboat.domain.text import iso

logger = Logger(child=True)


def is_large(instance_ids: Sequence[str], invocation: Invocation) -> bool:
    """Whether to use the work queue."""
    return bool(invocation.config.work_queue) and len(instance_ids) > large_run.DIRECT_INSTANCES


def queue_batches(
    instance_ids: Sequence[str],
    slot: datetime,
    invocation: Invocation,
    *,
    late: bool = False,
    asked: str = "",
) -> dict[str, Any]:
    """Put a run's batches on the work queue, once. Raises AwsError; a repetition then queues the missing ones."""
    run_id = large_run.run_id(slot, instance_ids, asked)
    batches = large_run.batches(instance_ids, share=invocation.config.api_share, run=run_id, slot=slot, late=late)
    run = Run(run_id, slot, late, planned_at=clock.now(), instances=len(instance_ids), batches=len(batches))

    def send() -> dict[str, Any]:
        runs.open_run(invocation.config.table, run)
        queue.send(invocation.config.work_queue, [large_run.message_body(batch) for batch in batches])
        return {"batches": len(batches)}

    answer = {"slot": iso(slot), "run": run_id, "instances": len(instance_ids)}
    try:
        return {**answer, **invocation.once("queued", run_id, send)}
    except UnderWay:
        return {**answer, "under_way": True}


def take_batch(request: BatchRequest, invocation: Invocation) -> dict[str, Any]:
    """Take a batch, and report it unless a retry may bring more. Answers which message SQS is to deliver again."""
    batch = request.batch
    since = clock.monotonic()
    pace = large_run.pace(invocation.config.api_share, workers=large_run.WORKERS, since=since, at_once=batch.at_once)
    taking = Taking(batch.slot, batch.late, dry_run=False, invocation=invocation, calls=PacedCalls(pace, invocation))
    taken = taking.take(batch.instance_ids)
    batch_facts = {"run": batch.run, "batch": batch.number, "of": batch.of, "attempt": request.attempt}
    logger.info("took a batch", extra={**batch_facts, "failed": taken.failed, "left": len(taken.left)})
    delay = large_run.retry_delay(request.attempt)
    if delay is not None and (taken.worth_retrying or taken.under_way):
        queue.hold_back(invocation.config.work_queue, request.receipt, delay)
        return _failures(request.message_id)
    run = runs.report(invocation.config.table, batch, _result(batch, taken), clock.now())
    if run.complete:
        publish(run, invocation)
    return _failures()


def open_run_of(slot: datetime, invocation: Invocation) -> str:
    """The id of the open run of a slot; empty if there is none. Publishes the outcome of a run that was cut off."""
    for run in runs.runs_of(invocation.config.table, slot):
        if run.complete:
            continue
        if not large_run.is_cut_off(run, clock.now(), share=invocation.config.api_share):
            return run.id
        publish(run, invocation)
    return ""


def publish_cut_off(invocation: Invocation) -> None:
    """Publish the outcome of runs of today and yesterday, scheduled or by hand, that have lost batches."""
    now = clock.now()
    for day in (now - timedelta(days=1), now):
        for run in runs.runs_of_day(invocation.config.table, day):
            if large_run.is_cut_off(run, now, share=invocation.config.api_share):
                publish(run, invocation)


def was_caught_up(slot: datetime, invocation: Invocation) -> bool:
    """Whether a late run of the slot has ended. What is still missing was then tried and refused."""
    return any(run.late and run.complete for run in runs.runs_of(invocation.config.table, slot))


def publish(run: Run, invocation: Invocation) -> None:
    """Publish the outcome of a run, and the same failures of the same slot only once."""
    outcome = large_run.combined(runs.results_of(invocation.config.table, run.id))
    message = messages.run_ended(**invocation.stamp(), run=run, outcome=outcome)
    invocation.publish_once("published-run", large_run.message_key(run, outcome), message)


def _result(batch: Batch, taken: Taken) -> BatchResult:
    failed = [(item["instance_id"], item["reason"]) for item in taken.failed]
    failed += [(instance_id, "EC2 was too busy for it in all attempts") for instance_id in taken.left]
    skipped = [item["instance_id"] for item in taken.skipped]
    outside = {*skipped, *(instance_id for instance_id, _ in failed)}
    return BatchResult(
        begun=tuple(instance_id for instance_id in batch.instance_ids if instance_id not in outside),
        skipped=tuple(skipped),
        failed=tuple(failed),
    )


def _failures(*message_ids: str) -> dict[str, Any]:
    """The answer to SQS: the messages to deliver again
    (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html)."""
    return {"batchItemFailures": [{"itemIdentifier": item} for item in message_ids]}
