"""What verification publishes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifeboat.domain.message import Message, counted, sentence
from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.domain.title import quote
from lifeboat.verify.record import Reading, Verification

_READ = {
    Level.READ: "the list of its blocks to the end, and the records of its file systems",
    Level.SAMPLE: "also a twelfth of its written blocks",
    Level.FULL: "also every written block",
}


def recovery_point_verified(
    *, stack: str, at: datetime, point: RecoveryPoint, record: Verification, unrecorded: str
) -> Message:
    """RecoveryPointVerified: a recovery point was read back and is proven. It is published if a person asked for it, or
    if the proof could not be recorded; with `VerifiedMessages` always.
    """
    name = quote(point.instance_name, point.instance_id)
    blocks = sum(item.read for item in record.readings)
    recorded = f", but not recorded: {unrecorded}" if unrecorded else ""
    return Message(
        event="RecoveryPointVerified",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        name=point.instance_name,
        summary=sentence(f"Recovery point {point.id} of {name} was read back and is proven{recorded}"),
        details={
            "level": record.level.value,
            "read": f"{_READ[record.level]}; {counted(blocks, 'block')}",
            "taken_at": iso(point.taken_at),
            "lineages": list(point.lineages),
            "snapshots": [_describe(item) for item in record.readings],
            "not_recorded": unrecorded,
        },
        next_steps=(
            (
                "A restore's plan does not show this proof. Keep this message, or remove a tag from the snapshots and "
                "verify the recovery point again.",
            )
            if unrecorded
            else ()
        ),
    )


def verification_failed(
    *,
    stack: str,
    at: datetime,
    region: str,
    point: RecoveryPoint,
    record: Verification,
    proven: RecoveryPoint | None,
    unrecorded: str,
    home: str = "",
    account: str = "",
) -> Message:
    """VerificationFailed: a recovery point could not be read back, what is in it is damaged, or its copy is not equal
    to it. The newest recovery point of the lineage that is proven is `newest_proven`. Of a copy, the subject has its
    region or, in a vault, the `account` of its source; `snapshots` are then those of the copy.
    """
    first = next(item for item in record.readings if item.failure)
    ids = " ".join(item.snapshot_id for item in record.readings)
    of_copy = " in this vault" if account else f" in {region}" if home else ""
    place = {"region": region} if home else {"account": account} if account else {}
    return Message(
        event="VerificationFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, **place},
        name=point.instance_name,
        summary=sentence(
            f"{'The copy of recovery' if of_copy else 'Recovery'} point {point.id} of "
            f"{quote(point.instance_name, point.instance_id)}{of_copy} failed its verification: "
            f"{first.snapshot_id}, {first.device}: {first.failure}"
        ),
        details=_failure(point, record, proven, unrecorded),
        next_steps=(
            *_if_unrecorded(unrecorded),
            *_hold_proven(proven, home or region),
            f"Keep the failed one for the inquiry, too: {_hold(ids, region)}",
            *_if_lost([item for item in record.readings if item.failure], point),
            *_steps(point, region=region if home else "", account=account),
        ),
    )


def _failure(
    point: RecoveryPoint, record: Verification, proven: RecoveryPoint | None, unrecorded: str
) -> dict[str, Any]:
    wrong = [item for item in record.readings if item.failure]
    return {
        "level": record.level.value,
        "taken_at": iso(point.taken_at),
        "lineages": list(point.lineages),
        "failures": [
            {"snapshot_id": item.snapshot_id, "device": item.device, "failure": item.failure} for item in wrong
        ],
        "snapshots": [_describe(item) for item in record.readings],
        "newest_proven": proven.id if proven else "none",
        "newest_proven_taken_at": iso(proven.taken_at) if proven else "",
        "not_recorded": unrecorded,
    }


def _steps(point: RecoveryPoint, *, region: str, account: str) -> tuple[str, ...]:
    """What a person does about what failed: a vault's copy of what an account has, a copy in a region, or neither."""
    if account:
        return steps_after_unequal(account)
    return _of_copy(point, region) if region else steps_after_failure(point)


def steps_after_failure(point: RecoveryPoint) -> tuple[str, ...]:
    """What a person does about a recovery point that failed its verification."""
    return (
        "Check the instance: a damaged file system on the volume is in every later recovery point. Repair it there "
        "and take a backup.",
        "If AWS refused a read, repair the key or the permission that its words name. Then invoke "
        f'VerifySnapshotsFunction with {{"recovery_point": "{point.id}"}}.',
    )


