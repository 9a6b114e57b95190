"""What a restore publishes: its begin, its outcome, each once; and the answer to a person about one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lifeboat.aws import clock, metrics
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.table import Overtaken
from lifeboat.domain.message import Message
from lifeboat.restore import messages as restore_messages
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore, RestoreState
from lifeboat.restore.report import RestoreOutcome, describe_restore, outcome, seconds_per_step

METRIC = "RecoveryTime"
"""Seconds: how long a completed restore took from its request to the end of its checks."""


def publish_owed(restore: Restore, invocation: Invocation) -> Restore:
    """Publish that a restore has started and that its roll-back has failed, unless the record says it was published.

    This comes after the steps, so that a topic that cannot be used delays no step. Raises AwsError.
    """
    if restore.closed:
        return restore
    owed = restore
    if not owed.start_published:
        owed = replace(owed, start_published=_publish_started(restore, invocation))
    if owed.start_published and owed.status is RestoreState.FAILED and not owed.failure_published:
        message = _build_ended(restore, invocation)
        owed = replace(
            owed, failure_published=invocation.publish_once("published-restore", f"{restore.id} failed", message)
        )
    try:
        return restore if owed == restore else restores.save_restore(invocation.config.table, owed)
    except Overtaken:
        return restore  # the record does not say so yet, but publish_once does not publish twice


def _publish_started(restore: Restore, invocation: Invocation) -> bool:
    message = restore_messages.restore_started(
        stack=invocation.config.stack, at=restore.started_at, restore=restore, plan=restore.plan
    )
    return invocation.publish_once("published-restore", f"{restore.id} started", message)


def publish_and_close(restore: Restore, invocation: Invocation) -> Restore:
    """Publish the outcome, then close the restore, so that no message is lost.

    RestoreStarted comes first. While another invocation publishes, this one leaves the restore open: if that one is
    cut short, its lease ends after two minutes and a reconcile run publishes.
    """
    if not restore.start_published and not _publish_started(restore, invocation):
        return restore
    # A roll-back that was published as failed and retried may fail for good: that is a second message.
    key = f"{restore.id} {restore.status} for good"
    if not invocation.publish_once("published-restore", key, _build_ended(restore, invocation)):
        return restore
    if restore.status is RestoreState.COMPLETED:
        _log_recovery_time(restore, invocation)
    return restores.close_restore(invocation.config.table, replace(restore, start_published=True))


def _log_recovery_time(restore: Restore, invocation: Invocation) -> None:
    now = clock.now()
    parts = seconds_per_step(restore, now)
    facts = {"restore_id": restore.id, "instance_id": restore.instance_id, "seconds_per_step": parts}
    metrics.seconds(METRIC, (now - restore.started_at).total_seconds(), config=invocation.config, facts=facts)


def describe(restore: Restore, invocation: Invocation) -> dict[str, Any]:
    """The answer to a person: the state of a restore, with its next steps."""
    return describe_restore(restore, _outcome(restore, invocation).next_steps)


def _outcome(restore: Restore, invocation: Invocation) -> RestoreOutcome:
    config = invocation.config
    tag = (config.selector.tag_key, config.selector.tag_value)
    return outcome(restore, clock.now(), config.region, config.account, tag)


def _build_ended(restore: Restore, invocation: Invocation) -> Message:
    found = _outcome(restore, invocation)
    return restore_messages.restore_ended(**invocation.stamp(), restore=restore, outcome=found)
