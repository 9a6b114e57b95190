"""Select the instances of a backup run, and plan the recovery point of one instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lifeboat.domain.config import Selector
from lifeboat.domain.data_volumes import data_attachments, root_problem
from lifeboat.domain.ec2 import Attachment, Instance, Volume
from lifeboat.domain.image import LaunchImage
from lifeboat.domain.recovery_point import VolumeMetadata
from lifeboat.domain.recovery_point_tags import MetadataError, left_out_of, write_tags
from lifeboat.domain.tags import Tag, Tags
from lifeboat.domain.text import iso
from lifeboat.restore.record import Restore

ENDED_STATES = frozenset({"shutting-down", "terminated"})
"""States of an instance that needs no more recovery points."""


class SelectionError(ValueError):
    """A request names an instance that is not selected."""


@dataclass(frozen=True, slots=True)
class CreateRecoveryPoint:
    """Create one crash-consistent set of snapshots of the instance's data volumes, without the boot volume.

    `left_out` has, by volume, the keys of its own tags that do not fit on the snapshots.
    """

    recovery_point_id: str
    instance_id: str
    description: str
    tags: Tags
    volume_ids: tuple[str, ...]
    reason: str
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deviation:
    """The difference between the snapshots that EC2 made and the plan.

    `missing` are planned volumes without a snapshot. `unplanned` are the snapshots, by volume, of volumes that are not
    in the plan: the tags do not record these volumes, so such a snapshot is not a backup.
    """

    missing: tuple[str, ...]
    unplanned: Mapping[str, str]

    @property
    def reason(self) -> str:
        """Why the recovery point is not good; empty if it is."""
        if not self.missing:
            return ""
        others = "".join(f", but {snapshot} of {volume}" for volume, snapshot in sorted(self.unplanned.items()))
        return (
            f"EC2 made no snapshot of {', '.join(self.missing)}{others}: "
            "the instance's volumes changed while its recovery point was begun"
        )


@dataclass(frozen=True, slots=True)
class Skip:
    """Make no recovery point of this instance. `failure` is true if its owner expects one."""

    instance_id: str
    reason: str
    failure: bool = False


def select(instances: Iterable[Instance], selector: Selector, named: tuple[str, ...] = ()) -> tuple[Instance, ...]:
    """The instances to save: all that the selector selects, or of these only the `named` ones.

    Raises SelectionError if a named instance does not exist or is not selected.
    """
    chosen = {instance.id: instance for instance in instances if selector.selects(instance)}
    missing = [instance_id for instance_id in named if instance_id not in chosen]
    if missing:
        raise SelectionError(
            f"instance_ids names {', '.join(missing)}, expected instances that carry the tag "
            f"{selector.tag_key}={selector.tag_value}"
        )
    return tuple(chosen[instance_id] for instance_id in sorted(named or chosen))


def exchange_problem(instance: Instance, restore: Restore | None) -> str:
    """Why no recovery point can be made while the open restore exchanges the instance's volumes; empty if one can.

    One can be made while all displaced volumes are attached, or all restored ones. With some of each, or with one
    missing, the attached volumes are a state that the machine never had: data would be missing, or old and new mixed.
    """
    if restore is None or not restore.touched:
        return ""
    attached = {item.volume_id for item in instance.attachments}
    displaced = {item.displaced_volume_id for item in restore.volumes if item.displaced_volume_id}
    restored = {item.restored_volume_id for item in restore.volumes}
    if (displaced <= attached and not restored & attached) or (restored <= attached and not displaced & attached):
        return ""
    here = ", ".join(sorted(item for item in displaced | restored if item in attached)) or "none"
    return (
        f"restore {restore.id} exchanges the volumes of {instance.id}: of its displaced and restored volumes, "
        f"{here} attached, expected all displaced ones or all restored ones"
    )


def plan_recovery_point(
    instance: Instance,
    volumes: Mapping[str, Volume],
    *,
    recovery_point_id: str,
    set_id: str,
    stack: str,
    slot: datetime,
    image: LaunchImage,
    late: bool = False,
) -> CreateRecoveryPoint | Skip:
    """Decide what one run does for one instance. `volumes` are the attached ones by id, as described just now."""
    if instance.state in ENDED_STATES:
        return Skip(instance.id, f"{instance.id} is {instance.state}")
    attachments = data_attachments(instance)
    unread = ", ".join(item.volume_id for item in attachments if item.volume_id not in volumes)
    problem = root_problem(instance)
    if not (problem or attachments):
        problem = f"{instance.id} has no data volume"
    elif unread:
        problem = f"{instance.id} has {unread} attached, which EC2 does not show"
    if problem:
        return Skip(instance.id, problem, failure=True)
    all_metadata = [volume_metadata(volumes[item.volume_id], item) for item in attachments]
    try:
        tags = write_tags(
            recovery_point_id=recovery_point_id,
            set_id=set_id,
            stack=stack,
            slot=slot,
            instance_id=instance.id,
            instance_name=instance.name,
            zone=instance.zone,
            ami_id=instance.ami_id,
            ami_owner=image.owner_id,
            ami_name=image.name,
            all_metadata=all_metadata,
            late=late,
        )
    except MetadataError as refusal:
        return Skip(instance.id, str(refusal), failure=True)
    return CreateRecoveryPoint(
        recovery_point_id=recovery_point_id,
        instance_id=instance.id,
        description=f"lifeboat {recovery_point_id}",
        tags=tags,
        volume_ids=tuple(sorted(item.volume_id for item in attachments)),
        reason=f"slot {iso(slot)} is due" + (", late" if late else ""),
        left_out=left_out_of(tags, all_metadata),
    )


def compare_answer(plan: CreateRecoveryPoint, made: Mapping[str, str]) -> Deviation:
    """Compare EC2's answer, the snapshot of each volume, with the plan.

    CreateSnapshots takes what is attached to the instance at that moment. This may be seconds after the observation,
    and tens of seconds in a large run.
    """
    return Deviation(
        missing=tuple(volume_id for volume_id in plan.volume_ids if volume_id not in made),
        unplanned={volume_id: snapshot for volume_id, snapshot in made.items() if volume_id not in plan.volume_ids},
    )


def volume_metadata(volume: Volume, attachment: Attachment) -> VolumeMetadata:
    """The metadata to record for this volume. A restored volume continues the lineage of its data."""
    return VolumeMetadata(
        volume_id=volume.id,
        lineage=volume.tags.get(Tag.LINEAGE) or volume.id,
        device=attachment.device,
        type=volume.type,
        size=volume.size,
        encrypted=volume.encrypted,
        delete_on_termination=attachment.delete_on_termination,
        iops=volume.iops,
        throughput=volume.throughput,
        kms_key_id=volume.kms_key_id if volume.encrypted else None,
        tags=volume.tags,
    )
