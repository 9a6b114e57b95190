"""Verifications: one document for each recovery point that is being read back, and the lease of the one reader.

Only one invocation reads at a time. So the share of the account's quota that each invocation keeps to is the share of
the whole stack, however many recovery points complete at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, to_json
from lifeboat.verify.record import Verification

_OPEN = "verify-open"
_DONE = "verify-done"
_READER = "verify-reader"

DONE_KEPT = timedelta(days=35)
"""How long it is known that a recovery point was read back. Its tag says so too, where there was room for it."""


def open_verification(table: str, record: Verification) -> bool:
    """Record that a recovery point is to be read back. False if it is already being read."""
    return documents.write(table, documents.put(documents.versioned(_OPEN, record.point_id, record), ABSENT))


def open_verifications(table: str) -> tuple[Verification, ...]:
    """All verifications that are not ended, in one cheap query that returns nothing when none is open."""
    return tuple(found.read(Verification) for found in documents.find_all(table, _OPEN))


def find_verification(table: str, point_id: str) -> Verification | None:
    """The open verification of a recovery point."""
    found = documents.find(table, _OPEN, point_id)
    return found.read(Verification) if found else None


def save_verification(table: str, record: Verification) -> Verification:
    """Write the next version; answers it. Raises Overtaken."""
    return documents.save_next(table, _OPEN, record.point_id, record)


def close_verification(table: str, record: Verification, now: datetime) -> None:
    """Note that a verification has ended and is published. Closing it again changes nothing."""
    documents.write(table, documents.put(Document(_DONE, record.point_id, expiration=now + DONE_KEPT)))
    documents.write(table, documents.delete(_OPEN, record.point_id))


def drop_verification(table: str, point_id: str) -> None:
    """Forget a verification that has read nothing to the end: its recovery point may become readable again."""
    documents.write(table, documents.delete(_OPEN, point_id))


def ended_verifications(table: str, point_ids: Iterable[str]) -> frozenset[str]:
    """Which of these were read back before, whatever it has shown."""
    return frozenset(point_id for point_id in point_ids if documents.find(table, _DONE, point_id))


def become_reader(table: str, lease: str, *, now: datetime, until: datetime) -> bool:
    """Take the right to read for this invocation alone until `until`. False while another has it."""
    return documents.write(table, documents.lease(Document(_READER, _READER, to_json(lease)), now=now, until=until))


def cease_reading(table: str) -> None:
    """Let the next invocation read at once."""
    documents.write(table, documents.end_lease(_READER, _READER))
