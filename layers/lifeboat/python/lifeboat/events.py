"""EARS: EventBridge, SNS, Scheduler and manual JSON become requests; the only reader of envelopes.

An event is a wake-up call, never a fact (principle 1): what is taken from it is *which* resource to look at. What a
person sends is held to a strict model: an unknown field, a wrong id or an absurd number is refused with one sentence
that names the field, the value and what was expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from lifeboat.model import Portion, RecoveryPointChoice, RestoreRequest, VolumeFacts, VolumeOverrides
from lifeboat.requests import (
    AdoptRequest,
    AdvanceRequest,
    BackupRequest,
    CancelRestore,
    CatchUpRequest,
    ConfirmRequest,
    CopyRequest,
    ImageRequest,
    PortionRequest,
    PruneRequest,
    RestoreStatus,
    Trigger,
)
from lifeboat.rules.devices import naming_problem
from lifeboat.rules.words import is_blank

SHOWN = 80
"""How many characters of a wrong value an answer repeats."""


class BadRequest(ValueError):  # noqa: N818 - the name an answer carries
    """What was asked cannot be done; the message is one sentence for a person."""


# --- what AWS says


@dataclass(frozen=True, slots=True)
class Fact:
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

_IDS = {
    "snapshot_ids": re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "volume_ids": re.compile(r"vol-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "instance_ids": re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
    "image_ids": re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})"),
}


def hear(event: Mapping[str, Any]) -> Fact:
    """Read an event of EventBridge. Raises BadRequest when it is not one, or none that Lifeboat knows."""
    if not isinstance(event, Mapping) or "detail-type" not in event:
        raise BadRequest(f"event has no detail-type but {_shown(_keys(event))}, expected an event of EventBridge")
    kind = event["detail-type"]
    if kind not in KINDS:
        raise BadRequest(f"detail-type is {_shown(kind)}, expected one of {', '.join(KINDS)}")
    detail = event.get("detail")
    if detail == "{}":  # Scheduler's default notification carries its detail as text
        detail = {}
    if not isinstance(detail, Mapping):
        raise BadRequest(f"detail of {kind} is {_shown(detail)}, expected an object")
    mentioned = _mentioned(event, kind, detail)
    return Fact(
        kind=kind,
        # A published sample has a blank before the event's name.
        event=_text(detail.get("event") or detail.get("eventName")).strip(),
        result=_text(detail.get("result") or detail.get("state") or detail.get("State")),
        account=_text(event.get("account")),
        region=_text(event.get("region")),
        at=_text(event.get("time")),
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
    return {field: tuple(dict.fromkeys(item for item in last if form.fullmatch(item))) for field, form in _IDS.items()}


def _message_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """What SNS delivers; always one record."""
    records = event.get("Records")
    if not isinstance(records, list) or len(records) != 1 or not isinstance(records[0], Mapping):
        raise BadRequest(f"Records is {_shown(records)}, expected one record of SNS")
    notification = records[0].get("Sns")
    return _object(notification.get("Message") if isinstance(notification, Mapping) else None, "Records[0].Sns.Message")


def _object(text: Any, field: str) -> Mapping[str, Any]:
    """The JSON object that stands as text in an envelope."""
    try:
        message = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, Mapping):
        raise BadRequest(f"{field} is {_shown(text)}, expected a JSON object")
    return message


# --- what people, and our own schedules, say

_EXPECTED = "expected"
"""The type of our own errors, whose message says what is expected in a person's words."""


def _device(name: str) -> str:
    problem = naming_problem(name)
    if problem:
        raise PydanticCustomError(_EXPECTED, "{problem}", {"problem": problem})
    return name


def _words(text: str) -> str:
    if text and is_blank(text):
        raise PydanticCustomError(_EXPECTED, "words, or no such field")
    return text


