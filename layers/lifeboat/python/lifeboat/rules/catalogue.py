"""The catalogue: what the tags of snapshots tell of recovery points, written and read in one place.

CreateSnapshots takes one set of tags for all the snapshots it makes (`TagSpecifications` "apply to every snapshot
specified by the instance", EC2 API reference), so each snapshot of a set carries the story of the whole set: a tag
`lifeboat:volume/<volume id>` for each volume with all that a restore needs, readable, and beside it the volumes' own
tags (`rules.packing`). A set of one volume also carries the plain `lifeboat:chain`. `CopyTagsFromSource` is not used:
it would give the snapshot the volume's `Name`, and the protected platform's own role may delete snapshots whose `Name`
begins with the platform's.

A snapshot has at most 50 tags (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html). What a restore
needs comes first: one tag a volume, and a second or third one where a chain or a key is too long for that. A volume's
own tags that no longer fit are left out; its main tag says how many it had, so that none is missed without notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import unquote

from lifeboat.model import TAG_PREFIX, Member, RecoveryPoint, Snapshot, Tag, Tags, VolumeStory
from lifeboat.rules.packing import MAX_VALUE, PACKED, READABLE, OwnTags, encoded, length, pack, unpack

MAX_TAGS = 50

MOST_OWN = 1_000
"""No volume has so many tags; what says so is not believed."""

COPIED_VOLUME = "vol-ffffffff"
"""What a copy says it is of (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html)."""

_VOLUME = "lifeboat:volume/"
_CHAIN = "lifeboat:chain/"
_KMS_KEY = "lifeboat:kms-key/"
_ABOUT_A_VOLUME = (_VOLUME, _CHAIN, _KMS_KEY, READABLE, PACKED)


STORIES = 20_000
"""How many volumes' stories are kept for the next snapshot that tells the same."""


COPY_BEGINS_WITHIN = timedelta(minutes=20)
"""EC2 begins a copy when it is asked. An invocation plans, and asks, within 15 minutes; the rest is for clocks."""


class StoryError(ValueError):
    """A story does not fit on a snapshot, or a snapshot's tags tell none."""


class TooManyTagsError(StoryError):
    """What a restore needs takes more tags than there is room for; `needed` says how many."""

    def __init__(self, reason: str, needed: int) -> None:
        super().__init__(reason)
        self.needed = needed


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All recovery points found, oldest first, and the snapshots whose tags could not be read, each with the reason.

    `foreign` are copies that others made with our tags on them, each with the reason: they are nobody's business here.
    """

    points: tuple[RecoveryPoint, ...]
    unreadable: tuple[tuple[Snapshot, str], ...] = ()
    foreign: tuple[tuple[Snapshot, str], ...] = ()

    def good(self) -> tuple[RecoveryPoint, ...]:
        return tuple(point for point in self.points if point.condition == "good")

    def strangers(self) -> tuple[Snapshot, ...]:
        """Of the unreadable ones those that are of another volume than their tags tell of."""
        return tuple(snapshot for snapshot, _ in self.unreadable if is_stranger(snapshot.volume_id, snapshot.tags))


def iso(at: datetime) -> str:
    """`2026-11-23T02:00:00Z`: how times stand in tags and messages."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_reserved(tags: Tags) -> dict[str, str]:
    """The tags that may be written on another resource: `aws:` ones cannot be (trap 8), ours would lie there."""
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
    stories: Iterable[VolumeStory],
    late: bool = False,
    most: int = MAX_TAGS,
) -> dict[str, str]:
    """The tags of every snapshot of one recovery point, `most` of them at most.

    What of the volumes' own tags does not fit `left_out_of` tells. Raises StoryError when what a restore needs does not
    fit into 50 tags (more than 38 data volumes), or a value is longer than EC2 takes.
    """
    stories = tuple(stories)
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
        Tag.AMI.value: ami_id,
        Tag.AMI_OWNER.value: ami_owner,
        Tag.VOLUMES.value: str(len(stories)),
    }
    if late:
        tags[Tag.LATE.value] = "true"
    if len(stories) == 1:
        tags[Tag.CHAIN.value] = stories[0].chain
    for story in stories:
        tags.update(_story_tags(story))
    too_long = [key for key, value in tags.items() if len(value) > MAX_VALUE]
    if too_long:
        raise StoryError(f"tag {too_long[0]} would be {len(tags[too_long[0]])} characters long, EC2 takes {MAX_VALUE}")
    if len(tags) > most:
        raise TooManyTagsError(
            f"instance {instance_id} has {len(stories)} data volumes: their story needs {len(tags)} tags on each "
            f"snapshot, EC2 takes {MAX_TAGS}",
            len(tags),
        )
    return {**tags, **pack({story.volume_id: _own(story) for story in stories}, most - len(tags))}


