"""Compare a recovery point with its copy in another region: the record, and its decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.verify import plan
from lifeboat.verify.digests import Difference
from lifeboat.verify.record import Phase, Reading, Verification


@dataclass(frozen=True, slots=True)
class Pair:
    """A snapshot and its copy, and how far they were compared.

    `next_block` is where the comparison goes on. `failure` says why they cannot be compared.
    """

    source_id: str
    copy_id: str
    device: str
    gib: int
    copied_at: datetime
    next_block: int = 0
    read: int = 0
    found: Difference = field(default_factory=Difference)
    done: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table's record of a recovery point that is compared with its copy in `region`.

    The fields are those of Verification, with `pairs` in the place of the readings.
    """

    point_id: str
    region: str
    level: Level
    opened_at: datetime
    turn: int
    pairs: tuple[Pair, ...] = ()
    attempts: int = 0
    refused_since: datetime | None = None
    not_before: datetime | None = None
    reason: str = ""
    version: int = 1

    @property
    def key(self) -> str:
        """What the record has in the table: one comparison of a recovery point in a region at a time."""
        return f"{self.point_id} {self.region}"

    @property
    def done(self) -> bool:
        """Whether each pair was compared, or cannot be."""
        return bool(self.pairs) and all(pair.done for pair in self.pairs)


def due(records: Iterable[Comparison], now: datetime) -> list[Comparison]:
    """The comparisons that may go on, the newest recovery points first."""
    ready = (record for record in records if record.not_before is None or record.not_before <= now)
    return sorted(ready, key=lambda record: record.key, reverse=True)


def earlier_copies(points: Iterable[RecoveryPoint], copy_id: str) -> list[tuple[str, int]]:
    """Earlier copies of the lineage of this one with their GiB, the newest first."""
    members = [(point.taken_at, member) for point in points for member in point.members]
    this = next(((at, member.metadata.lineage) for at, member in members if member.snapshot.id == copy_id), None)
    if this is None:
        return []
    older = [(at, member) for at, member in members if at < this[0] and member.metadata.lineage == this[1]]
    newest_first = sorted(older, key=lambda item: item[0], reverse=True)
    return [(member.snapshot.id, member.snapshot.size) for _, member in newest_first]


def find_pairs(point: RecoveryPoint, copies: Sequence[Snapshot]) -> tuple[Pair, ...] | str:
    """Each snapshot of a recovery point with its copy, or why they cannot be compared now."""
    copied: Mapping[str, Snapshot] = {copy.tags.get(Tag.COPY_OF, ""): copy for copy in copies}
    found = [(member, copied.get(member.snapshot.id)) for member in point.members]
    if any(copy is None for _, copy in found):
        return "a copy is missing"
    if any(copy is not None and copy.state != "completed" for _, copy in found):
        return "a copy is not complete"
    return tuple(
        Pair(
            member.snapshot.id,
            copy.id,
            member.metadata.device,
            member.snapshot.size,
            copy.completed_at or copy.started_at,
        )
        for member, copy in found
        if copy is not None
    )


def is_compared(index: int, level: Level, turn: int, *, in_both: bool, both_known: bool) -> bool:
    """Whether a block is compared: in its turn, where it costs no read, or where only one of the two has it."""
    return both_known or not in_both or plan.is_read(index, level, turn)


def progress(record: Comparison, pair: Pair) -> Comparison:
    """The record with the next checkpoint of one pair; earlier refusals do not count any more."""
    pairs = tuple(pair if item.copy_id == pair.copy_id else item for item in record.pairs)
    return replace(record, pairs=pairs, attempts=0, refused_since=None, not_before=None, reason="")


def after_refusal(record: Comparison, pair: Pair, words: str, now: datetime, *, code: str, passes: bool) -> Comparison:
    """The record after AWS refused to read a pair: a pause where time may mend it, else the failure."""
    young = code == plan.NOT_FOUND and now - pair.copied_at < plan.READABLE_WITHIN
    if (passes or young) and now - (record.refused_since or now) < plan.REFUSED_FOR:
        return paused(record, words, now)
    return progress(record, replace(pair, done=True, failure=f"AWS refused to have it compared: {words}"))


def paused(record: Comparison, reason: str, now: datetime) -> Comparison:
    """The record after a run that could not go on; the next one does after a pause."""
    pause = min(plan.LONGEST_PAUSE, plan.FIRST_PAUSE * 2 ** min(record.attempts, 10))
    return replace(
        record,
        attempts=record.attempts + 1,
        refused_since=record.refused_since or now,
        not_before=now + pause,
        reason=reason,
    )


def as_verification(record: Comparison, home: str) -> Verification:
    """What the comparison has shown of each copy, as a message about a verification says it."""
    readings = (
        Reading(
            pair.copy_id,
            pair.device,
            pair.gib,
            pair.copied_at,
            Phase.DONE,
            read=pair.read,
            failure=pair.failure or _describe(pair, home),
        )
        for pair in record.pairs
    )
    return Verification(record.point_id, record.level, record.opened_at, record.turn, readings=tuple(readings))


def _describe(pair: Pair, home: str) -> str:
    said = pair.found.describe()
    return f"it is not equal to {pair.source_id} in {home}: of the blocks, {said}" if said else ""
