"""The vault's rules: how it treats the metadata that a source account writes, and what it copies and shares.

An attacker may control a source account. The vault believes what EC2 says of a shared snapshot: its id, size and start
time. It reads and checks the source's tags, and writes them again under names that contain the source's account. So
they never collide with names of another account or of the vault itself.

The name of a set contains the ids of its snapshots. If the source changes a recovery point afterwards, it becomes
another recovery point, and the vault's copy stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.packed_tags import MAX_VALUE
from lifeboat.domain.recovery_point import Condition, Member, RecoveryPoint, VolumeMetadata
from lifeboat.domain.recovery_point_tags import MetadataError, is_copy, write_tags
from lifeboat.domain.tags import TAG_PREFIX, Tag, Tags
from lifeboat.domain.text import clip, iso

MOST_SHARED = 50
"""How many snapshots one run shares: half of EC2's burst of such calls
(https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""

METADATA_AWAITED = timedelta(hours=1)
"""The age at which the vault copies a shared snapshot without metadata."""

MAX_KEY = 128
"""Characters of a tag's key (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html)."""

_HEX = "(?:[0-9a-f]{8}|[0-9a-f]{17})"
_POINT = re.compile(r"rp-[0-9A-Za-z+-]{1,100}")
_INSTANCE = re.compile(f"(?:[0-9]{{12}}/){{0,3}}i-{_HEX}|")
_VOLUME = re.compile(f"vol-{_HEX}")
_LINEAGE = re.compile(f"(?:[0-9]{{12}}/){{0,3}}vol-{_HEX}")
_DEVICE = re.compile(r"/dev/[a-z0-9]{1,16}|(?:sd|xvd|hd)[a-z]{1,2}[0-9]{0,2}")
_TYPE = re.compile(r"[a-z0-9]{2,16}")
_PLACE = re.compile(r"[a-z0-9-]{0,32}")
_IMAGE = re.compile(f"ami-{_HEX}|")
_IMAGE_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html"""


@dataclass(frozen=True, slots=True)
class SharedSnapshots:
    """What a source shares. `points` are as the vault would keep them; a point that is not fully shared is pending.

    `refused` are recovery points with invalid metadata: the source's id, and why. `undescribed` are shared snapshots
    that belong to no readable recovery point.
    """

    points: tuple[RecoveryPoint, ...]
    refused: tuple[tuple[str, str], ...]
    undescribed: tuple[Snapshot, ...]


def read_shared(
    points: Iterable[RecoveryPoint], shared: Mapping[str, Snapshot], *, source: str, stack: str
) -> SharedSnapshots:
    """Combine the source's `points` with what EC2 says is `shared` with us. `stack` is the vault's own."""
    kept: dict[str, RecoveryPoint] = {}
    refused: list[tuple[str, str]] = []
    readable: set[str] = set()
    for point in points:
        if any(_is_copy(member.snapshot) for member in point.members):
            continue  # a copy from another region or account: the original is copied where it was taken
        try:
            made = as_kept(point, shared, source=source, stack=stack)
        except MetadataError as problem:
            refused.append((point.id, str(problem)))
            continue
        kept.setdefault(made.id, made)
        readable.update(member.snapshot.id for member in point.members)
    undescribed = tuple(snapshot for name, snapshot in shared.items() if name not in readable)
    return SharedSnapshots(
        _with_a_shared_point(kept.values()),
        tuple(refused),
        tuple(sorted(undescribed, key=lambda item: item.started_at)),
    )


def _with_a_shared_point(points: Iterable[RecoveryPoint]) -> tuple[RecoveryPoint, ...]:
    """Skip lineages without a completed shared recovery point: the plan needs the newest good one of a lineage.

    Otherwise all recovery points of a source would count as new while it shares nothing.
    """
    found = tuple(points)
    shared = {lineage for point in found if point.condition is Condition.GOOD for lineage in point.lineages}
    return tuple(point for point in found if shared & set(point.lineages))


def as_kept(point: RecoveryPoint, shared: Mapping[str, Snapshot], *, source: str, stack: str) -> RecoveryPoint:
    """A source's recovery point under its names in the vault.

    Raises MetadataError when a name in it is not well-formed, or its tags do not fit on a snapshot.
    """
    _check_format("the recovery point's id", point.id, _POINT, "rp-20261123T020000Z-i-0123456789abcdef0")
    _check_format("the instance", point.instance_id, _INSTANCE, "i-0123456789abcdef0")
    _check_format("the zone", point.zone, _PLACE, "eu-west-1a")
    _check_format("the image", point.ami_id, _IMAGE, "ami-0123456789abcdef0")
    _check_format("the image's owner", point.ami_owner, _PLACE, "111122223333")
    all_metadata = [_checked_metadata(member.metadata, source) for member in point.members]
    # Only a restore's comparison of versions needs the name, and says that it is not known.
    image_name = point.ami_name if _IMAGE_NAME.fullmatch(point.ami_name) else ""
    point_id, instance_id = f"{point.id}-{source}", f"{source}/{point.instance_id}"
    tags = write_tags(
        recovery_point_id=point_id,
        set_id=_set_of(point, source),
        stack=stack,
        slot=point.slot,
        instance_id=instance_id,
        instance_name=_printable(point.instance_name),
        zone=point.zone,
        ami_id=point.ami_id,
        ami_owner=point.ami_owner,
        ami_name=image_name,
        all_metadata=all_metadata,
        late=point.late,
    )
    tags[Tag.SOURCE_ACCOUNT.value] = source
    members = tuple(
        Member(_as_observed(member.snapshot, shared, tags), metadata)
        for member, metadata in zip(point.members, all_metadata, strict=True)
    )
    return replace(
        point,
        id=point_id,
        instance_id=instance_id,
        instance_name=_printable(point.instance_name),
        ami_name=image_name,
        stack=stack,
        members=members,
        taken_at=min(member.snapshot.started_at for member in members),
    )


def _as_observed(described: Snapshot, shared: Mapping[str, Snapshot], tags: Tags) -> Snapshot:
    """The snapshot as EC2 shows it; pending if it is not shared with us yet. The vault encrypts every copy."""
    observed = shared.get(described.id) or replace(described, state="pending")
    return replace(observed, tags=tags, volume_id=described.volume_id, encrypted=True, kms_key_id=None)


def _is_copy(snapshot: Snapshot) -> bool:
    return Tag.COPIED_FROM in snapshot.tags or is_copy(snapshot.volume_id, snapshot.tags)


def _set_of(point: RecoveryPoint, source: str) -> str:
    """A name for exactly these snapshots, so that the source cannot add another one to the set."""
    ids = sorted(member.snapshot.id for member in point.members)
    return f"{source}/{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:32]}"


def _checked_metadata(metadata: VolumeMetadata, source: str) -> VolumeMetadata:
    _check_format("a volume", metadata.volume_id, _VOLUME, "vol-0123456789abcdef0")
    _check_format("a lineage", metadata.lineage, _LINEAGE, "vol-0123456789abcdef0")
    _check_format("a device", metadata.device, _DEVICE, "/dev/sdh")
    _check_format("a volume's type", metadata.type, _TYPE, "gp3")
    tags = dict(filter(_is_harmless, metadata.tags.items()))
    return replace(
        metadata,
        lineage=f"{source}/{metadata.lineage}",
        kms_key_id=None,
        tags=tags,
        tags_left_out=metadata.tags_left_out + len(metadata.tags) - len(tags),
        left_out=tuple(key for key in metadata.left_out if _is_harmless((key, ""))),
    )


def _is_harmless(tag: tuple[str, str]) -> bool:
    """Whether a volume's own tag can be written on a restored volume, and has no meaning to AWS or Lifeboat."""
    key, value = tag
    fits = 0 < len(key) <= MAX_KEY and len(value) <= MAX_VALUE
    return fits and not key.lower().startswith(("aws:", TAG_PREFIX)) and (key + value).isprintable()


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:MAX_VALUE]


