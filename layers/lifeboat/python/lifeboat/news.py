"""VOICE: what Lifeboat tells, as one versioned message shape on one topic.

A message is a past fact. Programs read the JSON, people who subscribed by e-mail read the summary, the facts and the
next steps as plain text (`MessageStructure=json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lifeboat.model import AmiVerdict, Instance, RecoveryPoint, Restore, RestoreOutcome, RestoreState, Trust
from lifeboat.rules.catalogue import iso

VERSION = "1"

SUBJECT_LENGTH = 100
"""An SNS subject has at most 100 ASCII characters (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""

LISTED = 50
"""How many entries of a list a message carries; more are counted. SNS takes 256 KiB in all."""

SEVERITIES = {
    "BackupStarted": "info",
    "BackupCompleted": "info",
    "BackupFailed": "critical",
    "SnapshotsPruned": "info",
    "RestoreStarted": "info",
    "RestoreRefused": "warning",
    "RestoreCompleted": "info",
    "RestoreRolledBack": "warning",
    "RestoreFailed": "critical",
    "AmiOwnerTrusted": "info",
    "AmiOwnerUntrusted": "critical",
    "AmiOwnerUnknown": "warning",
}
"""Every message there is, and how urgent it is."""


@dataclass(frozen=True, slots=True)
class News:
    """One message. `event` is a past fact of SEVERITIES; `subject` names what it is about; `details` are facts."""

    event: str
    at: datetime
    stack: str
    summary: str
    subject: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    next_steps: tuple[str, ...] = ()
    severity: str = ""

    def __post_init__(self) -> None:
        if not self.severity:
            object.__setattr__(self, "severity", SEVERITIES[self.event])

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "event": self.event,
            "severity": self.severity,
            "at": iso(self.at),
            "stack": self.stack,
            "subject": dict(self.subject),
            "summary": self.summary,
            "details": dict(self.details),
            "next_steps": list(self.next_steps),
        }

    def to_json(self) -> str:
        """The message for programs."""
        return json.dumps(self.as_dict(), sort_keys=True, default=str)

    def to_text(self) -> str:
        """The message for people."""
        lines = [self.summary, ""]
        lines += [f"{name.replace('_', ' ')}: {value}" for name, value in self.subject.items() if value]
        for name, value in self.details.items():
            lines += _facts(name.replace("_", " "), value)
        if self.next_steps:
            lines += ["", "What to do next:"]
            lines += [f"  {number}. {step}" for number, step in enumerate(self.next_steps, 1)]
        lines += ["", f"{self.event} ({self.severity}), {iso(self.at)}, stack {self.stack}"]
        return "\n".join(lines)

    def subject_line(self) -> str:
        """The subject of the e-mail: ASCII, one line, at most 100 characters."""
        text = f"[{self.stack}] {self.event}: {self.summary}".encode("ascii", "replace").decode()
        text = " ".join(text.split())
        return text if len(text) <= SUBJECT_LENGTH else text[: SUBJECT_LENGTH - 3] + "..."

    def attributes(self) -> dict[str, str]:
        """What a filter policy can choose by."""
        return {"event": self.event, "severity": self.severity}

    def sns_message(self) -> str:
        """The body of Publish with MessageStructure=json: text for e-mail, JSON for everything else."""
        return json.dumps({"default": self.to_json(), "email": self.to_text()})


def _facts(name: str, value: Any, indent: str = "") -> list[str]:
    if value in (None, "", [], {}, ()):
        return []
    if isinstance(value, Mapping):
        lines = [f"{indent}{name}:"]
        for key, item in value.items():
            lines += _facts(str(key).replace("_", " "), item, indent + "  ")
        return lines
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [f"{indent}{name}:", *(f"{indent}  - {_flat(item)}" for item in value)]
    return [f"{indent}{name}: {value}"]


def _flat(item: Any) -> str:
    if isinstance(item, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {_flat(value)}" for key, value in item.items() if value != [])
    if isinstance(item, Sequence) and not isinstance(item, str):
        return "; ".join(_flat(value) for value in item)
    return str(item)


def _some(items: Sequence[Any], key: str) -> dict[str, Any]:
    """A list of a message, cut to what fits, with how many more there are."""
    found: dict[str, Any] = {key: list(items[:LISTED])}
    if len(items) > LISTED:
        found[f"{key}_not_listed"] = len(items) - LISTED
    return found


def backup_started(*, stack: str, at: datetime, slot: datetime, begun: Sequence[Mapping[str, Any]]) -> News:
    """A run has begun recovery points; `begun` has one entry for each."""
    instances = _count(len(begun), "instance")
    return News(
        event="BackupStarted",
        at=at,
        stack=stack,
        subject={"slot": iso(slot)},
        summary=f"The backup of {iso(slot)} has begun for {instances}.",
        details=_some(begun, "recovery_points"),
    )


def backup_completed(*, stack: str, at: datetime, point: RecoveryPoint) -> News:
    """A recovery point is good."""
    return News(
        event="BackupCompleted",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        summary=f"Recovery point {point.id} of {point.instance_name or point.instance_id} is good.",
        details={
            "slot": iso(point.slot),
            "taken_at": iso(point.taken_at),
            "late": point.late,
            "chains": list(point.chains),
            "gib": point.size,
            "snapshots": {member.snapshot.id: member.story.device for member in point.members},
        },
    )


def backup_failed(
    *,
    stack: str,
    at: datetime,
    recovery_point_id: str,
    instance_id: str,
    reason: str,
    snapshot_ids: Sequence[str],
) -> News:
    """An instance has no good recovery point for a slot."""
    return News(
        event="BackupFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": recovery_point_id, "instance_id": instance_id},
        summary=f"There is no good recovery point {recovery_point_id}: {reason}.",
        details={"reason": reason, "snapshots": list(snapshot_ids)},
        next_steps=(
            "Mend the cause, then back up by hand: invoke TakeSnapshotsFunction with the instance's id.",
            "Earlier recovery points are untouched.",
        ),
    )


