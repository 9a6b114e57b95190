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

KINDS = {SNAPSHOT: "snapshot", SNAPSHOT_SET: "snapshot", VOLUME: "volume", INSTANCE: "instance"}
"""What each kind of event is about."""

ID_PATTERNS = {
    "snapshot_ids": re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "volume_ids": re.compile(r"vol-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "instance_ids": re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
}


def parse_event(event: Mapping[str, Any], *kinds: str, of_snapshots: str = "") -> Event:
    """Parse an event of EventBridge that names what it is about.

    `kinds` are the detail-types that the function subscribes to, `of_snapshots` the only name of a snapshot's event.
    Raises BadRequest for every other event.
    """
    kind = event.get("detail-type")
    if kind not in kinds:
        expected = kinds[0] if len(kinds) == 1 else f"one of {', '.join(kinds)}"
        raise BadRequest(f"detail-type is {_shown_or_missing(event, 'detail-type')}, expected {expected}")
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadRequest(f"detail is {_shown_or_missing(event, 'detail')}, expected a JSON object")
    # A published sample has a blank before the event's name.
    parsed = Event(kind, as_text(detail.get("event")).strip(), **_named(event, detail))
    if kind == SNAPSHOT and of_snapshots and parsed.event != of_snapshots:
        raise BadRequest(f"detail.event is {_shown_or_missing(detail, 'event')}, expected {of_snapshots}")
    if not getattr(parsed, f"{KINDS[kind]}_ids"):
        raise BadRequest(f"detail-type is {shown(kind)} about no {KINDS[kind]}, expected an event that names one")
    return parsed


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
        raise BadRequest(f"Records is {shown(records)}, expected a list of one record of SNS")
    notification = records[0].get("Sns")
    if not isinstance(notification, Mapping):
        raise BadRequest(f"Records[0].Sns is {_shown_or_missing(records[0], 'Sns')}, expected a JSON object")
    return parse_object(notification, "Message", "Records[0].Sns")


def parse_object(envelope: Mapping[str, Any], field: str, place: str) -> Mapping[str, Any]:
    """Parse the JSON object that a field of an envelope has as text; `place` is the envelope's. Raises BadRequest."""
    text = envelope.get(field)
    try:
        message = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, Mapping):
        raise BadRequest(
            f"{place}.{field} is {_shown_or_missing(envelope, field)}, expected a text that is a JSON object"
        )
    return message


def completed_recovery_point(event: Mapping[str, Any]) -> str | None:
    """The recovery point that a BackupCompleted names; None if it names none. Raises BadRequest."""
    message = parse_notification(event)
    if message.get("event") != "BackupCompleted":
        raise BadRequest(
            f"Records[0].Sns.Message.event is {_shown_or_missing(message, 'event')}, expected BackupCompleted"
        )
    subject = message.get("subject")
    named = subject.get("recovery_point") if isinstance(subject, Mapping) else None
    return named if isinstance(named, str) and named else None


def is_event(event: Any) -> bool:
    """Whether this is an event of EventBridge."""
    return isinstance(event, Mapping) and "detail-type" in event


def as_text(value: Any) -> str:
    """The value as text; no text for None."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def _shown_or_missing(envelope: Mapping[str, Any], field: str) -> str:
    return shown(envelope[field]) if field in envelope else "missing"
