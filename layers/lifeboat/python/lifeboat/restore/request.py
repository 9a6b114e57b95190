"""Requests of restore_volume and attach_volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from lifeboat.by_hand.request import HandedOver, RunStatus, parse_handed_over
from lifeboat.domain.bad_request import INTERNAL, Expected, Fields, adapter, not_expected, parse
from lifeboat.domain.envelopes import COPIED, INSTANCE, SNAPSHOT, VOLUME, is_event, parse_event
from lifeboat.domain.fields import (
    RECOVERY_POINT_ID,
    Device,
    Flag,
    InstanceId,
    Iops,
    KmsKey,
    LineageName,
    Moment,
    Reason,
    ReconcileRequest,
    RequestId,
    RestoreId,
    SavedInstanceId,
    SnapshotId,
    Throughput,
    VolumeType,
    Words,
)
from lifeboat.domain.text import iso

RECOVERY_POINT = (
    "latest, latest-proven, a recovery point's id such as rp-20261123T020000Z-i-0123456789abcdef0, a snapshot's id "
    "such as snap-0123456789abcdef0, a list of snapshots' ids, or an object with lineage or instance_id"
)


_SNAPSHOT_IDS = Annotated[
    tuple[SnapshotId, ...], Field(min_length=1, max_length=40), Expected("a list of 1 to 40 snapshots' ids")
]


@dataclass(frozen=True, slots=True)
class RecoveryPointChoice(Fields):
    """Which recovery point to restore. With nothing set: the latest good one, if only one lineage can be meant.

    `id` names a recovery point, `snapshot_ids` its snapshots. `lineage` or `instance_id` (the instance that was backed
    up, perhaps long gone) name the data, of which the newest good recovery point before `before` is taken. `proven`:
    only one that was read back is taken.
    """

    lineage: LineageName | None = None
    instance_id: SavedInstanceId | None = None
    before: Moment | None = None
    proven: Flag = False
    id: Annotated[str | None, INTERNAL] = None
    snapshot_ids: Annotated[tuple[str, ...], INTERNAL] = ()

    def as_sent(self) -> str | list[str] | dict[str, Any]:
        """The choice as a request has it."""
        before = iso(self.before) if self.before else None
        named = {"lineage": self.lineage, "instance_id": self.instance_id, "before": before, "proven": self.proven}
        return self.id or list(self.snapshot_ids) or {key: value for key, value in named.items() if value} or "latest"


def _parse_choice(value: Any, parse_object: ValidatorFunctionWrapHandler) -> RecoveryPointChoice:
    """Parse `latest`, an id, a list of ids or an object."""
    if isinstance(value, list):
        return RecoveryPointChoice(snapshot_ids=tuple(dict.fromkeys(adapter(_SNAPSHOT_IDS).validate_python(value))))
    if isinstance(value, dict):
        choice: RecoveryPointChoice = parse_object(value)
        if choice == RecoveryPointChoice():
            raise not_expected('an object with lineage or instance_id, such as {"instance_id": "i-0123456789abcdef0"}')
        return choice
    if value == "latest":
        return RecoveryPointChoice()
    if value == "latest-proven":
        return RecoveryPointChoice(proven=True)
    if isinstance(value, str) and value.startswith("snap-"):
        return RecoveryPointChoice(snapshot_ids=(adapter(SnapshotId).validate_python(value),))
    if isinstance(value, str) and RECOVERY_POINT_ID.fullmatch(value):
        return RecoveryPointChoice(id=value)
    raise not_expected(RECOVERY_POINT)


@dataclass(frozen=True, slots=True)
class AmiOverride(Fields):
    """Restore, for this reason, although the AMI is not trusted or is an older platform than the data's."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class VolumeOverrides(Fields):
    """What the new volume is to have instead of the recorded settings. None: as recorded."""

    type: VolumeType | None = None
    size: (
        Annotated[int, Field(strict=True, ge=1, le=65_536), Expected("a whole number of GiB from 1 to 65536")] | None
    ) = None
    iops: Iops | None = None
    throughput: Throughput | None = None
    encrypted: Flag | None = None
    kms_key_id: KmsKey | None = None
    initialization_rate: (
        Annotated[int, Field(strict=True, ge=100, le=300), Expected("a whole number of MiB/s from 100 to 300")] | None
    ) = None


