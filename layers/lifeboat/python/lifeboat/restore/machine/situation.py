"""Where the volumes of a restore are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from lifeboat.domain.ec2 import Attachment, Volume
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Observed
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.record import (
    Restore,
    RestoreVolume,
)


class Place(Enum):
    """Where a volume is, as far as this restore is concerned."""

    LOST = auto()  # not there, being deleted, or in state error
    MAKING = auto()
    FREE = auto()
    HERE = auto()  # at its device of the target instance
    ASTRAY = auto()  # at another device of the target instance
    ARRIVING = auto()
    LEAVING = auto()
    AWAY = auto()  # attached to another instance


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision rests on."""

    restore: Restore
    observed: Observed
    now: datetime
    deadlines: Deadlines

    @property
    def power(self) -> str:
        return self.observed.instance.state if self.observed.instance else "terminated"

    @property
    def hibernated(self) -> bool:
        return self.power == "stopped" and self.observed.instance is not None and self.observed.instance.hibernated

    def with_restore(self, restore: Restore) -> Situation:
        return replace(self, restore=restore)

    def displaced(self, volume: RestoreVolume) -> Volume | None:
        return self.observed.volumes.get(volume.displaced_volume_id or "")

    def restored(self, volume: RestoreVolume) -> Volume | None:
        return self.observed.volumes.get(volume.restored_volume_id or "")

    def place(self, volume: Volume | None, device: str) -> Place:
        if volume is None or volume.state in {"deleting", "deleted", "error"}:
            return Place.LOST
        if volume.state == "creating":
            return Place.MAKING
        attachment = attachment_of(volume)
        if attachment is None:
            # In use and attached to nothing is how a volume looks for a moment between two states.
            return Place.FREE if volume.state == "available" else Place.LEAVING
        if attachment.instance_id != self.restore.instance_id:
            return Place.AWAY
        if attachment.state == "attaching":
            return Place.ARRIVING
        if attachment.state in {"detaching", "busy"}:
            return Place.LEAVING
        return Place.HERE if attachment.device == device else Place.ASTRAY

    def of_displaced(self, volume: RestoreVolume) -> Place:
        return self.place(self.displaced(volume), volume.device)

    def of_restored(self, volume: RestoreVolume) -> Place:
        return self.place(self.restored(volume), volume.device)

    def flag(self, volume: Volume) -> bool:
        """DeleteOnTermination; ModifyInstanceAttribute changes the instance's view, so that one counts first."""
        views = (self.observed.instance.attachments if self.observed.instance else (), volume.attachments)
        return next(
            (item.delete_on_termination for view in views for item in view if item.volume_id == volume.id), False
        )

    def overdue(self) -> bool:
        return self.now - self.restore.step_since > self.deadlines.of(self.restore.step)


def attachment_of(volume: Volume) -> Attachment | None:
    return next((item for item in volume.attachments if item.state != "detached"), None)


ON_INSTANCE = {Place.HERE, Place.ASTRAY, Place.ARRIVING, Place.LEAVING}


def is_kept(restore: Restore, volume_id: str) -> bool:
    return any(item.volume_id == volume_id for item in restore.kept)


def describe_place(volume: Volume | None) -> str:
    attachment = attachment_of(volume) if volume else None
    return f"to {attachment.instance_id} at {attachment.device}" if attachment else "to nothing"


def is_ours(restore: Restore, volume: Volume) -> bool:
    return volume.tags.get(Tag.RESTORE) == restore.id and volume.snapshot_id in {
        item.snapshot_id for item in restore.volumes
    }


def made_volumes(s: Situation) -> Iterator[Volume]:
    displaced = {volume.displaced_volume_id for volume in s.restore.volumes}
    for volume_id in sorted(s.observed.volumes):
        volume = s.observed.volumes[volume_id]
        if is_ours(s.restore, volume) and volume_id not in displaced:
            yield volume


def unexpected_volumes(s: Situation) -> Iterator[Volume]:
    used = {volume.restored_volume_id for volume in s.restore.volumes}
    return (volume for volume in made_volumes(s) if volume.id not in used)
