"""How long to lock a good recovery point. Without LockDays a lock never outlasts the retention grace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)
"""EC2's unit of a lock's duration, and the shortest lock
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html)."""

MOST_DAYS = 36_500
MOST_COOL_OFF_HOURS = 72
NO_LOCKS = "none"
GOVERNANCE = "governance"
COMPLIANCE = "compliance"
MODES = (NO_LOCKS, GOVERNANCE, COMPLIANCE)


@dataclass(frozen=True, slots=True)
class LockSettings:
    """The stack's parameters for locks. `days` 0: only as long as `grace` keeps every recovery point."""

    mode: str = NO_LOCKS
    days: int = 0
    cool_off_hours: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock for every snapshot of the recovery point. `cool_off_hours` is None for a lock without cool-off."""

    mode: str
    days: int
    reason: str
    cool_off_hours: int | None = None


@dataclass(frozen=True, slots=True)
class NoLock:
    """The recovery point stays unlocked. `wanted`: the stack asks for locks, so this must be published."""

    reason: str
    wanted: bool


def lock_for(settings: LockSettings, *, taken_at: datetime, grace: timedelta, now: datetime) -> Lock | NoLock:
    """The lock of a recovery point that has just become good.

    Without `days` the lock ends within `grace`, while retention deletes nothing: what a policy keeps after that depends
    on later recovery points. EC2 counts whole days from the call, so the duration is rounded down.
    """
    if settings.mode == NO_LOCKS:
        return NoLock("LockMode is none", wanted=False)
    if settings.days:
        days, reason = min(settings.days, MOST_DAYS), "LockDays"
    else:
        days, reason = (taken_at + grace - now) // DAY, "GraceHours"
    if days < 1:
        hours = max(0, int((taken_at + grace - now).total_seconds() // 3600))
        return NoLock(
            f"GraceHours keeps it for another {hours} hours, and a lock lasts a day at least: "
            "expected LockDays, or more GraceHours",
            wanted=True,
        )
    cool_off = min(settings.cool_off_hours, MOST_COOL_OFF_HOURS) if settings.mode == COMPLIANCE else 0
    return Lock(settings.mode, min(days, MOST_DAYS), reason, cool_off or None)
