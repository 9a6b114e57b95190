"""The messages of backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lifeboat.backup.batch import BatchResult, Run
from lifeboat.domain.message import (
    INSTANCES_NAMED,
    LIST_ENTRIES,
    REASON_LENGTH,
    Message,
    counted,
    listed,
    more_key,
    sentence,
    shorten,
)
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.recovery_point_tags import name_left_out, recovery_point_id
from lifeboat.domain.text import iso
from lifeboat.domain.title import quote


def backup_started(
    *,
    stack: str,
    at: datetime,
    slot: datetime,
    begun: Sequence[Mapping[str, Any]],
    late: bool = False,
    names: Mapping[str, str] | None = None,
) -> Message:
    """BackupStarted: a run has begun a recovery point for each listed instance; `late`: after a missed slot.

    `names` are the Names of the instances.
    """
    instances = counted(len(begun), "instance")
    only = begun[0].get("instance_id", "") if len(begun) == 1 else ""
    return Message(
        event="BackupStarted",
        at=at,
        stack=stack,
        subject={"slot": iso(slot)},
        summary=f"The {'missed backup' if late else 'backup'} of {iso(slot)} has begun{', late,' if late else ''} "
        f"for {instances}.",
        details=listed(begun, "recovery_points"),
        name=(names or {}).get(only, ""),
        about=only or instances,
    )


def run_ended(*, stack: str, at: datetime, run: Run, outcome: BatchResult) -> Message:
    """The outcome of a large run, published once, when all its batches have reported or it was cut off.

    Without failures it is a BackupStarted with counts, else:
    BackupIncomplete: a large run could not begin a recovery point for every instance; each failure is named.
    """
    instances = max(run.instances, len(outcome.begun) + len(outcome.skipped) + len(outcome.failed))
    unreported = run.batches - len(run.done)
    whole = not outcome.failed and not unreported
    subject = {"slot": iso(run.slot)}
    summary = (
        f"The {'missed backup' if run.late else 'backup'} of {iso(run.slot)} has begun{', late,' if run.late else ''} "
        f"for {len(outcome.begun)} of {counted(instances - len(outcome.skipped), 'instance')}."
    )
    details: dict[str, Any] = {
        "instances": instances,
        "begun": len(outcome.begun),
        "skipped": len(outcome.skipped),
    }
    if whole:
        begun = [{"instance_id": item, "recovery_point": recovery_point_id(run.slot, item)} for item in outcome.begun]
        facts = {**details, **listed(begun, "recovery_points")}
        return Message("BackupStarted", at, stack, summary, subject, facts, about=counted(len(begun), "instance"))
    details |= {
        "failed": len(outcome.failed),
        "unreported_batches": unreported,
        **listed(
            [{"instance_id": item, "reason": shorten(reason, 0, REASON_LENGTH)} for item, reason in outcome.failed],
            "failures",
        ),
    }
    if len(outcome.failed) > LIST_ENTRIES:
        names = [instance_id for instance_id, _ in outcome.failed]
        details["failed_instances"] = names[:INSTANCES_NAMED]
        if len(names) > INSTANCES_NAMED:
            details[more_key("failed_instances")] = len(names) - INSTANCES_NAMED
    steps = [
        "Read the reasons. Grant a missing permission; raise a limit that is used up.",
        "The catch-up retries a slot of the schedule every 15 minutes. Repeat a request by hand with "
        '{"instance_ids": [...]} (events/take_snapshots).',
    ]
    if unreported:
        steps.append("Batches that were not reported are in the queue of failed events: see docs/guide/operate.md.")
    missing = counted(instances - len(outcome.skipped) - len(outcome.begun), "instance")
    return Message("BackupIncomplete", at, stack, summary, subject, details, tuple(steps), about=missing)


def backup_completed(*, stack: str, at: datetime, point: RecoveryPoint, trust: Sequence[str] = ()) -> Message:
    """BackupCompleted: EC2 has completed every snapshot of a recovery point; it can be restored. `tags_left_out`: if
    tags of its volumes did not fit on the snapshots.

    `trust`: how to trust the instance's image, if a restore would be refused for it.
    """
    left_out = {member.metadata.volume_id: member.metadata for member in point.members if member.metadata.tags_left_out}
    count = sum(metadata.tags_left_out for metadata in left_out.values())
    return Message(
        event="BackupCompleted",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        name=point.instance_name,
        summary=f"Recovery point {point.id} of {quote(point.instance_name, point.instance_id)} is good."
        + (f" {counted(count, 'tag')} of its volumes did not fit on the snapshots." if count else ""),
        details={
            "slot": iso(point.slot),
            "taken_at": iso(point.taken_at),
            "late": point.late,
            "lineages": list(point.lineages),
            "gib": point.size,
            "snapshots": {member.snapshot.id: member.metadata.device for member in point.members},
            **(
                {
                    "tags_left_out": {
                        volume_id: name_left_out(metadata.tags_left_out, metadata.left_out, listed=LIST_ENTRIES)
                        for volume_id, metadata in left_out.items()
                    }
                }
                if left_out
                else {}
            ),
        },
        next_steps=(
            *trust,
            *(
                ("Shorten or remove tags of these volumes, or record elsewhere what a restored volume needs.",)
                if left_out
                else ()
            ),
        ),
    )


def unplanned_snapshot_taken(*, stack: str, at: datetime, point: RecoveryPoint, made: Mapping[str, str]) -> Message:
    """UnplannedSnapshotTaken: EC2 took snapshots of volumes that were attached while a recovery point was begun. They
    are not backups; the recovery point is good without them.

    `made` maps each snapshot to its volume.
    """
    snapshots, volumes = sorted(made), sorted(set(made.values()))
    return Message(
        event="UnplannedSnapshotTaken",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        summary=(
            f"{', '.join(volumes)} of {quote(point.instance_name, point.instance_id)} "
            f"{'is' if len(volumes) == 1 else 'are'} not in {point.id}: the volumes changed while it was begun."
        ),
        details={"snapshots": dict(sorted(made.items()))},
        name=point.instance_name,
        next_steps=(
            f'The next slot saves them. To save them now: invoke TakeSnapshotsFunction with {{"instance_ids": '
            f'["{point.instance_id}"]}}.',
            f"The tags of {', '.join(snapshots)} describe other volumes: Lifeboat neither restores nor deletes them. "
            "Delete them when they are not needed: aws ec2 delete-snapshot --snapshot-id SNAPSHOT.",
        ),
    )


def backup_failed(
    *,
    stack: str,
    at: datetime,
    recovery_point_id: str,
    instance_id: str,
    reason: str,
    snapshot_ids: Sequence[str],
    name: str = "",
) -> Message:
    """BackupFailed: an instance has no good recovery point for a slot."""
    return Message(
        event="BackupFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": recovery_point_id, "instance_id": instance_id},
        summary=sentence(f"There is no good recovery point {recovery_point_id}: {reason}"),
        details={"reason": reason, **listed(snapshot_ids, "snapshots")},
        name=name,
        next_steps=(
            "Remove the cause, then back up by hand: invoke TakeSnapshotsFunction with "
            + (f'{{"instance_ids": ["{instance_id}"]}}.' if instance_id else "the instance's id."),
            "Earlier recovery points are unchanged.",
        ),
    )


def backup_overdue(
    *,
    stack: str,
    at: datetime,
    instance_id: str,
    age: timedelta,
    expected: datetime,
    since: datetime,
    newest: tuple[str, datetime] | None,
    volume_ids: Sequence[str],
    name: str = "",
) -> Message:
    """BackupOverdue: an instance's newest good recovery point is older than the schedule and the grace allow, and no
    newer one is pending. It is published once until there is a newer one.

    `newest` is that recovery point's id and slot, if there is one. `age` counts from when it was taken, or else from
    `since`, when the instance was first observed as selected. `volume_ids` are the overdue volumes.
    """
    last = f"the last one, {newest[0]}, is {_duration(age)} old" if newest else f"it has had none for {_duration(age)}"
    return Message(
        event="BackupOverdue",
        at=at,
        name=name,
        stack=stack,
        subject={"instance_id": instance_id},
        summary=f"{instance_id} has no good recovery point of {iso(expected)} or later: {last}.",
        details={
            "age": _duration(age),
            "age_seconds": int(age.total_seconds()),
            "last_good_recovery_point": newest[0] if newest else "none",
            "last_good_slot": iso(newest[1]) if newest else "none",
            "expected_slot": iso(expected),
            "protected_since": iso(since),
            **listed(volume_ids, "volumes"),
        },
        next_steps=(
            "Find the reason in the last BackupFailed of this instance, or in the log of TakeSnapshotsFunction.",
            "When the cause is removed, back up at once: invoke TakeSnapshotsFunction with "
            f'{{"instance_ids": ["{instance_id}"]}}.',
            "If it needs no more backups, remove the selecting tag from the instance.",
            *(("Retention keeps the last good recovery point.",) if newest else ()),
        ),
    )


def recovery_point_not_locked(*, stack: str, at: datetime, point: RecoveryPoint, reason: str) -> Message:
    """RecoveryPointNotLocked: a good recovery point should be locked, but some or all of its snapshots are not."""
    return Message(
        event="RecoveryPointNotLocked",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        summary=sentence(f"Recovery point {point.id} is good but not locked: {reason}"),
        name=point.instance_name,
        details={"reason": reason, **listed([member.snapshot.id for member in point.members], "snapshots")},
        next_steps=(
            "Remove the cause. If it is transient, Lifeboat retries every minute for a day.",
            "List the locked snapshots: aws ec2 describe-locked-snapshots.",
        ),
    )


def _duration(age: timedelta) -> str:
    """`45 min`, `26 h 5 min`, `3 days 4 h`."""
    hours, minutes = divmod(age // timedelta(minutes=1), 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
