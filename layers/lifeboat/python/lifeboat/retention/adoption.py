"""Decide which existing snapshots can become recovery points, with which tags, and why the others cannot.

A snapshot that a script or a person made has its volume's id, its size and its encryption. The other settings that a
restore needs come from the volume, if it still exists, or from a person. Lifeboat guesses none: it names what is
missing. It adopts no snapshot that AWS Backup or Data Lifecycle Manager manages: where two policies delete the same
snapshots, neither is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lifeboat.domain.data_volumes import root_attachments, root_problem
from lifeboat.domain.devices import same_device
from lifeboat.domain.ec2 import Attachment, Instance, Snapshot, Volume
from lifeboat.domain.recovery_point import VolumeMetadata
from lifeboat.domain.recovery_point_tags import (
    COPIED_VOLUME,
    MAX_TAGS,
    MetadataError,
    TooManyTagsError,
    left_out_of,
    write_tags,
)
from lifeboat.domain.tags import TAG_PREFIX, Tag, Tags
from lifeboat.retention.request import VolumeFacts

BACKUP_DESCRIPTION = "This snapshot is created by the AWS Backup service"
"""How AWS Backup's descriptions begin, also where its tags have been lost."""

BACKUP_OWNER = "aws-backup-vault"

_MANAGERS = (
    ("aws:backup:", "AWS Backup"),
    ("aws:dlm:", "Data Lifecycle Manager"),
    ("dlm:managed", "Data Lifecycle Manager"),
)
"""Prefixes of the tags that only these services write."""

_ALLOWED_TAGS = frozenset(
    {
        *(Tag.BACKUP, Tag.RETENTION, Tag.RESTORE_TARGET),
        *(Tag.LINEAGE, Tag.RESTORE, Tag.DISPLACED_BY, Tag.DISPLACED_FROM),
        *(Tag.HOLD, Tag.SHARED),
    }
)
"""Lifeboat's tags that a snapshot may already carry: a person's, and those copied from its volume."""

_NEEDED = ("instance_id", "device", "type", "delete_on_termination")
_NEEDED_BY_TYPE = {"gp3": ("iops", "throughput"), "io1": ("iops",), "io2": ("iops",)}
"""The settings that a person must give for a deleted volume: with a default the restored volume would differ."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Write these tags on the snapshot: they make it a recovery point of one volume.

    `left_out` are the keys of the volume's own tags for which the snapshot has no room.
    """

    snapshot: Snapshot
    recovery_point_id: str
    metadata: VolumeMetadata
    instance_id: str
    tags: Tags
    left_out: tuple[str, ...] = ()

    @property
    def adopted(self) -> Snapshot:
        """The snapshot with its new tags."""
        return replace(self.snapshot, tags={**self.snapshot.tags, **self.tags})


@dataclass(frozen=True, slots=True)
class Leave:
    """Do not adopt this snapshot, and why."""

    snapshot: Snapshot
    reason: str


def decide_adoption(
    snapshots: Iterable[Snapshot],
    *,
    volumes: Mapping[str, Volume],
    instances: Mapping[str, Instance],
    facts: VolumeFacts,
    account: str,
    stack: str,
) -> tuple[Adopt | Leave, ...]:
    """Decide about each snapshot, oldest first.

    `volumes` are the snapshots' volumes that still exist, `instances` the instances that these are attached to. `facts`
    are a person's settings of the one volume that all snapshots belong to.
    """
    return tuple(
        _decide(snapshot, volumes.get(snapshot.volume_id), instances, facts, account=account, stack=stack)
        for snapshot in sorted(snapshots, key=lambda item: (item.started_at, item.id))
    )


def _decide(
    snapshot: Snapshot,
    volume: Volume | None,
    instances: Mapping[str, Instance],
    facts: VolumeFacts,
    *,
    account: str,
    stack: str,
) -> Adopt | Leave:
    reason = _managed(snapshot) or _unfit(snapshot, account)
    if reason:
        return Leave(snapshot, reason)
    attachment = _attachment(volume)
    instance = instances.get(attachment.instance_id) if attachment else None
    reason = _root_reason(attachment, instance) if attachment and instance else ""
    if reason:
        return Leave(snapshot, reason)
    observed = _known_to_ec2(volume, attachment, instance)
    given = {name: value for name, value in asdict(facts).items() if value is not None}
    known = {**given, **observed}
    reason = _contradiction(snapshot, given, observed) or _missing(snapshot, volume, known)
    if reason:
        return Leave(snapshot, reason)
    return _adopt(snapshot, volume, known, stack)


def _managed(snapshot: Snapshot) -> str:
    for key in sorted(snapshot.tags):
        for beginning, manager in _MANAGERS:
            if key.startswith(beginning):
                return f"{manager} manages it, as its tag {key} says, and deletes it by its own rules or protects it"
    if snapshot.description.startswith(BACKUP_DESCRIPTION):
        return f'AWS Backup manages it, as its description says: "{BACKUP_DESCRIPTION}"'
    if snapshot.owner_alias == BACKUP_OWNER:
        return f"AWS Backup manages it, as its owner {BACKUP_OWNER} says"
    return ""


