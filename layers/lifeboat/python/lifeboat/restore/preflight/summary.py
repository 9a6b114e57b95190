"""Pre-flight, the first line of the plan: whose data would be restored, how old it is, and whether it is proven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lifeboat.domain.message import counted
from lifeboat.domain.proof import join_proofs, read_proof
from lifeboat.domain.suspicion import is_suspected
from lifeboat.domain.tags import Tag
from lifeboat.domain.title import quote
from lifeboat.restore.preflight.source import Source


def describe_data(source: Source, now: datetime) -> str:
    """`CadoResponse, taken 15:41 UTC, 20 minutes ago, proven`."""
    first = source.members[0].snapshot
    name = source.point.instance_name if source.point else first.tags.get(Tag.INSTANCE_NAME, "")
    instance_id = source.point.instance_id if source.point else first.tags.get(Tag.INSTANCE, "")
    taken_at = source.point.taken_at if source.point else first.started_at
    when = f"taken {_clock(taken_at, now)}, {describe_age(now - taken_at)} ago"
    return f"{quote(name, instance_id or source.id)}, {when}, {_standing(source)}"


def _standing(source: Source) -> str:
    if any(is_suspected(member.snapshot.tags) for member in source.members):
        return "SUSPECT"
    proof = join_proofs([read_proof(member.snapshot.tags) for member in source.members])
    if proof is None:
        return "not proven"
    return "proven" if proof.proven else "VERIFICATION FAILED"


def _clock(at: datetime, now: datetime) -> str:
    """The time of the day; with its date when it is not of the last 24 hours."""
    known = at.astimezone(UTC)
    return known.strftime("%H:%M UTC" if now - at < timedelta(days=1) else "%Y-%m-%d %H:%M UTC")


def describe_age(age: timedelta) -> str:
    """`20 minutes`, `3 hours`, `12 days`: the largest unit of which there are two, or else minutes."""
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes >= 48 * 60:
        return f"{minutes // (24 * 60)} days"
    if minutes >= 120:
        return f"{minutes // 60} hours"
    return counted(minutes, "minute")
