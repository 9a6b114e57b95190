"""NOUNS: what Lifeboat sees and decides about, frozen.

Nothing here touches AWS, a clock or the environment. EYES (`lifeboat.aws`) make these from what AWS answers, MIND
(`lifeboat.rules`) turns them into actions, HANDS (`lifeboat.aws` again) carry the actions out.

Sizes are GiB, throughput MiB/s, times are aware datetimes in UTC, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Tags = Mapping[str, str]

TAG_PREFIX = "lifeboat:"
"""Every tag that Lifeboat writes or reads begins with this."""


class Tag(StrEnum):
    """The tags of Lifeboat, part of its public face (docs/architecture.md says which sits where)."""

    # on instances, written by people
    BACKUP = "lifeboat:backup"  # the default selection tag, value "true"
    RETENTION = "lifeboat:retention"  # overrides the stack's retention policy for this instance
    RESTORE_TARGET = "lifeboat:restore-target"  # value "true": this instance, this volume, may be part of a restore

    # on volumes
    CHAIN = "lifeboat:chain"  # the line of data a volume carries on; also on snapshots of one-volume recovery points
    RESTORE = "lifeboat:restore"  # the id of the restore that made the volume
    DISPLACED_BY = "lifeboat:displaced-by"  # the id of the restore that took the volume off
    DISPLACED_FROM = "lifeboat:displaced-from"  # "<instance> <device>" it was taken off

    # on snapshots, all written with their creation
    RECOVERY_POINT = "lifeboat:recovery-point"
    SET = "lifeboat:set"  # which CreateSnapshots call made it: a doubled call makes two sets, never a mixed one
    STACK = "lifeboat:stack"
    SLOT = "lifeboat:slot"  # the due time, ISO 8601 UTC
    INSTANCE = "lifeboat:instance"
    INSTANCE_NAME = "lifeboat:instance-name"
    ZONE = "lifeboat:zone"
    AMI = "lifeboat:ami"
    AMI_OWNER = "lifeboat:ami-owner"
    VOLUMES = "lifeboat:volumes"  # how many snapshots the whole recovery point has
    LATE = "lifeboat:late"  # "true": taken by the catch-up after its slot
    TAGS_LEFT_OUT = "lifeboat:tags-left-out"  # how many volume tags did not fit on the snapshot

    # on snapshots, written by people
    HOLD = "lifeboat:hold"  # any value: never deleted while the tag is there


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume at a device of an instance. `state` is attaching, attached, detaching, detached or busy."""

    volume_id: str
    instance_id: str
    device: str
    state: str
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume as DescribeVolumes shows it. `state`: creating, available, in-use, deleting, deleted, error."""

    id: str
    state: str
    size: int
    type: str
    zone: str
    encrypted: bool
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    snapshot_id: str | None = None
    multi_attach: bool = False
    attachments: tuple[Attachment, ...] = ()
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance as DescribeInstances shows it.

    `state`: pending, running, stopping, stopped, shutting-down, terminated. `lifecycle` is "spot" or None (on demand).
    """

    id: str
    state: str
    zone: str
    ami_id: str
    root_device: str | None = None
    attachments: tuple[Attachment, ...] = ()
    tags: Tags = field(default_factory=dict)
    lifecycle: str | None = None
    type: str = ""
    product_codes: tuple[str, ...] = ()
    launched_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.tags.get("Name", "")

    @property
    def auto_scaling_group(self) -> str | None:
        # EC2 Auto Scaling writes this tag on every member; callers cannot write `aws:` tags themselves.
        return self.tags.get("aws:autoscaling:groupName")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot. `state`: pending, completed, error, recoverable, recovering. `tier`: standard or archive.

    `blocked_by` says what forbids to delete it, as far as it was looked up: a lock, an AMI, a share.
    """

    id: str
    volume_id: str
    state: str
    started_at: datetime
    size: int
    owner_id: str
    encrypted: bool = False
    kms_key_id: str | None = None
    completed_at: datetime | None = None
    tier: str = "standard"
    state_message: str = ""
    full_size_bytes: int | None = None
    blocked_by: tuple[str, ...] = ()
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeStory:
    """All that a restore needs to know of one volume, as the snapshot's own tags tell it (principle 5).

    `kms_key_id` is None for an unencrypted volume; `tags` are the volume's own, without `aws:*` and `lifeboat:*`.
    """

    volume_id: str
    chain: str
    device: str
    type: str
    size: int
    encrypted: bool
    delete_on_termination: bool
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Member:
    """One snapshot of a recovery point, with the story of the volume that it is of."""

    snapshot: Snapshot
    story: VolumeStory


class Condition(StrEnum):
    """How a recovery point stands. Only GOOD ones count as backups."""

    PENDING = "pending"  # some snapshot is still being made, none failed
    GOOD = "good"  # all snapshots are there, completed, in the standard tier
    INCOMPLETE = "incomplete"  # fewer snapshots than the set had
    FAILED = "failed"  # a snapshot ended in error
    ARCHIVED = "archived"  # a snapshot is in the archive tier, of no use to a restore until brought back
    RECYCLED = "recycled"  # a snapshot is in the Recycle Bin


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """What a backup run made of one instance: one snapshot for each data volume, crash-consistent as a set.

    `expected` is how many snapshots the set had when it was made. `slot` is the schedule's due time (or the time asked
    for, by hand); `taken_at` is when EC2 began the snapshots.
    """

    id: str
    instance_id: str
    stack: str
    slot: datetime
    members: tuple[Member, ...]
    expected: int
    taken_at: datetime
    zone: str = ""
    instance_name: str = ""
    ami_id: str = ""
    ami_owner: str = ""
    late: bool = False

    @property
    def chains(self) -> tuple[str, ...]:
        """The chains this recovery point carries on, one for each volume, sorted."""
        return tuple(sorted({member.story.chain for member in self.members}))

    @property
    def condition(self) -> Condition:
        states = {member.snapshot.state for member in self.members}
        if "error" in states:
            return Condition.FAILED
        if states & {"recoverable", "recovering"}:
            return Condition.RECYCLED
        if len(self.members) < self.expected:
            return Condition.INCOMPLETE
        if any(member.snapshot.tier != "standard" for member in self.members):
            return Condition.ARCHIVED
        return Condition.GOOD if states == {"completed"} else Condition.PENDING

    @property
    def size(self) -> int:
        """GiB of the volumes, the upper bound of what the snapshots take."""
        return sum(member.snapshot.size for member in self.members)

    @property
    def held(self) -> bool:
        return any(Tag.HOLD in member.snapshot.tags for member in self.members)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        return tuple(sorted({reason for member in self.members for reason in member.snapshot.blocked_by}))


@dataclass(frozen=True, slots=True)
class Selector:
    """Which instances are ours to back up: a tag with an exact value, or an exact `Name`. Never a prefix (trap 3)."""

    tag_key: str
    tag_value: str

    def selects(self, instance: Instance) -> bool:
        return instance.tags.get(self.tag_key) == self.tag_value


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """What could be learnt of the AMI that an instance was launched from. None and empty mean: not known.

    `ancestors` are image ids from the image itself to its root (GetImageAncestry); `source_instance_id` is set when
    the image was made of an instance (CreateImage). `problems` says what could not be looked up, and why.
    """

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None
    name: str | None = None
    state: str | None = None
    public: bool | None = None
    source_instance_id: str | None = None
    source_image_id: str | None = None
    ancestors: tuple[ImageAncestor, ...] = ()
    ancestry_known: bool = False
    product_codes: tuple[str, ...] = ()
    watermarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageAncestor:
    """One step of an image's descent. `owner_id` is None unless the ancestor itself could still be described."""

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None


class Trust(StrEnum):
    """Whether an instance's image comes from somewhere we trust. UNKNOWN is never treated as TRUSTED (principle 4)."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AmiVerdict:
    """What the rule makes of an `ImageEvidence`: `code` is a short kebab-case cause, `reason` one sentence for people.

    `evidence` holds the facts that the verdict rests on, one phrase each, in the order they were weighed.
    """

    verdict: Trust
    code: str
    reason: str
    evidence: tuple[str, ...] = ()
