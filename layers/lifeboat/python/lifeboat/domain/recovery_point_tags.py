"""The tags that describe a recovery point on its snapshots.

CreateSnapshots takes one set of tags for all the snapshots it makes (`TagSpecifications` "apply to every snapshot
specified by the instance", EC2 API reference). So each snapshot carries the metadata of the whole set: a readable tag
`lifeboat:volume/<volume id>` for each volume with all that a restore needs, and the volumes' own tags (`packed_tags`).
A set of one volume also carries the plain `lifeboat:chain`. `CopyTagsFromSource` is not used: it would give the
snapshot the volume's `Name`, and the protected platform's own role may delete snapshots whose `Name` begins with the
platform's.

A snapshot has at most 50 tags (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html). What a restore
needs comes first: one tag a volume, and one or two more if a lineage or a key is too long for it. A volume's own tags
that do not fit are left out. Its main tag records how many it had, so a missing one is always noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.packed_tags import MAX_VALUE, PACKED, READABLE, OwnTags, encoded, length, pack, unpack
from lifeboat.domain.recovery_point import Member, RecoveryPoint, VolumeMetadata
from lifeboat.domain.tags import TAG_PREFIX, Tag, Tags
from lifeboat.domain.text import iso, name_first, read_time

MAX_TAGS = 50


KEPT_FREE = 3
"""Tags that are left for `lifeboat:verified`, `lifeboat:suspect` and a person's `lifeboat:hold`.

What a restore needs may use them all the same.
"""


MAX_OWN_TAGS = 1_000
"""A recorded count above this is an error: a volume has at most 50 tags."""


COPIED_VOLUME = "vol-ffffffff"
"""The volume id of every copy (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html)."""


VOLUME_TAG = "lifeboat:volume/"


LINEAGE_TAG = "lifeboat:chain/"


KMS_KEY_TAG = "lifeboat:kms-key/"


_PER_VOLUME = (VOLUME_TAG, LINEAGE_TAG, KMS_KEY_TAG, READABLE, PACKED)


class MetadataError(ValueError):
    """Metadata does not fit on a snapshot, or a snapshot's tags have none."""


class TooManyTagsError(MetadataError):
    """A restore needs more tags than there is room for; `needed` is how many."""

    def __init__(self, reason: str, needed: int) -> None:
        super().__init__(reason)
        self.needed = needed


def without_reserved(tags: Tags) -> dict[str, str]:
    """The tags without `aws:*` (reserved) and `lifeboat:*` (would describe another resource)."""
    return {key: value for key, value in tags.items() if not key.startswith(("aws:", TAG_PREFIX))}


def write_tags(
    *,
    recovery_point_id: str,
    set_id: str,
    stack: str,
    slot: datetime,
    instance_id: str,
    instance_name: str,
    zone: str,
    ami_id: str,
    ami_owner: str,
    all_metadata: Iterable[VolumeMetadata],
    ami_name: str = "",
    late: bool = False,
    most: int = MAX_TAGS,
) -> dict[str, str]:
    """The tags of every snapshot of one recovery point, at most `most` of them.

    Volumes' own tags that do not fit are left out: see `left_out_of`. Raises TooManyTagsError if a restore needs more
    than `most` tags (50 are enough for 38 data volumes), MetadataError if a value is longer than EC2 takes.
    """
    all_metadata = tuple(all_metadata)
    tags = {
        # Not the volume's Name: see the module's text.
        "Name": f"lifeboat {instance_id} {iso(slot)}",
        Tag.RECOVERY_POINT.value: recovery_point_id,
        Tag.SET.value: set_id,
        Tag.STACK.value: stack,
        Tag.SLOT.value: iso(slot),
        Tag.INSTANCE.value: instance_id,
        Tag.INSTANCE_NAME.value: instance_name[:MAX_VALUE],
        Tag.ZONE.value: zone,
        Tag.AMI.value: _image_text(ami_id, ami_name),
        Tag.AMI_OWNER.value: ami_owner,
        Tag.VOLUMES.value: str(len(all_metadata)),
    }
    if late:
        tags[Tag.LATE.value] = "true"
    if len(all_metadata) == 1:
        tags[Tag.LINEAGE.value] = all_metadata[0].lineage
    for metadata in all_metadata:
        tags.update(_metadata_tags(metadata))
    _check_limits(tags, most)
    room = most - len(tags) - KEPT_FREE
    return {**tags, **pack({metadata.volume_id: _own(metadata) for metadata in all_metadata}, room)}


