"""The decision of a restore drill: create the volumes, wait, compare, read a block, delete, and complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import CreateVolume, DeleteVolume
from lifeboat.domain.error_codes import MISMATCH
from lifeboat.domain.tags import Tag
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.history import describe_duration
from lifeboat.restore.machine.volumes import describe_key_problem
from lifeboat.restore.record import RestoreVolume
from lifeboat.verify.drill_record import Drill, DrillState
from lifeboat.verify.plan import NOT_FOUND

GONE = frozenset({"deleting", "deleted"})
"""States of a volume that EC2 still shows for about a second after its deletion."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Nothing to do until EC2 has done something. The next event or reconcile run continues."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadBlocks:
    """Read one block of each of these snapshots."""

    snapshot_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Complete:
    """Publish the outcome, then close the record."""


type DrillAction = CreateVolume | DeleteVolume | ReadBlocks | Requeue | Complete


@dataclass(frozen=True, slots=True)
class DrillStep:
    """One decision. `drill` is the record to save before the action; the same object if nothing changed."""

    action: DrillAction
    drill: Drill


def begin(drill: Drill, now: datetime) -> Drill:
    """The record of a waiting drill whose turn it is."""
    return replace(drill, state=DrillState.CREATING, since=now, begun_at=now)


def next_step(
    drill: Drill, observed: Mapping[str, Volume], now: datetime, deadlines: Deadlines, *, blocked: str = ""
) -> DrillStep:
    """What a drill does next.

    `observed` are the volumes with this drill's tag, by id. `blocked`: why it must not go on, such as an open restore.
    """
    drill = _note_volumes(drill, observed)
    if drill.state is DrillState.WAITING:
        return DrillStep(Requeue(blocked or "other drills are in front of it"), drill)
    if drill.state is DrillState.CREATING:
        if blocked:
            return _delete(
                replace(drill, state=DrillState.DELETING, since=now, postponed=blocked), observed, now, deadlines
            )
        problem = _find_problem(drill, observed, now, deadlines)
        if problem:
            return _delete(fail(drill, problem, now), observed, now, deadlines)
        return _create_and_compare(drill, observed, now, deadlines)
    return _delete(drill, observed, now, deadlines)


def fail(drill: Drill, failure: str, now: datetime) -> Drill:
    """The record after a failure: its volumes are to be deleted. The first failure counts."""
    return replace(drill, state=DrillState.DELETING, since=now, failure=drill.failure or failure)


def _note_volumes(drill: Drill, observed: Mapping[str, Volume]) -> Drill:
    """The record with the ids of the volumes that EC2 shows. A volume that is being deleted is none of ours."""
    by_snapshot = {item.snapshot_id: item.id for item in observed.values() if item.state not in GONE}
    volumes = tuple(
        volume
        if volume.restored_volume_id or volume.snapshot_id not in by_snapshot
        else replace(volume, restored_volume_id=by_snapshot[volume.snapshot_id])
        for volume in drill.volumes
    )
    return drill if volumes == drill.volumes else replace(drill, volumes=volumes)


def _find_problem(drill: Drill, observed: Mapping[str, Volume], now: datetime, deadlines: Deadlines) -> str:
    for volume in drill.volumes:
        found = observed.get(volume.restored_volume_id or "")
        if volume.restored_volume_id and (found is None or found.state in GONE):
            return f"volume {volume.restored_volume_id} of {volume.snapshot_id} is gone" + _describe_key(volume)
        if found is not None and (found.state not in {"creating", "available"} or found.attachments):
            return f"volume {found.id} of {volume.snapshot_id} is {found.state}, expected available and never attached"
    late = drill.begun_at is not None and now - drill.begun_at > deadlines.volumes
    if late and drill.available_at is None:
        missing = [volume.snapshot_id for volume in drill.volumes if not _is_available(volume, observed)]
        limit = describe_duration(deadlines.volumes)
        return f"the volume of {', '.join(missing)} did not become available within {limit}{_describe_refusal(drill)}"
    if late and not drill.read:
        return f"no block could be read within {describe_duration(deadlines.volumes)}{_describe_refusal(drill)}"
    return ""


