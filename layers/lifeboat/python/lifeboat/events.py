"""EARS: EventBridge, SNS, Scheduler and manual JSON become requests; the only reader of envelopes.

An event is a wake-up call, never a fact (principle 1): what is taken from it is *which* resource to look at. What a
person sends is held to a strict model: an unknown field, a wrong id or an absurd number is refused with one sentence,
see `refusals`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from lifeboat.model import Portion, RecoveryPointChoice, RestoreRequest, VolumeFacts, VolumeOverrides
from lifeboat.refusals import BadRequest, Expected, not_expected, read, shown
from lifeboat.requests import (
    AdoptRequest,
    AdvanceRequest,
    BackupRequest,
    CancelRestore,
    CatchUpRequest,
    ConfirmRequest,
    CopyRequest,
    HandedOver,
    ImageRequest,
    PortionRequest,
    PruneRequest,
    RestoreStatus,
    RunStatus,
    Trigger,
)
from lifeboat.rules.devices import EXPECTED as DEVICE_NAME
from lifeboat.rules.devices import naming_problem
from lifeboat.rules.words import is_blank

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
        raise BadRequest(f"Records is {shown(records)}, expected one record of SNS")
    notification = records[0].get("Sns")
    return _object(notification.get("Message") if isinstance(notification, Mapping) else None, "Records[0].Sns.Message")


def _object(text: Any, field: str) -> Mapping[str, Any]:
    """The JSON object that stands as text in an envelope."""
    try:
        message = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, Mapping):
        raise BadRequest(f"{field} is {shown(text)}, expected a JSON object")
    return message


# --- what people, and our own schedules, say


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("it is false")
    return value


def _device(name: str) -> str:
    if problem := naming_problem(name):
        raise not_expected(problem)
    return name


def _words(text: str) -> str:
    if text and is_blank(text):
        raise not_expected("words, or no such field")
    return text


def _reason(text: str) -> str:
    if is_blank(text):
        raise not_expected(REASON)
    return text


def _on_a_clock(text: str) -> str:
    """The text, if it is a time in UTC: at either end of the calendar there is none. Raises ValueError."""
    _utc(text)
    return text


MOMENT = "a time with its zone, such as 2026-11-23T02:00:00Z"
REASON = "a reason in words, at most 1000 characters, for whoever asks later why"

InstanceId = Annotated[
    str,
    StringConstraints(pattern=r"^i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected("an instance's id such as i-0123456789abcdef0"),
]
InstanceIds = Annotated[
    list[InstanceId],
    Field(max_length=1000),
    Expected('a list of at most 1000 instances\' ids, such as ["i-0123456789abcdef0"]'),
]
SavedInstanceId = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{12}/){0,4}i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected(
        "the id of an instance that was backed up, such as i-0123456789abcdef0, or in a vault "
        "111122223333/i-0123456789abcdef0"
    ),
]
"""An instance that was backed up; in a vault it has its account before it."""
SnapshotId = Annotated[
    str,
    StringConstraints(pattern=r"^snap-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected("a snapshot's id such as snap-0123456789abcdef0"),
]
VolumeId = Annotated[
    str,
    StringConstraints(pattern=r"^vol-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected("a volume's id such as vol-0123456789abcdef0"),
]
VolumeType = Annotated[
    Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"],
    Expected("one of gp2, gp3, io1, io2, st1, sc1, standard"),
]
Device = Annotated[str, AfterValidator(_device), Expected(DEVICE_NAME)]
Iops = Annotated[int, Field(ge=100, le=256_000), Expected("a whole number of IOPS from 100 to 256000")]
Throughput = Annotated[int, Field(ge=125, le=2_000), Expected("a whole number of MiB/s from 125 to 2000")]
# A key's id, its alias, or the ARN of either: what CreateVolume takes.
KmsKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)?(key/[A-Za-z0-9-]+|alias/[\w/-]+|[A-Za-z0-9-]+)$",
        max_length=256,
    ),
    Expected("a KMS key's id, its alias such as alias/backup, or the ARN of either"),
]
RECOVERY_POINT = (
    "latest, a recovery point's id such as rp-20261123T020000Z-i-0123456789abcdef0, a snapshot's id such as "
    "snap-0123456789abcdef0, a list of snapshots' ids, or an object with chain or instance_id"
)
RecoveryPointName = Annotated[
    str,
    StringConstraints(pattern=r"^(latest|rp-[0-9A-Za-z+-]{1,120}|snap-([0-9a-f]{8}|[0-9a-f]{17}))$"),
    Expected(RECOVERY_POINT),
]
RestoreId = Annotated[
    str,
    StringConstraints(pattern=r"^restore-[0-9a-f]{16}$"),
    Expected("a restore's id such as restore-0123456789abcdef"),
]
RunId = Annotated[
    str,
    StringConstraints(pattern=r"^(backup|prune|adopt)-[0-9a-f]{16}-[0-9]{8}T[0-9]{6}Z$"),
    Expected("the id that a request got, such as backup-0123456789abcdef-20261123T020000Z"),
]
Words = Annotated[
    str, StringConstraints(max_length=1000), AfterValidator(_words), Expected("a text of at most 1000 characters")
]
"""What a person says, or nothing; blanks are neither."""
Reason = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_reason), Expected(REASON)]
RequestId = Annotated[
    str, StringConstraints(max_length=128), AfterValidator(_words), Expected("a text of at most 128 characters")
]
Name = Annotated[str, StringConstraints(max_length=256), Expected("a text of at most 256 characters")]
Flag = Annotated[bool, Expected("true or false, without quotes")]
Yes = Annotated[bool, AfterValidator(_true), Expected("true, without quotes")]
Moment = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$"),
    AfterValidator(_on_a_clock),
    Expected(MOMENT),
]


class _Ask(BaseModel):
    # Built at its first use: a door reads one or two of these, and building all costs its cold start 30 ms.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class _Backup(_Ask):
    other_forms: ClassVar = ("request", "catch_up")

    instance_ids: InstanceIds = []
    dry_run: Flag = False
    request_id: RequestId = ""
    scheduled_time: Moment | None = None


class _CatchUp(_Ask):
    form: ClassVar = "catch_up"

    catch_up: Yes
    scheduled_time: Moment | None = None


class _Portion(_Ask):
    run: Annotated[str, StringConstraints(min_length=1, max_length=128), Expected("a run's id of 1 to 128 characters")]
    number: Annotated[int, Field(ge=1), Expected("a whole number from 1")]
    of: Annotated[int, Field(ge=1), Expected("a whole number from 1")]
    slot: Moment
    late: Flag
    at_once: Annotated[int, Field(ge=0), Expected("a whole number from 0")]
    instance_ids: Annotated[
        list[InstanceId], Field(min_length=1, max_length=1000), Expected("a list of 1 to 1000 instances' ids")
    ]


class _Sweep(_Ask):
    sweep: Yes = True
    scheduled_time: Moment | None = None


class _Prune(_Ask):
    other_forms: ClassVar = ("request", "adopt")

    dry_run: Flag = False
    request_id: RequestId = ""
    scheduled_time: Moment | None = None


class _Copy(_Sweep):
    retry: Flag = False


class _SnapshotTag(_Ask):
    key: Annotated[
        str, StringConstraints(min_length=1, max_length=128), Expected("the key of a tag, of 1 to 128 characters")
    ]
    value: Annotated[str, StringConstraints(max_length=256), Expected("the value of a tag, of at most 256 characters")]


_TAG = 'an object with key and value, such as {"key": "CreatedBy", "value": "nightly"}'
_ADOPT = 'an object with volume_id or with tag, such as {"volume_id": "vol-0123456789abcdef0"}'


class _Adopted(_Ask):
    volume_id: VolumeId | None = None
    tag: Annotated[_SnapshotTag, Expected(_TAG)] | None = None


class _VolumeFacts(_Ask):
    device: Device | None = None
    type: VolumeType | None = None
    iops: Iops | None = None
    throughput: Throughput | None = None
    delete_on_termination: Flag | None = None
    instance_id: InstanceId | None = None
    instance_name: Name | None = None
    zone: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[a-z0-9-]{1,64}$"),
            Expected("an availability zone's name such as eu-west-1a"),
        ]
        | None
    ) = None


class _Adopt(_Ask):
    form: ClassVar = "adopt"

    adopt: Annotated[_Adopted, Expected(_ADOPT)]
    volume: Annotated[_VolumeFacts, Expected('an object such as {"device": "/dev/sdh", "type": "gp3"}')] | None = None
    confirm: Flag = False
    request_id: RequestId = ""


class _Images(_Ask):
    instance_ids: InstanceIds = []
    scheduled_time: Moment | None = None


_LINE = 'an object with chain or instance_id, such as {"instance_id": "i-0123456789abcdef0"}'


class _Choice(_Ask):
    chain: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=256),
            Expected("a chain's name, which is a volume's id such as vol-0123456789abcdef0"),
        ]
        | None
    ) = None
    instance_id: SavedInstanceId | None = None
    before: Moment | None = None


def _form(value: Any) -> str:
    return "<object>" if isinstance(value, dict) else "<list>" if isinstance(value, list) else "<name>"


class _Override(_Ask):
    reason: Reason


class _Volume(_Ask):
    type: VolumeType | None = None
    size: Annotated[int, Field(ge=1, le=65_536), Expected("a whole number of GiB from 1 to 65536")] | None = None
    iops: Iops | None = None
    throughput: Throughput | None = None
    encrypted: Flag | None = None
    kms_key_id: KmsKey | None = None
    initialization_rate: (
        Annotated[int, Field(ge=100, le=300), Expected("a whole number of MiB/s from 100 to 300")] | None
    ) = None


class _Restore(_Ask):
    other_forms: ClassVar = ("status", "cancel")

    instance_id: InstanceId
    recovery_point: Annotated[
        Annotated[RecoveryPointName, Tag("<name>")]
        | Annotated[
            list[SnapshotId],
            Field(min_length=1, max_length=40),
            Expected("a list of 1 to 40 snapshots' ids"),
            Tag("<list>"),
        ]
        | Annotated[_Choice, Tag("<object>")],
        # Which form it has is asked first, so that an answer speaks of that one alone.
        Discriminator(_form),
        Expected(RECOVERY_POINT),
    ]
    request_id: RequestId = ""
    dry_run: Flag = False
    device: Device | None = None
    ami_override: Annotated[_Override, Expected('an object such as {"reason": "INC-17"}')] | None = None
    volume: Annotated[_Volume, Expected('an object such as {"type": "gp3", "size": 200}')] = _Volume()
    start: Flag | None = None
    requested_by: Words = ""
    reason: Words = ""


class _Cancel(_Ask):
    form: ClassVar = "cancel"

    cancel: RestoreId
    requested_by: Words = ""
    reason: Words = ""


class _Status(_Ask):
    form: ClassVar = "status"

    status: RestoreId


class _RunStatus(_Ask):
    form: ClassVar = "request"

    request: RunId


class _HandedOver(_Ask):
    form: ClassVar = "carry_out"

    carry_out: RunId
    lease: Annotated[
        str, StringConstraints(min_length=1, max_length=128), Expected("the id of the invocation that handed it over")
    ]
    ask: Annotated[dict[str, Any], Expected("the request that is to be carried out, as a person sent it")]


def _handed_over[Request](
    event: Mapping[str, Any], read_ask: Callable[[Mapping[str, Any]], Request]
) -> HandedOver[Request]:
    """What the function itself sends: a run by hand for this invocation to carry out."""
    told = read(_HandedOver, event)
    return HandedOver(told.carry_out, told.lease, read_ask(told.ask))


def snapshot_request(
    event: Mapping[str, Any],
) -> BackupRequest | CatchUpRequest | PortionRequest | RunStatus | HandedOver[BackupRequest]:
    """take_snapshots: a schedule's slot, the look for slots that were missed, a portion of a fleet, or a person.

    A person may also ask what came of a run; the function itself hands a person's request over.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return _portion_request(event)
    if isinstance(event, Mapping) and event.get("detail-type") == SCHEDULED:
        return BackupRequest(Trigger.SCHEDULE, slot=_time("time", _text(event.get("time"))))
    if isinstance(event, Mapping) and "catch_up" in event:
        read(_CatchUp, event)
        return CatchUpRequest()
    if isinstance(event, Mapping) and "request" in event:
        return RunStatus(read(_RunStatus, event).request)
    if isinstance(event, Mapping) and "carry_out" in event:
        return _handed_over(event, _backup_request)
    return _backup_request(event)


