"""Which messages reach people: e-mail and chat. Programs get all of them."""

from __future__ import annotations

from lifeboat.domain.message import Message

ALL, NIGHTLY, OFF = "all", "nightly", "off"
"""Every message; those that a person wants to see; none."""

ROUTINE = frozenset({"BackupStarted", "SnapshotsCopied", "SnapshotsPruned", "VerificationStopped"})
"""What follows from a good backup each night. A healthy machine has BackupCompleted besides, and that says it all."""


def reaches(message: Message, level: str) -> bool:
    """Whether people with this level get the message. Nothing but routine is ever left out."""
    if level in {"", OFF}:
        return False
    return level == ALL or message.severity != "info" or message.event not in ROUTINE
