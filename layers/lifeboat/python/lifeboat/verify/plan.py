"""Decisions of a verification: what is read, when a refusal of AWS is a failure, and what the result is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.text import clip
from lifeboat.verify.record import Phase, Reading, Verification

BLOCK = 512 * 1024
"""Bytes of a block of the EBS direct APIs."""

PARTS = 12
"""The level `sample` reads the blocks whose index has one of so many remainders; the day decides which."""

MOST_BLOCKS = 2_000
"""The most blocks that the inspection of one snapshot reads. An XFS of 100 GiB needs about ten."""

READABLE_WITHIN = timedelta(minutes=5)
"""How long after its completion a snapshot may still be SNAPSHOT_NOT_FOUND: about a minute, as recorded from a live
account, and something to spare."""

REFUSED_FOR = timedelta(days=1)
"""How long refusals that may pass are no failure."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
"""The first pause after a refusal that may pass; each further one is twice as long, up to the longest."""

SEARCHED_BACK = timedelta(days=8)
"""How far back recovery points without a proof are searched: the slots of a weekly schedule."""

MOST_WORDS = 2_000
"""Characters of a failure: a record of 38 snapshots must fit into an item of the table, 400 kB."""

NOT_FOUND = "SNAPSHOT_NOT_FOUND"
"""EBS's reason for a snapshot that does not exist, or is not readable yet."""


def turn_of(day: date) -> int:
    """Which part of the blocks the level `sample` reads on this day (UTC). After PARTS days all were read once."""
    return day.toordinal() % PARTS


def new_verification(
    point_id: str, level: Level, now: datetime, *, by_hand: bool = False, expected: bool = False
) -> Verification:
    """The record of a recovery point that is to be read back from now on."""
    return Verification(point_id, level, now, turn_of(now.astimezone(UTC).date()), by_hand, expected=expected)


def asked_for(record: Verification, *, expected: bool = False) -> Verification:
    """An open verification after a person has asked for it: its result is published, and it pauses no longer."""
    return replace(record, by_hand=True, not_before=None, expected=expected or record.expected)


def due(records: Iterable[Verification], now: datetime) -> list[Verification]:
    """The verifications that may go on: first what a person waits for, then the newest recovery points."""
    ready = [record for record in records if record.not_before is None or record.not_before <= now]
    newest_first = sorted(ready, key=lambda record: record.point_id, reverse=True)
    return sorted(newest_first, key=lambda record: not record.by_hand)


# --- the recovery point as it stands


@dataclass(frozen=True, slots=True)
class Ready:
    """The recovery point can be read. `record` has all of its snapshots."""

    record: Verification


@dataclass(frozen=True, slots=True)
class NotYet:
    """The recovery point cannot be read yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The recovery point will not be readable any more, and that is no failure."""

    reason: str


def find_point(record: Verification, points: Sequence[RecoveryPoint]) -> RecoveryPoint | None:
    """The recovery point that a record is about.

    Its snapshots name it once they are known: the ids of two sets of one slot depend on which of them still exist.
    """
    known = {item.snapshot_id for item in record.readings}
    if known:
        return next((point for point in points if known & {item.snapshot.id for item in point.members}), None)
    return next((point for point in points if point.id == record.point_id), None)


def judge_point(record: Verification, point: RecoveryPoint | None) -> Ready | NotYet | Stop:
    """Whether a recovery point can be read, as EC2 shows it now."""
    if point is None:
        return Stop("it was deleted")
    known = {item.snapshot_id for item in record.readings}
    gone = known - {item.snapshot.id for item in point.members}
    if gone or point.condition is Condition.INCOMPLETE:
        return Stop(f"{', '.join(sorted(gone)) or 'a snapshot of it'} was deleted")
    if point.condition is Condition.PENDING:
        return NotYet("EC2 has not completed it")
    if point.condition is not Condition.GOOD:
        return Stop(f"it is {point.condition}, and only a good one can be read")
    if known:
        return Ready(record)
    readings = tuple(
        Reading(
            member.snapshot.id,
            member.metadata.device,
            member.snapshot.size,
            member.snapshot.completed_at or member.snapshot.started_at,
        )
        for member in point.members
    )
    return Ready(replace(record, readings=readings))