def _backup_request(event: Mapping[str, Any]) -> BackupRequest:
    ask = read(_Backup, event)
    return BackupRequest(
        trigger=Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL,
        slot=_time("scheduled_time", ask.scheduled_time) if ask.scheduled_time else None,
        instance_ids=tuple(dict.fromkeys(ask.instance_ids)),
        dry_run=ask.dry_run,
        request_id=ask.request_id,
    )


def _portion_request(event: Mapping[str, Any]) -> PortionRequest:
    """What the work queue delivers; always one record."""
    records = event["Records"]
    record = records[0] if isinstance(records, list) and len(records) == 1 else None
    if not isinstance(record, Mapping) or record.get("eventSource") != "aws:sqs":
        raise BadRequest(f"Records is {shown(records)}, expected one record of SQS")
    ask = read(_Portion, _object(record.get("body"), "Records[0].body"))
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
        read(_Sweep, event)
        return ConfirmRequest(sweep=True)
    fact = hear(event)
    if fact.kind not in (SNAPSHOT, SNAPSHOT_SET) or not fact.snapshot_ids:
        raise BadRequest(f"detail-type is {shown(fact.kind)} about no snapshot, expected an event that names one")
    return ConfirmRequest(snapshot_ids=fact.snapshot_ids)


def restore_request(event: Mapping[str, Any]) -> RestoreRequest | CancelRestore | RestoreStatus:
    """restore_volume: a person asks for a restore, calls one off, or asks how one stands."""
    if isinstance(event, Mapping) and "status" in event:
        return RestoreStatus(read(_Status, event).status)
    if isinstance(event, Mapping) and "cancel" in event:
        off = read(_Cancel, event)
        return CancelRestore(off.cancel, off.requested_by, off.reason)
    ask = read(_Restore, event)
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
        if asked == _Choice():
            raise BadRequest(f"recovery_point is {shown(asked.model_dump(exclude_unset=True))}, expected {_LINE}")
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
        if fact.kind != SNAPSHOT:
            raise BadRequest(f"detail-type is {shown(fact.kind)}, expected {SNAPSHOT}")
        if fact.event != COPIED:
            raise BadRequest(f"detail.event is {shown(fact.event)}, expected {COPIED}")
        if not fact.snapshot_ids:
            raise BadRequest(f"detail-type is {shown(fact.kind)} about no snapshot, expected an event that names one")
        return CopyRequest(ended=fact.snapshot_ids)
    return CopyRequest(retry=read(_Copy, event).retry)


