"""What copies, sharing and the vault publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifeboat.domain.message import Message, listed, sentence
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso


def snapshots_copied(*, stack: str, at: datetime, point: RecoveryPoint, region: str, home: str) -> Message:
    """SnapshotsCopied: a recovery point is whole in another region, too; `point` is the one there."""
    return Message(
        event="SnapshotsCopied",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "region": region},
        summary=f"Recovery point {point.id} of {point.instance_name or point.instance_id} is in {region}, too.",
        details={
            "copied_from": home,
            "taken_at": iso(point.taken_at),
            "lineages": list(point.lineages),
            "gib": point.size,
            "snapshots": {member.snapshot.id: member.metadata.device for member in point.members},
        },
    )


def copy_failed(
    *,
    stack: str,
    at: datetime,
    recovery_point_id: str,
    region: str,
    reason: str,
    snapshot_ids: Sequence[str],
    next_attempt: datetime | None,
) -> Message:
    """CopyFailed: a recovery point could not be copied to another region. It is told once; more attempts follow by
    themselves, with growing pauses, and SnapshotsCopied if one succeeds.
    """
    return Message(
        event="CopyFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": recovery_point_id, "region": region},
        summary=sentence(f"Recovery point {recovery_point_id} is not copied to {region}: {reason}"),
        details={
            "reason": reason,
            **listed(snapshot_ids, "snapshots"),
            "next_attempt": iso(next_attempt) if next_attempt else "none",
        },
        next_steps=(
            f"Mend the cause: the function's rights on the keys here and in {region}, the keys' policies and states.",
            'Then, to wait for no pause: invoke CopySnapshotsFunction with {"retry": true}.',
            "The recovery point here is untouched.",
        ),
    )


def sharing_failed(
    *, stack: str, at: datetime, point: RecoveryPoint, account: str, reason: str, snapshot_ids: Sequence[str]
) -> Message:
    """SharingFailed: a good recovery point cannot be shared with the vault account, so that no copy of it is begun
    there. It is told once, and tried again every minute.
    """
    return Message(
        event="SharingFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "account": account},
        summary=sentence(f"Recovery point {point.id} cannot be shared with the vault, account {account}: {reason}"),
        details={"reason": reason, **listed(snapshot_ids, "snapshots")},
        next_steps=(
            "What is encrypted with aws/ebs can never be shared: have the data volumes under a customer key.",
            "The recovery point here is untouched.",
        ),
    )


def metadata_missing(
    *,
    stack: str,
    at: datetime,
    source: str,
    reason: str,
    recovery_point_ids: Sequence[str],
    snapshot_ids: Sequence[str],
) -> Message:
    """StoryMissing: a source account shares snapshots with this vault and does not tell, or not understandably, what
    they are. Those of an hour's age are copied all the same, and never deleted here. It is told once a day.
    """
    return Message(
        event="StoryMissing",
        at=at,
        stack=stack,
        subject={"account": source},
        summary=sentence(f"Account {source} does not tell what it shares with this vault: {reason}"),
        details={
            "reason": reason,
            **listed(recovery_point_ids, "recovery_points"),
            **listed(snapshot_ids, "snapshots"),
        },
        next_steps=(
            f"See whether account {source} is well: its stack's role of VaultReaderRoleArn, the tags of its snapshots.",
            "What is copied without a story is restored by its snapshot's id, and deleted by you alone.",
        ),
    )
