"""The title of a message: whose it is and what has happened, as a subject of an e-mail or the first line in a chat."""

from __future__ import annotations

import re

from lifeboat.domain.text import clip, is_blank, one_line

SUBJECT_LENGTH = 99
"""An SNS subject has fewer than 100 characters, without line breaks and control characters
(https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""

IN_SIGHT = 60
"""Characters of a subject that a phone shows. Name and verdict are within them."""

MOST_STACK = 32
"""Characters of the stack's name in a subject: the name may have 128."""

MOST_NAME = 60
"""Characters of a name in a sentence. A tag may have 256: enough to write instructions of its own."""

_ID_LENGTH = len("i-0123456789abcdef0")
"""The name of an instance gets at least as much of a subject as its id needs."""

_POINT = re.compile(r"rp-[0-9TZ]+-(\S+)")

VERDICTS = {
    "BackupStarted": "backup begun",
    "BackupIncomplete": "backup incomplete",
    "BackupCompleted": "backed up",
    "UnplannedSnapshotTaken": "volumes changed",
    "BackupFailed": "backup failed",
    "BackupOverdue": "backup overdue",
    "RecoveryPointNotLocked": "not locked",
    "SnapshotsCopied": "copied",
    "CopyFailed": "copy failed",
    "SharingFailed": "sharing failed",
    "MetadataMissing": "metadata missing",
    "SnapshotsPruned": "pruned",
    "RetentionChanged": "changed",
    "RecoveryPointsAdopted": "adopted",
    "RecoveryPointVerified": "proven",
    "VerificationFailed": "verification failed",
    "VerificationStopped": "verification stopped",
    "CopyNotCompared": "copy not compared",
    "RecoveryPointSuspect": "may be encrypted",
    "RestoreStarted": "restore begun",
    "RestoreRefused": "restore refused",
    "RestoreCompleted": "restored",
    "RestoreRolledBack": "restore rolled back",
    "RestoreFailed": "restore failed",
    "DrillPassed": "drill passed",
    "DrillFailed": "drill failed",
    "EvidenceAtRisk": "evidence at risk",
    "EvidenceRiskRemoved": "risk removed",
    "EvidenceLost": "evidence lost",
    "StackChecked": "checked",
    "CoverageReport": "covered",
    "AmiOwnerTrusted": "image trusted",
    "AmiOwnerUntrusted": "image not trusted",
    "AmiOwnerUnknown": "image owner unknown",
}
"""What has happened, by event, in at most 24 characters. A critical message has it in capitals."""


def name_of_point(recovery_point_id: str) -> str:
    """The id of the instance in the id of a recovery point; the whole text if it has none."""
    found = _POINT.fullmatch(recovery_point_id)
    return found[1] if found else recovery_point_id


def quote(name: str, otherwise: str, most: int = MOST_NAME) -> str:
    """A name for a sentence: one line of at most `most` characters. `otherwise` stands for a name that shows nothing.

    Names are untrusted. One that is more than a single word stands in quotation marks, and has none of its own, so that
    it cannot pass for Lifeboat's words.
    """
    name = one_line(name)
    if is_blank(name):
        return otherwise
    if all(sign.isalnum() or sign in "._-" for sign in name):
        return clip(name, most)
    return f'"{clip(name.translate(_NO_QUOTES), most - 2)}"'


_NO_QUOTES = {ord(sign): "'" for sign in '"\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02'}


def subject_line(stack: str, name: str, otherwise: str, verdict: str) -> str:
    """The subject of an e-mail: `[stack] name verdict`, one line of printable ASCII, all of it within `IN_SIGHT`.

    A long name and a long stack's name are cut. `otherwise`, in Lifeboat's own words, replaces a name without a letter
    or digit of ASCII.
    """
    verdict, name, otherwise = _ascii(verdict), _ascii(name), _ascii(otherwise)
    if not any(sign.isalnum() for sign in name):
        name = ""
    room = IN_SIGHT - len("[]  ") - len(verdict)
    stack = stack[: min(MOST_STACK, room - min(len(quote(name, otherwise)), _ID_LENGTH))]
    left = room - len(stack)
    return clip(f"[{stack}] {quote(name, clip(otherwise, left), left)} {verdict}", SUBJECT_LENGTH)


def _ascii(text: str) -> str:
    return one_line(text).encode("ascii", "replace").decode()
