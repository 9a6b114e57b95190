"""What the guard of the evidence bucket publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from lifeboat.domain.message import Message, counted, sentence
from lifeboat.domain.text import iso, name_first
from lifeboat.evidence.expiry import Tally
from lifeboat.evidence.findings import Finding, Risk
from lifeboat.evidence.record import Change, KnownRisk

NAMED = 5
"""Risks that a summary names."""

MOST_COMMAND = 20_000
"""Characters of a command in a message. A cut one would be wrong, and SNS takes 262,144 bytes in all."""

ASK = "invoke GuardEvidenceFunction with {}"


def evidence_at_risk(
    *, stack: str, at: datetime, bucket: str, findings: Sequence[Finding], change: Change, tally: Tally | None
) -> Message:
    """EvidenceAtRisk: the evidence bucket has new risks, or known ones have become worse. It is published once for each
    change, not every day. It is critical if one of the new risks is.
    """
    critical = sum(item.critical for item in change.new)
    named = name_first([label(item) for item in change.new], NAMED)
    weight = f", {critical} of them critical" if critical else ""
    return Message(
        event="EvidenceAtRisk",
        at=at,
        stack=stack,
        severity="critical" if critical else "warning",
        subject={"bucket": bucket},
        name=bucket,
        summary=sentence(
            f"The evidence bucket {bucket} has {counted(len(change.new), 'new or changed risk')}{weight}: {named}"
        ),
        details=_details(findings, change, tally),
        next_steps=tuple(_steps(change.new, findings)),
    )


def evidence_risk_removed(
    *, stack: str, at: datetime, bucket: str, findings: Sequence[Finding], change: Change, tally: Tally | None
) -> Message:
    """EvidenceRiskRemoved: risks of the evidence bucket are gone, and there is no new one."""
    named = name_first([label(item) for item in change.gone], NAMED)
    left = f"{counted(len(change.risks), 'risk')} left" if change.risks else "no risk left"
    return Message(
        event="EvidenceRiskRemoved",
        at=at,
        stack=stack,
        subject={"bucket": bucket},
        name=bucket,
        summary=sentence(
            f"The evidence bucket {bucket} no longer has {counted(len(change.gone), 'known risk')}: {named}; {left}"
        ),
        details=_details(findings, change, tally),
        next_steps=(f"For the commands that mend what is left: {ASK}.",) if findings else (),
    )


def count_facts(tally: Tally) -> dict[str, Any]:
    """What was counted; sizes are in bytes."""
    return {
        "objects": tally.objects,
        "bytes": tally.size,
        "archived_objects": tally.archived,
        "archived_percent": tally.archived_percent,
        "noncurrent_versions": tally.noncurrent,
        "noncurrent_bytes": tally.noncurrent_size,
    }


def _details(findings: Sequence[Finding], change: Change, tally: Tally | None) -> dict[str, Any]:
    since = {item.key: item.since for item in change.risks}
    return {
        "risks": [
            {
                "risk": item.risk.value,
                "subject": item.subject,
                "severity": "critical" if item.critical else "warning",
                "new": item in change.new,
                "since": iso(since[item.risk, item.subject]),
                "first_at": iso(item.at) if item.at else "",
                "text": item.text,
            }
            for item in findings
        ],
        "gone": [{"risk": item.risk.value, "subject": item.subject, "since": iso(item.since)} for item in change.gone],
        **(count_facts(tally) if tally else {}),
    }


def by_commands(findings: Sequence[Finding]) -> dict[tuple[str, ...], list[Finding]]:
    """The findings that commands mend, by these commands: several may have the same."""
    found: dict[tuple[str, ...], list[Finding]] = {}
    for item in findings:
        if item.commands:
            found.setdefault(item.commands, []).append(item)
    return found


def label(item: Finding | KnownRisk) -> str:
    """The risk in words, with what it is about."""
    return f"{item.risk.label} ({item.subject})" if item.subject else item.risk.label


def _steps(new: Sequence[Finding], findings: Sequence[Finding]) -> Iterator[str]:
    """What a person does about each new risk, in this order."""
    for lines, mended in by_commands(new).items():
        named = name_first([label(item) for item in mended], NAMED)
        if any(item.risk is Risk.LOCK for item in mended):
            yield _BEFORE_LOCK
        if sum(map(len, lines)) > MOST_COMMAND:
            yield f"To mend {named}: {ASK}; the command is too long for a message, and the answer has it."
        else:
            yield f"To mend {named}, run as an operator: {lines[0]}"
            yield from (f"Then: {line}" for line in lines[1:])
    by_hand = dict.fromkeys(item.risk for item in new if not item.commands)
    yield from (_ADVICE[risk] for risk in by_hand)
    if by_commands(new):
        yield "A command is right for the settings of this message: if they were changed since, ask for new ones."
    if len(findings) > len(new):
        yield f"For the commands of the other risks: {ASK}."


_BEFORE_LOCK = (
    "Before the next command, make sure that the platform uploads with a checksum: S3 refuses every other upload to "
    "a bucket that locks new objects."
)
"""Object Lock cannot be switched off, but its default retention can be removed
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-put-object)."""

_ADVICE = {
    Risk.NOT_READ: "Let the role of GuardEvidenceFunction read what it could not: find the policy that denies it.",
    Risk.REPLICATION: "Add a replication rule without a prefix and without tags. For objects encrypted with a KMS key, "
    "it needs SseKmsEncryptedObjects and a key for the copies.",
    Risk.MANIFEST: "Let the role of GuardEvidenceFunction read and write under evidence/ in the stack's bucket for "
    "manifests: find the policy that denies it. If a manifest is not there any more, find out who removed it.",
    Risk.MISSING: "Correct EvidenceBucket and deploy the stack again, or find out who deleted the bucket.",
    Risk.REGION: "Deploy a stack in the bucket's region, or correct EvidenceBucket.",
}
"""What a person does about a risk that no command mends."""
