"""Requests of prune_snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import StringConstraints

from lifeboat.by_hand.request import HandedOver, RunStatus, RunStatusFields, parse_handed_over
from lifeboat.domain.bad_request import BadRequest, Expected, read, shown
from lifeboat.domain.envelopes import completed_recovery_point
from lifeboat.domain.fields import (
    Device,
    Fields,
    Flag,
    InstanceId,
    Iops,
    Moment,
    Name,
    RequestId,
    Throughput,
    VolumeId,
    VolumeType,
)
from lifeboat.domain.trigger import Trigger


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """A person's settings for a volume that is deleted or not attached. None means not given.

    `instance_id` is the volume's former instance; `device` and `delete_on_termination` are those of its attachment.
    """

    device: str | None = None
    type: str | None = None
    iops: int | None = None
    throughput: int | None = None
    delete_on_termination: bool | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Delete the recovery points that no rule keeps; with `dry_run` only show them.

    `completed` is the recovery point whose completion started the run. `request_id` distinguishes requests by hand.
    """

    trigger: Trigger
    dry_run: bool = False
    completed: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """Make recovery points of existing snapshots: those of a volume, or those with a tag (key, value).

    `facts` are settings of that volume that EC2 does not show. Without `confirm` the run only shows the outcome.
    """

    volume_id: str | None = None
    tag: tuple[str, str] | None = None
    facts: VolumeFacts = field(default_factory=VolumeFacts)
    confirm: bool = False
    request_id: str = ""


class _Prune(Fields):
    other_forms: ClassVar = ("request", "adopt")

    dry_run: Flag = False
    request_id: RequestId = ""
    scheduled_time: Moment | None = None


class _SnapshotTag(Fields):
    key: Annotated[
        str, StringConstraints(min_length=1, max_length=128), Expected("the key of a tag, of 1 to 128 characters")
    ]
    value: Annotated[str, StringConstraints(max_length=256), Expected("the value of a tag, of at most 256 characters")]


_TAG = 'an object with key and value, such as {"key": "CreatedBy", "value": "nightly"}'


_ADOPT = 'an object with volume_id or with tag, such as {"volume_id": "vol-0123456789abcdef0"}'


class _Adopted(Fields):
    volume_id: VolumeId | None = None
    tag: Annotated[_SnapshotTag, Expected(_TAG)] | None = None


class _VolumeFacts(Fields):
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


class _Adopt(Fields):
    form: ClassVar = "adopt"

    adopt: Annotated[_Adopted, Expected(_ADOPT)]
    volume: Annotated[_VolumeFacts, Expected('an object such as {"device": "/dev/sdh", "type": "gp3"}')] | None = None
    confirm: Flag = False
    request_id: RequestId = ""


def parse_prune(
    event: Mapping[str, Any],
) -> PruneRequest | AdoptRequest | RunStatus | HandedOver[PruneRequest | AdoptRequest]:
    """prune_snapshots: BackupCompleted, the daily schedule, a person, or a run that the function handed over.

    A person may also adopt existing snapshots and read the outcome of a run.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return PruneRequest(Trigger.EVENT, completed=completed_recovery_point(event))
    if isinstance(event, Mapping) and "request" in event:
        return RunStatus(read(RunStatusFields, event).request)
    if isinstance(event, Mapping) and "carry_out" in event:
        return parse_handed_over(event, parse_prune_or_adopt)
    return parse_prune_or_adopt(event)


def parse_prune_or_adopt(event: Mapping[str, Any]) -> PruneRequest | AdoptRequest:
    if isinstance(event, Mapping) and "adopt" in event:
        return parse_adopt(read(_Adopt, event))
    ask = read(_Prune, event)
    trigger = Trigger.SCHEDULE if ask.scheduled_time else Trigger.MANUAL
    return PruneRequest(trigger, dry_run=ask.dry_run, request_id=ask.request_id)


def parse_adopt(ask: _Adopt) -> AdoptRequest:
    named, tag = ask.adopt, ask.adopt.tag
    if (named.volume_id is None) is (tag is None):
        both = shown(named.model_dump(exclude_unset=True))
        raise BadRequest(f"adopt is {both}, expected either volume_id or tag in it")
    if ask.volume and tag:
        given = shown(ask.volume.model_dump(exclude_unset=True))
        raise BadRequest(f"volume is {given} with adopt.tag, expected it only with adopt.volume_id")
    return AdoptRequest(
        volume_id=named.volume_id,
        tag=(tag.key, tag.value) if tag else None,
        facts=VolumeFacts(**ask.volume.model_dump()) if ask.volume else VolumeFacts(),
        confirm=ask.confirm,
        request_id=ask.request_id,
    )