@dataclass(frozen=True, slots=True)
class RestoreRequest(Fields):
    """Restore a recovery point onto the instance `instance_id`.

    `request_id` makes a repeated request the same restore. `device` names the volume to displace by its device name.
    `start`: whether to start the instance; None leaves it running or stopped as it was.
    """

    other_forms = ("status", "cancel", "request", "list")

    instance_id: InstanceId
    recovery_point: Annotated[RecoveryPointChoice, WrapValidator(_parse_choice), Expected(RECOVERY_POINT)]
    request_id: RequestId = ""
    dry_run: Flag = False
    device: Device | None = None
    ami_override: Annotated[AmiOverride, Expected('an object such as {"reason": "INC-17"}')] | None = None
    volume: Annotated[VolumeOverrides, Expected('an object such as {"type": "gp3", "size": 200}')] = VolumeOverrides()
    start: Flag | None = None
    requested_by: Words = ""
    reason: Words = ""

    @property
    def ami_override_reason(self) -> str | None:
        return self.ami_override.reason if self.ami_override else None

    def as_sent(self) -> dict[str, Any]:
        """The request as it can be sent again."""
        volume = {name: value for name, value in asdict(self.volume).items() if value is not None}
        sent = {**asdict(self), "recovery_point": self.recovery_point.as_sent(), "volume": volume}
        return {name: value for name, value in sent.items() if value not in (None, "", {})}


@dataclass(frozen=True, slots=True)
class CancelRestore(Fields):
    """Roll the restore back, unless it is committed."""

    form = "cancel"

    restore_id: Annotated[RestoreId, Field(alias="cancel")]
    requested_by: Words = ""
    reason: Words = ""


@dataclass(frozen=True, slots=True)
class RestoreStatus(Fields):
    """Answer the state of the restore."""

    form = "status"

    restore_id: Annotated[RestoreId, Field(alias="status")]


@dataclass(frozen=True, slots=True)
class ListPoints(Fields):
    """List the recovery points, of one backed-up instance if it is named."""

    form = "list"

    list: Annotated[Literal[True], Expected("true")]
    instance_id: SavedInstanceId | None = None


@dataclass(frozen=True, slots=True)
class AdvanceRequest:
    """Advance the restores that have these resources, or with `reconcile` all open ones.

    `copy_ids` are copies of snapshots.
    """

    volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    copy_ids: tuple[str, ...] = ()
    reconcile: bool = False


def parse_restore(
    event: Mapping[str, Any],
) -> RestoreRequest | CancelRestore | RestoreStatus | ListPoints | RunStatus | HandedOver[RestoreRequest]:
    """Parse a request of restore_volume. Raises BadRequest.

    A person requests, rehearses, cancels, lists or asks after. The function itself continues a rehearsal.
    """
    if isinstance(event, Mapping) and "carry_out" in event:
        return parse_handed_over(event, lambda original: parse(original, RestoreRequest))
    if isinstance(event, Mapping) and "request" in event:
        return parse(event, RunStatus)
    if isinstance(event, Mapping) and "list" in event:
        return parse(event, ListPoints)
    return parse(event, RestoreStatus, CancelRestore, RestoreRequest)


def parse_advance(event: Mapping[str, Any]) -> AdvanceRequest:
    """Parse a request of attach_volume: an event of a volume or an instance, the end of a copy, or the schedule.

    Raises BadRequest.
    """
    if not is_event(event):
        parse(event, ReconcileRequest)
        return AdvanceRequest(reconcile=True)
    about = parse_event(event, VOLUME, INSTANCE, SNAPSHOT, of_snapshots=COPIED)
    return AdvanceRequest(about.volume_ids, about.instance_ids, copy_ids=about.snapshot_ids)


# Pydantic loads much of itself for its first parser, some 13 ms. A restore is not to wait for that in its first event:
# Lambda gives the whole processor only to the import (see `lifeboat.aws.clients.make_ready`).
adapter(ReconcileRequest)
