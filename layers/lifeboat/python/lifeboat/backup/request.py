"""Requests of take_snapshots and confirm_snapshots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from lifeboat.backup.batch import Batch
from lifeboat.by_hand.request import HandedOver, RunStatus, RunStatusFields, parse_handed_over
from lifeboat.domain.bad_request import BadRequest, Expected, read, shown
from lifeboat.domain.envelopes import SCHEDULED, SNAPSHOT, SNAPSHOT_SET, as_text, is_event, parse_event, parse_object
from lifeboat.domain.fields import (
    Fields,
    Flag,
    InstanceId,
    InstanceIds,
    Moment,
    ReconcileFields,
    RequestId,
    Yes,
    parse_time,
)
from lifeboat.domain.trigger import Trigger


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """Make recovery points. `slot` is the schedule's due time, None by hand; no `instance_ids` means all selected.

    `late`: the catch-up asks, after the slot's own run had its time. `request_id` tells requests by hand apart.
    `retried`: Lambda tries again what fails.
    """

    trigger: Trigger
    slot: datetime | None = None
    instance_ids: tuple[str, ...] = ()
    dry_run: bool = False
    late: bool = False
    request_id: str = ""
    retried: bool = True


@dataclass(frozen=True, slots=True)
class CatchUpRequest:
    """Make the recovery points of the newest slot that its own run has left missing past the grace."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Take a portion of a run that was handed out. `attempt` counts from 1; with `receipt` the message is held back."""

    batch: Batch
    message_id: str
    receipt: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """Look at the recovery points of these snapshots, or with `sweep` at all open ones."""

    snapshot_ids: tuple[str, ...] = ()
    reconcile: bool = False


class _Backup(Fields):
    other_forms: ClassVar = ("request", "catch_up")

    instance_ids: InstanceIds = []
    dry_run: Flag = False
    request_id: RequestId = ""
    scheduled_time: Moment | None = None


class _CatchUp(Fields):
    form: ClassVar = "catch_up"

    catch_up: Yes
    scheduled_time: Moment | None = None


class _Batch(Fields):
    run: Annotated[str, StringConstraints(min_length=1, max_length=128), Expected("a run's id of 1 to 128 characters")]
    number: Annotated[int, Field(ge=1), Expected("a whole number from 1")]
    of: Annotated[int, Field(ge=1), Expected("a whole number from 1")]
    slot: Moment
    late: Flag
    at_once: Annotated[int, Field(ge=0), Expected("a whole number from 0")]
    instance_ids: Annotated[
        list[InstanceId], Field(min_length=1, max_length=1000), Expected("a list of 1 to 1000 instances' ids")
    ]


def parse_take(
    event: Mapping[str, Any],
) -> BackupRequest | CatchUpRequest | BatchRequest | RunStatus | HandedOver[BackupRequest]:
    """take_snapshots: a schedule's slot, the look for slots that were missed, a portion of a fleet, or a person.

    A person may also ask what came of a run; the function itself hands a person's request over.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return parse_batch(event)
    if isinstance(event, Mapping) and event.get("detail-type") == SCHEDULED:
        return BackupRequest(Trigger.SCHEDULE, slot=parse_time("time", as_text(event.get("time"))))
    if isinstance(event, Mapping) and "catch_up" in event:
        read(_CatchUp, event)
        return CatchUpRequest()
    if isinstance(event, Mapping) and "request" in event:
        return RunStatus(read(RunStatusFields, event).request)
    if isinstance(event, Mapping) and "carry_out" in event:
        return parse_handed_over(event, parse_backup)
    return parse_backup(event)


def parse_backup(event: Mapping[str, Any]) -> BackupRequest:
    ask = read(_Backup, event)
    return BackupRequest(
        trigger=Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL,
        slot=parse_time("scheduled_time", ask.scheduled_time) if ask.scheduled_time else None,
        instance_ids=tuple(dict.fromkeys(ask.instance_ids)),
        dry_run=ask.dry_run,
        request_id=ask.request_id,
    )


def parse_batch(event: Mapping[str, Any]) -> BatchRequest:
    """What the work queue delivers; always one record."""
    records = event["Records"]
    record = records[0] if isinstance(records, list) and len(records) == 1 else None
    if not isinstance(record, Mapping) or record.get("eventSource") != "aws:sqs":
        raise BadRequest(f"Records is {shown(records)}, expected one record of SQS")
    ask = read(_Batch, parse_object(record.get("body"), "Records[0].body"))
    received = record.get("attributes")
    count = as_text(received.get("ApproximateReceiveCount")) if isinstance(received, Mapping) else ""
    return BatchRequest(
        Batch(
            run=ask.run,
            number=ask.number,
            of=ask.of,
            slot=parse_time("slot", ask.slot),
            instance_ids=tuple(dict.fromkeys(ask.instance_ids)),
            late=ask.late,
            at_once=ask.at_once,
        ),
        message_id=as_text(record.get("messageId")),
        receipt=as_text(record.get("receiptHandle")),
        attempt=int(count) if re.fullmatch("[0-9]{1,9}", count) else 1,
    )


def parse_confirm(event: Mapping[str, Any]) -> ConfirmRequest:
    """confirm_snapshots: an EBS snapshot event, or the sweep."""
    if not is_event(event):
        read(ReconcileFields, event)
        return ConfirmRequest(reconcile=True)
    fact = parse_event(event)
    if fact.kind not in (SNAPSHOT, SNAPSHOT_SET) or not fact.snapshot_ids:
        raise BadRequest(f"detail-type is {shown(fact.kind)} about no snapshot, expected an event that names one")
    return ConfirmRequest(snapshot_ids=fact.snapshot_ids)