def left_out_of(tags: Tags, stories: Iterable[VolumeStory]) -> dict[str, tuple[str, ...]]:
    """By volume, the keys of its own tags that these tags of a snapshot do not tell, as it will be read: none is
    missed without notice, whatever the reason.
    """
    found = {}
    for story in stories:
        told = unpack(tags, story.volume_id).tags
        own = without_reserved(story.tags)
        missing = tuple(sorted(key for key, value in own.items() if told.get(key) != value))
        if missing:
            found[story.volume_id] = missing
    return found


def name_left_out(count: int, keys: Iterable[str], *, listed: int = 20) -> str:
    """`3 (team, cost-center and 1 more)`: how many tags are left out, and which, as far as that is known."""
    named = list(keys)[:listed]
    more = count - len(named)
    if not named:
        return f"{count} (their keys did not fit either)"
    return f"{count} ({', '.join(named)}{f' and {more} more' if more > 0 else ''})"


def tags_of_copy(member: Member, *, region: str, set_id: str, now: datetime, restore_id: str = "") -> dict[str, str]:
    """The tags of a copy of one snapshot that is in `region`: CopySnapshot takes none along.

    Only the story of its own volume, so that `read_story` knows it although a copy's volume id is arbitrary. No key,
    because the source's is of the source's region: the copy's own is on the copy. Nothing that people wrote on the
    source: a hold there is no hold here. `set_id` binds the copies of one recovery point together; `now` is when
    EC2 is asked for the copy; `restore_id` is the restore that it is copied for, if one asked.

    Raises StoryError when they are too many.
    """
    source, story = member.snapshot, replace(member.story, kms_key_id=None)
    tags = {key: value for key, value in source.tags.items() if key == "Name" or key.startswith(TAG_PREFIX)}
    for key in list(tags):
        if key in {Tag.HOLD, Tag.SHARED, Tag.RESTORE} or key.startswith(_ABOUT_A_VOLUME):
            del tags[key]
    tags.update(_story_tags(story))
    tags[Tag.SET.value] = set_id
    tags[Tag.COPY_OF.value] = source.id
    tags[Tag.COPIED_FROM.value] = region
    tags[Tag.TAKEN_AT.value] = iso(taken_at(source))
    tags[Tag.COPIED_AT.value] = iso(now)
    if restore_id:
        tags[Tag.RESTORE.value] = restore_id
    if len(tags) > MAX_TAGS:
        raise StoryError(f"a copy of snapshot {source.id} would need {len(tags)} tags, EC2 takes {MAX_TAGS}")
    return {**tags, **pack({story.volume_id: _own(story)}, MAX_TAGS - len(tags))}


def _own(story: VolumeStory) -> OwnTags:
    return OwnTags(without_reserved(story.tags), story.left_out)


def _story_tags(story: VolumeStory) -> dict[str, str]:
    """One readable tag with all that a restore needs, or beside it the key, and then the chain, if that is too long."""
    facts = {
        "device": story.device,
        "type": story.type,
        "size": story.size,
        "iops": story.iops,
        "throughput": story.throughput,
        "encrypted": str(story.encrypted).lower(),
        "delete-on-termination": str(story.delete_on_termination).lower(),
        "tags": len(without_reserved(story.tags)) + story.tags_left_out,
        "chain": _fact(story.chain) if story.chain != story.volume_id else None,
        "kms-key": _fact(story.kms_key_id) if story.kms_key_id else None,
    }
    beside: dict[str, str] = {}
    for name, prefix, value in (("kms-key", _KMS_KEY, story.kms_key_id), ("chain", _CHAIN, story.chain)):
        if length(_facts_text(facts)) > MAX_VALUE and facts[name] is not None and value:
            facts[name] = None
            beside[prefix + story.volume_id] = value
    return {_VOLUME + story.volume_id: _facts_text(facts), **beside}


def _facts_text(facts: Mapping[str, object]) -> str:
    return " ".join(f"{name}={fact}" for name, fact in facts.items() if fact is not None)


def _fact(text: str) -> str:
    return encoded(text).replace(" ", "%20")


