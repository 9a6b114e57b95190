"""The envelopes of AWS: events of EventBridge, messages of SNS and SQS. What they claim is never believed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import BadRequest, shown


@dataclass(frozen=True, slots=True)
class Event:
    """What an event of AWS claims: `event` of its `kind` came to `result`, about these resources. Never believed."""

    kind: str
    event: str = ""
    result: str = ""
    account: str = ""
    region: str = ""
    at: str = ""
    snapshot_ids: tuple[str, ...] = ()
    volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    image_ids: tuple[str, ...] = ()


SNAPSHOT = "EBS Snapshot Notification"


COPIED = "copySnapshot"


SNAPSHOT_SET = "EBS Multi-Volume Snapshots Completion Status"


COPY_LATE = "EBS Copy Snapshot Missed Completion Duration"


VOLUME = "EBS Volume Notification"


FAST_RESTORE = "EBS Fast Snapshot Restore State-change Notification"


INSTANCE = "EC2 Instance State-change Notification"


IMAGE = "EC2 AMI State Change"


API_CALL = "AWS API Call via CloudTrail"


SCHEDULED = "Scheduled Event"


KINDS = (SNAPSHOT, SNAPSHOT_SET, COPY_LATE, VOLUME, FAST_RESTORE, INSTANCE, IMAGE, API_CALL, SCHEDULED)


ID_PATTERNS = {
    "snapshot_ids": re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "volume_ids": re.compile(r"vol-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "instance_ids": re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "image_ids": re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
}


def parse_event(event: Mapping[str, Any]) -> Event:
    """Read an event of EventBridge. Raises BadRequest when it is not one, or none that Lifeboat knows."""
    if not isinstance(event, Mapping) or "detail-type" not in event:
        raise BadRequest(f"event has no detail-type but {shown(_keys(event))}, expected an event of EventBridge")
    kind = event["detail-type"]
    if kind not in KINDS:
        raise BadRequest(f"detail-type is {shown(kind)}, expected one of {', '.join(KINDS)}")
    detail = event.get("detail")
    if detail == "{}":  # Scheduler's default notification carries its detail as text
        detail = {}
    if not isinstance(detail, Mapping):
        raise BadRequest(f"detail is {shown(detail)}, expected a JSON object")
    mentioned = _mentioned(event, kind, detail)
    return Event(
        kind=kind,
        # A published sample has a blank before the event's name.
        event=as_text(detail.get("event") or detail.get("eventName")).strip(),
        result=as_text(detail.get("result") or detail.get("state") or detail.get("State")),
        account=as_text(event.get("account")),
        region=as_text(event.get("region")),
        at=as_text(event.get("time")),
        **mentioned,
    )


def _mentioned(event: Mapping[str, Any], kind: str, detail: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    names: list[Any] = []
    resources = event.get("resources")
    if isinstance(resources, Sequence) and not isinstance(resources, str):
        names += resources
    names += [detail.get(key) for key in ("snapshot_id", "snapshot-id", "instance-id", "ImageId")]
    sets = detail.get("snapshots")
    if isinstance(sets, Sequence) and not isinstance(sets, str):
        names += [item.get("snapshot_id") for item in sets if isinstance(item, Mapping)]
    parameters = detail.get("requestParameters")
    if kind == API_CALL and isinstance(parameters, Mapping):
        names += [parameters.get("volumeId"), parameters.get("instanceId")]
    # The ARNs of these events have the region where the account belongs, or no account: only the end is sure.
    last = [name.rsplit("/", 1)[-1] for name in names if isinstance(name, str)]
    return {
        field: tuple(dict.fromkeys(item for item in last if form.fullmatch(item)))
        for field, form in ID_PATTERNS.items()
    }


def parse_notification(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """What SNS delivers; always one record."""
    records = event.get("Records")
    if not isinstance(records, list) or len(records) != 1 or not isinstance(records[0], Mapping):
        raise BadRequest(f"Records is {shown(records)}, expected one record of SNS")
    notification = records[0].get("Sns")
    return parse_object(
        notification.get("Message") if isinstance(notification, Mapping) else None, "Records[0].Sns.Message"
    )


def parse_object(text: Any, field: str) -> Mapping[str, Any]:
    """The JSON object that stands as text in an envelope."""
    try:
        message = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, Mapping):
        raise BadRequest(f"{field} is {shown(text)}, expected a JSON object")
    return message


def completed_recovery_point(event: Mapping[str, Any]) -> str | None:
    """The recovery point that a BackupCompleted tells of; None if it does not say."""
    message = parse_notification(event)
    if message.get("event") != "BackupCompleted":
        raise BadRequest(f"event is {shown(message.get('event'))}, expected BackupCompleted")
    subject = message.get("subject")
    named = subject.get("recovery_point") if isinstance(subject, Mapping) else None
    return named if isinstance(named, str) and named else None


def is_event(event: Any) -> bool:
    return isinstance(event, Mapping) and "detail-type" in event


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _keys(event: Any) -> str:
    return ", ".join(sorted(map(str, event))) if isinstance(event, Mapping) else type(event).__name__
