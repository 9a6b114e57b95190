"""Copies to another region: from what is there and what is under way, what is to be done next.

Which recovery points are copied: of each chain the newest good one when copying begins, and everything that is taken
after it; with `copy_existing` all good ones that are there. What was copied once and is gone from the destination was
let go there, by its own retention: it is not copied again.

The order is oldest first, and all the snapshots of a recovery point together, so that what is in the destination at any
moment is as whole as it can be. A recovery point that failed waits for its pause while the others go on. An attempt is
always of the whole recovery point, with a set id of its own: what is left of a failed one is never mixed into it.
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
"""How long to wait after each failed attempt. After the last pause there is one more, and then it is given up."""


VANISHED_AFTER = timedelta(minutes=1)
"""A copy that EC2 said it has begun is seen by then, or is no more. EC2 shows new things within seconds."""


_MAY_BE_GOOD = {"pending", "completed"}


_MARK = "~"
"""What separates the attempt's number from the set id of the recovery point at home."""


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """All that a plan rests on. `points` are at home, `copies` are our snapshots in the destination that were copied
    from there, `in_flight` are all of the account's copies that the destination is making.
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
    """Copy one snapshot. `attempt` counts from 1; `set_id` is what the copies of this attempt carry.

    `completion_minutes` is how long EC2 is to take at most; 0: as long as it takes.
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
    """The recovery point is whole in the destination: `point` is as it is there."""

    record: CopyRecord
    point: RecoveryPoint


