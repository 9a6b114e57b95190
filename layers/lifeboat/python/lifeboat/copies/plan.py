"""Decide what to copy next, from the recovery points, their copies and the records of both.

Which recovery points: of each lineage the newest good one when copying begins, and every later one. With
`copy_existing` all good ones. A recovery point that was copied once and is gone from the destination was deleted there
by the destination's retention. It is not copied again.

Oldest first, and all snapshots of a recovery point together: so the destination has complete recovery points, as far as
possible. After a failure a recovery point waits for its pause while the others proceed. An attempt copies the whole
recovery point under a set id of its own, and never reuses copies of a failed attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.copy_limits import completion_minutes
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point import Condition, Member, RecoveryPoint
from lifeboat.domain.recovery_point_tags import MetadataError, tags_of_copy
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso

IN_FLIGHT = 20
"""How many copies EC2 makes at a time in one destination region, for the account
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html)."""


PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
)
"""How long to wait after each failed attempt. One attempt follows the last pause; if it fails, copying is given up."""


VANISHED_AFTER = timedelta(minutes=1)
"""A copy that EC2 has begun and does not show after this time is gone. EC2 shows new resources within seconds."""


_MAY_BE_GOOD = {"pending", "completed"}


_MARK = "~"
"""Separates the attempt's number from the set id of the original recovery point."""


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """The observed facts of a plan.

    `points` are the originals. `copies` are this stack's copies of them in the destination. `in_flight` counts all
    copies that the destination is making for the account. `home` is the region of the originals.
    """

    points: Sequence[RecoveryPoint]
    copies: Sequence[Snapshot]
    records: Mapping[str, CopyRecord]
    in_flight: int
    destination: CopyDestination
    home: str
    stack: str
    now: datetime
    copy_existing: bool = False
    completion_minutes: int = 0


@dataclass(frozen=True, slots=True)
class StartCopy:
    """Copy one snapshot. `attempt` counts from 1; all copies of an attempt carry its `set_id`.

    `completion_minutes` is the most that EC2 may take; 0 sets no limit.
    """

    point_id: str
    snapshot_id: str
    attempt: int
    set_id: str
    description: str
    tags: Mapping[str, str]
    reason: str
    completion_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """The recovery point is complete in the destination; `point` is the one there."""

    record: CopyRecord
    point: RecoveryPoint


@dataclass(frozen=True, slots=True)
class CopyEndedBadly:
    """An attempt has failed. `copies` are the ids of its snapshots that remain in the destination."""

    record: CopyRecord
    reason: str
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to do for this recovery point now."""

    point_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """`opened` are new records, written before any copy starts; `gone` are records whose recovery point is gone."""

    opened: tuple[CopyRecord, ...]
    start: tuple[StartCopy, ...]
    copied: tuple[Copied, ...]
    failed: tuple[CopyEndedBadly, ...]
    waiting: tuple[Waiting, ...]
    gone: tuple[CopyRecord, ...]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt to copy a recovery point; `missing` are its members that the destination does not have yet."""

    point: RecoveryPoint
    record: CopyRecord
    number: int
    missing: tuple[Member, ...]


@dataclass(slots=True)
class _Draft:
    free: int
    full: bool = False
    start: list[StartCopy] = field(default_factory=list)
    copied: list[Copied] = field(default_factory=list)
    failed: list[CopyEndedBadly] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


def plan(facts: CopyFacts) -> CopyPlan:
    """Decide what to copy, what is complete, what has failed, and what waits."""
    points = {point.id: point for point in facts.points if _is_ours(point, facts.stack)}
    there = _by_source(facts.copies)
    opened = _newly_wanted(points.values(), there, facts)
    records = {**facts.records, **{record.point_id: record for record in opened}}
    draft = _Draft(free=max(0, IN_FLIGHT - facts.in_flight))
    waiting = [records[name] for name in points if name in records and records[name].state is CopyState.OPEN]
    for record in sorted(waiting, key=lambda item: (item.taken_at, item.point_id)):
        _decide(points[record.point_id], record, there, facts, draft)
    return CopyPlan(
        opened=opened,
        start=tuple(draft.start),
        copied=tuple(draft.copied),
        failed=tuple(draft.failed),
        waiting=tuple(draft.waiting),
        gone=tuple(record for name, record in facts.records.items() if name not in points),
    )


