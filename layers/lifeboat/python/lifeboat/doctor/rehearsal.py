"""Which calls a function rehearses, and what their outcomes mean. Pure.

Only a function's own role can ask whether that role may make a call. So each function that changes something in EC2
answers `{"rehearse": true}`, and `lifeboat doctor` gathers the answers. A service control policy is found so: EC2 names
it in its answer to a DryRun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.doctor import commands
from lifeboat.doctor.commands import Place
from lifeboat.doctor.line import Line, fail, ok, warn
from lifeboat.domain.config import Config
from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.ec2 import Instance, Snapshot, Volume
from lifeboat.domain.locks import NO_LOCKS
from lifeboat.domain.rehearsal import Outcome, ReadRehearsal, Rehearsal, Rehearsed, RoleRehearsal
from lifeboat.domain.tags import Tag

REHEARSAL = "rehearsal"
"""The value of tags that a rehearsed call would write."""

type Call = Rehearsal | RoleRehearsal | ReadRehearsal


@dataclass(frozen=True, slots=True)
class Props:
    """Real resources to rehearse with, each None where there is none.

    `selected` is an instance that is backed up, `target` one with a person's consent to a restore. `displaceable` is a
    data volume of the target that has the consent, too. `snapshot` is a completed one of a recovery point that is
    neither held nor shared.
    """

    selected: Instance | None = None
    target: Instance | None = None
    displaceable: Volume | None = None
    snapshot: Snapshot | None = None


NO_INSTANCE = "no instance is selected"
NO_TARGET = "no instance has the tag lifeboat:restore-target=true"
NO_SNAPSHOT = "there is no completed recovery point that is neither held nor shared"


def take_snapshots(props: Props, config: Config) -> Iterator[Call | str]:
    """CreateSnapshots, with our tags."""
    if props.selected is None:
        yield f"CreateSnapshots: {NO_INSTANCE}"
        return
    instance = {"InstanceId": props.selected.id, "ExcludeBootVolume": True}
    tags = {Tag.STACK: config.stack, Tag.RECOVERY_POINT: REHEARSAL}
    asked = {"InstanceSpecification": instance, "TagSpecifications": _tagged("snapshot", tags)}
    yield Rehearsal("CreateSnapshots", props.selected.id, asked)


def confirm_snapshots(props: Props, config: Config) -> Iterator[Call | str]:
    """LockSnapshot, if the stack locks."""
    if config.locks.mode == NO_LOCKS:
        return
    if props.snapshot is None:
        yield f"LockSnapshot: {NO_SNAPSHOT}"
        return
    lock = {"SnapshotId": props.snapshot.id, "LockMode": config.locks.mode, "LockDuration": max(1, config.locks.days)}
    yield Rehearsal("LockSnapshot", props.snapshot.id, lock)


def prune_snapshots(props: Props, _: Config) -> Iterator[Call | str]:
    """DeleteSnapshot."""
    if props.snapshot is None:
        yield f"DeleteSnapshot: {NO_SNAPSHOT}"
        return
    yield Rehearsal("DeleteSnapshot", props.snapshot.id, {"SnapshotId": props.snapshot.id})


def copy_snapshots(props: Props, config: Config) -> Iterator[Call | str]:
    """CopySnapshot into each region, ModifySnapshotAttribute for the vault, AssumeRole for each source."""
    yield from (RoleRehearsal(source.reader) for source in config.vault_sources)
    if props.snapshot is None:
        if config.copy_to or config.vault_account:
            yield f"CopySnapshot and ModifySnapshotAttribute: {NO_SNAPSHOT}"
        return
    tags = {Tag.STACK: config.stack, Tag.COPIED_FROM: config.region, Tag.COPY_OF: props.snapshot.id}
    for place in config.copy_to:
        asked: dict[str, Any] = {
            "SourceRegion": config.region,
            "SourceSnapshotId": props.snapshot.id,
            "TagSpecifications": _tagged("snapshot", tags),
        }
        if place.kms_key_id:
            asked |= {"Encrypted": True, "KmsKeyId": place.kms_key_id}
        yield Rehearsal("CopySnapshot", props.snapshot.id, asked, place.region)
    if config.vault_account:
        asked = {
            "SnapshotId": props.snapshot.id,
            "Attribute": "createVolumePermission",
            "OperationType": "add",
            "UserIds": [config.vault_account],
        }
        yield Rehearsal("ModifySnapshotAttribute", props.snapshot.id, asked)


def verify_snapshots(props: Props, config: Config) -> Iterator[Call | str]:
    """ListSnapshotBlocks, which also uses the snapshot's key, and CreateTags for the proof."""
    if config.verify is None:
        return
    if props.snapshot is None:
        yield f"ListSnapshotBlocks and CreateTags: {NO_SNAPSHOT}"
        return
    yield ReadRehearsal(props.snapshot.id)
    proof = [{"Key": Tag.VERIFIED.value, "Value": REHEARSAL}]
    yield Rehearsal("CreateTags", props.snapshot.id, {"Resources": [props.snapshot.id], "Tags": proof})