# --- one snapshot


def progress(record: Verification, reading: Reading) -> Verification:
    """The record with the next checkpoint of one snapshot; earlier refusals do not count any more."""
    readings = tuple(reading if item.snapshot_id == reading.snapshot_id else item for item in record.readings)
    return replace(record, readings=readings, attempts=0, refused_since=None, not_before=None, reason="")


def failed(reading: Reading, sentence: str) -> Reading:
    """The snapshot has shown what is wrong with it; nothing more of it is read."""
    return replace(reading, phase=Phase.DONE, failure=clip(sentence, MOST_WORDS))


def after_page(
    reading: Reading, indexes: Sequence[int], next_block: int | None, *, gib: int | None, block_size: int | None
) -> Reading:
    """The checkpoint after one part of the list, or the failure that the part shows.

    The list must be of a volume of the recorded size, ascending, and within the volume.
    """
    if gib not in {None, reading.gib}:
        return failed(reading, f"the list is of a volume of {gib} GiB, expected {reading.gib} GiB as EC2 says")
    if block_size not in {None, BLOCK}:
        return failed(reading, f"the list has blocks of {block_size} bytes, expected {BLOCK}")
    last = reading.next_block - 1
    for index in indexes:
        if index <= last:
            return failed(reading, f"the list has block {index} after block {last}, expected ascending blocks")
        last = index
    if last >= block_count(reading.gib):
        return failed(reading, f"the list has block {last}, expected blocks below {block_count(reading.gib)}")
    read = replace(reading, written=reading.written + len(indexes))
    if next_block is None:
        return replace(read, phase=Phase.INSPECT, next_block=0)
    return replace(read, next_block=next_block)


def after_inspection(
    reading: Reading,
    *,
    level: Level,
    holds: str,
    types: str,
    notes: tuple[str, ...],
    problems: Sequence[str],
    read: int,
) -> Reading:
    """The checkpoint after the file systems were inspected; damage is the failure."""
    seen = replace(reading, holds=holds, types=types, notes=notes, read=reading.read + read)
    if problems:
        return failed(seen, f"what is on it is damaged: {' '.join(problems)}")
    return replace(seen, phase=Phase.DONE if level is Level.READ else Phase.DATA, next_block=0)


def is_read(index: int, level: Level, turn: int) -> bool:
    """Whether the level reads this written block for its own sake."""
    return level is Level.FULL or (level is Level.SAMPLE and index % PARTS == turn)


def block_count(gib: int) -> int:
    """How many blocks a volume of this size has."""
    return gib * 2**30 // BLOCK


def is_good_before(item: RecoveryPoint, point: RecoveryPoint) -> bool:
    """Whether it is good and older, and not another set of the same recovery point."""
    return (
        item.condition is Condition.GOOD
        and item.taken_at < point.taken_at
        and item.name_and_slot != point.name_and_slot
    )


def last_before(found: Iterable[RecoveryPoint], point: RecoveryPoint, lineage: str) -> str:
    """The snapshot of a lineage in the newest good recovery point before this one. Empty if there is none."""
    earlier = [item for item in found if is_good_before(item, point) and lineage in item.lineages]
    last = max(earlier, key=lambda item: (item.taken_at, item.id), default=None)
    return next(item.snapshot.id for item in last.members if item.metadata.lineage == lineage) if last else ""


