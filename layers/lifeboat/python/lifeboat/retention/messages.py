"""What retention and adoption publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lifeboat.domain.message import LIST_ENTRIES, Message, counted, listed
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso
from lifeboat.retention.plan import dollars_per_month
from lifeboat.retention.policy_change import Change, differences


def snapshots_pruned(
    *,
    stack: str,
    at: datetime,
    deleted: Sequence[Mapping[str, Any]],
    kept: Sequence[Mapping[str, Any]],
    refused: Sequence[Mapping[str, Any]],
    notices: Sequence[str],
    saved_gib: int,
    kept_count: int | None = None,
    remarks: Sequence[str] = (),
) -> Message:
    """SnapshotsPruned: a retention run deleted recovery points, was refused a deletion, or has notices. In the last two
    cases its severity is `warning`. Every verdict has its reasons.

    `kept_count` is the number of kept ones if `kept` lists only the first. `remarks` are listed among the notices and
    raise no warning.
    """
    return Message(
        event="SnapshotsPruned",
        at=at,
        stack=stack,
        severity="warning" if refused or notices else "",
        about=counted(len(refused or deleted), "recovery point"),
        verdict="not deleted" if refused else "pruned, with notices" if notices else "pruned",
        summary=(
            f"{counted(len(deleted), 'recovery point')} deleted, {len(kept) if kept_count is None else kept_count} kept"
            + (f", {len(refused)} could not be deleted" if refused else "")
            + "."
        ),
        details={
            **listed(deleted, "deleted"),
            **listed(refused, "refused"),
            **listed(kept, "kept", kept_count),
            **listed([*notices, *remarks], "notices"),
            "saved_gib_at_most": saved_gib,
            "saved_usd_per_month_at_most": dollars_per_month(saved_gib),
        },
    )


def retention_changed(
    *,
    stack: str,
    at: datetime,
    change: Change,
    until: datetime,
    lineages: Sequence[str],
    points: Sequence[RecoveryPoint],
    command: str | None,
    region: str,
) -> Message:
    """RetentionChanged: the retention settings have changed, and the new ones would delete recovery points that the old
    ones keep. These are kept for `RetentionChangeHours`. The next steps have the command that restores the old
    settings.
    """
    old, new = differences(change.old, change.new)
    gib = sum(point.size for point in points)
    whose = "the stack" if change.of_stack else counted(len(lineages), "lineage")
    snapshots = [member.snapshot.id for point in points for member in point.members]
    named = " ".join(snapshots[:LIST_ENTRIES])
    tag = "Key=lifeboat:hold,Value=retention-changed"
    hold = f"aws ec2 create-tags --region {region} --tags {tag} --resources {named}"
    # Beside the command, not behind it: EC2 would take these words for ids, and refuse all.
    most = f", of which these are {LIST_ENTRIES} of {len(snapshots)} snapshots" if len(snapshots) > LIST_ENTRIES else ""
    return Message(
        event="RetentionChanged",
        at=at,
        stack=stack,
        about="retention policy",
        summary=(
            f"The retention policy of {whose} has changed. It would delete {counted(len(points), 'recovery point')} of "
            f"{gib} GiB. They are kept until {iso(until)}."
        ),
        details={
            "old": old,
            "new": new,
            "until": iso(until),
            "would_delete_count": len(points),
            "gib": gib,
            **listed([point.id for point in points], "would_delete"),
            **listed(lineages, "lineages"),
        },
        next_steps=(
            *((f"To restore the old policy: {command}",) if command else ()),
            f"To keep these recovery points whatever the policy{most}: {hold}",
            f"If the change is right, do nothing: they are deleted after {iso(until)}.",
        ),
    )


def recovery_points_adopted(
    *,
    stack: str,
    at: datetime,
    subject: Mapping[str, str],
    adopted: Sequence[Mapping[str, Any]],
    refused: Sequence[Mapping[str, Any]],
    notices: Sequence[str] = (),
) -> Message:
    """RecoveryPointsAdopted: a person has made recovery points of existing snapshots. Its severity is `warning` when
    some could not be adopted. The retention policy applies to them from now on.
    """
    return Message(
        event="RecoveryPointsAdopted",
        at=at,
        stack=stack,
        severity="warning" if refused or notices else "",
        subject=subject,
        about=counted(len(adopted), "snapshot"),
        summary=(
            f"{counted(len(adopted), 'snapshot')} adopted as recovery points"
            + (f", {len(refused)} refused" if refused else "")
            + "."
        ),
        details={**listed(adopted, "adopted"), **listed(refused, "refused"), **listed(notices, "notices")},
        next_steps=(
            'Check which of them the policy keeps: invoke PruneSnapshotsFunction with {"dry_run": true}.',
            "To keep one whatever the policy says, tag its snapshot lifeboat:hold.",
            "Switch off every other program that deletes these snapshots.",
        ),
    )
