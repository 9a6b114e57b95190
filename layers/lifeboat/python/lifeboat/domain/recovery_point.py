"""A recovery point: the snapshots of one instance's data volumes, and the metadata in their tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.proof import Proof, join_proofs, read_proof
from lifeboat.domain.suspicion import is_suspected
from lifeboat.domain.tags import Tag, Tags


@dataclass(frozen=True, slots=True)
class VolumeMetadata:
    """All that a restore needs to know of one volume, as recorded in the snapshot's tags.

    `kms_key_id` is None for an unencrypted volume; `tags` are the volume's own, without `aws:*` and `lifeboat:*`.
    `tags_left_out` is how many more tags the volume had that are not recorded; `left_out` are their known keys.
    """

    volume_id: str
    lineage: str
    device: str
    type: str
    size: int
    encrypted: bool
    delete_on_termination: bool
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    tags: Tags = field(default_factory=dict)
    tags_left_out: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One snapshot of a recovery point, with the metadata of its volume."""

    snapshot: Snapshot
    metadata: VolumeMetadata


class Condition(StrEnum):
    """How a recovery point stands. Only GOOD ones count as backups."""

    PENDING = "pending"  # a snapshot is still being made, none failed
    GOOD = "good"  # all snapshots exist, completed, in the standard tier
    INCOMPLETE = "incomplete"  # fewer snapshots than the set had
    FAILED = "failed"  # a snapshot ended in error
    ARCHIVED = "archived"  # a snapshot is in the archive tier, where a restore cannot use it
    RECYCLED = "recycled"  # a snapshot is in the Recycle Bin


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """The backup of one instance: one snapshot for each data volume, crash-consistent as a set.

    `expected` is how many snapshots the set had when it was made. `slot` is the schedule's due time, or the time of a
    request by hand. `taken_at` is when EC2 began the snapshots. `region` is the other region that holds it, empty for
    this one; `account` the other account that shares it, empty for this one. `ami_name` is the image's name as
    its owner wrote it; empty if it is not recorded.
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
    ami_name: str = ""
    ami_owner: str = ""
    late: bool = False
    region: str = ""
    account: str = ""

    @property
    def name_and_slot(self) -> tuple[str, datetime]:
        """What all sets of one recovery point have in common: the id in their tags, and the slot.

        The `id` of each set is its own: all but the first one end with `+2` and so on.
        """
        return self.id.partition("+")[0], self.slot

    @property
    def lineages(self) -> tuple[str, ...]:
        """The lineages of its volumes, sorted."""
        return tuple(sorted({member.metadata.lineage for member in self.members}))

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
        """GiB of the volumes: an upper bound of the snapshots' size."""
        return sum(member.snapshot.size for member in self.members)

    @property
    def held(self) -> bool:
        return any(Tag.HOLD in member.snapshot.tags for member in self.members)

    @property
    def suspected(self) -> bool:
        """Whether a suspicion against it is open. While it is, retention deletes nothing as old as it or older."""
        return any(is_suspected(member.snapshot.tags) for member in self.members)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        return tuple(sorted({reason for member in self.members for reason in member.snapshot.blocked_by}))

    @property
    def proof(self) -> Proof | None:
        """What reading it back has shown. None if a snapshot was not read, or is missing."""
        found = join_proofs([read_proof(member.snapshot.tags) for member in self.members])
        return found if found is None or not found.proven or len(self.members) >= self.expected else None

    @property
    def proven(self) -> bool:
        """Whether each of its snapshots was read back, and nothing was wrong with any."""
        return self.proof is not None and self.proof.proven


def newest_proven(points: Iterable[RecoveryPoint]) -> RecoveryPoint | None:
    """The newest good recovery point that is proven and not suspect, if any."""
    proven = (point for point in points if point.condition is Condition.GOOD and point.proven and not point.suspected)
    return max(proven, key=lambda point: (point.taken_at, point.id), default=None)
