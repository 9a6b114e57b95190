"""All steps, both directions: where the volumes are and in which state the instance is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from lifeboat.domain.ec2 import Attachment, Volume
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Observed
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.record import Restore, RestoreVolume


class Place(Enum):
    """Where a volume is, seen from this restore."""

    LOST = auto()  # EC2 does not show it, it is being deleted, or its state is error
    MAKING = auto()
    FREE = auto()
    HERE = auto()  # at its device of the target instance
    ASTRAY = auto()  # at another device of the target instance
    ARRIVING = auto()
    LEAVING = auto()
    AWAY = auto()  # attached to another instance


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision depends on; `s` in the functions of this package."""

    restore: Restore
    observed: Observed
    now: datetime
    deadlines: Deadlines

    @property
    def power(self) -> str:
        """The instance's state. `terminated` if EC2 does not show it."""
        return self.observed.instance.state if self.observed.instance else "terminated"

    @property
    def hibernated(self) -> bool:
        """Whether the stopped instance resumes from memory that has the attached file systems."""
        return self.power == "stopped" and self.observed.instance is not None and self.observed.instance.hibernated

    def with_restore(self, restore: Restore) -> Situation:
        """The same observation with another record."""
        return replace(self, restore=restore)

    def displaced(self, volume: RestoreVolume) -> Volume | None:
        return self.observed.volumes.get(volume.displaced_volume_id or "")

    def restored(self, volume: RestoreVolume) -> Volume | None:
        return self.observed.volumes.get(volume.restored_volume_id or "")

    def place(self, volume: Volume | None, device: str) -> Place:
        """Where a volume is. `device`: where it belongs on the target instance."""
        if volume is None or volume.state in {"deleting", "deleted", "error"}:
            return Place.LOST
        if volume.state == "creating":
            return Place.MAKING
        attachment = find_attachment(volume)
        if attachment is None:
            # Between two states EC2 shows a volume for a moment as in use without an attachment.
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

    def delete_on_termination(self, volume: Volume) -> bool:
        """The flag as the instance shows it, because ModifyInstanceAttribute changes that first, else the volume's."""
        views = (self.observed.instance.attachments if self.observed.instance else (), volume.attachments)
        return next(
            (item.delete_on_termination for view in views for item in view if item.volume_id == volume.id), False
        )

    def overdue(self) -> bool:
        """Whether the current step has passed its deadline."""
        return self.now - self.restore.step_since > self.deadlines.of(self.restore.step)


def find_attachment(volume: Volume) -> Attachment | None:
    """The one attachment that is not detached, if any."""
    return next((item for item in volume.attachments if item.state != "detached"), None)


ON_INSTANCE = {Place.HERE, Place.ASTRAY, Place.ARRIVING, Place.LEAVING}
"""Attached to the target instance, or changing."""


def is_kept(restore: Restore, volume_id: str) -> bool:
    """Whether the record says that a volume is not deleted."""
    return any(item.volume_id == volume_id for item in restore.kept)


def describe_place(volume: Volume | None) -> str:
    """Where a volume is attached, in words that follow "attached"."""
    attachment = find_attachment(volume) if volume else None
    return f"to {attachment.instance_id} at {attachment.device}" if attachment else "to nothing"


def is_ours(restore: Restore, volume: Volume) -> bool:
    """Whether this restore made a volume: by its tag and by the snapshot it was made of."""
    return volume.tags.get(Tag.RESTORE) == restore.id and volume.snapshot_id in {
        item.snapshot_id for item in restore.volumes
    }


def find_made_volumes(s: Situation) -> Iterator[Volume]:
    """The volumes that this restore made, by id, without any that it displaces."""
    displaced = {volume.displaced_volume_id for volume in s.restore.volumes}
    for volume_id in sorted(s.observed.volumes):
        volume = s.observed.volumes[volume_id]
        if is_ours(s.restore, volume) and volume_id not in displaced:
            yield volume


def find_unexpected_volumes(s: Situation) -> Iterator[Volume]:
    """The volumes that this restore made and does not use, as EC2 made one twice."""
    used = {volume.restored_volume_id for volume in s.restore.volumes}
    return (volume for volume in find_made_volumes(s) if volume.id not in used)
