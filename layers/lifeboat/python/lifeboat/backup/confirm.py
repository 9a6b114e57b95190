"""Decide whether a recovery point is good. Snapshot events and the reconcile run ask the same function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.tags import Tag

MISSING_AFTER = timedelta(minutes=15)
"""A recovery point that EC2 does not show this long after it was begun was never made. DescribeSnapshots lags behind
CreateSnapshots by seconds, and an invocation lasts 15 minutes at most."""


@dataclass(frozen=True, slots=True)
class Completed:
    """All snapshots of the recovery point are good."""

    point: RecoveryPoint


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no good recovery point and there will be none; `point` is what exists of it."""

    recovery_point_id: str
    reason: str
    point: RecoveryPoint | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """EC2 has not completed the recovery point yet."""

    recovery_point_id: str
    reason: str


_BEST_FIRST = (Condition.GOOD, Condition.PENDING)


def best_of_each(points: Iterable[RecoveryPoint]) -> dict[str, RecoveryPoint]:
    """The best set of each recovery point, by the id in the tags: a slot may be retried after an incomplete set."""
    found: dict[str, RecoveryPoint] = {}
    for point in points:
        point_id = point.members[0].snapshot.tags[Tag.RECOVERY_POINT]
        if point_id not in found or _rank(point) < _rank(found[point_id]):
            found[point_id] = point
    return found


def _rank(point: RecoveryPoint) -> int:
    return _BEST_FIRST.index(point.condition) if point.condition in _BEST_FIRST else len(_BEST_FIRST)


def confirm(
    recovery_point_id: str,
    point: RecoveryPoint | None,
    *,
    begun_at: datetime | None,
    now: datetime,
    unrecorded: Sequence[Snapshot] = (),
) -> Completed | Failed | Pending:
    """Judge a recovery point by what EC2 shows of it now. `begun_at` is when take_snapshots began it, if known.

    `unrecorded` are snapshots of the same call whose volumes its tags do not record.
    """
    if point is None:
        if begun_at is not None and now - begun_at >= MISSING_AFTER:
            others = "".join(f"; {item.id} is of {item.volume_id}, which its tags do not record" for item in unrecorded)
            age = _minutes(now - begun_at)
            return Failed(recovery_point_id, f"no snapshot of it exists {age} after it was begun{others}")
        return Pending(recovery_point_id, "EC2 shows no snapshot of it yet")
    if point.condition is Condition.FAILED:
        broken = [member.snapshot for member in point.members if member.snapshot.state == "error"]
        causes = "; ".join(f"{item.id}: {item.state_message or 'EC2 gives no cause'}" for item in broken)
        return Failed(recovery_point_id, f"snapshot ended in error: {causes}", point)
    states = sorted({member.snapshot.state for member in point.members})
    if point.condition is Condition.GOOD:
        return Completed(point)
    if point.condition is Condition.INCOMPLETE and states == ["completed"]:
        if now - point.taken_at < MISSING_AFTER:
            return Pending(recovery_point_id, f"EC2 shows {len(point.members)} of {point.expected} snapshots yet")
        return Failed(recovery_point_id, f"only {len(point.members)} of its {point.expected} snapshots exist", point)
    return Pending(recovery_point_id, f"snapshots are {', '.join(states)}")


def _minutes(duration: timedelta) -> str:
    return f"{int(duration.total_seconds() // 60)} minutes"