def after_failure(record: CopyRecord, now: datetime) -> CopyRecord:
    """The record after one more failed attempt: paused, or given up."""
    attempts = record.attempts + 1
    more = attempts <= len(PAUSES)
    return CopyRecord(
        region=record.region,
        point_id=record.point_id,
        lineages=record.lineages,
        taken_at=record.taken_at,
        attempts=attempts,
        not_before=now + PAUSES[attempts - 1] if more else None,
        state=CopyState.OPEN if more else CopyState.GAVE_UP,
    )


def _is_ours(point: RecoveryPoint, stack: str) -> bool:
    """Whether this stack took it here. Copies are not copied on: two regions would copy to each other for ever."""
    return point.stack == stack and not any(Tag.COPIED_FROM in member.snapshot.tags for member in point.members)


def _by_source(copies: Iterable[Snapshot]) -> dict[str, list[Snapshot]]:
    found: dict[str, list[Snapshot]] = {}
    for copy in copies:
        found.setdefault(copy.tags.get(Tag.COPY_OF, ""), []).append(copy)
    return found


def _newly_wanted(
    points: Iterable[RecoveryPoint], there: Mapping[str, list[Snapshot]], facts: CopyFacts
) -> tuple[CopyRecord, ...]:
    """New records for recovery points to copy. Pending ones get a record too, and keep their place in the order."""
    candidates = [point for point in points if point.condition in {Condition.GOOD, Condition.PENDING}]
    copied_until = _newest_copied(facts)
    firsts = _newest_good(candidates)
    wanted = []
    for point in sorted(candidates, key=lambda item: (item.taken_at, item.id)):
        if point.id in facts.records or _is_whole(point, there):
            continue
        begun = any(member.snapshot.id in there for member in point.members)
        if facts.copy_existing or begun or any(_is_next(name, point, copied_until, firsts) for name in point.lineages):
            wanted.append(CopyRecord(facts.destination.region, point.id, point.lineages, point.taken_at))
    return tuple(wanted)


def _is_next(
    lineage: str, point: RecoveryPoint, copied_until: Mapping[str, datetime], firsts: Mapping[str, datetime]
) -> bool:
    if lineage in copied_until:
        return point.taken_at > copied_until[lineage]
    return lineage not in firsts or point.taken_at >= firsts[lineage]


def _newest_copied(facts: CopyFacts) -> dict[str, datetime]:
    """For each lineage, when its newest recovery point was taken that is copied or has a record."""
    newest: dict[str, datetime] = {}
    known = [(record.lineages, record.taken_at) for record in facts.records.values()]
    known += [(point.lineages, point.taken_at) for point in read_catalogue(facts.copies).points]
    for lineages, taken_at in known:
        for lineage in lineages:
            newest[lineage] = max(taken_at, newest.get(lineage, taken_at))
    return newest


def _newest_good(points: Iterable[RecoveryPoint]) -> dict[str, datetime]:
    newest: dict[str, datetime] = {}
    for point in points:
        if point.condition is Condition.GOOD:
            for lineage in point.lineages:
                newest[lineage] = max(point.taken_at, newest.get(lineage, point.taken_at))
    return newest


def _is_whole(point: RecoveryPoint, there: Mapping[str, list[Snapshot]]) -> bool:
    attempts = {_attempt_of(copy) for member in point.members for copy in there.get(member.snapshot.id, ())}
    return any(_is_complete(_copies_of(point, attempt, there), point) for attempt in attempts)


def set_id_for(point: RecoveryPoint, here: Iterable[Snapshot]) -> str:
    """The set id for further copies of a recovery point's snapshots; `here` are the snapshots in the destination.

    They complete the newest attempt there, whoever began it, unless one of its copies has failed.
    """
    there = _by_source(here)
    attempts = [_attempt_of(copy) for member in point.members for copy in there.get(member.snapshot.id, ())]
    attempt = max([1, *attempts])
    failed = any(copy.state not in _MAY_BE_GOOD for copy in _copies_of(point, attempt, there).values())
    return _set_id(point.members[0], attempt + failed)


def original_set(snapshot: Snapshot) -> tuple[str, str]:
    """The recovery point and set id that a snapshot shares with all copies of its set, whatever the attempt."""
    return snapshot.tags.get(Tag.RECOVERY_POINT, ""), snapshot.tags.get(Tag.SET, "").partition(_MARK)[0]


