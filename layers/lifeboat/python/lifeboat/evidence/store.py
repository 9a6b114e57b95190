"""The guard in the table: what is known of the bucket, the request that is not ended, and the one guard's lease."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import Document, Overtaken, to_json, unchanged_or_absent
from lifeboat.evidence.record import KnownRisk, Record

_RECORD = "evidence"
_OPEN = "evidence-open"
_GUARD = "evidence-guard"

KEPT = timedelta(days=400)
"""How long the record of a bucket that is not guarded any more is kept."""

OPEN_KEPT = timedelta(days=2)


def find_record(table: str, bucket: str) -> Record:
    """What is known of a bucket; an empty record for one that was never judged."""
    found = documents.find(table, _RECORD, bucket)
    return found.read(Record) if found else Record()


def save_risks(table: str, bucket: str, record: Record, risks: tuple[KnownRisk, ...], now: datetime) -> None:
    """Write what is known now. Raises Overtaken."""
    version = record.version + (risks != record.risks)
    saved = replace(record, risks=risks, version=version)
    document = Document(_RECORD, bucket, to_json(saved), version=str(version), expiration=now + KEPT)
    if not documents.write(table, documents.put(document, unchanged_or_absent(str(record.version)))):
        raise Overtaken(bucket)


def open_guard(table: str, bucket: str, now: datetime) -> None:
    """Note that the bucket is to be judged. It stays noted until that has ended, however often it is cut off."""
    documents.write(table, documents.put(Document(_OPEN, bucket, expiration=now + OPEN_KEPT)))


def is_open(table: str, bucket: str) -> bool:
    """Whether the bucket is to be judged."""
    return documents.find(table, _OPEN, bucket) is not None


def close_guard(table: str, bucket: str) -> None:
    """Note that the bucket was judged. Closing it again changes nothing."""
    documents.write(table, documents.delete(_OPEN, bucket))


def become_guard(table: str, lease: str, *, now: datetime, until: datetime) -> bool:
    """Take the right to judge for this invocation alone until `until`. False while another has it."""
    return documents.write(table, documents.lease(Document(_GUARD, _GUARD, to_json(lease)), now=now, until=until))


def cease_guarding(table: str) -> None:
    """Let the next invocation judge at once."""
    documents.write(table, documents.end_lease(_GUARD, _GUARD))