def _describe_key(volume: RestoreVolume) -> str:
    return describe_key_problem(volume.encrypted, volume.kms_key_id, volume.snapshot_id)


def _describe_refusal(drill: Drill) -> str:
    return f"; EC2 said {drill.refused}" if drill.refused else ""


def _is_available(volume: RestoreVolume, observed: Mapping[str, Volume]) -> bool:
    found = observed.get(volume.restored_volume_id or "")
    return found is not None and found.state == "available"


def _create_and_compare(drill: Drill, observed: Mapping[str, Volume], now: datetime, deadlines: Deadlines) -> DrillStep:
    for volume in drill.volumes:
        asked = volume.asked_at is not None and now - volume.asked_at < deadlines.again
        if volume.restored_volume_id is None and not asked:
            volumes = tuple(replace(item, asked_at=now) if item is volume else item for item in drill.volumes)
            return DrillStep(build_create_call(drill, volume), replace(drill, volumes=volumes))
    if not all(_is_available(volume, observed) for volume in drill.volumes):
        return DrillStep(Requeue("EC2 is creating the volumes"), drill)
    if drill.available_at is None:
        drill = replace(drill, available_at=now, refused="")
        differences = [
            item for volume in drill.volumes for item in compare(volume, observed[volume.restored_volume_id or ""])
        ]
        if differences:
            return _delete(fail(drill, "; ".join(differences), now), observed, now, deadlines)
    if not drill.read:
        return DrillStep(ReadBlocks(tuple(volume.snapshot_id for volume in drill.volumes)), drill)
    return _delete(replace(drill, state=DrillState.DELETING, since=now), observed, now, deadlines)


def build_create_call(drill: Drill, volume: RestoreVolume) -> CreateVolume:
    """The call that creates one volume. Its token is of this attempt: EC2 knows the one of deleted volumes."""
    token = hashlib.sha256(f"{drill.id} {drill.attempt} {volume.snapshot_id}".encode()).hexdigest()
    return CreateVolume(
        client_token=token,
        snapshot_id=volume.snapshot_id,
        zone=volume.zone,
        type=volume.type,
        size=volume.size,
        encrypted=volume.encrypted,
        tags=volume.tags,
        iops=volume.iops,
        throughput=volume.throughput,
        kms_key_id=volume.kms_key_id,
    )


def compare(expected: RestoreVolume, found: Volume) -> list[str]:
    """What EC2 made otherwise than the recovery point records, one phrase each. More tags than asked for are no fault.

    A key's alias is not compared: EC2 shows the key itself. More encryption than asked for is the account's setting.
    """
    key = expected.kms_key_id or ""
    named = [
        ("type", expected.type, found.type),
        ("size", expected.size, found.size),
        ("zone", expected.zone, found.zone),
        ("iops", expected.iops, found.iops if expected.iops is not None else None),
        ("throughput", expected.throughput, found.throughput if expected.throughput is not None else None),
        ("encrypted", "true", "true" if found.encrypted or not expected.encrypted else "false"),
    ]
    problems = [f"{name} is {value}, expected {wanted}" for name, wanted, value in named if value != wanted]
    if key and "alias/" not in key and (found.kms_key_id or "").rpartition("/")[2] != key.rpartition("/")[2]:
        problems.append(f"kms_key_id is {found.kms_key_id}, expected {key}")
    problems += [
        f"tag {name} is {found.tags.get(name)!r}, expected {value!r}"
        for name, value in expected.tags.items()
        if found.tags.get(name) != value
    ]
    return [f"volume {found.id} of {expected.snapshot_id}: {problem}" for problem in problems]


