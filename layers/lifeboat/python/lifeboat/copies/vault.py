"""The vault: what a source account says of its recovery points is data, and becomes a story that nobody can misuse.

A source account may be in the hands of an enemy. What counts here is what EC2 says of the snapshots that are shared
with us: their ids, sizes, start times. What the source's tags say is read, checked, and written anew under names that
begin or end with the source's account, so that it can never be mistaken for, mixed into or counted against what another
account, or the vault itself, has. Which snapshots make up a recovery point is in the name of its set: a recovery point
that the source changes afterwards is another one, and the one that is here stays as it is.
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
"""How many snapshots one look shares: half of what EC2 takes at once of such calls
(https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""

METADATA_AWAITED = timedelta(hours=1)
"""How long after its start a shared snapshot waits for its story before it is copied without one."""

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


@dataclass(frozen=True, slots=True)
class SharedSnapshots:
    """What a source offers. `points` are as they would be kept here; one that is not shared in full is pending.

    `refused` are recovery points, by the source's own ids, whose story is none; `untold` are shared snapshots that no
    readable recovery point has.
    """

    points: tuple[RecoveryPoint, ...]
    refused: tuple[tuple[str, str], ...]
    untold: tuple[Snapshot, ...]


def read_shared(
    points: Iterable[RecoveryPoint], shared: Mapping[str, Snapshot], *, source: str, stack: str
) -> SharedSnapshots:
    """Read what the source tells of `points`, by what EC2 says is `shared` with us. `stack` is the vault's own."""
    kept: dict[str, RecoveryPoint] = {}
    refused: list[tuple[str, str]] = []
    told: set[str] = set()
    for point in points:
        if any(_is_copy(member.snapshot) for member in point.members):
            continue  # a copy from elsewhere: it is kept where it was taken
        try:
            made = as_kept(point, shared, source=source, stack=stack)
        except MetadataError as problem:
            refused.append((point.id, str(problem)))
            continue
        kept.setdefault(made.id, made)
        told.update(member.snapshot.id for member in point.members)
    untold = tuple(snapshot for name, snapshot in shared.items() if name not in told)
    return SharedSnapshots(
        _of_shared_lineages(kept.values()),
        tuple(refused),
        tuple(sorted(untold, key=lambda item: item.started_at)),
    )


def _of_shared_lineages(points: Iterable[RecoveryPoint]) -> tuple[RecoveryPoint, ...]:
    """Of a chain of which nothing can be copied yet, nothing is planned: its newest good one has to be seen first.

    Else all that a source has would count as new, as long as it has shared nothing.
    """
    found = tuple(points)
    shared = {lineage for point in found if point.condition is Condition.GOOD for lineage in point.lineages}
    return tuple(point for point in found if shared & set(point.lineages))


def as_kept(point: RecoveryPoint, shared: Mapping[str, Snapshot], *, source: str, stack: str) -> RecoveryPoint:
    """A source's recovery point under the names that it has in the vault.

    Raises StoryError when a name in it is none, or the whole does not fit on a snapshot.
    """
    _expect("the recovery point's id", point.id, _POINT)
    _expect("the instance", point.instance_id, _INSTANCE)
    _expect("the zone", point.zone, _PLACE)
    _expect("the image", point.ami_id, _IMAGE)
    _expect("the image's owner", point.ami_owner, _PLACE)
    all_metadata = [_checked_metadata(member.metadata, source) for member in point.members]
    point_id, instance_id = f"{point.id}-{source}", f"{source}/{point.instance_id}"
    tags = write_tags(
        recovery_point_id=point_id,
        set_id=_set_of(point, source),
        stack=stack,
        slot=point.slot,
        instance_id=instance_id,
        instance_name=_words(point.instance_name),
        zone=point.zone,
        ami_id=point.ami_id,
        ami_owner=point.ami_owner,
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
        instance_name=_words(point.instance_name),
        stack=stack,
        members=members,
        taken_at=min(member.snapshot.started_at for member in members),
    )


def _as_observed(told: Snapshot, shared: Mapping[str, Snapshot], tags: Tags) -> Snapshot:
    """EC2's word on it; what is not shared with us yet is as good as not there yet. All that is kept is encrypted."""
    observed = replace(shared.get(told.id, told), tags=tags, volume_id=told.volume_id, encrypted=True, kms_key_id=None)
    return observed if told.id in shared else replace(observed, state="pending")


def _is_copy(snapshot: Snapshot) -> bool:
    return Tag.COPIED_FROM in snapshot.tags or is_copy(snapshot.volume_id, snapshot.tags)


def _set_of(point: RecoveryPoint, source: str) -> str:
    """A name for exactly these snapshots, so that no other can be slipped in among them."""
    ids = sorted(member.snapshot.id for member in point.members)
    return f"{source}/{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:32]}"


def _checked_metadata(metadata: VolumeMetadata, source: str) -> VolumeMetadata:
    _expect("a volume", metadata.volume_id, _VOLUME)
    _expect("a chain", metadata.lineage, _LINEAGE)
    _expect("a device", metadata.device, _DEVICE)
    _expect("a volume's type", metadata.type, _TYPE)
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
    """Whether a volume's own tag can be written on a restored volume, and means nothing to AWS or to Lifeboat."""
    key, value = tag
    fits = 0 < len(key) <= MAX_KEY and len(value) <= MAX_VALUE
    return fits and not key.lower().startswith(("aws:", TAG_PREFIX)) and (key + value).isprintable()


def _words(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:MAX_VALUE]


def _expect(what: str, value: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(value):
        raise MetadataError(
            f"{what} is {clip(value, 80)!r}, expected what EC2 or Lifeboat makes: {form.pattern.rstrip('|')}"
        )


def tags_without_metadata(snapshot: Snapshot, *, source: str, region: str, stack: str, now: datetime) -> dict[str, str]:
    """The tags of a copy of which nobody tells the story: no recovery point, so that nothing here ever deletes it.

    `now` is when EC2 is asked for it.
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


def in_turn[Source](sources: Sequence[Source], now: datetime) -> tuple[Source, ...]:
    """The sources in the order of this minute: each comes first in its turn, since EC2's places for copies go to who
    comes first. Else one that shares very much would leave the others none.
    """
    first = int(now.timestamp() // 60) % len(sources) if sources else 0
    return (*sources[first:], *sources[:first])


def without_metadata(untold: Sequence[Snapshot], copied: Iterable[Snapshot], now: datetime) -> tuple[Snapshot, ...]:
    """Of the snapshots that nobody tells of, those that are to be copied all the same, oldest first."""
    there = {copy.tags.get(Tag.COPY_OF) for copy in copied}
    return tuple(
        snapshot
        for snapshot in untold
        if snapshot.id not in there and snapshot.state == "completed" and now - snapshot.started_at >= METADATA_AWAITED
    )


def without_record(copies: Iterable[Snapshot], now: datetime, lately: timedelta) -> tuple[Snapshot, ...]:
    """Of the vault's whole copies, those that no record leads to: without a story, or lately begun by a restore."""
    return tuple(
        copy
        for copy in copies
        if copy.state == "completed"
        and (Tag.RECOVERY_POINT not in copy.tags or (Tag.RESTORE in copy.tags and now - copy.started_at < lately))
    )


def to_share(
    points: Iterable[RecoveryPoint], shared: frozenset[str], stack: str
) -> tuple[tuple[RecoveryPoint, tuple[str, ...]], ...]:
    """The good recovery points of this stack that the vault does not see in full, newest first, and what it misses.

    What was copied here from elsewhere is shared where it was taken.
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
