"""Recovery points for tests of retention, in as few words as a table of cases can bear."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point import Member, RecoveryPoint, VolumeMetadata
from lifeboat.domain.tags import Tag
from lifeboat.retention.limits import Limits
from lifeboat.retention.plan import RetentionPlan, parse_policy, plan
from lifeboat.retention.policy import Policy, PolicyError

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STACK = "lifeboat"
INSTANCE = "i-1"
BARE = Limits(min_keep=1, max_delete_share=1, grace=timedelta(0))
"""As little protection as there can be, so that a policy shows."""

_numbers = count(1)


def at(text: str) -> datetime:
    """`2026-11-23T02:00Z`, or days before NOW such as `-3d`."""
    if text.startswith("-"):
        return NOW - timedelta(days=float(text[1:].removesuffix("d")))
    return datetime.fromisoformat(text)


def point(
    taken: str | datetime,
    *lineages: str,
    name: str = "",
    state: str = "completed",
    tier: str = "standard",
    missing: int = 0,
    held: bool = False,
    suspect: str = "",
    proof: str = "",
    blocked: Sequence[str] = (),
    stack: str = STACK,
    instance: str = INSTANCE,
    volumes: Mapping[str, str] | None = None,
    size: int = 100,
) -> RecoveryPoint:
    """A recovery point with one volume for each lineage (`vol-1` if none is named).

    The first snapshot has the given state, tier, hold, blocks and value of the tag of a suspicion. With a `proof`, all
    snapshots have its tag; `missing` snapshots are not there any more; `volumes` are the ids of volumes whose id
    differs from their lineage.
    """
    when = at(taken) if isinstance(taken, str) else taken
    name = name or f"rp-{next(_numbers)}"
    tags = {Tag.HOLD.value: "for the audit"} if held else {}
    tags |= {Tag.SUSPECT.value: suspect} if suspect else {}
    proofs = {Tag.VERIFIED.value: f"result={proof} level=read at=2026-11-22T03:00:00Z"} if proof else {}
    members = []
    for number, lineage in enumerate(lineages or ("vol-1",)):
        first = number == 0
        volume = (volumes or {}).get(lineage, lineage)
        snapshot = Snapshot(
            id=f"snap-{name}-{number}",
            volume_id=volume,
            state=state if first else "completed",
            started_at=when,
            size=size,
            owner_id="111122223333",
            tier=tier if first else "standard",
            blocked_by=tuple(blocked) if first else (),
            tags=(tags if first else {}) | proofs,
        )
        members.append(Member(snapshot, VolumeMetadata(volume, lineage, "/dev/sdh", "gp3", size, True, False)))
    return RecoveryPoint(name, instance, stack, when, tuple(members), len(members) + missing, when)


def decide(
    points: Sequence[RecoveryPoint], policy: str | PolicyError | Policy = "last=1", **facts: Any
) -> RetentionPlan:
    """A plan with as little protection as there can be, unless `facts` say otherwise."""
    known: dict[str, Any] = {
        "now": NOW,
        "policy": parse_policy(policy) if isinstance(policy, str) else policy,
        "overrides": {},
        "limits": BARE,
        "stack": STACK,
        "existing_volumes": existing(points),
    }
    return plan(points, **{**known, **facts})


def existing(points: Sequence[RecoveryPoint]) -> Collection[str]:
    return {member.metadata.volume_id for point in points for member in point.members}


def names(points: Sequence[RecoveryPoint]) -> list[str]:
    return [point.id for point in points]


def limits(**facts):
    return Limits(**{"min_keep": 1, "max_delete_share": 1, "grace": timedelta(0), **facts})


def gone(decided):
    return names(decided.deletions)


def reasons(decided, name):
    return next(verdict.reasons for verdict in decided.verdicts if verdict.point.id == name)


def days(count, *lineages, prefix="day", **facts):
    """Good recovery points, one a day, `day-1` taken a day before now."""
    return [point(f"-{age}d", *lineages, name=f"{prefix}-{age}", **facts) for age in range(count, 0, -1)]