def read_catalogue(snapshots: Iterable[Snapshot]) -> Catalogue:
    """Group snapshots into recovery points by their tags alone.

    Nothing is guessed: a snapshot whose tags do not tell its story is listed as unreadable, and the recovery point it
    would belong to counts as incomplete. A copy that others made is in no recovery point.
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
            member = Member(snapshot, read_story(snapshot))
        except StoryError as problem:
            unreadable.append((snapshot, str(problem)))
        else:
            sets.setdefault((point_id, snapshot.tags.get(Tag.SET, "")), []).append(member)
    points: list[RecoveryPoint] = []
    seen: dict[str, int] = {}
    for (point_id, _), members in sorted(sets.items(), key=lambda item: (_taken_at(item[1]), item[0])):
        ours, copied = _without_later_copies(members)
        foreign += copied
        for some in _each_volume_once(ours):
            try:
                point = _read_point(point_id, some)
            except StoryError as problem:
                unreadable.extend((member.snapshot, str(problem)) for member in some)
                continue
            seen[point_id] = seen.get(point_id, 0) + 1
            if seen[point_id] > 1:  # a doubled CreateSnapshots: the second set is a recovery point of its own
                point = replace(point, id=f"{point_id}+{seen[point_id]}")
            points.append(point)
    found = sorted(points, key=lambda point: (point.taken_at, point.id))
    return Catalogue(tuple(found), tuple(unreadable), tuple(foreign))


def is_copy(volume_id: str, tags: Tags) -> bool:
    """Whether a snapshot is a copy, whoever made it: then its volume id and its start tell nothing of the data."""
    return volume_id == COPIED_VOLUME or Tag.COPIED_AT in tags


def made_by_others(snapshot: Snapshot) -> str:
    """Why a snapshot with our tags is a copy that others made, if it is one: EC2 copies no tags, people and
    tools do (Cloud Custodian copies all of them), and whoever encrypts a snapshot anew copies it.

    Its start is the copying's, so it would be the newest of its chain; and whoever made it decides about it. A copy of
    a recovery point's own snapshot lacks the tags of a copy. A copy of our copy has them, but began later than they
    say.
    """
    if not is_copy(snapshot.volume_id, snapshot.tags):
        return ""
    asked_at = _time(snapshot.tags.get(Tag.COPIED_AT, ""))
    if Tag.COPY_OF not in snapshot.tags or asked_at is None:
        return f"snapshot {snapshot.id} is a copy that others made of a recovery point's snapshot"
    if snapshot.started_at - asked_at > COPY_BEGINS_WITHIN:
        return f"snapshot {snapshot.id} is a copy that others made of Lifeboat's copy"
    return ""


def _without_later_copies(members: list[Member]) -> tuple[list[Member], list[tuple[Snapshot, str]]]:
    """A set's members without copies that began when one of the same volume was whole: Lifeboat asks for none then,
    so these are copies that others made of it.
    """
    first: dict[str, datetime] = {}
    for member in members:
        snapshot, volume_id, whole_at = member.snapshot, member.story.volume_id, member.snapshot.completed_at
        whole = snapshot.state == "completed" and snapshot.tier == "standard"
        if whole and whole_at and whole_at >= snapshot.started_at:
            first[volume_id] = min(whole_at, first.get(volume_id, whole_at))
    ours: list[Member] = []
    others: list[tuple[Snapshot, str]] = []
    for member in members:
        snapshot, first_at = member.snapshot, first.get(member.story.volume_id)
        if first_at and snapshot.started_at > first_at and is_copy(snapshot.volume_id, snapshot.tags):
            others.append((snapshot, f"snapshot {snapshot.id} is a copy that others made of Lifeboat's copy"))
        else:
            ours.append(member)
    return ours, others


def _each_volume_once(members: list[Member]) -> list[list[Member]]:
    """A set as it is; but if two have copied the same snapshot for it, what is good of each first, and what is left.

    CopySnapshot has no token, and two regions' functions can ask for one copy at the same moment.
    """
    if len(members) <= 1 or len({member.story.volume_id for member in members}) == len(members):
        return [members] if members else []
    first: dict[str, Member] = {}
    left = []
    for member in sorted(members, key=_best_first):
        if first.setdefault(member.story.volume_id, member) is not member:
            left.append(member)
    return [list(first.values()), *_each_volume_once(left)]


def _best_first(member: Member) -> tuple[int, datetime, str]:
    snapshot = member.snapshot
    worth = {"completed": 0, "pending": 1}.get(snapshot.state, 2)
    return (worth if snapshot.tier == "standard" else 2, snapshot.started_at, snapshot.id)


def _taken_at(members: Iterable[Member]) -> datetime:
    return min(taken_at(member.snapshot) for member in members)


def taken_at(snapshot: Snapshot) -> datetime:
    """When the data of a snapshot is of: when EC2 began it, or, for a copy, the snapshot that was copied.

    Raises StoryError for a copy that does not tell: its own start is the copying's.
    """
    if not is_copy(snapshot.volume_id, snapshot.tags):
        return snapshot.started_at
    said = snapshot.tags.get(Tag.TAKEN_AT, "")
    at = _time(said)
    if at is None or at > snapshot.started_at:
        raise StoryError(
            f"snapshot {snapshot.id} is a copy with {Tag.TAKEN_AT}={said or '(none)'}, expected a time before "
            f"{iso(snapshot.started_at)}, when the copy began: how old its data is is not known"
        )
    return at


def _time(said: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return None
    return at if at.tzinfo else None


def _read_point(point_id: str, members: list[Member]) -> RecoveryPoint:
    tags = members[0].snapshot.tags
    try:
        slot = datetime.fromisoformat(tags[Tag.SLOT])
        expected = int(tags[Tag.VOLUMES])
    except (KeyError, ValueError) as problem:
        raise StoryError(
            f"snapshot {members[0].snapshot.id} has no readable {Tag.SLOT} and {Tag.VOLUMES} tags: {problem!r}"
        ) from None
    if slot.tzinfo is None:
        raise StoryError(f"snapshot {members[0].snapshot.id} has {Tag.SLOT}={tags[Tag.SLOT]}, expected a time with Z")
    return RecoveryPoint(
        id=point_id,
        instance_id=tags.get(Tag.INSTANCE, ""),
        stack=tags.get(Tag.STACK, ""),
        slot=slot,
        members=tuple(sorted(members, key=lambda member: member.story.device)),
        expected=expected,
        taken_at=_taken_at(members),
        zone=tags.get(Tag.ZONE, ""),
        instance_name=tags.get(Tag.INSTANCE_NAME, ""),
        ami_id=tags.get(Tag.AMI, ""),
        ami_owner=tags.get(Tag.AMI_OWNER, ""),
        late=tags.get(Tag.LATE) == "true",
    )


def is_stranger(volume_id: str, tags: Tags) -> bool:
    """Whether a snapshot is of another volume than its tags tell of.

    CreateSnapshots takes whatever is attached when it is called and writes our tags on all of it, so a volume that was
    attached after the look gets them, too. A copy's volume id says nothing.
    """
    return f"{_VOLUME}{volume_id}" not in tags and not is_copy(volume_id, tags)


def read_story(snapshot: Snapshot) -> VolumeStory:
    """The story of the one volume that this snapshot is of.

    Raises StoryError when the tags tell of other volumes only, or, for a copy, of none or several: a copy's volume id
    is arbitrary (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html).
    """
    tags = snapshot.tags
    volume_ids = sorted(key.removeprefix(_VOLUME) for key in tags if key.startswith(_VOLUME))
    volume_id = snapshot.volume_id
    if is_stranger(volume_id, tags):
        raise StoryError(
            f"snapshot {snapshot.id} is of {volume_id or 'no known volume'}, but its tags tell of "
            f"{', '.join(volume_ids) or 'no volume'}"
        )
    if volume_id not in volume_ids:
        if len(volume_ids) != 1:
            raise StoryError(
                f"snapshot {snapshot.id} is a copy, expected the tags of one volume, found those of "
                f"{', '.join(volume_ids) or 'none'}"
            )
        volume_id = volume_ids[0]
    try:
        return _story(
            volume_id,
            tags[_VOLUME + volume_id],
            tags.get(_CHAIN + volume_id),
            tags.get(_KMS_KEY + volume_id),
            tuple(sorted(item for item in tags.items() if item[0].startswith((f"{READABLE}{volume_id}/", PACKED)))),
        )
    except (KeyError, ValueError) as problem:
        raise StoryError(f"snapshot {snapshot.id} has an unreadable tag {_VOLUME}{volume_id}: {problem!r}") from None


@lru_cache(maxsize=STORIES)
def _story(
    volume_id: str,
    facts_text: str,
    chain: str | None,
    kms_key_id: str | None,
    own_tags: tuple[tuple[str, str], ...],
) -> VolumeStory:
    """Raises KeyError and ValueError. Cached: a volume's story is the same from slot to slot, so one does for all."""
    facts = dict(part.split("=", 1) for part in facts_text.split(" ") if "=" in part)
    own = unpack(dict(own_tags), volume_id)
    had = _number(facts.get("tags"))
    if had is not None and not 0 <= had <= MOST_OWN:
        raise ValueError(f"tags={had}, expected 0 to {MOST_OWN}")
    left_out = max(0, had - len(own.tags)) if had is not None else 0
    return VolumeStory(
        volume_id=volume_id,
        chain=chain or unquote(facts.get("chain", "")) or volume_id,
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
