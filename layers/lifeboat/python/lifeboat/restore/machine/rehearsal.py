"""The calls that a restore will make, for EC2 to judge beforehand."""

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
from lifeboat.restore.machine.history import turned_back
from lifeboat.restore.machine.swap import displaced_tags
from lifeboat.restore.record import (
    Restore,
)


def rehearsal(restore: Restore) -> tuple[Change, ...]:
    """Everything that may be asked of EC2 from the moment on at which the instance is touched, on the way back, too.

    Asked with DryRun before that moment: a right that is missing is better missed while nothing has stopped.
    """
    instance = restore.instance_id
    changes: list[Change] = []
    if restore.was_running or restore.shall_run:
        changes += [StopInstance(instance), StartInstance(instance)]
    for volume in restore.volumes:
        flag = SetDeleteOnTermination(instance, volume.device, volume.displaced_delete_on_termination)
        if volume.displaced_volume_id:
            tags = displaced_tags(restore, volume)
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
    """The record of a restore some of whose calls would be refused: it turns back before it has touched anything."""
    said = "; ".join(f"{describe_call(change)} would be refused: {why}" for change, why in refused)
    return turned_back(restore, now, said)
