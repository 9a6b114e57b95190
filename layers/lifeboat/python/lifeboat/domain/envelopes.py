"""The envelopes of AWS: events of EventBridge and messages of SNS. They are only hints: a workflow observes EC2."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import BadRequest, shown


@dataclass(frozen=True, slots=True)
class Event:
    """An event of EC2: its detail-type as `kind`, its name if it has one, and the resources that it names."""

    kind: str
    event: str = ""
    snapshot_ids: tuple[str, ...] = ()
    volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()


SNAPSHOT = "EBS Snapshot Notification"

COPIED = "copySnapshot"

SNAPSHOT_SET = "EBS Multi-Volume Snapshots Completion Status"

VOLUME = "EBS Volume Notification"

INSTANCE = "EC2 Instance State-change Notification"

KINDS = (SNAPSHOT, SNAPSHOT_SET, VOLUME, INSTANCE)

ID_PATTERNS = {
    "snapshot_ids": re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "volume_ids": re.compile(r"vol-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "instance_ids": re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
}


def parse_event(event: Mapping[str, Any]) -> Event:
    """Parse an event of EventBridge. Raises BadRequest if it is none, or of a kind that no rule subscribes to."""
    if not is_event(event):
        raise BadRequest(f"event has no detail-type but {shown(_keys(event))}, expected an event of EventBridge")
    kind = event["detail-type"]
    if kind not in KINDS:
        raise BadRequest(f"detail-type is {shown(kind)}, expected one of {', '.join(KINDS)}")
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadRequest(f"detail is {shown(detail)}, expected a JSON object")
    # A published sample has a blank before the event's name.
    return Event(kind, as_text(detail.get("event")).strip(), **_named(event, detail))


def _named(event: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The ids of the resources that an event names."""
    names: list[Any] = []
    resources = event.get("resources")
    if isinstance(resources, Sequence) and not isinstance(resources, str):
        names += resources
    names += [detail.get(key) for key in ("snapshot_id", "snapshot-id", "instance-id")]
    sets = detail.get("snapshots")
    if isinstance(sets, Sequence) and not isinstance(sets, str):
        names += [item.get("snapshot_id") for item in sets if isinstance(item, Mapping)]
    # The ARNs of some events lack the account, or have the region in its place: only the end is reliable.
    ids = [name.rsplit("/", 1)[-1] for name in names if isinstance(name, str)]
    return {
        field: tuple(dict.fromkeys(item for item in ids if pattern.fullmatch(item)))
        for field, pattern in ID_PATTERNS.items()
    }


def parse_notification(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parse what SNS delivers: always one record. Raises BadRequest."""
    records = event.get("Records")
    if not isinstance(records, list) or len(records) != 1 or not isinstance(records[0], Mapping):
        raise BadRequest(f"Records is {shown(records)}, expected one record of SNS")
    notification = records[0].get("Sns")
    return parse_object(
        notification.get("Message") if isinstance(notification, Mapping) else None, "Records[0].Sns.Message"
    )


def parse_object(text: Any, field: str) -> Mapping[str, Any]:
    """Parse the JSON object that an envelope has as text. Raises BadRequest."""
    try:
        message = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, Mapping):
        raise BadRequest(f"{field} is {shown(text)}, expected a JSON object")
    return message


def completed_recovery_point(event: Mapping[str, Any]) -> str | None:
    """The recovery point that a BackupCompleted names; None if it names none. Raises BadRequest."""
    message = parse_notification(event)
    if message.get("event") != "BackupCompleted":
        raise BadRequest(f"event is {shown(message.get('event'))}, expected BackupCompleted")
    subject = message.get("subject")
    named = subject.get("recovery_point") if isinstance(subject, Mapping) else None
    return named if isinstance(named, str) and named else None


def is_event(event: Any) -> bool:
    """Whether this is an event of EventBridge."""
    return isinstance(event, Mapping) and "detail-type" in event


def as_text(value: Any) -> str:
    """The value as text; no text for None."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def _keys(event: Any) -> str:
    return ", ".join(sorted(map(str, event))) if isinstance(event, Mapping) else type(event).__name__