def _delete(drill: Drill, observed: Mapping[str, Volume], now: datetime, deadlines: Deadlines) -> DrillStep:
    """Delete what the drill made, wait until it is gone, then complete or wait again."""
    left = [item for _, item in sorted(observed.items()) if item.state not in GONE]
    attached = [item.id for item in left if is_attached(item)]
    if attached:
        kept = f"volume {', '.join(attached)} was attached by others and is kept"
        drill = replace(drill, failure=drill.failure or kept)
        left = [item for item in left if item.id not in attached]
    if not left and not _may_still_appear(drill, now, deadlines):
        return _end(drill, now)
    if left and now - drill.since > deadlines.volumes:
        why = f"volume {', '.join(item.id for item in left)} could not be deleted{_describe_refusal(drill)}"
        return _end(replace(drill, failure="; ".join(filter(None, (drill.failure, why)))), now)
    if drill.deleted_at is not None and now - drill.deleted_at >= deadlines.again:
        drill = replace(drill, deletions=(), deleted_at=None)
    for volume in left:
        if volume.id not in drill.deletions:
            asked = replace(drill, deletions=(*drill.deletions, volume.id), deleted_at=drill.deleted_at or now)
            return DrillStep(DeleteVolume(volume.id), asked)
    return DrillStep(Requeue("EC2 is deleting the volumes"), drill)


def is_attached(volume: Volume) -> bool:
    """Whether someone uses a volume of a drill. Then it is never deleted."""
    return volume.state == "in-use" or any(item.state != "detached" for item in volume.attachments)


def _may_still_appear(drill: Drill, now: datetime, deadlines: Deadlines) -> bool:
    """Whether EC2 may have created a volume that it does not show yet."""
    return any(
        volume.asked_at is not None and volume.restored_volume_id is None and now - volume.asked_at < deadlines.settle
        for volume in drill.volumes
    )


def _end(drill: Drill, now: datetime) -> DrillStep:
    if drill.postponed and not drill.failure:
        volumes = tuple(replace(volume, restored_volume_id=None, asked_at=None) for volume in drill.volumes)
        again = replace(
            drill,
            state=DrillState.WAITING,
            since=now,
            attempt=drill.attempt + 1,
            volumes=volumes,
            begun_at=None,
            available_at=None,
            read=False,
            postponed="",
            refused="",
            deletions=(),
            deleted_at=None,
        )
        return DrillStep(Requeue(drill.postponed), again)
    return DrillStep(Complete(), drill)


def after_refusal(
    drill: Drill, action: CreateVolume | DeleteVolume, code: str, said: str, now: datetime, *, passes: bool
) -> Drill:
    """The record after EC2 refused a call or did not answer. `passes`: the same call may succeed later."""
    if isinstance(action, DeleteVolume):
        return drill if code == "InvalidVolume.NotFound" else replace(drill, refused=said)
    if code == MISMATCH:
        # Each attempt has its own token and its parameters never change: EC2 had made the volume.
        gone = f"EC2 had made the volume of {action.snapshot_id}, and it is gone ({said})"
        return fail(drill, gone + describe_key_problem(action.encrypted, action.kms_key_id, action.snapshot_id), now)
    if passes:
        return replace(drill, refused=said)
    volumes = tuple(
        replace(volume, asked_at=None) if volume.snapshot_id == action.snapshot_id else volume
        for volume in drill.volumes
    )
    failure = f"CreateVolume of {action.snapshot_id} in {action.zone} was refused: {said}"
    return fail(replace(drill, volumes=volumes), failure, now)


def after_unread(drill: Drill, snapshot_id: str, code: str, said: str, now: datetime, *, passes: bool) -> Drill:
    """The record after a block could not be read. EBS may show a new snapshot to its readers only after a minute."""
    if passes or code == NOT_FOUND:
        return replace(drill, refused=said)
    return fail(drill, f"a block of {snapshot_id} could not be read: {said}", now)


def find_leftovers(observed: Iterable[Volume], open_ids: Iterable[str]) -> list[Volume]:
    """The volumes of drills that are not open any more, without those that someone uses."""
    still = set(open_ids)
    return [
        volume
        for volume in sorted(observed, key=lambda item: item.id)
        if volume.tags.get(Tag.DRILL) not in still and volume.state not in GONE and not is_attached(volume)
    ]