def _reason(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError(_EXPECTED, "a reason in words, for whoever asks later why")
    return text


InstanceId = Annotated[str, StringConstraints(pattern=r"^i-([0-9a-f]{8}|[0-9a-f]{17})$")]
SavedInstanceId = Annotated[str, StringConstraints(pattern=r"^([0-9]{12}/){0,4}i-([0-9a-f]{8}|[0-9a-f]{17})$")]
"""An instance that was backed up; in a vault it has its account before it."""
SnapshotId = Annotated[str, StringConstraints(pattern=r"^snap-([0-9a-f]{8}|[0-9a-f]{17})$")]
VolumeId = Annotated[str, StringConstraints(pattern=r"^vol-([0-9a-f]{8}|[0-9a-f]{17})$")]
VolumeType = Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]
Device = Annotated[str, AfterValidator(_device)]
Iops = Annotated[int, Field(ge=100, le=256_000)]
Throughput = Annotated[int, Field(ge=125, le=2_000)]
# A key's id, its alias, or the ARN of either: what CreateVolume takes.
KmsKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)?(key/[A-Za-z0-9-]+|alias/[\w/-]+|[A-Za-z0-9-]+)$",
        max_length=256,
    ),
]
RecoveryPointName = Annotated[
    str, StringConstraints(pattern=r"^(latest|rp-[0-9A-Za-z+-]{1,120}|snap-([0-9a-f]{8}|[0-9a-f]{17}))$")
]
RestoreId = Annotated[str, StringConstraints(pattern=r"^restore-[0-9a-f]{16}$")]
Words = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_words)]
"""What a person says, or nothing; blanks are neither."""
Reason = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_reason)]
RequestId = Annotated[str, StringConstraints(max_length=128), AfterValidator(_words)]
Moment = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$")
]


class _Ask(BaseModel):
    # Built at its first use: a door reads one or two of these, and building all costs its cold start 30 ms.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class _Backup(_Ask):
    scheduled_time: Moment | None = None
    instance_ids: Annotated[list[InstanceId], Field(max_length=1000)] = []
    dry_run: bool = False


class _CatchUp(_Ask):
    catch_up: Literal[True]
    scheduled_time: Moment | None = None


class _Portion(_Ask):
    run: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    number: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]
    slot: Moment
    late: bool
    at_once: Annotated[int, Field(ge=0)]
    instance_ids: Annotated[list[InstanceId], Field(min_length=1, max_length=1000)]


class _Sweep(_Ask):
    sweep: Literal[True] = True
    scheduled_time: Moment | None = None


class _Prune(_Ask):
    scheduled_time: Moment | None = None
    dry_run: bool = False


class _Copy(_Sweep):
    retry: bool = False


class _SnapshotTag(_Ask):
    key: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    value: Annotated[str, StringConstraints(max_length=256)]


class _Adopted(_Ask):
    volume_id: VolumeId | None = None
    tag: _SnapshotTag | None = None


class _VolumeFacts(_Ask):
    device: Device | None = None
    type: VolumeType | None = None
    iops: Iops | None = None
    throughput: Throughput | None = None
    delete_on_termination: bool | None = None
    instance_id: InstanceId | None = None
    instance_name: Annotated[str, StringConstraints(max_length=256)] | None = None
    zone: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")] | None = None


class _Adopt(_Ask):
    adopt: _Adopted
    volume: _VolumeFacts | None = None
    confirm: bool = False


class _Images(_Ask):
    scheduled_time: Moment | None = None
    instance_ids: Annotated[list[InstanceId], Field(max_length=1000)] = []


class _Choice(_Ask):
    chain: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    instance_id: SavedInstanceId | None = None
    before: Moment | None = None


class _Override(_Ask):
    reason: Reason


class _Volume(_Ask):
    type: VolumeType | None = None
    size: Annotated[int, Field(ge=1, le=65_536)] | None = None
    iops: Iops | None = None
    throughput: Throughput | None = None
    encrypted: bool | None = None
    kms_key_id: KmsKey | None = None
    initialization_rate: Annotated[int, Field(ge=100, le=300)] | None = None


class _Restore(_Ask):
    instance_id: InstanceId
    recovery_point: RecoveryPointName | Annotated[list[SnapshotId], Field(min_length=1, max_length=40)] | _Choice
    request_id: RequestId = ""
    dry_run: bool = False
    device: Device | None = None
    ami_override: _Override | None = None
    volume: _Volume = _Volume()
    start: bool | None = None
    requested_by: Words = ""
    reason: Words = ""


class _Cancel(_Ask):
    cancel: RestoreId
    requested_by: Words = ""
    reason: Words = ""


class _Status(_Ask):
    status: RestoreId


def snapshot_request(event: Mapping[str, Any]) -> BackupRequest | CatchUpRequest | PortionRequest:
    """take_snapshots: a schedule's slot, the look for slots that were missed, a portion of a fleet, or a person."""
    if isinstance(event, Mapping) and "Records" in event:
        return _portion_request(event)
    if isinstance(event, Mapping) and event.get("detail-type") == SCHEDULED:
        return BackupRequest(Trigger.SCHEDULE, slot=_time("time", _text(event.get("time"))))
    if isinstance(event, Mapping) and "catch_up" in event:
        _read(_CatchUp, event)
        return CatchUpRequest()
    ask = _read(_Backup, event)
    return BackupRequest(
        trigger=Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL,
        slot=_time("scheduled_time", ask.scheduled_time) if ask.scheduled_time else None,
        instance_ids=tuple(dict.fromkeys(ask.instance_ids)),
        dry_run=ask.dry_run,
    )