def _of_copy(point: RecoveryPoint, region: str) -> tuple[str, ...]:
    return (
        f"Do not restore this copy in {region}. Restore the recovery point here, or another one.",
        "Find out which of the two is wrong: invoke VerifySnapshotsFunction with "
        f'{{"recovery_point": "{point.id}", "level": "full"}}. The next recovery point is copied as usual.',
    )


def steps_after_unequal(account: str) -> tuple[str, ...]:
    """What a person does about a vault's copy that is not equal to its source in this account."""
    return (
        'Do not restore this copy. Its tag lifeboat:verified says that it failed, so "latest-proven" restores another '
        "one.",
        f"Hold the source in account {account}, too, and verify it there with the level full. If the source is the "
        "damaged one, remove the tag lifeboat:verified from the copy: Lifeboat reads the copy back again within an "
        "hour.",
        "The next recovery point is copied as usual.",
    )


def copy_not_compared(*, stack: str, at: datetime, point: RecoveryPoint, account: str, record: Verification) -> Message:
    """CopyNotCompared: a vault's copy could not be compared with its source, which another account shares. AWS refused
    it, or sent other bytes of the source than its SHA-256 says.
    """
    refused = [item for item in record.readings if item.failure]
    name = quote(point.instance_name, point.instance_id)
    return Message(
        event="CopyNotCompared",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "account": account},
        name=point.instance_name,
        summary=sentence(
            f"The copy {point.id} of {name} in this vault was not compared with its source in account {account}: "
            f"{refused[0].failure}"
        ),
        details={
            "level": record.level.value,
            "taken_at": iso(point.taken_at),
            "not_compared": [
                {"snapshot_id": item.snapshot_id, "device": item.device, "reason": item.failure} for item in refused
            ],
        },
        next_steps=(
            "The copy was read back by itself: its tag lifeboat:verified says with what result. That it equals its "
            "source is not shown.",
            "If AWS names a key: its policy must allow kms:DescribeKey and kms:Decrypt to this account. Account "
            f"{account} can add that. Then invoke VerifySnapshotsFunction with "
            f'{{"recovery_point": "{point.id}", "level": "full"}}.',
            "If the source is gone or no longer shared, nothing can be compared. Keep the copy.",
        ),
    )


def verification_stopped(*, stack: str, at: datetime, record: Verification, reason: str) -> Message:
    """VerificationStopped: a recovery point was deleted or archived before it was read to the end."""
    return Message(
        event="VerificationStopped",
        at=at,
        stack=stack,
        subject={"recovery_point": record.point_id},
        summary=sentence(f"The verification of recovery point {record.point_id} has stopped: {reason}"),
        details={"level": record.level.value, "reason": reason, "opened_at": iso(record.opened_at)},
    )


def _if_unrecorded(unrecorded: str) -> tuple[str, ...]:
    if not unrecorded:
        return ()
    return (
        sentence(
            'Do not restore "latest-proven" now: the failure is not recorded, and an older proof may still be on the '
            f"snapshots. EC2 said: {unrecorded}"
        ),
    )


def _if_lost(wrong: Sequence[Reading], point: RecoveryPoint) -> tuple[str, ...]:
    if not any(item.lost for item in wrong):
        return ()
    return (
        "Check now whether the volume still has its file system. If a person removed it on purpose, invoke "
        f'VerifySnapshotsFunction with {{"recovery_point": "{point.id}", "expected": true}}: then what it holds now is '
        "proven, and later ones are compared with it.",
    )


def _hold_proven(proven: RecoveryPoint | None, region: str) -> tuple[str, ...]:
    if proven is None:
        return (
            "No other recovery point of this lineage is known to be proven. Verify older ones by hand until one is, "
            'before retention deletes them: invoke VerifySnapshotsFunction with {"recovery_point": "rp-..."}.',
        )
    ids = " ".join(member.snapshot.id for member in proven.members)
    called = quote(proven.id, "without an id")  # it comes from a tag
    return (f"Keep the newest proven one, {called}, until this is clear: {_hold(ids, region)}",)


def _hold(ids: str, region: str) -> str:
    return f"aws ec2 create-tags --region {region} --resources {ids} --tags Key={Tag.HOLD},Value=verification"


def _describe(item: Reading) -> dict[str, Any]:
    return {
        "snapshot_id": item.snapshot_id,
        "device": item.device,
        "gib": item.gib,
        "holds": item.holds,
        "blocks_written": item.written,
        "blocks_read": item.read,
        **({"blocks_unchanged": item.unchanged} if item.unchanged else {}),
        **({"notes": list(item.notes)} if item.notes else {}),
    }
