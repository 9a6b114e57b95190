"""What needs a person now, with the reason, the next steps, and the request that a person may send.

The words are those of the messages that were published about it. Names and tags are in no sentence: a name may imitate
a next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lifeboat.backup import messages as backup_messages
from lifeboat.backup.overdue import PENDING_ACCEPTED, Overdue
from lifeboat.copies.messages import steps_to_copy
from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.bad_request import shown
from lifeboat.domain.fields import RECOVERY_POINT_ID
from lifeboat.domain.message import SEVERITIES, Message, counted, sentence
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.text import iso, one_line
from lifeboat.restore.messages import restore_ended
from lifeboat.restore.record import Restore, RestoreState
from lifeboat.restore.report import BACKUP_TAG, outcome
from lifeboat.status.protection import Digest, Selected
from lifeboat.verify.canary_messages import steps_to_close
from lifeboat.verify.comparison import find_unequal, source_account
from lifeboat.verify.messages import steps_after_failure, steps_after_unequal

LISTED = 50
"""How many entries of a list that may grow with the instances the answer has; it counts the others."""


@dataclass(frozen=True, slots=True)
class Late:
    """An overdue instance, and why it is overdue."""

    overdue: Overdue
    why: str


@dataclass(frozen=True, slots=True)
class Need:
    """Something for a person to handle. `function` and `event` are the request that may follow, if there is one.

    `event_name` is the message that was published about it; empty if none was.
    """

    event_name: str
    severity: str
    subject: Mapping[str, str]
    summary: str
    next_steps: tuple[str, ...]
    function: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Concerns:
    """What was observed that may need a person.

    `suspects` have an open suspicion, `failed` did not pass their verification, `copying` is what is still to be
    copied or was given up. `unconfirmed` counts the topic's subscriptions that were not confirmed, None: not known.
    `failed_events` counts the messages in the queue FailedEvents, None: not known.
    """

    late: tuple[Late, ...] = ()
    restores: tuple[Restore, ...] = ()
    suspects: tuple[RecoveryPoint, ...] = ()
    failed: tuple[RecoveryPoint, ...] = ()
    copying: tuple[CopyRecord, ...] = ()
    unconfirmed: int | None = None
    failed_events: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when the status is made. `tag` puts an instance under backup."""

    stack: str
    region: str
    account: str
    now: datetime
    tag: tuple[str, str] = BACKUP_TAG


def why_overdue(instance: Selected, digest: Digest, restore: Restore | None) -> str:
    """Why an instance is overdue, as far as its recovery points and an open restore show."""
    if instance.problem:
        return sentence(instance.problem)
    point = digest.not_good.get(instance.id)
    called = quote_id(point.id) if point else ""
    if point is None and restore:
        return f"The restore {restore.id} is open on {instance.id}."
    if point is None:
        return f"No snapshot was begun for the slot {iso(digest.expected) if digest.expected else ''} or a later one."
    if point.condition is Condition.PENDING:
        return f"EC2 has been making {called} for more than {PENDING_ACCEPTED.total_seconds() / 3600:g} hours."
    words = sorted({one_line(member.snapshot.state_message) for member in point.members} - {""})
    said = f", and EC2 said: {'; '.join(words)}" if words else ""
    return sentence(f"The recovery point {called} is {point.condition}{said}")


def quote_id(text: str) -> str:
    """A recovery point's id as it stands in a sentence. It comes from a tag: one that is no id is quoted and cut."""
    return text if RECOVERY_POINT_ID.fullmatch(text) else shown(text)


def still_failed(failed: Iterable[RecoveryPoint], digest: Digest) -> tuple[RecoveryPoint, ...]:
    """The recovery points that failed their verification and of which no lineage has a later proven one."""
    return tuple(point for point in failed if not all(_is_proven_later(name, point, digest) for name in point.lineages))


def _is_proven_later(lineage: str, point: RecoveryPoint, digest: Digest) -> bool:
    kept = digest.by_lineage.get(lineage)
    return bool(kept and kept.proven and kept.proven.taken_at > point.taken_at)