def _portion_request(event: Mapping[str, Any]) -> PortionRequest:
    """What the work queue delivers; always one record."""
    records = event["Records"]
    record = records[0] if isinstance(records, list) and len(records) == 1 else None
    if not isinstance(record, Mapping) or record.get("eventSource") != "aws:sqs":
        raise BadRequest(f"Records is {_shown(records)}, expected one record of SQS")
    ask = _read(_Portion, _object(record.get("body"), "Records[0].body"))
    received = record.get("attributes")
    count = _text(received.get("ApproximateReceiveCount")) if isinstance(received, Mapping) else ""
    return PortionRequest(
        Portion(
            run=ask.run,
            number=ask.number,
            of=ask.of,
            slot=_time("slot", ask.slot),
            instance_ids=tuple(dict.fromkeys(ask.instance_ids)),
            late=ask.late,
            at_once=ask.at_once,
        ),
        message_id=_text(record.get("messageId")),
        receipt=_text(record.get("receiptHandle")),
        attempt=int(count) if re.fullmatch("[0-9]{1,9}", count) else 1,
    )


def confirm_request(event: Mapping[str, Any]) -> ConfirmRequest:
    """confirm_snapshots: an EBS snapshot event, or the sweep."""
    if not _is_event(event):
        _read(_Sweep, event)
        return ConfirmRequest(sweep=True)
    fact = hear(event)
    if fact.kind not in (SNAPSHOT, SNAPSHOT_SET) or not fact.snapshot_ids:
        raise BadRequest(f"detail-type is {_shown(fact.kind)} about no snapshot, expected a snapshot's event")
    return ConfirmRequest(snapshot_ids=fact.snapshot_ids)


def restore_request(event: Mapping[str, Any]) -> RestoreRequest | CancelRestore | RestoreStatus:
    """restore_volume: a person asks for a restore, calls one off, or asks how one stands."""
    if isinstance(event, Mapping) and "status" in event:
        return RestoreStatus(_read(_Status, event).status)
    if isinstance(event, Mapping) and "cancel" in event:
        off = _read(_Cancel, event)
        return CancelRestore(off.cancel, off.requested_by, off.reason)
    ask = _read(_Restore, event)
    return RestoreRequest(
        instance_id=ask.instance_id,
        request_id=ask.request_id,
        recovery_point=_choice(ask.recovery_point),
        dry_run=ask.dry_run,
        device=ask.device,
        ami_override_reason=ask.ami_override.reason if ask.ami_override else None,
        volume=VolumeOverrides(**ask.volume.model_dump()),
        start=ask.start,
        requested_by=ask.requested_by,
        reason=ask.reason,
    )


def _choice(asked: str | list[str] | _Choice) -> RecoveryPointChoice:
    if isinstance(asked, _Choice):
        before = _time("recovery_point.before", asked.before) if asked.before else None
        return RecoveryPointChoice(chain=asked.chain, instance_id=asked.instance_id, before=before)
    if isinstance(asked, list):
        return RecoveryPointChoice(snapshot_ids=tuple(dict.fromkeys(asked)))
    if asked == "latest":
        return RecoveryPointChoice()
    if _IDS["snapshot_ids"].fullmatch(asked):
        return RecoveryPointChoice(snapshot_ids=(asked,))
    return RecoveryPointChoice(id=asked)


def copy_request(event: Mapping[str, Any]) -> CopyRequest:
    """copy_snapshots: BackupCompleted, the end of a copy, the sweep, or a person, who may ask for another try."""
    if isinstance(event, Mapping) and "Records" in event:
        return CopyRequest(completed=_completed(event))
    if _is_event(event):
        fact = hear(event)
        if fact.kind != SNAPSHOT or fact.event != COPIED or not fact.snapshot_ids:
            raise BadRequest(
                f"detail-type is {_shown(fact.kind)} of {_shown(fact.event)}, expected {SNAPSHOT} of {COPIED}"
            )
        return CopyRequest(ended=fact.snapshot_ids)
    return CopyRequest(retry=_read(_Copy, event).retry)


