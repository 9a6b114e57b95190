"""What the change canary publishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifeboat.domain.message import Message, counted
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.domain.title import quote
from lifeboat.verify.canary import Observation


@dataclass(frozen=True, slots=True)
class SuspectVolume:
    """A volume of a suspected recovery point: its numbers, and what is usual in its lineage."""

    lineage: str
    device: str
    observed: Observation
    usual: Observation | None


def recovery_point_suspect(
    *,
    stack: str,
    at: datetime,
    region: str,
    point: RecoveryPoint,
    volumes: Sequence[SuspectVolume],
    before: RecoveryPoint | None,
    has_copies: bool,
    unrecorded: str = "",
) -> Message:
    """RecoveryPointSuspect: much of a volume has become far more random than its data was before, as by mass
    encryption. While the suspicion is open, retention deletes nothing of its lineages that is as old or older.
    """
    name = quote(point.instance_name, point.instance_id)
    worst = max(volumes, key=lambda item: item.observed.scrambled)
    return Message(
        event="RecoveryPointSuspect",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        name=point.instance_name,
        summary=(
            f"The data of {name} may have been encrypted by an attacker: in recovery point {point.id}, "
            f"{worst.observed.changed:.1%} of the blocks of {worst.device} have changed, and the new data is as good "
            "as random."
        ),
        details={
            "taken_at": iso(point.taken_at),
            "volumes": [_volume(item) for item in volumes],
            "before": before.id if before else "none",
            "before_taken_at": iso(before.taken_at) if before else "",
            "lineages": list(point.lineages),
            "not_recorded": unrecorded,
        },
        next_steps=(
            f"Check {point.instance_id} now: does it encrypt files, can files still be opened, did anyone plan a large "
            "change? Do not restore onto it before you know.",
            *_what_retention_does(unrecorded),
            *_hold_before(before, region),
            *((_COPIES,) if has_copies else ()),
            *steps_to_close(point.id),
        ),
    )


def steps_to_close(point_id: str) -> tuple[str, ...]:
    """How a person closes the suspicion against a recovery point."""
    return (
        "If it is an attack, isolate the instance and restore from a recovery point before the change. When all is "
        f'done, invoke VerifySnapshotsFunction with {{"close_suspicion": "{point_id}"}}.',
        "If the change was intended, invoke it with "
        f'{{"close_suspicion": "{point_id}", "expected": true}}: then a later change like it is usual.',
    )


_COPIES = "Copies in other regions and in a vault have their own retention, which goes on. Hold those copies, too."


def _volume(item: SuspectVolume) -> dict[str, Any]:
    usual = item.usual
    return {
        "device": item.device,
        "lineage": item.lineage,
        "changed_percent": _percent(item.observed.changed),
        "changed_percent_usual": _percent(usual.changed) if usual else "",
        "bits_per_byte": round(item.observed.entropy, 3),
        "bits_per_byte_usual": round(usual.entropy, 3) if usual else "",
        "scrambled_percent": _percent(item.observed.scrambled),
        "scrambled_percent_usual": _percent(usual.scrambled) if usual else "",
    }


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _what_retention_does(unrecorded: str) -> tuple[str, ...]:
    if unrecorded:
        return (f"RETENTION GOES ON: the suspicion could not be recorded on the snapshots. EC2 said: {unrecorded}",)
    return ("Retention keeps this recovery point and all older ones of its lineages until a person closes this.",)


def _hold_before(before: RecoveryPoint | None, region: str) -> tuple[str, ...]:
    if before is None:
        return ("No recovery point from before the change is known. Hold the older ones that you find.",)
    ids = [member.snapshot.id for member in before.members]
    called = quote(before.id, "without an id")  # it comes from a tag
    return (
        f"Hold the newest recovery point before the change, {called} ({counted(len(ids), 'snapshot')}): "
        f"aws ec2 create-tags --region {region} --resources {' '.join(ids)} --tags Key={Tag.HOLD},Value=suspect",
    )
