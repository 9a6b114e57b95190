"""Step `volumes`, forward: create the new volumes. The last step before anything is changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from lifeboat.domain.ec2_calls import CopySnapshot, CreateVolume
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import requeue, start_roll_back, take_action
from lifeboat.restore.machine.history import describe_hibernation
from lifeboat.restore.machine.situation import Place, Situation, describe_place, find_attachment
from lifeboat.restore.machine.swap import swap_volumes
from lifeboat.restore.record import Restore, RestoreStep, RestoreVolume


def client_token(restore: Restore, volume: RestoreVolume) -> str:
    """The CreateVolume token of one volume: the same for the same parameters, 64 ASCII characters.

    EC2 refuses a token that is repeated with other parameters
    (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).
    """
    asked = (restore.id, volume.device, volume.snapshot_id, volume.zone, volume.type, volume.size, volume.iops)
    asked += (volume.throughput, volume.encrypted, volume.kms_key_id, volume.initialization_rate)  # type: ignore[assignment]
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def make_volumes(s: Situation) -> Step:
    """Create each volume, wait until all are available, and continue with the swap."""
    problem = _find_volume_problem(s)
    if problem:
        return start_roll_back(s, problem)
    for volume in s.restore.volumes:
        if s.restored(volume) is None and (volume.asked_at is None or s.now - volume.asked_at >= s.deadlines.again):
            return _create_volume(s, volume)
    making = [volume.snapshot_id for volume in s.restore.volumes if s.of_restored(volume) is not Place.FREE]
    if making:
        return requeue(s, RestoreStep.VOLUMES, f"EC2 is making the volumes of {', '.join(making)}")
    for volume in s.restore.volumes:
        if volume.displaced_volume_id and s.of_displaced(volume) is not Place.HERE:
            reason = f"the volume to displace, {volume.displaced_volume_id}, is not at {volume.device} any more"
            return start_roll_back(s, reason)
    if s.hibernated:
        return start_roll_back(s, describe_hibernation(s.restore.instance_id))
    if s.power not in {"running", "stopped"}:
        return requeue(s, RestoreStep.VOLUMES, f"{s.restore.instance_id} is {s.power}")
    return _start_changes(s)


def _find_volume_problem(s: Situation) -> str:
    for volume in s.restore.volumes:
        found = s.restored(volume)
        if found is None and volume.restored_volume_id:
            why = describe_key_problem(volume.encrypted, volume.kms_key_id, volume.snapshot_id)
            return f"the restored volume {volume.restored_volume_id} is gone{why}"
        if found is not None and found.state != "creating" and s.of_restored(volume) is not Place.FREE:
            where = describe_place(found) if find_attachment(found) else ""
            return f"the restored volume {found.id} is {found.state} {where}".rstrip()
    return ""


def _start_changes(s: Situation) -> Step:
    """From here on the restore changes the instance.

    The record takes the power state now, because it may have changed since the pre-flight.
    """
    launched_at = s.observed.instance.launched_at if s.observed.instance else None
    was_running = s.power == "running"
    s = s.with_restore(replace(s.restore, touched=True, was_running=was_running, launched_at=launched_at))
    return swap_volumes(s)


def describe_key_problem(encrypted: bool, key: str | None, snapshot_id: str) -> str:
    """Why a new volume is most likely gone, as the end of a sentence.

    EC2 answers CreateVolume, and removes the volume within a second when a key may not be used. Only the event
    createVolume and CloudTrail have the cause.
    """
    if not encrypted:
        return ", though this restore has not deleted it"
    name = f"its KMS key {key}" if key else "its KMS key, the account's default for EBS"
    return (
        f". EC2 removes a new volume when {name}, or that of {snapshot_id}, may not be used: see the volume's event "
        "createVolume and CloudTrail"
    )


def plan_first_calls(restore: Restore) -> tuple[CopySnapshot | CreateVolume, ...]:
    """The calls that a restore starts with: for each volume the copy that it needs, or else the volume itself."""
    return tuple(
        volume.fetch.call if volume.fetch else _build_create_call(restore, volume) for volume in restore.volumes
    )


def _build_create_call(restore: Restore, volume: RestoreVolume) -> CreateVolume:
    return CreateVolume(
        client_token=client_token(restore, volume),
        snapshot_id=volume.snapshot_id,
        zone=volume.zone,
        type=volume.type,
        size=volume.size,
        encrypted=volume.encrypted,
        tags={**volume.tags, Tag.RESTORE.value: restore.id, Tag.LINEAGE.value: volume.lineage},
        iops=volume.iops,
        throughput=volume.throughput,
        kms_key_id=volume.kms_key_id,
        initialization_rate=volume.initialization_rate,
    )


def _create_volume(s: Situation, volume: RestoreVolume) -> Step:
    volumes = tuple(replace(item, asked_at=s.now) if item is volume else item for item in s.restore.volumes)
    action = _build_create_call(s.restore, volume)
    reason = f"a {volume.size} GiB {volume.type} volume of {volume.snapshot_id} in {volume.zone} for {volume.device}"
    return take_action(s.with_restore(replace(s.restore, volumes=volumes)), RestoreStep.VOLUMES, action, reason)