def earlier_proven(
    point: RecoveryPoint, snapshot_id: str, lineage: Iterable[RecoveryPoint]
) -> tuple[tuple[str, int], ...]:
    """The snapshots of the same volume's lineage in older proven recovery points, with their GiB, the newest first."""
    own = {member.metadata.lineage for member in point.members if member.snapshot.id == snapshot_id}
    older = [item for item in lineage if item.proven and is_good_before(item, point)]
    newest_first = sorted(older, key=lambda item: (item.taken_at, item.id), reverse=True)
    return tuple(
        (member.snapshot.id, member.snapshot.size)
        for item in newest_first
        for member in item.members
        if member.metadata.lineage in own
    )


# --- refusals


def after_refusal(
    record: Verification, reading: Reading, words: str, now: datetime, *, code: str, passes: bool
) -> Verification:
    """The record after AWS refused to read a snapshot: a pause where time may mend it, else the failure.

    `words` are AWS's own.
    """
    young = code == NOT_FOUND and now - reading.completed_at < READABLE_WITHIN
    since = record.refused_since or now
    if (passes or young) and now - since < REFUSED_FOR:
        return paused(record, words, now)
    lasting = " for a day" if passes else ""
    readings = tuple(
        failed(item, f"AWS refused to have it read{lasting}: {words}")
        if item.snapshot_id == reading.snapshot_id
        else item
        for item in record.readings
    )
    return replace(record, readings=readings, not_before=None, reason=clip(words, MOST_WORDS))


def paused(record: Verification, reason: str, now: datetime) -> Verification:
    """The record after a run that could not go on; the next one does after a pause."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(record.attempts, 10))
    return replace(
        record,
        attempts=record.attempts + 1,
        refused_since=record.refused_since or now,
        not_before=now + pause,
        reason=clip(reason, MOST_WORDS),
    )


def not_complete_yet(record: Verification, reason: str, now: datetime) -> Verification:
    """The record of a recovery point that EC2 still makes: no refusal, so REFUSED_FOR does not begin."""
    return replace(paused(record, reason, now), refused_since=record.refused_since)


# --- what was missed, and the age of what is proven


def missed(points: Iterable[RecoveryPoint], known: Collection[str]) -> tuple[RecoveryPoint, ...]:
    """The good recovery points without a proof that are not `known` as open, newest first."""
    found = [
        point for point in points if point.condition is Condition.GOOD and point.proof is None and point.id not in known
    ]
    return tuple(sorted(found, key=lambda point: (point.taken_at, point.id), reverse=True))


@dataclass(frozen=True, slots=True)
class ProvenAge:
    """How old the newest proven recovery point of a lineage is. `newest` is its id, empty if none is proven.

    Then the age is that of the oldest recovery point that could have been proven.
    """

    lineage: str
    instance_id: str
    age: timedelta
    newest: str = ""


def proven_ages(points: Iterable[RecoveryPoint], now: datetime) -> tuple[ProvenAge, ...]:
    """The age of each lineage of these good recovery points, the worst first."""
    found: dict[str, ProvenAge] = {}
    for point in sorted(points, key=lambda item: (item.taken_at, item.id)):
        if point.condition is not Condition.GOOD:
            continue
        for lineage in point.lineages:
            if point.proven and not point.suspected:  # as "latest-proven" counts it
                found[lineage] = ProvenAge(lineage, point.instance_id, now - point.taken_at, point.id)
            elif lineage not in found:
                found[lineage] = ProvenAge(lineage, point.instance_id, now - point.taken_at)
    return tuple(sorted(found.values(), key=lambda item: (item.age, item.lineage), reverse=True))


def merge_ages(ages: Iterable[ProvenAge]) -> tuple[ProvenAge, ...]:
    """One age of each lineage, the worst first: of its proven ones the newest, or else the oldest of all."""
    found: dict[str, ProvenAge] = {}
    for item in ages:
        known = found.setdefault(item.lineage, item)
        better = item.age < known.age if known.newest else item.age > known.age
        if bool(item.newest) > bool(known.newest) or (bool(item.newest) == bool(known.newest) and better):
            found[item.lineage] = item
    return tuple(sorted(found.values(), key=lambda item: (item.age, item.lineage), reverse=True))