def _unfit(snapshot: Snapshot, account: str) -> str:
    if snapshot.owner_id != account:
        return f"it belongs to account {snapshot.owner_id}, expected {account}"
    if Tag.STACK in snapshot.tags or Tag.RECOVERY_POINT in snapshot.tags:
        owner = snapshot.tags.get(Tag.STACK) or "no stack"
        return f"it is already a recovery point of {owner}"
    strange = sorted(key for key in snapshot.tags if key.startswith(TAG_PREFIX) and key not in _ALLOWED_TAGS)
    if strange:
        return f"it carries the tag {strange[0]}, which only a recovery point has"
    if snapshot.state != "completed":
        return f"it is {snapshot.state}, expected completed"
    if snapshot.tier != "standard":
        return f"it is in the {snapshot.tier} tier, expected standard"
    if snapshot.volume_id in {"", COPIED_VOLUME}:
        return "it is a copy, and EC2 does not show which volume it is from"
    return ""


def _attachment(volume: Volume | None) -> Attachment | None:
    """The volume's only attachment; None for several, because they may have different devices."""
    return volume.attachments[0] if volume and len(volume.attachments) == 1 else None


def _root_reason(attachment: Attachment, instance: Instance) -> str:
    """Why the volume is or may be the root volume. DescribeInstances may be older than DescribeVolumes here."""
    problem = root_problem(instance)
    roots = {item.volume_id for item in root_attachments(instance)}
    if not problem and (attachment.volume_id in roots or attachment.device == instance.root_device):
        return f"{attachment.volume_id} is the root volume of {instance.id}, expected a data volume"
    return problem


def _known_to_ec2(volume: Volume | None, attachment: Attachment | None, instance: Instance | None) -> dict[str, Any]:
    """The settings of the volume that EC2 shows today."""
    observed: dict[str, Any] = {}
    if volume:
        observed |= {
            "type": volume.type,
            "iops": volume.iops,
            "throughput": volume.throughput,
            "zone": volume.zone,
        }
    if attachment:
        observed |= {
            "device": attachment.device,
            "delete_on_termination": attachment.delete_on_termination,
            "instance_id": attachment.instance_id,
        }
    if instance:
        observed["instance_name"] = instance.name
    return observed


def _contradiction(snapshot: Snapshot, given: Mapping[str, Any], observed: Mapping[str, Any]) -> str:
    for name, value in given.items():
        alike = name == "device" and name in observed and same_device(observed[name], value)
        if name in observed and observed[name] != value and not alike:
            return f"volume.{name} is {value!r}, but {snapshot.volume_id} exists and has {observed[name]!r}"
    return ""


def _missing(snapshot: Snapshot, volume: Volume | None, known: Mapping[str, Any]) -> str:
    needed = _NEEDED if volume else (*_NEEDED, *_NEEDED_BY_TYPE.get(known.get("type", ""), ()))
    missing = [name for name in needed if name not in known]
    if not missing:
        return ""
    why = "is attached to no instance, or to several" if volume else "does not exist any more"
    return f"{snapshot.volume_id} {why}: name it in adopt.volume_id and give volume.{', volume.'.join(missing)}"


def _adopt(snapshot: Snapshot, volume: Volume | None, known: Mapping[str, Any], stack: str) -> Adopt | Leave:
    metadata = VolumeMetadata(
        volume_id=snapshot.volume_id,
        lineage=(volume or snapshot).tags.get(Tag.LINEAGE) or snapshot.volume_id,
        device=known["device"],
        type=known["type"],
        size=snapshot.size,  # of the snapshot: the volume may have grown since
        encrypted=snapshot.encrypted,
        delete_on_termination=known["delete_on_termination"],
        iops=known.get("iops"),
        throughput=known.get("throughput"),
        kms_key_id=snapshot.kms_key_id if snapshot.encrypted else None,
        tags=volume.tags if volume else {},
    )
    # The snapshot's own id makes the recovery point's id unique, and equal at every request.
    recovery_point_id = f"rp-{snapshot.started_at:%Y%m%dT%H%M%SZ}-{snapshot.id}"
    # The Name tag is not written. A lineage tag that the snapshot carries is written again.
    others = [key for key in snapshot.tags if not key.startswith("aws:") and key != Tag.LINEAGE]
    try:
        written = write_tags(
            recovery_point_id=recovery_point_id,
            set_id=f"adopted-{snapshot.id}",
            stack=stack,
            slot=snapshot.started_at,
            instance_id=known["instance_id"],
            instance_name=known.get("instance_name") or "",
            zone=known.get("zone") or "",
            ami_id="",  # the instance's image at that time is not known
            ami_owner="",
            all_metadata=[metadata],
            most=MAX_TAGS + 1 - len(others),
        )
    except TooManyTagsError as problem:
        number = len(others) + problem.needed - 1
        return Leave(snapshot, f"it would have {number} tags, EC2 takes {MAX_TAGS}")
    except MetadataError as problem:
        return Leave(snapshot, str(problem))
    # The Name tag belongs to the snapshot's owner, and the function may write Lifeboat's own tags only.
    tags = {key: value for key, value in written.items() if key.startswith(TAG_PREFIX)}
    lineage = snapshot.tags.get(Tag.LINEAGE, metadata.lineage)
    if lineage != metadata.lineage:
        return Leave(snapshot, f"it carries {Tag.LINEAGE}={lineage}, but its volume carries {metadata.lineage}")
    left_out = left_out_of(tags, [metadata]).get(metadata.volume_id, ())
    return Adopt(snapshot, recovery_point_id, metadata, known["instance_id"], tags, left_out)