def _image_text(ami_id: str, name: str) -> str:
    """`ami-0123456789abcdef0 CadoResponse_v2.324.0`: the name needs no tag of its own.

    A name of an image has at most 128 characters
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html), so it fits. A longer one is left out
    and never cut: a cut version is another version.
    """
    named = f"{ami_id} {encoded(name)}"
    return named if ami_id and name and length(named) <= MAX_VALUE else ami_id


@lru_cache(maxsize=2_000)
def read_image(text: str) -> tuple[str, str]:
    """The image's id and name in a value of the tag `lifeboat:ami`; the name is empty if it is not recorded."""
    ami_id, _, name = text.partition(" ")
    return ami_id, unquote(name)


def _check_limits(tags: Tags, most: int) -> None:
    for key, value in tags.items():
        if len(value) > MAX_VALUE:
            raise MetadataError(f"tag {key} would be {len(value)} characters long, EC2 takes {MAX_VALUE}")
    if len(tags) > most:
        raise TooManyTagsError(
            f"instance {tags[Tag.INSTANCE]} has {tags[Tag.VOLUMES]} data volumes: their metadata needs {len(tags)} "
            f"tags on each snapshot, EC2 takes {MAX_TAGS}",
            len(tags),
        )


def left_out_of(tags: Tags, all_metadata: Iterable[VolumeMetadata]) -> dict[str, tuple[str, ...]]:
    """By volume, the keys of its own tags that cannot be read back from these tags of a snapshot."""
    found = {}
    for metadata in all_metadata:
        recorded = unpack(tags, metadata.volume_id).tags
        own = without_reserved(metadata.tags)
        missing = tuple(sorted(key for key, value in own.items() if recorded.get(key) != value))
        if missing:
            found[metadata.volume_id] = missing
    return found


def name_left_out(count: int, keys: Iterable[str], *, listed: int = 20) -> str:
    """`3 (team, cost-center and 1 more)`: how many tags are left out, and their keys as far as these are known."""
    named = list(keys)
    return f"{count} ({name_first(named, listed, count=count) if named else 'their keys did not fit either'})"


def tags_of_copy(member: Member, *, region: str, set_id: str, now: datetime, restore_id: str = "") -> dict[str, str]:
    """The tags of a copy of one snapshot of `region`; CopySnapshot copies no tags.

    They record only the snapshot's own volume, because a copy's volume id is arbitrary and `read_metadata` must find
    it. The KMS key is left out: it belongs to the source's region. Tags that people wrote are left out: a hold on the
    source does not hold the copy. So is the proof: nothing has read the copy. So is a suspicion, which a person closes
    where it was found. `set_id` is common to the copies of one recovery point, `now` is when EC2 is asked, and
    `restore_id` is the restore that needs the copy, if any.

    Raises MetadataError if there are too many tags.
    """
    source, metadata = member.snapshot, replace(member.metadata, kms_key_id=None)
    tags = {key: value for key, value in source.tags.items() if key == "Name" or key.startswith(TAG_PREFIX)}
    for key in list(tags):
        if key in {Tag.HOLD, Tag.SHARED, Tag.RESTORE, Tag.VERIFIED, Tag.SUSPECT} or key.startswith(_PER_VOLUME):
            del tags[key]
    tags.update(_metadata_tags(metadata))
    tags[Tag.SET.value] = set_id
    tags[Tag.COPY_OF.value] = source.id
    tags[Tag.COPIED_FROM.value] = region
    tags[Tag.TAKEN_AT.value] = iso(taken_at(source))
    tags[Tag.COPIED_AT.value] = iso(now)
    if restore_id:
        tags[Tag.RESTORE.value] = restore_id
    if len(tags) > MAX_TAGS:
        raise MetadataError(f"a copy of snapshot {source.id} would need {len(tags)} tags, EC2 takes {MAX_TAGS}")
    return {**tags, **pack({metadata.volume_id: _own(metadata)}, MAX_TAGS - len(tags) - KEPT_FREE)}


