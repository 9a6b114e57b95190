"""What copies, sharing and the vault publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifeboat.domain.message import Message, listed, sentence
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso
from lifeboat.domain.title import quote


def snapshots_copied(*, stack: str, at: datetime, point: RecoveryPoint, region: str, home: str) -> Message:
    """SnapshotsCopied: a recovery point is complete in another region or in the vault; `point` is the one there."""
    return Message(
        event="SnapshotsCopied",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "region": region},
        name=point.instance_name,
        verdict=f"copied to {region}",
        summary=f"Recovery point {point.id} of {quote(point.instance_name, point.instance_id)} is also in {region}.",
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
    """CopyFailed: a recovery point could not be copied. It is published once. Lifeboat retries with growing pauses, and
    publishes SnapshotsCopied when an attempt succeeds.
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
        next_steps=steps_to_copy(region),
    )


def steps_to_copy(region: str) -> tuple[str, ...]:
    """What a person does about a recovery point that could not be copied to a region."""
    return (
        f"Repair the cause: the function's permissions on the keys here and in {region}, the keys' policies and "
        "states.",
        'Then invoke CopySnapshotsFunction with {"retry": true}, to retry without the pause.',
        "The recovery point here is untouched.",
    )


def sharing_failed(
    *, stack: str, at: datetime, point: RecoveryPoint, account: str, reason: str, snapshot_ids: Sequence[str]
) -> Message:
    """SharingFailed: a good recovery point cannot be shared with the vault account, so the vault begins no copy of it.
    It is published once. Lifeboat retries every 15 minutes.
    """
    return Message(
        event="SharingFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "account": account},
        name=point.instance_name,
        summary=sentence(f"Recovery point {point.id} cannot be shared with the vault, account {account}: {reason}"),
        details={"reason": reason, **listed(snapshot_ids, "snapshots")},
        next_steps=(
            "A snapshot encrypted with aws/ebs can never be shared: encrypt the data volumes with a customer managed "
            "key.",
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
    """MetadataMissing: a source account shares snapshots with this vault, but the vault cannot read the volume metadata
    in their tags. It copies such snapshots when they are an hour old, and never deletes them. It is published once a
    day.
    """
    return Message(
        event="MetadataMissing",
        at=at,
        stack=stack,
        subject={"account": source},
        about=f"account {source}",
        summary=sentence(f"The metadata of snapshots that account {source} shares cannot be read: {reason}"),
        details={
            "reason": reason,
            **listed(recovery_point_ids, "recovery_points"),
            **listed(snapshot_ids, "snapshots"),
        },
        next_steps=(
            f"Check account {source}: the role of its stack's output VaultReaderRoleArn, its snapshots' tags.",
            "A copy without metadata is restored by its snapshot id. Only you can delete it.",
        ),
    )
