"""Requests of restore_volume and attach_volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, StringConstraints, Tag

from lifeboat.domain.bad_request import BadRequest, Expected, read, shown
from lifeboat.domain.envelopes import COPIED, ID_PATTERNS, SNAPSHOT, is_event, parse_event
from lifeboat.domain.fields import (
    Device,
    Fields,
    Flag,
    InstanceId,
    Iops,
    KmsKey,
    Moment,
    Reason,
    ReconcileFields,
    RequestId,
    RestoreId,
    SavedInstanceId,
    SnapshotId,
    Throughput,
    VolumeType,
    Words,
    parse_time,
)


@dataclass(frozen=True, slots=True)
class RecoveryPointChoice:
    """Which recovery point a person asks for. With nothing set: the latest good one that can only be meant.

    `id` names a recovery point, `snapshot_ids` its snapshots; `chain` or `instance_id` (the instance that was backed
    up, perhaps long gone) name a line of data, of which the newest good point before `before` is taken.
    """

    id: str | None = None
    snapshot_ids: tuple[str, ...] = ()
    lineage: str | None = None
    instance_id: str | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class VolumeOverrides:
    """What a person wants different from what the snapshot's story tells. None: as it was."""

    type: str | None = None
    size: int | None = None
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool | None = None
    kms_key_id: str | None = None
    initialization_rate: int | None = None


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What a person asks for. `start`: True and False decide, None leaves the instance running or stopped as it was.

    `request_id` makes asking twice one restore. `device` names the displaced volume by its place.
    """

    instance_id: str
    request_id: str
    recovery_point: RecoveryPointChoice = field(default_factory=RecoveryPointChoice)
    dry_run: bool = False
    device: str | None = None
    ami_override_reason: str | None = None
    volume: VolumeOverrides = field(default_factory=VolumeOverrides)
    start: bool | None = None
    requested_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AdvanceRequest:
    """Move on the restores that these belong to, or with `sweep` all open ones. `copy_ids` are snapshots' copies."""

    volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    copy_ids: tuple[str, ...] = ()
    reconcile: bool = False


@dataclass(frozen=True, slots=True)
class CancelRestore:
    """Roll back what has not been committed."""

    restore_id: str
    requested_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RestoreStatus:
    """Tell where a restore stands."""

    restore_id: str


RECOVERY_POINT = (
    "latest, a recovery point's id such as rp-20261123T020000Z-i-0123456789abcdef0, a snapshot's id such as "
    "snap-0123456789abcdef0, a list of snapshots' ids, or an object with chain or instance_id"
)


RecoveryPointName = Annotated[
    str,
    StringConstraints(pattern=r"^(latest|rp-[0-9A-Za-z+-]{1,120}|snap-([0-9a-f]{8}|[0-9a-f]{17}))$"),
    Expected(RECOVERY_POINT),
]


_LINE = 'an object with chain or instance_id, such as {"instance_id": "i-0123456789abcdef0"}'


class _Choice(Fields):
    lineage: (
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


class _Override(Fields):
    reason: Reason


class _Volume(Fields):
    type: VolumeType | None = None
    size: Annotated[int, Field(ge=1, le=65_536), Expected("a whole number of GiB from 1 to 65536")] | None = None
    iops: Iops | None = None
    throughput: Throughput | None = None
    encrypted: Flag | None = None
    kms_key_id: KmsKey | None = None
    initialization_rate: (
        Annotated[int, Field(ge=100, le=300), Expected("a whole number of MiB/s from 100 to 300")] | None
    ) = None


class _Restore(Fields):
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


class _Cancel(Fields):
    form: ClassVar = "cancel"

    cancel: RestoreId
    requested_by: Words = ""
    reason: Words = ""


class _Status(Fields):
    form: ClassVar = "status"

    status: RestoreId


def parse_restore(event: Mapping[str, Any]) -> RestoreRequest | CancelRestore | RestoreStatus:
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
        before = parse_time("recovery_point.before", asked.before) if asked.before else None
        return RecoveryPointChoice(lineage=asked.lineage, instance_id=asked.instance_id, before=before)
    if isinstance(asked, list):
        return RecoveryPointChoice(snapshot_ids=tuple(dict.fromkeys(asked)))
    if asked == "latest":
        return RecoveryPointChoice()
    if ID_PATTERNS["snapshot_ids"].fullmatch(asked):
        return RecoveryPointChoice(snapshot_ids=(asked,))
    return RecoveryPointChoice(id=asked)


def parse_advance(event: Mapping[str, Any]) -> AdvanceRequest:
    """attach_volume: a volume's or an instance's event, the end of a copy, or the sweep."""
    if not is_event(event):
        read(ReconcileFields, event)
        return AdvanceRequest(reconcile=True)
    fact = parse_event(event)
    if fact.kind == SNAPSHOT and fact.event == COPIED and fact.snapshot_ids:
        return AdvanceRequest(copy_ids=fact.snapshot_ids)
    if not fact.volume_ids and not fact.instance_ids:
        raise BadRequest(
            f"detail-type is {shown(fact.kind)} about no volume or instance, expected an event that names one"
        )
    return AdvanceRequest(volume_ids=fact.volume_ids, instance_ids=fact.instance_ids)
