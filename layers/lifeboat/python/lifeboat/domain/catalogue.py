"""Read recovery points from the tags of snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import unquote

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.packed_tags import PACKED, READABLE, unpack
from lifeboat.domain.recovery_point import Member, RecoveryPoint, VolumeMetadata
from lifeboat.domain.recovery_point_tags import (
    KMS_KEY_TAG,
    LINEAGE_TAG,
    MAX_OWN_TAGS,
    VOLUME_TAG,
    MetadataError,
    is_copy,
    read_image,
    taken_at,
    with_unique_ids,
)
from lifeboat.domain.tags import Tag, Tags
from lifeboat.domain.text import read_time

CACHED_METADATA = 20_000
"""How many volumes' parsed metadata are cached for other snapshots with the same tags."""


COPY_BEGINS_WITHIN = timedelta(minutes=20)
"""EC2 begins a copy when asked. An invocation plans and asks within 15 minutes; the rest allows for clocks."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All recovery points found, oldest first, and the snapshots whose tags could not be read, each with the reason.

    `foreign` are copies with our tags that others made, each with the reason. Lifeboat does not use them.
    """

    points: tuple[RecoveryPoint, ...]
    unreadable: tuple[tuple[Snapshot, str], ...] = ()
    foreign: tuple[tuple[Snapshot, str], ...] = ()

    def of_unrecorded_volumes(self) -> tuple[Snapshot, ...]:
        """The unreadable snapshots whose volume their tags do not record."""
        return tuple(
            snapshot for snapshot, _ in self.unreadable if is_of_unrecorded_volume(snapshot.volume_id, snapshot.tags)
        )


def read_catalogue(snapshots: Iterable[Snapshot]) -> Catalogue:
    """Group snapshots into recovery points by their tags alone.

    A snapshot without readable metadata is listed as unreadable, and its recovery point counts as incomplete. A copy
    that others made is in no recovery point.
    """
    sets: dict[tuple[str, str], list[Member]] = {}
    unreadable: list[tuple[Snapshot, str]] = []
    foreign: list[tuple[Snapshot, str]] = []
    for snapshot in snapshots:
        point_id = snapshot.tags.get(Tag.RECOVERY_POINT)
        if not point_id:
            continue
        if reason := made_by_others(snapshot):
            foreign.append((snapshot, reason))
            continue
        try:
            taken_at(snapshot)
            member = Member(snapshot, read_metadata(snapshot))
        except MetadataError as problem:
            unreadable.append((snapshot, str(problem)))
        else:
            sets.setdefault((point_id, snapshot.tags.get(Tag.SET, "")), []).append(member)
    points: list[RecoveryPoint] = []
    for (point_id, _), members in sorted(sets.items(), key=lambda item: (_first_taken_at(item[1]), item[0])):
        ours, copied = _without_later_copies(members)
        foreign += copied
        for some in _each_volume_once(ours):
            try:
                point = _read_point(point_id, some)
            except MetadataError as problem:
                unreadable.extend((member.snapshot, str(problem)) for member in some)
                continue
            points.append(point)
    found = sorted(with_unique_ids(points), key=lambda point: (point.taken_at, point.id))
    return Catalogue(tuple(found), tuple(unreadable), tuple(foreign))


def made_by_others(snapshot: Snapshot) -> str:
    """Why a snapshot with our tags is a copy that others made; empty if it is not one.

    EC2 copies no tags, but people and tools do (Cloud Custodian copies all of them), and encrypting a snapshot copies
    it. Such a copy belongs to its maker, and its start time is the copy's, so it would be the newest of its lineage. A
    copy of a recovery point's own snapshot lacks the tags of a copy. A copy of our copy has them, but began later than
    they say.
    """
    if not is_copy(snapshot.volume_id, snapshot.tags):
        return ""
    asked_at = read_time(snapshot.tags.get(Tag.COPIED_AT, ""))
    if Tag.COPY_OF not in snapshot.tags or asked_at is None:
        return f"snapshot {snapshot.id} is a copy that others made of a recovery point's snapshot"
    if snapshot.started_at - asked_at > COPY_BEGINS_WITHIN:
        return f"snapshot {snapshot.id} is a copy that others made of Lifeboat's copy"
    return ""


def _without_later_copies(members: list[Member]) -> tuple[list[Member], list[tuple[Snapshot, str]]]:
    """A set's members, and the copies that began after another copy of the same volume was complete.

    Lifeboat makes no such copy, so others made it of Lifeboat's copy.
    """
    first: dict[str, datetime] = {}
    for member in members:
        snapshot, volume_id, whole_at = member.snapshot, member.metadata.volume_id, member.snapshot.completed_at
        whole = snapshot.state == "completed" and snapshot.tier == "standard"
        if whole and whole_at and whole_at >= snapshot.started_at:
            first[volume_id] = min(whole_at, first.get(volume_id, whole_at))
    ours: list[Member] = []
    others: list[tuple[Snapshot, str]] = []
    for member in members:
        snapshot, first_at = member.snapshot, first.get(member.metadata.volume_id)
        if first_at and snapshot.started_at > first_at and is_copy(snapshot.volume_id, snapshot.tags):
            others.append((snapshot, f"snapshot {snapshot.id} is a copy that others made of Lifeboat's copy"))
        else:
            ours.append(member)
    return ours, others


