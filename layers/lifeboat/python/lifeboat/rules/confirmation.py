"""Is a recovery point good? Asked by every snapshot event and by the sweep, with the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.model import Condition, RecoveryPoint

UNSEEN_AFTER = timedelta(minutes=15)
"""A recovery point that was begun and of which EC2 shows nothing by then was never made. DescribeSnapshots lags behind
CreateSnapshots by seconds at most, and a function lives 15 minutes at most."""


@dataclass(frozen=True, slots=True)
class Completed:
    """All snapshots of the recovery point are good."""

    point: RecoveryPoint


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no good recovery point and there will be none; `point` is what there is of it."""

    recovery_point_id: str
    reason: str
    point: RecoveryPoint | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """EC2 is still at work."""

    recovery_point_id: str
    reason: str


def confirm(
    recovery_point_id: str, point: RecoveryPoint | None, *, begun_at: datetime | None, now: datetime
) -> Completed | Failed | Pending:
    """Judge a recovery point by what EC2 shows of it now. `begun_at` is when take_snapshots set out, if known."""
    if point is None:
        if begun_at is not None and now - begun_at >= UNSEEN_AFTER:
            return Failed(recovery_point_id, f"no snapshot of it exists {_minutes(now - begun_at)} after it was begun")
        return Pending(recovery_point_id, "EC2 shows no snapshot of it yet")
    if point.condition is Condition.FAILED:
        broken = [member.snapshot for member in point.members if member.snapshot.state == "error"]
        causes = "; ".join(f"{item.id}: {item.state_message or 'EC2 gives no cause'}" for item in broken)
        return Failed(recovery_point_id, f"snapshot ended in error: {causes}", point)
    states = sorted({member.snapshot.state for member in point.members})
    if point.condition is Condition.GOOD:
        return Completed(point)
    if point.condition is Condition.INCOMPLETE and states == ["completed"]:
        if now - point.taken_at < UNSEEN_AFTER:
            return Pending(recovery_point_id, f"EC2 shows {len(point.members)} of {point.expected} snapshots yet")
        return Failed(recovery_point_id, f"only {len(point.members)} of its {point.expected} snapshots exist", point)
    return Pending(recovery_point_id, f"snapshots are {', '.join(states)}")


def _minutes(duration: timedelta) -> str:
    return f"{int(duration.total_seconds() // 60)} minutes"