def _own(metadata: VolumeMetadata) -> OwnTags:
    return OwnTags(without_reserved(metadata.tags), metadata.left_out)


def _metadata_tags(metadata: VolumeMetadata) -> dict[str, str]:
    """A readable tag with all that a restore needs; if it is too long, the key and then the lineage get their own."""
    facts = {
        "device": metadata.device,
        "type": metadata.type,
        "size": metadata.size,
        "iops": metadata.iops,
        "throughput": metadata.throughput,
        "encrypted": str(metadata.encrypted).lower(),
        "delete-on-termination": str(metadata.delete_on_termination).lower(),
        "tags": len(without_reserved(metadata.tags)) + metadata.tags_left_out,
        "chain": _fact(metadata.lineage) if metadata.lineage != metadata.volume_id else None,
        "kms-key": _fact(metadata.kms_key_id) if metadata.kms_key_id else None,
    }
    beside: dict[str, str] = {}
    for name, prefix, value in (
        ("kms-key", KMS_KEY_TAG, metadata.kms_key_id),
        ("chain", LINEAGE_TAG, metadata.lineage),
    ):
        if length(_facts_text(facts)) > MAX_VALUE and facts[name] is not None and value:
            facts[name] = None
            beside[prefix + metadata.volume_id] = value
    return {VOLUME_TAG + metadata.volume_id: _facts_text(facts), **beside}


def _facts_text(facts: Mapping[str, object]) -> str:
    return " ".join(f"{name}={fact}" for name, fact in facts.items() if fact is not None)


def _fact(text: str) -> str:
    return encoded(text).replace(" ", "%20")


def with_unique_ids(points: Iterable[RecoveryPoint]) -> Iterator[RecoveryPoint]:
    """The recovery points, oldest first, each with a unique id: a doubled CreateSnapshots makes two of one id.

    The first complete one has the id that is in the tags. A slot is retried after a set that misses a volume, and the
    second set is then published under that id; it keeps the id when the other set is deleted.
    """
    count: dict[str, int] = {}
    for point in sorted(points, key=lambda point: len(point.members) < point.expected):
        count[point.id] = number = count.get(point.id, 0) + 1
        yield point if number == 1 else replace(point, id=f"{point.id}+{number}")


def is_copy(volume_id: str, tags: Tags) -> bool:
    """Whether a snapshot is a copy, by Lifeboat or others: its volume id and start time do not describe its data."""
    return volume_id == COPIED_VOLUME or Tag.COPIED_AT in tags


def taken_at(snapshot: Snapshot) -> datetime:
    """The time of a snapshot's data: when EC2 began it, or, for a copy, when EC2 began the original.

    Raises MetadataError for a copy without that time: its own start time is the copy's.
    """
    if not is_copy(snapshot.volume_id, snapshot.tags):
        return snapshot.started_at
    text = snapshot.tags.get(Tag.TAKEN_AT, "")
    at = read_time(text)
    if at is None or at > snapshot.started_at:
        raise MetadataError(
            f"snapshot {snapshot.id} is a copy with {Tag.TAKEN_AT}={text or '(none)'}, expected a time before "
            f"{iso(snapshot.started_at)}, when the copy began: the age of its data is not known"
        )
    return at


_INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


_OF_A_SLOT = re.compile(r"rp-\d{8}T\d{6}Z-", re.ASCII)


def recovery_point_id(slot: datetime, instance_id: str) -> str:
    """`rp-20261123T020000Z-i-0123456789abcdef0`: always the same for the same slot and instance.

    Raises ValueError for a time without a zone and for an invalid instance id.
    """
    if not _INSTANCE.fullmatch(instance_id):
        raise ValueError(f"instance_id is {instance_id!r}, expected an id such as i-0123456789abcdef0.")
    if slot.tzinfo is None:
        raise ValueError(f"slot is {slot.isoformat()} without a time zone, expected an aware time.")
    return f"rp-{slot.astimezone(UTC):%Y%m%dT%H%M%SZ}-{instance_id}"


def slot_prefix(recovery_point: str) -> str | None:
    """The common prefix of the ids of a slot; None for an id that `recovery_point_id` has not made."""
    found = _OF_A_SLOT.match(recovery_point)
    return found[0] if found else None