def _completed(event: Mapping[str, Any]) -> str | None:
    """The recovery point that a BackupCompleted tells of; None if it does not say."""
    message = _message_of(event)
    if message.get("event") != "BackupCompleted":
        raise BadRequest(f"event is {shown(message.get('event'))}, expected BackupCompleted")
    subject = message.get("subject")
    named = subject.get("recovery_point") if isinstance(subject, Mapping) else None
    return named if isinstance(named, str) and named else None


def prune_request(
    event: Mapping[str, Any],
) -> PruneRequest | AdoptRequest | RunStatus | HandedOver[PruneRequest | AdoptRequest]:
    """prune_snapshots: BackupCompleted, the daily schedule, or a person, who may also adopt existing snapshots, or ask
    what came of a run; the function itself hands a person's request over.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return PruneRequest(Trigger.EVENT, completed=_completed(event))
    if isinstance(event, Mapping) and "request" in event:
        return RunStatus(read(_RunStatus, event).request)
    if isinstance(event, Mapping) and "carry_out" in event:
        return _handed_over(event, _retention_request)
    return _retention_request(event)


def _retention_request(event: Mapping[str, Any]) -> PruneRequest | AdoptRequest:
    if isinstance(event, Mapping) and "adopt" in event:
        return _adopt_request(read(_Adopt, event))
    ask = read(_Prune, event)
    trigger = Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL
    return PruneRequest(trigger, dry_run=ask.dry_run, request_id=ask.request_id)


def _adopt_request(ask: _Adopt) -> AdoptRequest:
    named, tag = ask.adopt, ask.adopt.tag
    if (named.volume_id is None) is (tag is None):
        both = shown(named.model_dump(exclude_unset=True))
        raise BadRequest(f"adopt is {both}, expected either volume_id or tag in it")
    if ask.volume and tag:
        told = shown(ask.volume.model_dump(exclude_unset=True))
        raise BadRequest(
            f"volume is {told} beside adopt.tag, expected it only beside adopt.volume_id, for it is about one volume"
        )
    return AdoptRequest(
        volume_id=named.volume_id,
        tag=(tag.key, tag.value) if tag else None,
        facts=VolumeFacts(**ask.volume.model_dump()) if ask.volume else VolumeFacts(),
        confirm=ask.confirm,
        request_id=ask.request_id,
    )


def advance_request(event: Mapping[str, Any]) -> AdvanceRequest:
    """attach_volume: a volume's or an instance's event, the end of a copy, or the sweep."""
    if not _is_event(event):
        read(_Sweep, event)
        return AdvanceRequest(sweep=True)
    fact = hear(event)
    if fact.kind == SNAPSHOT and fact.event == COPIED and fact.snapshot_ids:
        return AdvanceRequest(copy_ids=fact.snapshot_ids)
    if not fact.volume_ids and not fact.instance_ids:
        raise BadRequest(
            f"detail-type is {shown(fact.kind)} about no volume or instance, expected an event that names one"
        )
    return AdvanceRequest(volume_ids=fact.volume_ids, instance_ids=fact.instance_ids)


def image_request(event: Mapping[str, Any]) -> ImageRequest:
    """check_ami_owner: an instance's event, the daily schedule, or a person."""
    if _is_event(event):
        fact = hear(event)
        if fact.kind != INSTANCE:
            raise BadRequest(f"detail-type is {shown(fact.kind)}, expected {INSTANCE}")
        if not fact.instance_ids:
            raise BadRequest(f"detail-type is {shown(fact.kind)} about no instance, expected an event that names one")
        return ImageRequest(Trigger.EVENT, fact.instance_ids)
    ask = read(_Images, event)
    return ImageRequest(
        Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL, tuple(dict.fromkeys(ask.instance_ids))
    )


def _is_event(event: Any) -> bool:
    return isinstance(event, Mapping) and "detail-type" in event


def _time(field: str, text: str) -> datetime:
    try:
        return _utc(text).replace(microsecond=0)
    except ValueError:
        raise BadRequest(f"{field} is {shown(text)}, expected {MOMENT}") from None


def _utc(text: str) -> datetime:
    """The time in UTC. Raises ValueError for what is none, or has no zone."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("it has no zone")
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no clock shows it") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _keys(event: Any) -> str:
    return ", ".join(sorted(map(str, event))) if isinstance(event, Mapping) else type(event).__name__