def _completed(event: Mapping[str, Any]) -> str | None:
    """The recovery point that a BackupCompleted tells of; None if it does not say."""
    message = _message_of(event)
    if message.get("event") != "BackupCompleted":
        raise BadRequest(f"event is {_shown(message.get('event'))}, expected BackupCompleted")
    subject = message.get("subject")
    named = subject.get("recovery_point") if isinstance(subject, Mapping) else None
    return named if isinstance(named, str) and named else None


def prune_request(event: Mapping[str, Any]) -> PruneRequest | AdoptRequest:
    """prune_snapshots: BackupCompleted, the daily schedule, or a person, who may also adopt existing snapshots."""
    if isinstance(event, Mapping) and "Records" in event:
        return PruneRequest(Trigger.EVENT, completed=_completed(event))
    if isinstance(event, Mapping) and "adopt" in event:
        return _adopt_request(_read(_Adopt, event))
    ask = _read(_Prune, event)
    return PruneRequest(Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL, dry_run=ask.dry_run)


def _adopt_request(ask: _Adopt) -> AdoptRequest:
    named, tag = ask.adopt, ask.adopt.tag
    if (named.volume_id is None) is (tag is None):
        raise BadRequest(f"adopt has {'both' if tag else 'neither of'} volume_id and tag, expected one of them")
    if ask.volume and tag:
        raise BadRequest(
            "volume is told beside adopt.tag, expected it only beside adopt.volume_id: it is of one volume"
        )
    return AdoptRequest(
        volume_id=named.volume_id,
        tag=(tag.key, tag.value) if tag else None,
        facts=VolumeFacts(**ask.volume.model_dump()) if ask.volume else VolumeFacts(),
        confirm=ask.confirm,
    )


def advance_request(event: Mapping[str, Any]) -> AdvanceRequest:
    """attach_volume: a volume's or an instance's event, the end of a copy, or the sweep."""
    if not _is_event(event):
        _read(_Sweep, event)
        return AdvanceRequest(sweep=True)
    fact = hear(event)
    if fact.kind == SNAPSHOT and fact.event == COPIED and fact.snapshot_ids:
        return AdvanceRequest(copy_ids=fact.snapshot_ids)
    if not fact.volume_ids and not fact.instance_ids:
        raise BadRequest(f"detail-type is {_shown(fact.kind)} about no volume or instance, expected one of those")
    return AdvanceRequest(volume_ids=fact.volume_ids, instance_ids=fact.instance_ids)


def image_request(event: Mapping[str, Any]) -> ImageRequest:
    """check_ami_owner: an instance's event, the daily schedule, or a person."""
    if _is_event(event):
        fact = hear(event)
        if fact.kind != INSTANCE or not fact.instance_ids:
            raise BadRequest(f"detail-type is {_shown(fact.kind)}, expected {INSTANCE}")
        return ImageRequest(Trigger.EVENT, fact.instance_ids)
    ask = _read(_Images, event)
    return ImageRequest(
        Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL, tuple(dict.fromkeys(ask.instance_ids))
    )


def _is_event(event: Any) -> bool:
    return isinstance(event, Mapping) and "detail-type" in event


def _read[Model: BaseModel](model: type[Model], event: Any) -> Model:
    try:
        return model.model_validate(event)
    except ValidationError as problem:
        raise BadRequest(_sentence(problem)) from None


def _sentence(problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_context=False)[0]
    field = _printable(" ".join(".".join(str(part) for part in first["loc"])[:SHOWN].split())) or "event"
    if first["type"] == "extra_forbidden":
        return f"{field} is {_shown(first['input'])}, expected no such field"
    if first["type"] == "missing":
        return f"{field} is missing, expected a value"
    if first["type"] == _EXPECTED:
        return f"{field} is {_shown(first['input'])}, expected {first['msg']}"
    return f"{field} is {_shown(first['input'])}, expected: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _printable(text: str) -> str:
    """The text with what a terminal could obey in its escaped form: people read answers and logs in one."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _time(field: str, text: str) -> datetime:
    at: datetime | None
    try:
        at = datetime.fromisoformat(text)
        at = at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):  # at either end of the calendar there is no such time in UTC
        at = None
    if at is None:
        raise BadRequest(f"{field} is {_shown(text)}, expected a time such as 2026-11-23T02:00:00Z")
    return at.replace(microsecond=0)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _keys(event: Any) -> str:
    return ", ".join(sorted(map(str, event))) if isinstance(event, Mapping) else type(event).__name__


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