def restore_volume(props: Props, _: Config) -> Iterator[Call | str]:
    """CreateVolume from a recovery point."""
    yield _create_volume(props, {Tag.RESTORE: REHEARSAL})


def drill_restores(props: Props, config: Config) -> Iterator[Call | str]:
    """CreateVolume from a recovery point, for a drill."""
    yield _create_volume(props, {Tag.DRILL: REHEARSAL, Tag.STACK: config.stack})


def attach_volume(props: Props, _: Config) -> Iterator[Call | str]:
    """All that exchanges the volumes of a target instance."""
    if props.target is None:
        yield f"StopInstances, StartInstances and DetachVolume: {NO_TARGET}"
        return
    named = {"InstanceIds": [props.target.id]}
    yield Rehearsal("StopInstances", props.target.id, named)
    yield Rehearsal("StartInstances", props.target.id, named)
    if props.displaceable is None:
        yield f"DetachVolume: no data volume of {props.target.id} has the tag lifeboat:restore-target=true"
        return
    device = next(item.device for item in data_attachments(props.target) if item.volume_id == props.displaceable.id)
    asked = {"VolumeId": props.displaceable.id, "InstanceId": props.target.id, "Device": device}
    yield Rehearsal("DetachVolume", props.displaceable.id, asked)


REHEARSING: Mapping[str, Callable[[Props, Config], Iterator[Call | str]]] = {
    "take-snapshots": take_snapshots,
    "confirm-snapshots": confirm_snapshots,
    "prune-snapshots": prune_snapshots,
    "copy-snapshots": copy_snapshots,
    "verify-snapshots": verify_snapshots,
    "restore-volume": restore_volume,
    "attach-volume": attach_volume,
    "drill-restores": drill_restores,
}
"""What each function rehearses, by the end of its name. A text is a call that cannot be rehearsed, and why."""


def judge_rehearsal(
    function: str, outcomes: Iterable[Rehearsed], without: Iterable[str], place: Place
) -> Iterator[Line]:
    """A line for each call that is refused or was not judged, else one for the function."""
    allowed: list[str] = []
    for item in outcomes:
        text = f"{function} may not call {item.action} on {item.on}. AWS said: {item.said}"
        if item.outcome is Outcome.ALLOWED:
            allowed.append(item.action)
        elif item.outcome is Outcome.UNKNOWN:
            advice = "Run lifeboat doctor again. If it stays, a real call would end the same way."
            yield warn("rehearsal", text.replace("may not call", "did not learn whether it may call"), advice=advice)
        elif "service control policy" in item.said:
            advice = f"Let the organisation's administrator allow {item.action} for the roles of {place.stack}."
            yield fail("rehearsal", text, commands.allowed_policies(place), advice=advice)
        else:
            yield fail("rehearsal", text, advice=_WHO_DENIES)
    if allowed:
        yield ok("rehearsal", f"{function} may call {', '.join(dict.fromkeys(allowed))}")
    for reason in without:
        yield ok("rehearsal", f"{function} did not rehearse {reason}")


_WHO_DENIES = (
    "Find what denies it: a permissions boundary, a key's policy, or the account's organisation. The function's log "
    "has what aws sts decode-authorization-message takes, if EC2 encoded its reason."
)


def _create_volume(props: Props, tags: Mapping[Tag, str]) -> Rehearsal | str:
    if props.snapshot is None:
        return f"CreateVolume: {NO_SNAPSHOT}"
    zone = props.snapshot.tags.get(Tag.ZONE, "")
    if not zone:
        return f"CreateVolume: {props.snapshot.id} does not record its zone"
    asked = {
        "SnapshotId": props.snapshot.id,
        "AvailabilityZone": zone,
        "VolumeType": "gp3",
        "TagSpecifications": _tagged("volume", tags),
    }
    return Rehearsal("CreateVolume", props.snapshot.id, asked)


def _tagged(kind: str, tags: Mapping[Tag, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key.value, "Value": value} for key, value in tags.items()]}]
