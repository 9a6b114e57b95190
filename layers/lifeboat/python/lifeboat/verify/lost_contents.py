"""Find a file system that the last proven recovery point of a lineage held, and that is not there any more.

A superblock of zeros, a list of blocks that comes back empty, and an encrypted partition all look like a volume on
which there never was a file system. Only the comparison shows the difference. A person may also have reformatted the
volume: Lifeboat never guesses which it is, and the person says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lifeboat.domain.proof import read_proof
from lifeboat.domain.recovery_point import Condition, Member, RecoveryPoint, VolumeMetadata
from lifeboat.verify.contents.found import EMPTY, UNKNOWN, Contents
from lifeboat.verify.record import Phase, Reading, Verification

_NAMELESS = frozenset({UNKNOWN, EMPTY})


def name_types(contents: Contents) -> str:
    """`xfs`, `ext4:2/unknown`: the type of each file system, with their number from two on; `empty` without any.

    Empty text where the inspection ended early. It goes into a tag, so it has no space.
    """
    if not contents.complete:
        return ""
    counts = Counter(found.type for found in contents.file_systems) or Counter([EMPTY])
    return "/".join(name if number == 1 else f"{name}:{number}" for name, number in sorted(counts.items()))


def may_have_lost(reading: Reading) -> bool:
    """Whether a snapshot that was read without a failure holds something that no parser recognised."""
    return not reading.failure and bool(_NAMELESS & set(_types(reading.types)))


def compare_with_proven(
    record: Verification, point: RecoveryPoint, others: Iterable[RecoveryPoint], sources: Mapping[str, str]
) -> Verification:
    """The record, with a failure for each snapshot that lost a file system since the last proven one of its volume.

    `others` are recovery points of its lineages. It is one of them, and may have been proven before. `sources` are the
    snapshots that restored volumes were made from, by volume id. A volume without a proven one of its own is compared
    with its source, which may be older than the newest proven one; where that is not known, with the newest.
    """
    proven = _proven_members(point, others)
    compared = {
        member.snapshot.id: _compared_with(member.metadata, proven, sources.get(member.metadata.volume_id, ""))
        for member in point.members
    }
    return replace(record, readings=tuple(_compare(item, compared.get(item.snapshot_id)) for item in record.readings))


def restored_volumes(record: Verification, point: RecoveryPoint, others: Iterable[RecoveryPoint]) -> frozenset[str]:
    """The ids of the volumes of which this recovery point is the first to be proven, though their lineage is older.

    A restore made them, so what they have lost is known only with the snapshots that they were made from.
    """
    proven = _proven_members(point, others)
    read = {item.snapshot_id for item in record.readings if may_have_lost(item)}
    return frozenset(
        member.metadata.volume_id
        for member in point.members
        if member.snapshot.id in read
        and not _of_volume(member.metadata, proven)
        and _of_lineage(member.metadata, proven)
    )


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier recovery point held, and what it is called: it is of the volume itself, its source, or neither.

    `goes_on`: the volume goes on from it, so nothing else explains a loss.
    """

    point_id: str
    holds: str
    called: str
    goes_on: bool


type _Proven = Sequence[tuple[str, Member]]
"""Proven snapshots with the ids of their recovery points, the oldest first."""


def _proven_members(point: RecoveryPoint, others: Iterable[RecoveryPoint]) -> _Proven:
    before = [
        item
        for item in sorted(others, key=lambda item: (item.taken_at, item.id))
        if item.proven and item.condition is Condition.GOOD and item.taken_at <= point.taken_at
    ]
    return [(item.id, member) for item in before for member in item.members]


def _of_volume(metadata: VolumeMetadata, proven: _Proven) -> _Proven:
    return [item for item in proven if item[1].metadata.volume_id == metadata.volume_id]


def _of_lineage(metadata: VolumeMetadata, proven: _Proven) -> _Proven:
    return [item for item in proven if item[1].metadata.lineage == metadata.lineage]


def _compared_with(metadata: VolumeMetadata, proven: _Proven, source: str) -> _Earlier | None:
    last = "the last proven recovery point"
    restored_from = [item for item in proven if item[1].snapshot.id == source]
    for found, called, goes_on in (
        (_of_volume(metadata, proven), last, True),
        (restored_from, "the recovery point that it was restored from", True),
        (_of_lineage(metadata, proven), last, False),
    ):
        if found:
            point_id, member = found[-1]
            proof = read_proof(member.snapshot.tags)
            return _Earlier(point_id, proof.holds if proof else "", called, goes_on)
    return None


def _compare(reading: Reading, earlier: _Earlier | None) -> Reading:
    if earlier is None:
        return reading
    before, now = _known(_types(earlier.holds)), _known(_types(reading.types))
    # As many as before: one was converted, as from ext3 to ext4.
    if now.total() >= before.total() or not may_have_lost(reading):
        return reading
    names = ", ".join(sorted(before - now))
    causes = ["the file system was erased or encrypted", "a person has reformatted the volume"]
    if not earlier.goes_on:
        causes.append("a restore brought back data from before it was made")
    failure = (
        f"{names} was on it in {earlier.called}, {earlier.point_id}, and now it holds "
        f"{reading.holds}: {', '.join(causes[:-1])}, or {causes[-1]}"
    )
    return replace(reading, phase=Phase.DONE, failure=failure, lost=True)


def _known(types: Counter[str]) -> Counter[str]:
    return Counter({name: number for name, number in types.items() if name not in _NAMELESS})


def _types(names: str) -> Counter[str]:
    """What `name_types` has named. Anything else, as in a tag that others wrote, counts as one of that name."""
    found: Counter[str] = Counter()
    for part in filter(None, names.split("/")):
        name, _, number = part.partition(":")
        found[name] += int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else 1
    return found
