"""Which instances a backup run saves, and what one recovery point of an instance is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lifeboat.domain.config import Selector
from lifeboat.domain.data_volumes import data_attachments, root_problem
from lifeboat.domain.ec2 import Attachment, Instance, Volume
from lifeboat.domain.recovery_point import VolumeMetadata
from lifeboat.domain.recovery_point_tags import MetadataError, left_out_of, write_tags
from lifeboat.domain.tags import Tag, Tags
from lifeboat.domain.text import iso
from lifeboat.restore.record import Restore


class SelectionError(ValueError):
    """Somebody asked for an instance that is not selected."""


@dataclass(frozen=True, slots=True)
class CreateRecoveryPoint:
    """Make one crash-consistent set of snapshots of the instance's data volumes, the boot volume excluded.

    `left_out` are, by volume, the keys of its own tags that do not fit on the snapshots.
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
    """How what EC2 made differs from what was planned.

    `missing` are planned volumes without a snapshot; `unplanned` are snapshots, by their volumes, of what the plan did
    not know: the tags do not tell of these volumes, so such a snapshot is no backup.
    """

    missing: tuple[str, ...]
    unplanned: Mapping[str, str]

    @property
    def reason(self) -> str:
        """Why the recovery point is not good, if it is not."""
        if not self.missing:
            return ""
        others = "".join(f", but {snapshot} of {volume}" for volume, snapshot in sorted(self.unplanned.items()))
        return (
            f"EC2 made no snapshot of {', '.join(self.missing)}{others}: "
            "the instance's volumes changed while its recovery point was begun"
        )


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave this instance alone. `failure` is true when its owner expects a backup and gets none."""

    instance_id: str
    reason: str
    failure: bool = False


def select(instances: Iterable[Instance], selector: Selector, named: tuple[str, ...] = ()) -> tuple[Instance, ...]:
    """The instances to save: all that the selector selects, or of these only the `named` ones.

    Raises SelectionError when a named instance does not exist or is not selected: asking for what Lifeboat has no
    right to touch gets an answer, not silence.
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
    """Why the instance is not whole, because the restore that is open on it exchanges its volumes; empty if it is.

    It is whole with all volumes that give way, or with all that take their place. With some of each, or without one,
    what is attached is no state that the machine ever had: a recovery point of it would miss data, or mix old and new.
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
        f"restore {restore.id} exchanges the volumes of {instance.id}: of those that it displaces and restores, "
        f"{here} attached, expected all of the ones or all of the others"
    )


def plan_recovery_point(
    instance: Instance,
    volumes: Mapping[str, Volume],
    *,
    recovery_point_id: str,
    set_id: str,
    stack: str,
    slot: datetime,
    ami_owner: str,
    late: bool = False,
) -> CreateRecoveryPoint | Skip:
    """Decide what one run does for one instance. `volumes` are the attached ones by id, as EC2 shows them now."""
    if instance.state in {"shutting-down", "terminated"}:
        return Skip(instance.id, f"{instance.id} is {instance.state}")
    unclear = root_problem(instance)
    if unclear:
        return Skip(instance.id, unclear, failure=True)
    attachments = data_attachments(instance)
    if not attachments:
        return Skip(instance.id, f"{instance.id} has no data volume", failure=True)
    unread = [item.volume_id for item in attachments if item.volume_id not in volumes]
    if unread:
        return Skip(
            instance.id, f"{instance.id} has {', '.join(unread)} attached, which EC2 does not show", failure=True
        )
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
            ami_owner=ami_owner,
            all_metadata=all_metadata,
            late=late,
        )
    except MetadataError as problem:
        return Skip(instance.id, str(problem), failure=True)
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
    """Hold what EC2 answered, the snapshot of each volume, against the plan.

    CreateSnapshots names the instance and takes what is attached to it at that moment, which may be seconds after the
    look, and tens of seconds in a large run.
    """
    return Deviation(
        missing=tuple(volume_id for volume_id in plan.volume_ids if volume_id not in made),
        unplanned={volume_id: snapshot for volume_id, snapshot in made.items() if volume_id not in plan.volume_ids},
    )


def volume_metadata(volume: Volume, attachment: Attachment) -> VolumeMetadata:
    """What the snapshot shall tell of this volume. The chain follows the data: a restored volume carries it on."""
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