@dataclass(frozen=True, slots=True)
class CopyEndedBadly:
    """An attempt is over without success. `copies` are the snapshots in the destination that are left of it."""

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
    """`opened` are new records, to be written before anything starts; `gone` are records of nothing that is left."""

    opened: tuple[CopyRecord, ...]
    start: tuple[StartCopy, ...]
    copied: tuple[Copied, ...]
    failed: tuple[CopyEndedBadly, ...]
    waiting: tuple[Waiting, ...]
    gone: tuple[CopyRecord, ...]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A recovery point of which, in the attempt of this number, these members are not in the destination yet."""

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
    """What is to be done now."""
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
    """The record when one more attempt has failed: paused, or given up."""
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
    """What was copied here from elsewhere is not copied on, else two regions would copy to each other for ever."""
    return point.stack == stack and not any(Tag.COPIED_FROM in member.snapshot.tags for member in point.members)


def _by_source(copies: Iterable[Snapshot]) -> dict[str, list[Snapshot]]:
    found: dict[str, list[Snapshot]] = {}
    for copy in copies:
        found.setdefault(copy.tags.get(Tag.COPY_OF, ""), []).append(copy)
    return found


def _newly_wanted(
    points: Iterable[RecoveryPoint], there: Mapping[str, list[Snapshot]], facts: CopyFacts
) -> tuple[CopyRecord, ...]:
    """Recovery points without a record that are to be copied; those that are still being made have a place, too."""
    candidates = [point for point in points if point.condition in {Condition.GOOD, Condition.PENDING}]
    marks = _marks(facts)
    firsts = _newest_good(candidates)
    wanted = []
    for point in sorted(candidates, key=lambda item: (item.taken_at, item.id)):
        if point.id in facts.records or _is_whole(point, there):
            continue
        begun = any(member.snapshot.id in there for member in point.members)
        if facts.copy_existing or begun or any(_is_next(lineage, point, marks, firsts) for lineage in point.lineages):
            wanted.append(CopyRecord(facts.destination.region, point.id, point.lineages, point.taken_at))
    return tuple(wanted)


def _is_next(lineage: str, point: RecoveryPoint, marks: Mapping[str, datetime], firsts: Mapping[str, datetime]) -> bool:
    if lineage in marks:
        return point.taken_at > marks[lineage]
    return lineage not in firsts or point.taken_at >= firsts[lineage]


def _marks(facts: CopyFacts) -> dict[str, datetime]:
    """By chain, when the newest recovery point was taken that has been, or is being, copied."""
    marks: dict[str, datetime] = {}
    known = [(record.lineages, record.taken_at) for record in facts.records.values()]
    known += [(point.lineages, point.taken_at) for point in read_catalogue(facts.copies).points]
    for lineages, taken_at in known:
        for lineage in lineages:
            marks[lineage] = max(taken_at, marks.get(lineage, taken_at))
    return marks


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
    """The set id that further copies of a recovery point's snapshots carry, beside those that are in the destination.

    They complete the newest attempt there, whoever began it, unless something of it has failed.
    """
    there = _by_source(here)
    attempts = [_attempt_of(copy) for member in point.members for copy in there.get(member.snapshot.id, ())]
    attempt = max([1, *attempts])
    failed = any(copy.state not in _MAY_BE_GOOD for copy in _copies_of(point, attempt, there).values())
    return _set_id(point.members[0], attempt + failed)


def original_set(snapshot: Snapshot) -> tuple[str, str]:
    """What a snapshot and all copies of it, of whatever attempt, have in common with the others of their set."""
    return snapshot.tags.get(Tag.RECOVERY_POINT, ""), snapshot.tags.get(Tag.SET, "").partition(_MARK)[0]


def _attempt_of(copy: Snapshot) -> int:
    number = copy.tags.get(Tag.SET, "").rpartition(_MARK)[2]
    return int(number) if _MARK in copy.tags.get(Tag.SET, "") and number.isdecimal() else 1


def _set_id(member: Member, attempt: int) -> str:
    at_home = member.snapshot.tags.get(Tag.SET, "")
    return at_home if attempt == 1 else f"{at_home}{_MARK}{attempt}"


def _copies_of(point: RecoveryPoint, attempt: int, there: Mapping[str, list[Snapshot]]) -> dict[str, Snapshot]:
    """The copies of one attempt, by the id of what was copied."""
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
        said = in_error[0].state_message or "EC2 did not say why"
        reason = f"the copy {in_error[0].id} of {in_error[0].tags[Tag.COPY_OF]} ended in error: {said}"
        draft.failed.append(CopyEndedBadly(record, reason, tuple(sorted(copy.id for copy in copies.values()))))
    elif not missing:
        draft.waiting.append(Waiting(point.id, "EC2 is copying it"))
    elif point.condition is not Condition.GOOD:
        draft.waiting.append(Waiting(point.id, f"it is {point.condition} at home"))
    elif record.not_before and facts.now < record.not_before:
        draft.waiting.append(Waiting(point.id, f"the next attempt is at {iso(record.not_before)}"))
    else:
        _start(_Attempt(point, record, attempt, missing), facts, draft)


def _start(try_it: _Attempt, facts: CopyFacts, draft: _Draft) -> None:
    """All of it if there is room, else nothing, and nothing newer either; what was begun, or is larger, as it fits."""
    missing = try_it.missing
    fits = len(missing) <= draft.free
    in_parts = len(missing) < len(try_it.point.members) or len(missing) > IN_FLIGHT
    if draft.full or not (fits or in_parts):
        draft.full = True
        draft.waiting.append(Waiting(try_it.point.id, f"{facts.destination.region} makes {IN_FLIGHT} copies at a time"))
        return
    draft.full = not fits
    try:
        calls = [_call(try_it, member, facts) for member in missing[: draft.free]]
    except MetadataError as problem:
        draft.failed.append(CopyEndedBadly(try_it.record, str(problem)))
        return
    draft.start += calls
    draft.free -= len(calls)


def _call(try_it: _Attempt, member: Member, facts: CopyFacts) -> StartCopy:
    point, set_id = try_it.point, _set_id(member, try_it.number)
    return StartCopy(
        point_id=point.id,
        snapshot_id=member.snapshot.id,
        attempt=try_it.number,
        set_id=set_id,
        description=f"Lifeboat: {point.id}, copied from {facts.home}",
        tags=tags_of_copy(member, region=facts.home, set_id=set_id, now=facts.now),
        reason=f"{point.id}, taken at {iso(point.taken_at)}, is not in {facts.destination.region} yet"
        + (f": attempt {try_it.number}" if try_it.number > 1 else ""),
        completion_minutes=completion_minutes(facts.completion_minutes, member.snapshot.size),
    )
