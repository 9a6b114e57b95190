"""Between the steps `volumes` and `stop`, forward: a DryRun of every later call, before anything stops."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifeboat.domain.ec2_calls import (
    AttachVolume,
    Change,
    DeleteVolume,
    DetachVolume,
    SetDeleteOnTermination,
    StartInstance,
    StopInstance,
    TagDisplaced,
    UntagDisplaced,
)
from lifeboat.restore.machine.actions import describe_call
from lifeboat.restore.machine.history import with_roll_back
from lifeboat.restore.machine.swap import build_displaced_tags
from lifeboat.restore.record import Restore


def plan_rehearsal(restore: Restore) -> tuple[Change, ...]:
    """Every call that may follow once the instance is changed, in both directions.

    A DryRun of them finds a missing permission while the instance still runs.
    """
    instance = restore.instance_id
    changes: list[Change] = []
    if restore.was_running or restore.shall_run:
        changes += [StopInstance(instance), StartInstance(instance)]
    for volume in restore.volumes:
        flag = SetDeleteOnTermination(instance, volume.device, volume.displaced_delete_on_termination)
        if volume.displaced_volume_id:
            tags = build_displaced_tags(restore, volume)
            changes += [
                DetachVolume(volume.displaced_volume_id, instance, volume.device),
                TagDisplaced(volume.displaced_volume_id, tags),
                AttachVolume(volume.displaced_volume_id, instance, volume.device),
                UntagDisplaced(volume.displaced_volume_id, tuple(tags)),
            ]
        if volume.restored_volume_id:
            changes += [
                AttachVolume(volume.restored_volume_id, instance, volume.device),
                flag,
                DetachVolume(volume.restored_volume_id, instance, volume.device),
                DeleteVolume(volume.restored_volume_id),
            ]
    return tuple(changes)


def after_rehearsal(restore: Restore, refused: Sequence[tuple[Change, str]], now: datetime) -> Restore:
    """The record of a restore that rolls back, because EC2 would refuse some of its calls. Nothing was changed."""
    said = "; ".join(f"{describe_call(change)} would be refused: {why}" for change, why in refused)
    return with_roll_back(restore, now, said)
