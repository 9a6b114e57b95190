"""Pre-flight of the source: is the recovery point good and complete, and may this account use it?"""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.copies.plan import set_id_for
from lifeboat.domain.catalogue import made_by_others, read_metadata
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.ec2_calls import origin
from lifeboat.domain.recovery_point import Condition, Member, RecoveryPoint, VolumeMetadata
from lifeboat.domain.recovery_point_tags import COPIED_VOLUME, MetadataError
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.displaceable import displaceable_volumes
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report


@dataclass(frozen=True, slots=True)
class Source:
    """What to restore: the members, and the id of the choice.

    `point` is the recovery point, if the members are all of it. For a source that has to be copied, `region` says where
    it is, `account` whose it is if not ours, and `set_id` is the set that its copies belong to.
    """

    id: str
    members: tuple[Member, ...]
    point: RecoveryPoint | None = None
    region: str = ""
    account: str = ""
    set_id: str = ""


def choose_set_id(point: RecoveryPoint, facts: PreflightFacts) -> str:
    """The set that the copies of a recovery point elsewhere belong to. Empty for one in this region and account."""
    if not point.region:
        return ""
    return set_id_for(point, (member.snapshot for item in facts.points for member in item.members))


def build_source(ids: tuple[str, ...], facts: PreflightFacts, report: Report) -> Source | None:
    """The source for snapshots by id. Refuses unknown ones, and snapshots of several recovery points."""
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
            _warn_of_foreign_copy(facts.snapshots[snapshot_id], report)
            members.append(Member(facts.snapshots[snapshot_id], _read_metadata(facts.snapshots[snapshot_id], facts)))
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
            f"recovery_point names only {len(members)} of the {whole.expected} volumes of {whole.id}; the others "
            "do not change",
        )
    if whole is None:
        return Source("+".join(member.snapshot.id for member in members), tuple(members))
    all_of_it = whole if len(members) == len(whole.members) else None
    return Source(whole.id, tuple(members), all_of_it, whole.region, whole.account, choose_set_id(whole, facts))


def _warn_of_foreign_copy(snapshot: Snapshot, report: Report) -> None:
    if Tag.RECOVERY_POINT in snapshot.tags and (reason := made_by_others(snapshot)):
        of = f"{snapshot.tags[Tag.RECOVERY_POINT]}, of the slot {snapshot.tags.get(Tag.SLOT, '(unknown)')}"
        report.warn("others-copy", "recovery_point", f"{reason}; its tags say that its data is of {of}")


def _read_metadata(snapshot: Snapshot, facts: PreflightFacts) -> VolumeMetadata:
    """A snapshot without metadata is restored like the only data volume of the target, else as gp3."""
    try:
        return read_metadata(snapshot)
    except MetadataError:
        pass
    data = displaceable_volumes(facts.instance, facts.volumes) if facts.instance else []
    model = data[0][1] if len(data) == 1 else None
    # The volume id of a copied snapshot is arbitrary, so it would join unrelated lineages.
    copied = snapshot.volume_id in {"", COPIED_VOLUME}
    # A snapshot may have our tags and be of another volume. Then the lineage in its tags is not its own.
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
    """Refuse a recovery point that is not good, and snapshots that cannot be used or are not trusted."""
    field = "recovery_point"
    if source.point and source.point.condition is not Condition.GOOD:
        point = source.point
        report.refuse(
            "not-good",
            field,
            f"{point.id} is {point.condition} ({len(point.members)} of {point.expected} snapshots), expected a good "
            "one",
        )
    # A vault copies what its sources share, and the copy is its own.
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
                f"{snapshot.id} belongs to {snapshot.owner_id or 'an unknown account'}, expected {facts.account} or a "
                "trusted owner",
            )
