"""How long a good recovery point is locked. A lock outlives what retention keeps anyway only if somebody asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)
"""What EC2 counts a lock's duration in, and the least of it
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html)."""

MOST_DAYS = 36_500
MOST_COOL_OFF_HOURS = 72
NO_LOCKS = "none"
GOVERNANCE = "governance"
COMPLIANCE = "compliance"
MODES = (NO_LOCKS, GOVERNANCE, COMPLIANCE)


@dataclass(frozen=True, slots=True)
class LockSettings:
    """What the stack was deployed with. `days` 0 means: no longer than retention keeps every recovery point anyway."""

    mode: str = NO_LOCKS
    days: int = 0
    cool_off_hours: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """Put this on every snapshot of the recovery point. `cool_off_hours` is None for a lock that has no cool-off."""

    mode: str
    days: int
    reason: str
    cool_off_hours: int | None = None


@dataclass(frozen=True, slots=True)
class NoLock:
    """The recovery point stays unlocked; `wanted` says whether locks were asked for, so that somebody must be told."""

    reason: str
    wanted: bool


def lock_for(settings: LockSettings, *, taken_at: datetime, grace: timedelta, now: datetime) -> Lock | NoLock:
    """The lock of a recovery point that has just been found good.

    Below `grace` retention deletes nothing, whatever the policy and an instance's tag say: only that is certain
    beforehand, since what a policy keeps depends on what comes after. EC2 counts whole days from the call on, so the
    rest of a day is left unlocked rather than a day begun.
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
