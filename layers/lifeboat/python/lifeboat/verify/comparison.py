"""Compare a recovery point with its copy in another region, or a vault's copy with its source: the decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.proof import Level, read_proof
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.verify import plan
from lifeboat.verify.digests import Difference
from lifeboat.verify.record import Phase, Reading, Verification

TURN_EVERY = timedelta(hours=30)
"""How long the level `sample` waits before it compares the next part of the same copy. It is longer than a day, so that
the next copy of a daily schedule takes its place."""

UNEQUAL = f"a comparison has shown that it is not equal to its source, as its tag {Tag.VERIFIED} says"


@dataclass(frozen=True, slots=True)
class Pair:
    """A snapshot and its copy, and how far they were compared.

    `next_block` is where the comparison goes on. `failure` says why they cannot be compared. `refused`: that shows
    nothing of the copy, because AWS refused it, or the bytes of the source were wrong.
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
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table's record of a recovery point that is compared with its copy in `region`.

    Where that is the stack's own region, the recovery point is itself the copy, in a vault.

    The fields are those of Verification, with `pairs` in the place of the readings. `turns_done` counts the parts that
    the level `sample` has compared before this one.
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
    turns_done: int = 0

    @property
    def key(self) -> str:
        """What the record has in the table: one comparison of a recovery point in a region at a time."""
        return key_of(self.point_id, self.region)

    @property
    def done(self) -> bool:
        """Whether each pair was compared, or cannot be."""
        return bool(self.pairs) and all(pair.done for pair in self.pairs)


def key_of(point_id: str, region: str) -> str:
    """What a comparison has in the table."""
    return f"{point_id} {region}"


def source_account(point: RecoveryPoint) -> str:
    """The account whose recovery point this copy in a vault is; empty for any other recovery point."""
    return next((account for item in point.members if (account := item.snapshot.tags.get(Tag.SOURCE_ACCOUNT, ""))), "")


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


def find_kept_pairs(point: RecoveryPoint) -> tuple[Pair, ...] | str:
    """Each of a vault's copies with the snapshot that it is of, or why they cannot be compared."""
    pairs = tuple(
        Pair(
            member.snapshot.tags.get(Tag.COPY_OF, ""),
            member.snapshot.id,
            member.metadata.device,
            member.snapshot.size,
            member.snapshot.completed_at or member.snapshot.started_at,
        )
        for member in point.members
    )
    if point.condition is not Condition.GOOD:
        return f"the copy is {point.condition}"
    if not source_account(point) or not all(pair.source_id for pair in pairs):
        return f"it is no copy in a vault, with the tags {Tag.SOURCE_ACCOUNT} and {Tag.COPY_OF}"
    return pairs


def earlier_sources(point: RecoveryPoint, copy_id: str, lineage: Sequence[RecoveryPoint]) -> list[tuple[str, int]]:
    """The source snapshots of older proven copies of the same volume's lineage, with their GiB, the newest first."""
    copied = {
        member.snapshot.id: member.snapshot.tags.get(Tag.COPY_OF, "") for item in lineage for member in item.members
    }
    found = plan.earlier_proven(point, copy_id, lineage)
    return [(copied[name], gib) for name, gib in found if copied.get(name)]


def fail_unequal(record: Verification, point: RecoveryPoint) -> Verification:
    """The record, in which no copy is good that a comparison has shown to be another one than its source."""
    unequal = find_unequal(point)
    readings = tuple(
        replace(item, failure=UNEQUAL) if item.snapshot_id in unequal and not item.failure else item
        for item in record.readings
    )
    return replace(record, readings=readings)


def next_turn(record: Comparison, now: datetime) -> Comparison | None:
    """The record with the next part of the blocks, to be compared later; None if all parts were compared.

    It has no pairs meanwhile: every run reads the open records, and most of these wait.
    """
    turns_done = record.turns_done + 1
    if record.level is not Level.SAMPLE or turns_done == plan.PARTS:
        return None
    turn = (record.turn + 1) % plan.PARTS
    return replace(record, turn=turn, turns_done=turns_done, pairs=(), not_before=now + TURN_EVERY)


def newer_of_lineages(point: RecoveryPoint, lineage: Iterable[RecoveryPoint]) -> list[RecoveryPoint]:
    """The good recovery points after this one that have all of its lineages, the newest first."""
    newer = [
        item
        for item in lineage
        if plan.is_good_before(point, item)
        and item.condition is Condition.GOOD
        and {*point.lineages} <= {*item.lineages}
    ]
    return sorted(newer, key=lambda item: (item.taken_at, item.id), reverse=True)


def find_unequal(point: RecoveryPoint) -> frozenset[str]:
    """The snapshots of a recovery point whose tag says that they are not equal to their source."""
    proofs = {member.snapshot.id: read_proof(member.snapshot.tags) for member in point.members}
    return frozenset(name for name, proof in proofs.items() if proof and proof.unequal)


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
    failure = f"AWS refused to have it compared: {words}"
    return progress(record, replace(pair, done=True, failure=failure, refused=True))


def after_wrong_bytes(pair: Pair, words: str, *, of_source: bool) -> Pair:
    """The pair of which a block has not the SHA-256 that EBS sent with it. It shows nothing of the other side."""
    return replace(pair, done=True, failure=words, refused=of_source)


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
    """What the comparison has shown of each copy, as a message about a verification says it.

    `home` is where the sources are, in words. What is wrong with a copy stands before what AWS refused.
    """
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
        for pair in sorted(record.pairs, key=lambda pair: pair.refused)
    )
    return Verification(record.point_id, record.level, record.opened_at, record.turn, readings=tuple(readings))


def _describe(pair: Pair, home: str) -> str:
    said = pair.found.describe()
    return f"it is not equal to {pair.source_id} in {home}: of the blocks, {said}" if said else ""