def _check_format(what: str, value: str, form: re.Pattern[str], example: str) -> None:
    if not form.fullmatch(value):
        raise MetadataError(f"{what} is {clip(value, 80)!r}, expected one such as {example}")


def tags_without_metadata(snapshot: Snapshot, *, source: str, region: str, stack: str, now: datetime) -> dict[str, str]:
    """The tags of a copy without metadata. They make it no recovery point, so Lifeboat never deletes it.

    `now` is when the copy is requested.
    """
    return {
        "Name": f"lifeboat {source} {snapshot.id}",
        Tag.STACK.value: stack,
        Tag.SOURCE_ACCOUNT.value: source,
        Tag.COPY_OF.value: snapshot.id,
        Tag.COPIED_FROM.value: region,
        Tag.TAKEN_AT.value: iso(snapshot.started_at),
        Tag.COPIED_AT.value: iso(now),
    }


def rotate_sources[Source](sources: Sequence[Source], now: datetime) -> tuple[Source, ...]:
    """The sources, beginning with another one each minute.

    EC2 makes a limited number of copies at a time. Without the rotation a source that shares many snapshots would leave
    no room for the others.
    """
    first = int(now.timestamp() // 60) % len(sources) if sources else 0
    return (*sources[first:], *sources[:first])


def without_metadata(
    undescribed: Sequence[Snapshot], copied: Iterable[Snapshot], now: datetime
) -> tuple[Snapshot, ...]:
    """The snapshots without metadata that are to be copied: completed, old enough, and not copied yet."""
    there = {copy.tags.get(Tag.COPY_OF) for copy in copied}
    return tuple(
        snapshot
        for snapshot in undescribed
        if snapshot.id not in there and snapshot.state == "completed" and now - snapshot.started_at >= METADATA_AWAITED
    )


def without_record(copies: Iterable[Snapshot], now: datetime, lately: timedelta) -> tuple[Snapshot, ...]:
    """The vault's completed copies that have no record: without metadata, or begun recently by a restore."""
    return tuple(
        copy
        for copy in copies
        if copy.state == "completed"
        and (Tag.RECOVERY_POINT not in copy.tags or (Tag.RESTORE in copy.tags and now - copy.started_at < lately))
    )


def to_share(
    points: Iterable[RecoveryPoint], shared: frozenset[str], stack: str
) -> tuple[tuple[RecoveryPoint, tuple[str, ...]], ...]:
    """This stack's good recovery points that the vault does not see in full, newest first, with the missing snapshots.

    A copy from another region is not shared: the original is shared where it was taken.
    """
    missing = [
        (point, tuple(member.snapshot.id for member in point.members if member.snapshot.id not in shared))
        for point in points
        if point.condition is Condition.GOOD
        and point.stack == stack
        and not any(Tag.COPIED_FROM in member.snapshot.tags for member in point.members)
    ]
    newest_first = sorted(missing, key=lambda item: (item[0].taken_at, item[0].id), reverse=True)
    return tuple((point, ids) for point, ids in newest_first if ids)