def _each_volume_once(members: list[Member]) -> list[list[Member]]:
    """The set, divided so that no part has a volume twice; the best snapshot of each volume is in the first part.

    CopySnapshot has no token, so two regions' functions can make the same copy at the same moment.
    """
    if len(members) <= 1 or len({member.metadata.volume_id for member in members}) == len(members):
        return [members] if members else []
    first: dict[str, Member] = {}
    left = []
    for member in sorted(members, key=_best_first):
        if first.setdefault(member.metadata.volume_id, member) is not member:
            left.append(member)
    return [list(first.values()), *_each_volume_once(left)]


def _best_first(member: Member) -> tuple[int, datetime, str]:
    snapshot = member.snapshot
    worth = {"completed": 0, "pending": 1}.get(snapshot.state, 2)
    return (worth if snapshot.tier == "standard" else 2, snapshot.started_at, snapshot.id)


def _first_taken_at(members: Iterable[Member]) -> datetime:
    return min(taken_at(member.snapshot) for member in members)


def _read_point(point_id: str, members: list[Member]) -> RecoveryPoint:
    tags = members[0].snapshot.tags
    try:
        slot = datetime.fromisoformat(tags[Tag.SLOT])
        expected = int(tags[Tag.VOLUMES])
    except (KeyError, ValueError) as problem:
        raise MetadataError(
            f"snapshot {members[0].snapshot.id} has no readable {Tag.SLOT} and {Tag.VOLUMES} tags: {problem!r}"
        ) from None
    if slot.tzinfo is None:
        raise MetadataError(
            f"snapshot {members[0].snapshot.id} has {Tag.SLOT}={tags[Tag.SLOT]}, expected a time with Z"
        )
    ami_id, ami_name = read_image(tags.get(Tag.AMI, ""))
    return RecoveryPoint(
        id=point_id,
        instance_id=tags.get(Tag.INSTANCE, ""),
        stack=tags.get(Tag.STACK, ""),
        slot=slot,
        members=tuple(sorted(members, key=lambda member: member.metadata.device)),
        expected=expected,
        taken_at=_first_taken_at(members),
        zone=tags.get(Tag.ZONE, ""),
        instance_name=tags.get(Tag.INSTANCE_NAME, ""),
        ami_id=ami_id,
        ami_name=ami_name,
        ami_owner=tags.get(Tag.AMI_OWNER, ""),
        late=tags.get(Tag.LATE) == "true",
    )


def is_of_unrecorded_volume(volume_id: str, tags: Tags) -> bool:
    """Whether the snapshot is of a volume that its tags do not record.

    CreateSnapshots takes what is attached when it is called and writes our tags on all of it, also on a volume that was
    attached after the plan. A copy's volume id is arbitrary.
    """
    return f"{VOLUME_TAG}{volume_id}" not in tags and not is_copy(volume_id, tags)


def read_metadata(snapshot: Snapshot) -> VolumeMetadata:
    """The metadata of the volume that this snapshot is of.

    Raises MetadataError if the tags record only other volumes, or, for a copy, none or several: a copy's volume id is
    arbitrary (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html).
    """
    tags = snapshot.tags
    volume_ids = sorted(key.removeprefix(VOLUME_TAG) for key in tags if key.startswith(VOLUME_TAG))
    volume_id = snapshot.volume_id
    if is_of_unrecorded_volume(volume_id, tags):
        raise MetadataError(
            f"snapshot {snapshot.id} is of {volume_id or 'no known volume'}, but its tags record "
            f"{', '.join(volume_ids) or 'no volume'}"
        )
    if volume_id not in volume_ids:
        if len(volume_ids) != 1:
            raise MetadataError(
                f"snapshot {snapshot.id} is a copy, expected the tags of one volume, found those of "
                f"{', '.join(volume_ids) or 'none'}"
            )
        volume_id = volume_ids[0]
    try:
        return _parse_metadata(
            volume_id,
            tags[VOLUME_TAG + volume_id],
            tags.get(LINEAGE_TAG + volume_id),
            tags.get(KMS_KEY_TAG + volume_id),
            tuple(sorted(item for item in tags.items() if item[0].startswith((f"{READABLE}{volume_id}/", PACKED)))),
        )
    except (KeyError, ValueError) as problem:
        raise MetadataError(
            f"snapshot {snapshot.id} has an unreadable tag {VOLUME_TAG}{volume_id}: {problem!r}"
        ) from None


@lru_cache(maxsize=CACHED_METADATA)
def _parse_metadata(
    volume_id: str,
    facts_text: str,
    lineage: str | None,
    kms_key_id: str | None,
    own_tags: tuple[tuple[str, str], ...],
) -> VolumeMetadata:
    """Raises KeyError and ValueError. Cached, because a volume's metadata is mostly the same from slot to slot."""
    facts = dict(part.split("=", 1) for part in facts_text.split(" ") if "=" in part)
    own = unpack(dict(own_tags), volume_id)
    had = _number(facts.get("tags"))
    if had is not None and not 0 <= had <= MAX_OWN_TAGS:
        raise ValueError(f"tags={had}, expected 0 to {MAX_OWN_TAGS}")
    left_out = max(0, had - len(own.tags)) if had is not None else 0
    return VolumeMetadata(
        volume_id=volume_id,
        lineage=lineage or unquote(facts.get("chain", "")) or volume_id,
        device=facts["device"],
        type=facts["type"],
        size=int(facts["size"]),
        encrypted=_flag(facts["encrypted"]),
        delete_on_termination=_flag(facts["delete-on-termination"]),
        iops=_number(facts.get("iops")),
        throughput=_number(facts.get("throughput")),
        kms_key_id=kms_key_id or unquote(facts.get("kms-key", "")) or None,
        tags=own.tags,
        tags_left_out=left_out,
        left_out=own.left_out[:left_out],
    )


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