def _attempt_of(copy: Snapshot) -> int:
    number = copy.tags.get(Tag.SET, "").rpartition(_MARK)[2]
    return int(number) if _MARK in copy.tags.get(Tag.SET, "") and number.isdecimal() else 1


def _set_id(member: Member, attempt: int) -> str:
    at_home = member.snapshot.tags.get(Tag.SET, "")
    return at_home if attempt == 1 else f"{at_home}{_MARK}{attempt}"


def _copies_of(point: RecoveryPoint, attempt: int, there: Mapping[str, list[Snapshot]]) -> dict[str, Snapshot]:
    """The copies of one attempt, by the id of the snapshot that was copied."""
    return {
        member.snapshot.id: copy
        for member in point.members
        for copy in there.get(member.snapshot.id, ())
        if _attempt_of(copy) == attempt
    }


def _is_complete(copies: Mapping[str, Snapshot], point: RecoveryPoint) -> bool:
    return len(copies) == len(point.members) and all(copy.state == "completed" for copy in copies.values())


def _decide(
    point: RecoveryPoint, record: CopyRecord, there: Mapping[str, list[Snapshot]], facts: CopyFacts, draft: _Draft
) -> None:
    observed = [_attempt_of(copy) for member in point.members for copy in there.get(member.snapshot.id, ())]
    attempt = max([record.attempts + 1, *observed])
    copies = _copies_of(point, attempt, there)
    in_error = [copy for copy in copies.values() if copy.state == "error"]
    missing = tuple(member for member in point.members if member.snapshot.id not in copies)
    if _is_complete(copies, point):
        draft.copied.append(Copied(record, read_catalogue(copies.values()).points[0]))
    elif in_error:
        said = in_error[0].state_message or "EC2 gave no reason"
        reason = f"the copy {in_error[0].id} of {in_error[0].tags[Tag.COPY_OF]} ended in error: {said}"
        draft.failed.append(CopyEndedBadly(record, reason, tuple(sorted(copy.id for copy in copies.values()))))
    elif not missing:
        draft.waiting.append(Waiting(point.id, "EC2 is copying it"))
    elif point.condition is not Condition.GOOD:
        draft.waiting.append(Waiting(point.id, f"the original is {point.condition}"))
    elif record.not_before and facts.now < record.not_before:
        draft.waiting.append(Waiting(point.id, f"the next attempt is at {iso(record.not_before)}"))
    else:
        _start(_Attempt(point, record, attempt, missing), facts, draft)


def _start(attempt: _Attempt, facts: CopyFacts, draft: _Draft) -> None:
    """Start all copies of the attempt if there is room. Else start none, and nothing newer.

    An attempt that has begun, or that needs more than IN_FLIGHT copies, starts in parts.
    """
    missing = attempt.missing
    fits = len(missing) <= draft.free
    in_parts = len(missing) < len(attempt.point.members) or len(missing) > IN_FLIGHT
    if draft.full or not (fits or in_parts):
        draft.full = True
        draft.waiting.append(
            Waiting(attempt.point.id, f"{facts.destination.region} makes {IN_FLIGHT} copies at a time")
        )
        return
    draft.full = not fits
    try:
        calls = [_call(attempt, member, facts) for member in missing[: draft.free]]
    except MetadataError as problem:
        draft.failed.append(CopyEndedBadly(attempt.record, str(problem)))
        return
    draft.start += calls
    draft.free -= len(calls)


def _call(attempt: _Attempt, member: Member, facts: CopyFacts) -> StartCopy:
    point, set_id = attempt.point, _set_id(member, attempt.number)
    return StartCopy(
        point_id=point.id,
        snapshot_id=member.snapshot.id,
        attempt=attempt.number,
        set_id=set_id,
        description=f"Lifeboat: {point.id}, copied from {facts.home}",
        tags=tags_of_copy(member, region=facts.home, set_id=set_id, now=facts.now),
        reason=f"{point.id}, taken at {iso(point.taken_at)}, is not in {facts.destination.region} yet"
        + (f": attempt {attempt.number}" if attempt.number > 1 else ""),
        completion_minutes=completion_minutes(facts.completion_minutes, member.snapshot.size),
    )
