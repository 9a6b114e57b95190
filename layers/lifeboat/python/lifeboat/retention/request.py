"""Requests of prune_snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from lifeboat.by_hand.request import HandedOver, RunStatus, parse_handed_over
from lifeboat.domain.bad_request import INTERNAL, BadRequest, Expected, Fields, not_expected, parse, shown
from lifeboat.domain.envelopes import completed_recovery_point
from lifeboat.domain.fields import (
    Device,
    Flag,
    InstanceId,
    Iops,
    Name,
    RecoveryPointId,
    RequestId,
    ScheduledTime,
    Throughput,
    VolumeId,
    VolumeType,
    Words,
)
from lifeboat.domain.trigger import Trigger
from lifeboat.domain.widget import Call


@dataclass(frozen=True, slots=True)
class PruneRequest(Fields):
    """Delete the recovery points that no rule keeps, or with `dry_run` only report them.

    `completed` is the recovery point whose completion triggered this. `request_id` makes requests by hand that are
    otherwise the same two.
    """

    other_forms = ("request", "adopt", "hold")

    dry_run: Flag = False
    request_id: RequestId = ""
    trigger: ScheduledTime = Trigger.MANUAL
    completed: Annotated[str | None, INTERNAL] = None


@dataclass(frozen=True, slots=True)
class SnapshotTag(Fields):
    """The tag that the snapshots to adopt have."""

    key: Annotated[
        str, StringConstraints(min_length=1, max_length=128), Expected("the key of a tag, of 1 to 128 characters")
    ]
    value: Annotated[str, StringConstraints(max_length=256), Expected("the value of a tag, of at most 256 characters")]


@dataclass(frozen=True, slots=True)
class SnapshotsToAdopt(Fields):
    """The snapshots of a volume, or those with a tag: one of the two."""

    volume_id: VolumeId | None = None
    tag: (
        Annotated[
            SnapshotTag, Expected('an object with key and value, such as {"key": "CreatedBy", "value": "nightly"}')
        ]
        | None
    ) = None


def _check_one_of_two(named: SnapshotsToAdopt) -> SnapshotsToAdopt:
    if (named.volume_id is None) is (named.tag is None):
        raise not_expected("either volume_id or tag in it, and not both")
    return named


@dataclass(frozen=True, slots=True)
class VolumeFacts(Fields):
    """What a person states about a volume that is deleted or detached, which EC2 cannot. None: not stated.

    `instance_id` is the instance that the volume belonged to. `device` and `delete_on_termination` are those of its
    attachment.
    """

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


@dataclass(frozen=True, slots=True)
class AdoptRequest(Fields):
    """Make existing snapshots recovery points, or without `confirm` only report which.

    `facts` are about the volume of `adopt`, where EC2 does not know them.
    """

    form = "adopt"

    adopt: Annotated[
        SnapshotsToAdopt,
        AfterValidator(_check_one_of_two),
        Expected('an object with volume_id or with tag, such as {"volume_id": "vol-0123456789abcdef0"}'),
    ]
    facts: Annotated[
        VolumeFacts,
        BeforeValidator(lambda volume: {} if volume is None else volume),
        Expected('an object such as {"device": "/dev/sdh", "type": "gp3"}'),
        Field(alias="volume"),
    ] = VolumeFacts()
    confirm: Flag = False
    request_id: RequestId = ""

    @property
    def volume_id(self) -> str | None:
        return self.adopt.volume_id

    @property
    def tag(self) -> tuple[str, str] | None:
        """Key and value."""
        return (self.adopt.tag.key, self.adopt.tag.value) if self.adopt.tag else None


@dataclass(frozen=True, slots=True)
class HoldRequest(Fields):
    """Hold a recovery point: retention keeps it until a person removes the tag. `reason` becomes the tag's value."""

    form = "hold"

    recovery_point_id: Annotated[RecoveryPointId, Field(alias="hold")]
    reason: Words = ""


def parse_prune(
    event: Mapping[str, Any],
) -> PruneRequest | AdoptRequest | HoldRequest | RunStatus | HandedOver[PruneRequest | AdoptRequest]:
    """Parse a request of prune_snapshots. Raises BadRequest.

    It comes from BackupCompleted, the daily schedule, a person, or the function itself.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return PruneRequest(trigger=Trigger.EVENT, completed=completed_recovery_point(event))
    if isinstance(event, Mapping) and "carry_out" in event:
        return parse_handed_over(event, parse_prune_or_adopt)
    if isinstance(event, Mapping) and "request" in event:
        return parse(event, RunStatus)
    if isinstance(event, Mapping) and HoldRequest.form in event:
        return parse(event, HoldRequest)
    return parse_prune_or_adopt(event)


def parse_hold(call: Call) -> HoldRequest:
    """Parse the one request that the page may send here. Raises BadRequest, also for what would delete or adopt."""
    if HoldRequest.form not in call.asked:
        raise BadRequest("the page only holds recovery points: use lifeboat prune or adopt")
    return parse(call.asked, HoldRequest)


def parse_prune_or_adopt(event: Mapping[str, Any]) -> PruneRequest | AdoptRequest:
    """Parse a request to prune or to adopt. Raises BadRequest."""
    request: PruneRequest | AdoptRequest = parse(event, AdoptRequest, PruneRequest)
    if isinstance(request, AdoptRequest) and request.tag and event.get("volume") is not None:
        raise BadRequest(
            f"volume is {shown(event['volume'])} with adopt.tag, expected it only with adopt.volume_id, "
            "because it describes one volume"
        )
    return request
