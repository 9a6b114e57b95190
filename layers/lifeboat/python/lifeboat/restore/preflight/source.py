"""Is the recovery point good, and all there?"""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.copies.plan import set_id_for
from lifeboat.domain.catalogue import made_by_others, read_metadata
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.ec2_calls import origin
from lifeboat.domain.recovery_point import Condition, Member, RecoveryPoint, VolumeMetadata
from lifeboat.domain.recovery_point_tags import (
    COPIED_VOLUME,
    MetadataError,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.displaceable import displaceable_volumes
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be restored: the members, and how the choice is called.

    `point` is the recovery point, if they are all of it. Of what is not here, `region` says where it is, `account`
    whose it is if not ours, and `set_id` what its copies carry.
    """

    id: str
    members: tuple[Member, ...]
    point: RecoveryPoint | None = None
    region: str = ""
    account: str = ""
    set_id: str = ""


def set_id_of(point: RecoveryPoint, facts: PreflightFacts) -> str:
    if not point.region:
        return ""
    return set_id_for(point, (member.snapshot for item in facts.points for member in item.members))


def source_of_snapshots(ids: tuple[str, ...], facts: PreflightFacts, report: Report) -> Source | None:
    catalogue = (*facts.elsewhere, *facts.points)
    known = {member.snapshot.id: (point, member) for point in catalogue for member in point.members}
    members: list[Member] = []
    points: dict[tuple[str, str], RecoveryPoint] = {}
    for snapshot_id in ids:
        if snapshot_id in known:
            point, member = known[snapshot_id]
            points[point.id, origin(point.region or facts.region, point.account)] = point
            members.append(member)
        elif snapshot_id in facts.snapshots:
            _warn_of_others_copy(facts.snapshots[snapshot_id], report)
            members.append(Member(facts.snapshots[snapshot_id], _metadata_of(facts.snapshots[snapshot_id], facts)))
        else:
            report.refuse(
                "no-snapshot",
                "recovery_point",
                f"recovery_point names {snapshot_id}, expected a snapshot that this account sees in {facts.region}",
            )
    if len(points) > 1:
        names = (f"{name} in {where}" for name, where in sorted(points))
        report.refuse(
            "several-recovery-points",
            "recovery_point",
            f"recovery_point names snapshots of {', '.join(names)}, expected those of one: volumes of "
            "different moments do not belong together",
        )
    if not members:
        return None
    whole = next(iter(points.values())) if len(points) == 1 else None
    if whole and whole.region and any(member not in whole.members for member in members):
        report.refuse(
            "several-recovery-points",
            "recovery_point",
            f"recovery_point names snapshots of {whole.id} in {origin(whole.region, whole.account)} and others that "
            "are here, expected those of one",
        )
        return None
    if whole and len(members) < whole.expected:
        report.warn(
            "part-of-a-set",
            "recovery_point",
            f"only {len(members)} of the {whole.expected} volumes of {whole.id} are asked for; the others stay as they "
            "are now",
        )
    if whole is None:
        return Source("+".join(member.snapshot.id for member in members), tuple(members))
    all_of_it = whole if len(members) == len(whole.members) else None
    return Source(whole.id, tuple(members), all_of_it, whole.region, whole.account, set_id_of(whole, facts))


def _warn_of_others_copy(snapshot: Snapshot, report: Report) -> None:
    if Tag.RECOVERY_POINT in snapshot.tags and (reason := made_by_others(snapshot)):
        of = f"{snapshot.tags[Tag.RECOVERY_POINT]}, of the slot {snapshot.tags.get(Tag.SLOT, 'that it does not tell')}"
        report.warn("others-copy", "recovery_point", f"{reason}; by its tags its data is that of {of}")


def _metadata_of(snapshot: Snapshot, facts: PreflightFacts) -> VolumeMetadata:
    """A snapshot that tells no story is restored as what it displaces, if that is plain, else as gp3."""
    try:
        return read_metadata(snapshot)
    except MetadataError:
        pass
    data = displaceable_volumes(facts.instance, facts.volumes) if facts.instance else []
    model = data[0][1] if len(data) == 1 else None
    # The volume id of a copied snapshot is arbitrary, so it would tie unrelated lines of data together.
    copied = snapshot.volume_id in {"", COPIED_VOLUME}
    # On a snapshot that carries our tags but is of another volume, the chain is that of the volume it is not of.
    tagged = "" if Tag.RECOVERY_POINT in snapshot.tags else snapshot.tags.get(Tag.LINEAGE)
    return VolumeMetadata(
        volume_id=snapshot.volume_id,
        lineage=tagged or (snapshot.id if copied else snapshot.volume_id),
        device="",
        type=model.type if model else "gp3",
        size=max(snapshot.size, model.size if model else 0),
        encrypted=snapshot.encrypted,
        delete_on_termination=False,
        iops=model.iops if model else None,
        throughput=model.throughput if model else None,
        kms_key_id=snapshot.kms_key_id,
        tags=model.tags if model else {},
    )


def check_source(source: Source, facts: PreflightFacts, report: Report) -> None:
    field = "recovery_point"
    if source.point and source.point.condition is not Condition.GOOD:
        point = source.point
        report.refuse(
            "not-good",
            field,
            f"{point.id} is {point.condition} ({len(point.members)} of {point.expected} snapshots), expected a good "
            "one",
        )
    # What a source shares is what the vault is there to copy; the copy is the vault's own.
    trusted = {facts.account, *facts.trusted_snapshot_owners, source.account or facts.account}
    for member in source.members:
        snapshot = member.snapshot
        if snapshot.state != "completed":
            why = f" ({snapshot.state_message})" if snapshot.state_message else ""
            report.refuse("not-completed", field, f"{snapshot.id} is {snapshot.state}{why}, expected completed")
        if snapshot.tier != "standard":
            report.refuse(
                "archived",
                field,
                f"{snapshot.id} is in the {snapshot.tier} tier: aws ec2 restore-snapshot-tier "
                f"--region {source.region or facts.region} "
                f"--snapshot-id {snapshot.id} --permanent-restore takes up to 72 hours",
            )
        if snapshot.owner_id not in trusted:
            report.refuse(
                "foreign-snapshot",
                field,
                f"{snapshot.id} belongs to {snapshot.owner_id or 'nobody known'}, expected {facts.account} or a "
                "trusted owner",
            )