def needs(concerns: Concerns, place: Place) -> tuple[Need, ...]:
    """Everything that needs a person, the critical first."""
    found = [
        *(_restore(item, place) for item in concerns.restores if item.status is RestoreState.FAILED),
        *(_suspect(item) for item in concerns.suspects),
        *(_overdue(item, place) for item in concerns.late),
        *(_failed(item) for item in concerns.failed),
        *(_copy(item) for item in concerns.copying if item.attempts),
        *_operation(concerns),
    ]
    return tuple(sorted(found, key=lambda item: item.severity != "critical"))


def _of_message(message: Message, why: str = "", function: str = "", event: Mapping[str, Any] | None = None) -> Need:
    summary = f"{message.summary} {why}" if why else message.summary
    return Need(message.event, message.severity, message.subject, summary, message.next_steps, function, event or {})


def _restore(restore: Restore, place: Place) -> Need:
    restore = replace(restore, recovery_point_id=quote_id(restore.recovery_point_id))
    found = outcome(restore, place.now, place.region, place.account, place.tag)
    return _of_message(restore_ended(stack=place.stack, at=place.now, restore=restore, outcome=found))


def _overdue(late: Late, place: Place) -> Need:
    item = late.overdue
    oldest = item.oldest
    message = backup_messages.backup_overdue(
        stack=place.stack,
        at=place.now,
        instance_id=item.instance_id,
        age=oldest.age,
        expected=item.expected,
        since=oldest.of.since,
        newest=(quote_id(oldest.newest.recovery_point_id), oldest.newest.slot) if oldest.newest else None,
        volume_ids=[age.of.volume_id for age in item.volumes if age.of.volume_id],
    )
    return _of_message(message, late.why, "TakeSnapshotsFunction", {"instance_ids": [item.instance_id]})


def _suspect(point: RecoveryPoint) -> Need:
    return _of_point(
        "RecoveryPointSuspect",
        point,
        f"The suspicion against {quote_id(point.id)} is open: its data may have been encrypted by an attacker. "
        "Retention keeps it and all older recovery points of its lineages.",
        steps_to_close(quote_id(point.id)),
        {"close_suspicion": point.id},
    )


def _failed(point: RecoveryPoint) -> Need:
    account = source_account(point) if find_unequal(point) else ""
    if account:
        steps = steps_after_unequal(account if account.isascii() and account.isdecimal() else quote_id(account))
    else:
        steps = steps_after_failure(replace(point, id=quote_id(point.id)))
    return _of_point(
        "VerificationFailed",
        point,
        f"{quote_id(point.id)} failed its verification, and no later recovery point of its lineages is proven.",
        steps,
        {"recovery_point": point.id},
    )


def _of_point(
    event_name: str, point: RecoveryPoint, summary: str, steps: tuple[str, ...], event: Mapping[str, Any]
) -> Need:
    subject = {"recovery_point": point.id, "instance_id": point.instance_id}
    function = "VerifySnapshotsFunction" if RECOVERY_POINT_ID.fullmatch(point.id) else ""
    return Need(event_name, SEVERITIES[event_name], subject, summary, steps, function, event)


def _copy(record: CopyRecord) -> Need:
    again = f"the next one is at {iso(record.not_before)}" if record.not_before else "the next one is due"
    if record.state is CopyState.GAVE_UP:
        again = "Lifeboat has given up"
    attempts = counted(record.attempts, "attempt")
    return Need(
        "CopyFailed",
        SEVERITIES["CopyFailed"],
        {"recovery_point": record.point_id, "region": record.region},
        f"{quote_id(record.point_id)} is not copied to {record.region}: {attempts} failed, and {again}.",
        steps_to_copy(record.region),
        "CopySnapshotsFunction",
        {"retry": True},
    )


def _operation(concerns: Concerns) -> Iterator[Need]:
    if concerns.failed_events:
        yield Need(
            "",
            "critical",
            {},
            f"The queue FailedEvents has {counted(concerns.failed_events, 'message')}: what could not be delivered, or "
            "failed at every attempt.",
            ("Read them: lifeboat failed. Fix the cause, then: lifeboat failed --replay",),
        )
    if concerns.unconfirmed:
        yield Need(
            "",
            "warning",
            {},
            f"Not confirmed: {counted(concerns.unconfirmed, 'subscription')} of the topic. No message arrives there.",
            ("Open the link in the e-mail from AWS Notifications. Without it, subscribe the address again.",),
        )
