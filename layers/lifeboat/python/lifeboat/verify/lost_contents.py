"""Find a file system that the last proven recovery point of a lineage held, and that is not there any more.

A superblock of zeros, a list of blocks that comes back empty, and an encrypted partition all look like a volume on
which there never was a file system. Only the comparison shows the difference. A person may also have reformatted the
volume: Lifeboat never guesses which it is, and the person says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lifeboat.domain.proof import read_proof
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
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


def compare_with_proven(record: Verification, point: RecoveryPoint, others: Iterable[RecoveryPoint]) -> Verification:
    """The record, with a failure for each snapshot that lost a file system since the last proven one.

    `others` are recovery points of its lineages. It is one of them, and may have been proven before.
    """
    before = [
        item
        for item in sorted(others, key=lambda item: (item.taken_at, item.id))
        if item.proven and item.condition is Condition.GOOD and item.taken_at <= point.taken_at
    ]
    held: dict[str, tuple[str, str]] = {}
    for item in before:
        for member in item.members:
            proof = read_proof(member.snapshot.tags)
            held[member.metadata.lineage] = (item.id, proof.holds if proof else "")
    lineages = {member.snapshot.id: member.metadata.lineage for member in point.members}
    return replace(record, readings=tuple(_compare(item, lineages, held) for item in record.readings))


def _compare(reading: Reading, lineages: Mapping[str, str], held: Mapping[str, tuple[str, str]]) -> Reading:
    earlier_id, holds = held.get(lineages.get(reading.snapshot_id, ""), ("", ""))
    before, now = _known(_types(holds)), _known(_types(reading.types))
    # As many as before: one was converted, as from ext3 to ext4.
    if now.total() >= before.total() or not may_have_lost(reading):
        return reading
    names = ", ".join(sorted(before - now))
    failure = (
        f"{names} was on it in the last proven recovery point, {earlier_id}, and now it holds "
        f"{reading.holds}: the file system was erased or encrypted, or a person has reformatted the volume"
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