def snapshots_pruned(
    *,
    stack: str,
    at: datetime,
    deleted: Sequence[Mapping[str, Any]],
    kept: Sequence[Mapping[str, Any]],
    refused: Sequence[Mapping[str, Any]],
    notices: Sequence[str],
    saved_gib: int,
) -> News:
    """A retention run has ended; every verdict has its reasons."""
    return News(
        event="SnapshotsPruned",
        at=at,
        stack=stack,
        severity="warning" if refused or notices else "",
        summary=(
            f"{_count(len(deleted), 'recovery point')} deleted, {len(kept)} kept"
            + (f", {len(refused)} could not be deleted" if refused else "")
            + "."
        ),
        details={
            **_some(deleted, "deleted"),
            **_some(refused, "refused"),
            **_some(kept, "kept"),
            "notices": list(notices[:LISTED]),
            "saved_gib_at_most": saved_gib,
        },
    )


def restore_started(*, stack: str, at: datetime, restore: Restore, plan: str) -> News:
    """A restore has been checked, recorded and begun."""
    return News(
        event="RestoreStarted",
        at=at,
        stack=stack,
        subject=_restore(restore),
        summary=f"The restore of {restore.recovery_point_id} onto {restore.instance_id} has begun.",
        details={
            "requested_by": restore.requested_by,
            "reason": restore.reason,
            "ami_override": restore.ami_override,
            "plan": plan.splitlines(),
        },
        next_steps=(f'To call it off: invoke RestoreVolumeFunction with {{"cancel": "{restore.id}"}}.',),
    )


def restore_refused(*, stack: str, at: datetime, instance_id: str, reasons: Sequence[str], asked_by: str) -> News:
    """The pre-flight found what forbids a restore. Nothing was touched."""
    return News(
        event="RestoreRefused",
        at=at,
        stack=stack,
        subject={"instance_id": instance_id},
        summary=f"A restore onto {instance_id} was refused; nothing was touched.",
        details={"requested_by": asked_by, "reasons": list(reasons)},
        next_steps=("Mend what the reasons name, then ask again, with dry_run first.",),
    )


def restore_ended(*, stack: str, at: datetime, restore: Restore, outcome: RestoreOutcome) -> News:
    """What became of a restore."""
    event = {
        RestoreState.COMPLETED: "RestoreCompleted",
        RestoreState.ROLLED_BACK: "RestoreRolledBack",
        RestoreState.FAILED: "RestoreFailed",
    }[restore.status]
    return News(
        event=event,
        at=at,
        stack=stack,
        subject=_restore(restore),
        summary=_ENDINGS[restore.status].format(point=restore.recovery_point_id, instance=restore.instance_id)
        + (f" {restore.failure}." if restore.failure else ""),
        details=outcome.details,
        next_steps=outcome.next_steps,
    )


_ENDINGS = {
    RestoreState.COMPLETED: "{instance} is on the restored data of {point}.",
    RestoreState.ROLLED_BACK: "The restore of {point} onto {instance} was rolled back; the instance is as it was.",
    RestoreState.FAILED: "The restore of {point} onto {instance} failed, and so did its roll-back: a person is needed.",
}


def _restore(restore: Restore) -> dict[str, str]:
    return {
        "restore_id": restore.id,
        "instance_id": restore.instance_id,
        "recovery_point": restore.recovery_point_id,
    }


def ami_owner_checked(*, stack: str, at: datetime, instance: Instance, verdict: AmiVerdict) -> News:
    """An instance's image has been judged."""
    event = {
        Trust.TRUSTED: "AmiOwnerTrusted",
        Trust.UNTRUSTED: "AmiOwnerUntrusted",
        Trust.UNKNOWN: "AmiOwnerUnknown",
    }[verdict.verdict]
    steps = (
        ()
        if verdict.verdict is Trust.TRUSTED
        else (
            "Compare the image's owner with the parameter TrustedAmiOwners.",
            "If the instance is a clone of the platform's VM, replace it by a fresh deployment.",
        )
    )
    return News(
        event=event,
        at=at,
        stack=stack,
        subject={"instance_id": instance.id, "ami": instance.ami_id},
        summary=f"The image of {instance.name or instance.id} is {verdict.verdict.value}: {verdict.reason}",
        details={"code": verdict.code, "evidence": list(verdict.evidence)},
        next_steps=steps,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
