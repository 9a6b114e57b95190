"""What restore drills publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifeboat.domain.message import Message, sentence
from lifeboat.domain.text import iso
from lifeboat.domain.title import quote
from lifeboat.verify.drill_record import FAILED, SUSPECT, Drill


def drill_passed(*, stack: str, at: datetime, drill: Drill) -> Message:
    """DrillPassed: a recovery point was rehearsed. Its volumes were created, equal what it records, a block of each
    snapshot was read, and the volumes are deleted again.
    """
    seconds = drill.seconds or 0
    return Message(
        event="DrillPassed",
        at=at,
        stack=stack,
        subject=_subject(drill),
        name=drill.instance_name,
        summary=(
            f"The restore of {drill.recovery_point_id} of {quote(drill.instance_name, drill.instance_id)} was "
            f"rehearsed in {drill.zone}: its volumes were available within {seconds:g} seconds, and are deleted again."
        ),
        details={**_facts(drill), "recovery_seconds": seconds},
        next_steps=_warn(drill),
    )


def _warn(drill: Drill) -> tuple[str, ...]:
    """A drill compares volumes, not data: it passes for a recovery point that nobody should restore."""
    if drill.verification not in {SUSPECT, FAILED}:
        return ()
    why = "is suspect: its data may be encrypted" if drill.verification == SUSPECT else "failed its verification"
    return (
        f"Do not rely on {drill.recovery_point_id}: it {why}. A drill only shows that its volumes can be made. A "
        'restore of "latest-proven" takes another one.',
    )


def drill_failed(*, stack: str, at: datetime, drill: Drill) -> Message:
    """DrillFailed: a recovery point could not be rehearsed, or a volume of a drill could not be deleted. It is
    published once for each drill.
    """
    restore = {"instance_id": "i-...", "recovery_point": drill.recovery_point_id, "dry_run": True}
    return Message(
        event="DrillFailed",
        at=at,
        stack=stack,
        subject=_subject(drill),
        name=drill.instance_name,
        summary=sentence(
            f"The rehearsed restore of {drill.recovery_point_id} of {quote(drill.instance_name, drill.instance_id)} in "
            f"{drill.zone} failed: {drill.failure}"
        ),
        details={**_facts(drill), "reason": drill.failure},
        next_steps=(
            "A restore of this recovery point may fail the same way. Repair the cause: a KMS key's state or policy, a "
            "permission, a quota, or a zone without the volume type.",
            f'Then repeat the drill: invoke DrillRestoresFunction with {{"lineage": "{drill.lineage}"}}.',
            f"To see what a restore would do: invoke RestoreVolumeFunction with {_as_json(restore)}.",
        ),
    )


def drill_cut_off(*, stack: str, at: datetime, drill_id: str, volume_ids: Sequence[str], refused: str) -> Message:
    """The same of a drill that is not in the table any more: its volumes were left behind."""
    deleted = f"deleting them was refused: {refused}" if refused else "they are deleted now"
    return Message(
        event="DrillFailed",
        at=at,
        stack=stack,
        subject={"drill": drill_id},
        summary=sentence(f"The drill {drill_id} was cut off and left volumes behind: {deleted}"),
        details={"volumes": list(volume_ids), "reason": refused or "the drill's record is not in the table"},
        next_steps=(
            "If a volume is still there, delete it: it has the tag lifeboat:drill and is attached to nothing.",
            "Then repeat the drill: invoke DrillRestoresFunction with {}.",
        ),
    )


def _subject(drill: Drill) -> dict[str, str]:
    return {
        "drill": drill.id,
        "recovery_point": drill.recovery_point_id,
        "instance_id": drill.instance_id,
    }


def _facts(drill: Drill) -> dict[str, Any]:
    return {
        "taken_at": iso(drill.taken_at),
        "verification": drill.verification,
        "lineages": list(drill.lineages),
        "zone": drill.zone,
        "volumes": [
            {
                "snapshot": volume.snapshot_id,
                "volume": volume.restored_volume_id or "none",
                "type": volume.type,
                "gib": volume.size,
                "encrypted": volume.encrypted,
            }
            for volume in drill.volumes
        ],
    }


def _as_json(request: dict[str, Any]) -> str:
    return "{" + ", ".join(f'"{key}": {"true" if item is True else f'"{item}"'}' for key, item in request.items()) + "}"
