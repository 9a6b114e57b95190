"""Requests of take_snapshots and confirm_snapshots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from lifeboat.backup.batch import Batch
from lifeboat.by_hand.request import HandedOver, RunStatus, parse_handed_over
from lifeboat.domain.bad_request import INTERNAL, BadRequest, Fields, parse, shown
from lifeboat.domain.envelopes import SNAPSHOT, SNAPSHOT_SET, as_text, is_event, parse_event, parse_object
from lifeboat.domain.fields import Flag, InstanceIds, Moment, ReconcileRequest, RequestId, Yes
from lifeboat.domain.trigger import Trigger


@dataclass(frozen=True, slots=True)
class BackupRequest(Fields):
    """Take recovery points of these instances, or without `instance_ids` of all selected instances.

    `slot` is the schedule's due time, None by hand. `request_id` makes requests by hand that are otherwise the same
    two. `late`: the catch-up asks, after the slot's own run had its time. `retried`: Lambda retries a failure.
    """

    other_forms = ("request", "catch_up")

    instance_ids: InstanceIds = ()
    dry_run: Flag = False
    request_id: RequestId = ""
    slot: Annotated[Moment | None, Field(alias="scheduled_time")] = None
    late: Annotated[bool, INTERNAL] = False
    retried: Annotated[bool, INTERNAL] = True

    @property
    def trigger(self) -> Trigger:
        if self.late:
            return Trigger.RECONCILE
        return Trigger.SCHEDULE if self.slot else Trigger.MANUAL


@dataclass(frozen=True, slots=True)
class CatchUpRequest(Fields):
    """Take the recovery points that the newest slot's own run has left missing past the grace."""

    form = "catch_up"

    catch_up: Yes = True
    scheduled_time: Moment | None = None


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Back up one batch of a large run. `attempt` counts from 1; `receipt` lets the worker delay the next attempt."""

    batch: Batch
    message_id: str
    receipt: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """Confirm the recovery points of these snapshots, or with `reconcile` all open ones."""

    snapshot_ids: tuple[str, ...] = ()
    reconcile: bool = False


def parse_take(
    event: Mapping[str, Any],
) -> BackupRequest | CatchUpRequest | BatchRequest | RunStatus | HandedOver[BackupRequest]:
    """Parse a request of take_snapshots. Raises BadRequest.

    It comes from the schedule, the catch-up's schedule, the work queue, a person, or the function itself.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return parse_batch(event)
    if isinstance(event, Mapping) and "carry_out" in event:
        return parse_handed_over(event, parse_backup)
    return parse(event, CatchUpRequest, RunStatus, BackupRequest)


def parse_backup(event: Mapping[str, Any]) -> BackupRequest:
    """Parse a request for recovery points. Raises BadRequest."""
    return parse(event, BackupRequest)


def parse_batch(event: Mapping[str, Any]) -> BatchRequest:
    """Parse what the work queue delivers: always one record. Raises BadRequest."""
    records = event["Records"]
    record = records[0] if isinstance(records, list) and len(records) == 1 else None
    if not isinstance(record, Mapping) or record.get("eventSource") != "aws:sqs":
        raise BadRequest(f"Records is {shown(records)}, expected a list of one record of SQS")
    batch = parse(parse_object(record, "body", "Records[0]"), Batch, place="Records[0].body")
    attributes = record.get("attributes")
    count = as_text(attributes.get("ApproximateReceiveCount")) if isinstance(attributes, Mapping) else ""
    return BatchRequest(
        batch,
        message_id=as_text(record.get("messageId")),
        receipt=as_text(record.get("receiptHandle")),
        attempt=int(count) if re.fullmatch("[0-9]{1,9}", count) else 1,
    )


def parse_confirm(event: Mapping[str, Any]) -> ConfirmRequest:
    """Parse a request of confirm_snapshots: a snapshot's event, or the schedule. Raises BadRequest."""
    if not is_event(event):
        parse(event, ReconcileRequest)
        return ConfirmRequest(reconcile=True)
    return ConfirmRequest(parse_event(event, SNAPSHOT, SNAPSHOT_SET).snapshot_ids)
