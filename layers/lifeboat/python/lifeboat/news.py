"""VOICE: what Lifeboat tells, as one versioned message shape on one topic.

A message is a past fact. Programs read the JSON, people who subscribed by e-mail read the summary, the facts and the
next steps as plain text (`MessageStructure=json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lifeboat.model import (
    AmiVerdict,
    Instance,
    PortionResult,
    RecoveryPoint,
    Restore,
    RestoreOutcome,
    RestoreState,
    Run,
    Trust,
)
from lifeboat.rules.catalogue import iso, name_left_out
from lifeboat.rules.retention import dollars_per_month
from lifeboat.rules.retention_terms import Change, differences
from lifeboat.rules.slots import recovery_point_id

VERSION = "1"

SUBJECT_LENGTH = 99
"""An SNS subject has less than 100 characters, none of them a line break or a control character
(https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""

SUBJECT_STACK = 32
"""How many characters of the stack's name a subject shows: the name may have 128, and the event must be seen."""

LISTED = 50
"""How many entries of a list a message carries; more are counted."""

NAMED = 4_000
"""How many failed instances of a fleet are named by their ids alone: both forms of the message have room for them."""

REASON = 300
"""Characters of the reason beside each of a fleet's failures: EC2's refusals can have a thousand."""

MESSAGE_BYTES = 250 * 1024
"""What a message may take. SNS takes 262,144 bytes (same page); the rest is for the subject and the attributes."""

_CUTS = ((LISTED, 2_000), (25, 1_000), (10, 500), (5, 200), (2, 100))
"""Entries of a list, characters of a text: what is tried in turn until a message fits."""

SEVERITIES = {
    "BackupStarted": "info",
    "BackupIncomplete": "critical",
    "BackupCompleted": "info",
    "UnplannedSnapshotTaken": "warning",
    "BackupFailed": "critical",
    "BackupOverdue": "critical",
    "RecoveryPointNotLocked": "critical",
    "SnapshotsCopied": "info",
    "CopyFailed": "critical",
    "SharingFailed": "critical",
    "StoryMissing": "warning",
    "SnapshotsPruned": "info",
    "RetentionChanged": "warning",
    "RecoveryPointsAdopted": "info",
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
        lines = [_one_line(self.summary), ""]
        for name, value in self.subject.items():
            lines += _facts(name.replace("_", " "), value)
        for name, value in self.details.items():
            if self.subject.get(name) != value:  # said above
                lines += _facts(name.replace("_", " "), value)
        if self.next_steps:
            lines += ["", "What to do next:"]
            lines += [f"  {number}. {_one_line(step)}" for number, step in enumerate(self.next_steps, 1)]
        lines += ["", f"{self.event} ({self.severity}), {iso(self.at)}, stack {self.stack}"]
        return "\n".join(lines)

    def subject_line(self) -> str:
        """The subject of the e-mail: printable ASCII, one line, at most SUBJECT_LENGTH characters."""
        told = _one_line(f"[{self.stack[:SUBJECT_STACK]}] {self.event}: {self.summary}")
        text = told.encode("ascii", "replace").decode()
        return text if len(text) <= SUBJECT_LENGTH else text[: SUBJECT_LENGTH - 3] + "..."

    def attributes(self) -> dict[str, str]:
        """What a filter policy can choose by."""
        return {"event": self.event, "severity": self.severity}

    def sns_message(self) -> str:
        """The body of Publish with MessageStructure=json: text for e-mail, JSON for everything else.

        It always fits into MESSAGE_BYTES: lists and texts are cut as far as needed, and say how much more there was.
        """
        message = self._bodies()
        for cut_steps in (False, True):  # the next steps are what a person needs most: they are cut last
            for entries, length in _CUTS:
                if len(message) <= MESSAGE_BYTES:
                    return message
                message = self._cut(entries, length, cut_steps)._bodies()
        return message

    def _bodies(self) -> str:
        return json.dumps({"default": self.to_json(), "email": self.to_text()})  # ASCII: a character is a byte

    def _cut(self, entries: int, length: int, cut_steps: bool) -> News:
        steps = tuple(_cut_value(step, entries, length) for step in self.next_steps[:entries])
        if len(self.next_steps) > entries:
            steps = (*steps, f"{len(self.next_steps) - entries} more steps are not listed: ask for the status.")
        return replace(
            self,
            subject=_cut_value(self.subject, entries, length),
            summary=_cut_value(self.summary, entries, length),
            details=_cut_value(self.details, entries, length),
            next_steps=steps if cut_steps else self.next_steps,
        )


def _cut_value(value: Any, entries: int, length: int) -> Any:
    if isinstance(value, str) and len(value) > length:
        return f"{value[:length]}... ({len(value) - length} more characters)"
    if isinstance(value, Mapping):
        told = list(value.items())[:LISTED]
        kept = {_cut_value(str(key), entries, length): _cut_value(item, entries, length) for key, item in told}
        for key, item in told:
            if _is_list(item) and len(item) > entries:
                kept[_cut_value(_more(key), entries, length)] = value.get(_more(key), 0) + len(item) - entries
        if len(value) > LISTED:
            kept["not_listed"] = len(value) - LISTED
        return kept
    if _is_list(value):
        return [_cut_value(item, entries, length) for item in value[:entries]]
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _facts(name: str, value: Any, indent: str = "") -> list[str]:
    """The lines of one fact; none if there is nothing to say."""
    if value in _NOTHING:
        return []
    if isinstance(value, Mapping):
        lines = [f"{indent}{_one_line(name)}:"]
        for key, item in value.items():
            lines += _facts(str(key).replace("_", " "), item, indent + "  ")
        return lines
    if _is_list(value):
        return [f"{indent}{_one_line(name)}:", *(f"{indent}  - {_flat(item)}" for item in value)]
    return [f"{indent}{_one_line(name)}: {_flat(value)}"]


_NOTHING: tuple[Any, ...] = (None, "", [], {}, ())
_TIMELINE_ENTRY = {"at", "step", "text"}


def _flat(item: Any) -> str:
    """A value on one line."""
    if isinstance(item, Mapping) and set(item) == _TIMELINE_ENTRY:
        return _one_line("{at} {step}: {text}".format(**item))
    if isinstance(item, Mapping):
        facts = ((str(key).replace("_", " "), value) for key, value in item.items() if value not in _NOTHING)
        return ", ".join(f"{_one_line(key)} {_flat(value)}" for key, value in facts)
    if _is_list(item):
        return "; ".join(_flat(value) for value in item)
    if isinstance(item, bool):
        return "yes" if item else "no"
    return f"{item:g}" if isinstance(item, float) else _one_line(str(item))


def _one_line(text: str) -> str:
    """Without line breaks, control characters and signs that turn the reading direction.

    Names, tags and AWS's own words come from outside: none may begin a line of its own in an e-mail.
    """
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(text.split())


def _some(items: Sequence[Any], key: str, count: int | None = None) -> dict[str, Any]:
    """A list of a message, cut to what fits, with how many more there are; `count` if `items` are only the first."""
    found: dict[str, Any] = {key: list(items[:LISTED])}
    more = (len(items) if count is None else count) - len(found[key])
    if more:
        found[_more(key)] = more
    return found


def _more(key: str) -> str:
    """The field that says how many entries of the list `key` are not in the message."""
    return f"{key}_not_listed"


def backup_started(
    *, stack: str, at: datetime, slot: datetime, begun: Sequence[Mapping[str, Any]], late: bool = False
) -> News:
    """BackupStarted: a run has begun recovery points, one for each instance listed; `late`: after a missed slot."""
    instances = _count(len(begun), "instance")
    return News(
        event="BackupStarted",
        at=at,
        stack=stack,
        subject={"slot": iso(slot)},
        summary=f"The {'missed backup' if late else 'backup'} of {iso(slot)} has begun{', late,' if late else ''} "
        f"for {instances}.",
        details=_some(begun, "recovery_points"),
    )


def run_begun(*, stack: str, at: datetime, run: Run, outcome: PortionResult) -> News:
    """The outcome of a run that was handed out in portions, told once, when all of them have reported.

    It is a BackupStarted with counts when nothing has failed, else:
    BackupIncomplete: the run of a fleet could not begin a recovery point for every instance; each failure is named.
    """
    instances = max(run.instances, len(outcome.begun) + len(outcome.skipped) + len(outcome.failed))
    unheard = run.portions - len(run.done)
    whole = not outcome.failed and not unheard
    subject = {"slot": iso(run.slot)}
    summary = (
        f"The {'missed backup' if run.late else 'backup'} of {iso(run.slot)} has begun{', late,' if run.late else ''} "
        f"for {len(outcome.begun)} of {_count(instances - len(outcome.skipped), 'instance')}."
    )
    details: dict[str, Any] = {
        "instances": instances,
        "begun": len(outcome.begun),
        "skipped": len(outcome.skipped),
    }
    if whole:
        begun = [{"instance_id": item, "recovery_point": recovery_point_id(run.slot, item)} for item in outcome.begun]
        return News("BackupStarted", at, stack, summary, subject, {**details, **_some(begun, "recovery_points")})
    details |= {
        "failed": len(outcome.failed),
        "unheard_portions": unheard,
        **_some(
            [{"instance_id": item, "reason": _cut_value(reason, 0, REASON)} for item, reason in outcome.failed],
            "failures",
        ),
    }
    if len(outcome.failed) > LISTED:
        names = [instance_id for instance_id, _ in outcome.failed]
        details["failed_instances"] = names[:NAMED]
        if len(names) > NAMED:
            details[_more("failed_instances")] = len(names) - NAMED
    steps = [
        "Read the reasons: a missing right or a limit that is used up is yours to mend.",
        "What the schedule's slot misses is tried again every 15 minutes, late; what a person asked for is asked for "
        'again with {"instance_ids": [...]} (events/take_snapshots).',
    ]
    if unheard:
        steps.append("Portions that nobody has reported wait in the queue of failed events: see docs/operations.md.")
    return News("BackupIncomplete", at, stack, summary, subject, details, tuple(steps))


def backup_completed(*, stack: str, at: datetime, point: RecoveryPoint) -> News:
    """BackupCompleted: EC2 has finished every snapshot of a recovery point; it can be restored from. `tags_left_out`:
    if tags of its volumes did not fit on the snapshots.
    """
    left_out = {member.story.volume_id: member.story for member in point.members if member.story.tags_left_out}
    count = sum(story.tags_left_out for story in left_out.values())
    return News(
        event="BackupCompleted",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        summary=f"Recovery point {point.id} of {point.instance_name or point.instance_id} is good."
        + (f" {_count(count, 'tag')} of its volumes did not fit on the snapshots." if count else ""),
        details={
            "slot": iso(point.slot),
            "taken_at": iso(point.taken_at),
            "late": point.late,
            "chains": list(point.chains),
            "gib": point.size,
            "snapshots": {member.snapshot.id: member.story.device for member in point.members},
            **(
                {
                    "tags_left_out": {
                        volume_id: name_left_out(story.tags_left_out, story.left_out, listed=LISTED)
                        for volume_id, story in left_out.items()
                    }
                }
                if left_out
                else {}
            ),
        },
        next_steps=(
            ("Shorten or remove tags of these volumes, or write down elsewhere what a restored volume needs.",)
            if left_out
            else ()
        ),
    )


def unplanned_snapshot_taken(*, stack: str, at: datetime, point: RecoveryPoint, made: Mapping[str, str]) -> News:
    """UnplannedSnapshotTaken: EC2 took snapshots of volumes that were attached while a recovery point was begun. They
    are no backups; the recovery point is good without them.

    `made` are the snapshots, each with its volume.
    """
    snapshots, volumes = sorted(made), sorted(set(made.values()))
    return News(
        event="UnplannedSnapshotTaken",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        summary=(
            f"{', '.join(volumes)} of {point.instance_name or point.instance_id} "
            f"{'is' if len(volumes) == 1 else 'are'} not saved by {point.id}: the volumes changed while it was begun."
        ),
        details={"snapshots": dict(sorted(made.items()))},
        next_steps=(
            f'The next slot saves them. To save them now: invoke TakeSnapshotsFunction with {{"instance_ids": '
            f'["{point.instance_id}"]}}.',
            f"The tags of {', '.join(snapshots)} are of other volumes, so Lifeboat neither restores nor deletes them. "
            "Delete them when nobody needs them: aws ec2 delete-snapshot --snapshot-id SNAPSHOT.",
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
) -> News:
    """BackupFailed: an instance has no good recovery point for a slot."""
    return News(
        event="BackupFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": recovery_point_id, "instance_id": instance_id},
        summary=_sentence(f"There is no good recovery point {recovery_point_id}: {reason}"),
        details={"reason": reason, **_some(snapshot_ids, "snapshots")},
        next_steps=(
            "Mend the cause, then back up by hand: invoke TakeSnapshotsFunction with "
            + (f'{{"instance_ids": ["{instance_id}"]}}.' if instance_id else "the instance's id."),
            "Earlier recovery points are untouched.",
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
) -> News:
    """BackupOverdue: an instance's newest good recovery point is older than the schedule and the grace allow, and no
    newer one is being made. It is told once until there is a newer one.

    `newest` is that recovery point's id and slot, if there is any; `age` counts from when it was taken, or else from
    `since`, when the instance was first seen selected. `volume_ids` are the volumes that it is true of.
    """
    last = (
        f"the last one, {newest[0]}, is {_duration(age)} old"
        if newest
        else f"it has had none at all for {_duration(age)}"
    )
    return News(
        event="BackupOverdue",
        at=at,
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
            **_some(volume_ids, "volumes"),
        },
        next_steps=(
            "See why: the last BackupFailed of this instance, or else the log of TakeSnapshotsFunction.",
            f'When it is mended, do not wait: invoke TakeSnapshotsFunction with {{"instance_ids": ["{instance_id}"]}}.',
            "If it needs no backups any more, take the selecting tag off the instance.",
            *(("The last good recovery point stays: retention keeps the newest good ones.",) if newest else ()),
        ),
    )


def recovery_point_not_locked(*, stack: str, at: datetime, point: RecoveryPoint, reason: str) -> News:
    """RecoveryPointNotLocked: a good recovery point should be locked and is not, or not each of its snapshots."""
    return News(
        event="RecoveryPointNotLocked",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id},
        summary=_sentence(f"Recovery point {point.id} is good but not locked: {reason}"),
        details={"reason": reason, **_some([member.snapshot.id for member in point.members], "snapshots")},
        next_steps=(
            "Mend the cause; a day long the sweep tries again every minute, if the cause may pass.",
            "See what is locked: aws ec2 describe-locked-snapshots.",
        ),
    )


def snapshots_copied(*, stack: str, at: datetime, point: RecoveryPoint, region: str, home: str) -> News:
    """SnapshotsCopied: a recovery point is whole in another region, too; `point` is the one there."""
    return News(
        event="SnapshotsCopied",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "region": region},
        summary=f"Recovery point {point.id} of {point.instance_name or point.instance_id} is in {region}, too.",
        details={
            "copied_from": home,
            "taken_at": iso(point.taken_at),
            "chains": list(point.chains),
            "gib": point.size,
            "snapshots": {member.snapshot.id: member.story.device for member in point.members},
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
) -> News:
    """CopyFailed: a recovery point could not be copied to another region. It is told once; more attempts follow by
    themselves, with growing pauses, and SnapshotsCopied if one succeeds.
    """
    return News(
        event="CopyFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": recovery_point_id, "region": region},
        summary=_sentence(f"Recovery point {recovery_point_id} is not copied to {region}: {reason}"),
        details={
            "reason": reason,
            **_some(snapshot_ids, "snapshots"),
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
) -> News:
    """SharingFailed: a good recovery point cannot be shared with the vault account, so that no copy of it is begun
    there. It is told once, and tried again every minute.
    """
    return News(
        event="SharingFailed",
        at=at,
        stack=stack,
        subject={"recovery_point": point.id, "instance_id": point.instance_id, "account": account},
        summary=_sentence(f"Recovery point {point.id} cannot be shared with the vault, account {account}: {reason}"),
        details={"reason": reason, **_some(snapshot_ids, "snapshots")},
        next_steps=(
            "What is encrypted with aws/ebs can never be shared: have the data volumes under a customer key.",
            "The recovery point here is untouched.",
        ),
    )


def story_missing(
    *,
    stack: str,
    at: datetime,
    source: str,
    reason: str,
    recovery_point_ids: Sequence[str],
    snapshot_ids: Sequence[str],
) -> News:
    """StoryMissing: a source account shares snapshots with this vault and does not tell, or not understandably, what
    they are. Those of an hour's age are copied all the same, and never deleted here. It is told once a day.
    """
    return News(
        event="StoryMissing",
        at=at,
        stack=stack,
        subject={"account": source},
        summary=_sentence(f"Account {source} does not tell what it shares with this vault: {reason}"),
        details={
            "reason": reason,
            **_some(recovery_point_ids, "recovery_points"),
            **_some(snapshot_ids, "snapshots"),
        },
        next_steps=(
            f"See whether account {source} is well: its stack's role of VaultReaderRoleArn, the tags of its snapshots.",
            "What is copied without a story is restored by its snapshot's id, and deleted by you alone.",
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
    kept_count: int | None = None,
    remarks: Sequence[str] = (),
) -> News:
    """SnapshotsPruned: a retention run deleted, or was refused to delete, or has something to be noticed; in the last
    two cases its severity is `warning`. Every verdict has its reasons. `kept_count`: if `kept` are only the first.

    `remarks` stand among the notices and need nobody.
    """
    return News(
        event="SnapshotsPruned",
        at=at,
        stack=stack,
        severity="warning" if refused or notices else "",
        summary=(
            f"{_count(len(deleted), 'recovery point')} deleted, {len(kept) if kept_count is None else kept_count} kept"
            + (f", {len(refused)} could not be deleted" if refused else "")
            + "."
        ),
        details={
            **_some(deleted, "deleted"),
            **_some(refused, "refused"),
            **_some(kept, "kept", kept_count),
            **_some([*notices, *remarks], "notices"),
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
) -> News:
    """RetentionChanged: what retention goes by is other than it was, and recovery points would go that the old terms
    keep. They stay for `RetentionChangeHours` all the same; the next steps have the command that keeps the old ones.
    """
    old, new = differences(change.old, change.new)
    gib = sum(point.size for point in points)
    whose = "the stack" if change.of_stack else _count(len(lineages), "lineage")
    snapshots = [member.snapshot.id for point in points for member in point.members]
    named = " ".join(snapshots[:LISTED])
    hold = f"aws ec2 create-tags --tags Key=lifeboat:hold,Value=retention-changed --resources {named}"
    more = len(snapshots) - LISTED
    return News(
        event="RetentionChanged",
        at=at,
        stack=stack,
        summary=(
            f"The retention policy of {whose} has changed: {_count(len(points), 'recovery point')} of {gib} GiB would "
            f"go, and stay until {iso(until)}."
        ),
        details={
            "old": old,
            "new": new,
            "until": iso(until),
            "would_go_count": len(points),
            "gib": gib,
            **_some([point.id for point in points], "would_go"),
            **_some(lineages, "lineages"),
        },
        next_steps=(
            *((f"To keep the old policy: {command}",) if command else ()),
            f"To keep these whatever the policy: {hold}" + (f" and {more} more" if more > 0 else ""),
            f"If the change is right, nothing is to be done: they go after {iso(until)}.",
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
) -> News:
    """RecoveryPointsAdopted: a person has made recovery points of existing snapshots; its severity is `warning` when
    some could not be. The retention policy is about them from now on.
    """
    return News(
        event="RecoveryPointsAdopted",
        at=at,
        stack=stack,
        severity="warning" if refused or notices else "",
        subject=subject,
        summary=(
            f"{_count(len(adopted), 'snapshot')} adopted as recovery points"
            + (f", {len(refused)} not" if refused else "")
            + "."
        ),
        details={**_some(adopted, "adopted"), **_some(refused, "refused"), **_some(notices, "notices")},
        next_steps=(
            'See which of them the policy keeps: invoke PruneSnapshotsFunction with {"dry_run": true}.',
            "To keep one whatever the policy says, tag its snapshot lifeboat:hold.",
            "Switch off whatever else deletes these snapshots.",
        ),
    )


def restore_started(*, stack: str, at: datetime, restore: Restore, plan: str) -> News:
    """RestoreStarted: a restore has been checked and recorded, and begins."""
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
            **_some(plan.splitlines(), "plan"),
        },
        next_steps=(f'To call it off: invoke RestoreVolumeFunction with {{"cancel": "{restore.id}"}}.',),
    )


def restore_refused(*, stack: str, at: datetime, instance_id: str, reasons: Sequence[str], asked_by: str) -> News:
    """RestoreRefused: the pre-flight found what forbids a restore. Nothing was touched."""
    return News(
        event="RestoreRefused",
        at=at,
        stack=stack,
        subject={"instance_id": instance_id},
        summary=f"A restore onto {instance_id} was refused; nothing was touched.",
        details={"requested_by": asked_by, **_some(reasons, "reasons")},
        next_steps=("Mend what the reasons name, then ask again, with dry_run first.",),
    )


def restore_ended(*, stack: str, at: datetime, restore: Restore, outcome: RestoreOutcome) -> News:
    """What became of a restore.

    RestoreCompleted: the instance is on the restored volumes.
    RestoreRolledBack: a step failed, or somebody called it off; the instance is as it was, but for what a stop takes.
    RestoreFailed: the roll-back could not finish by itself; the next steps have the commands. If Lifeboat goes on
        trying and succeeds, RestoreRolledBack follows.
    """
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
        summary=_ENDINGS[restore.status].format(
            point=restore.recovery_point_id,
            instance=restore.instance_id,
            but=f", except for what its stop took for good: {'; '.join(restore.taken)}" if restore.taken else "",
        )
        + (f" {_sentence(restore.failure)}" if restore.failure else ""),
        details=outcome.details,
        next_steps=outcome.next_steps,
    )


_ENDINGS = {
    RestoreState.COMPLETED: "{instance} is on the restored data of {point}.",
    RestoreState.ROLLED_BACK: "The restore of {point} onto {instance} was rolled back; the instance is as it was{but}.",
    RestoreState.FAILED: "The restore of {point} onto {instance} failed, and so did its roll-back: a person is needed.",
}


def _restore(restore: Restore) -> dict[str, str]:
    return {
        "restore_id": restore.id,
        "instance_id": restore.instance_id,
        "recovery_point": restore.recovery_point_id,
    }


def ami_owner_checked(*, stack: str, at: datetime, instance: Instance, verdict: AmiVerdict) -> News:
    """An instance's image has been judged.

    AmiOwnerTrusted: an instance runs an image from an owner that is trusted.
    AmiOwnerUntrusted: an instance runs an image that is known not to be trusted: another owner, or a clone.
    AmiOwnerUnknown: it could not be found out whose the image of an instance is. Unknown is not trusted.
    """
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
        summary=_sentence(f"The image of {instance.name or instance.id} is {verdict.verdict.value}: {verdict.reason}"),
        details={"code": verdict.code, "evidence": list(verdict.evidence)},
        next_steps=steps,
    )


def _duration(age: timedelta) -> str:
    """`45 min`, `26 h 5 min`, `3 days 4 h`."""
    hours, minutes = divmod(age // timedelta(minutes=1), 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _sentence(text: str) -> str:
    """The text with one full stop at its end, whether its last part came with one or not."""
    return text.rstrip(". ") + "."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
