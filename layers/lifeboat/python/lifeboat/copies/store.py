"""Copy records: which recovery points are to be copied to which region, and how each copy stands.

A record stays as long as its recovery point is at home, so that a copy that the destination's own retention has deleted
is not made again. If the table is lost, only the count of failed attempts is lost.

The open records have their own partition: with very many recovery points, each minute reads only those. The records
that Lifeboat has given up have another one, which the status reads.
"""

from __future__ import annotations

from datetime import datetime

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, to_json, unchanged
from lifeboat.copies.record import CopyRecord, CopyState

_OPEN = "copy-open"
_GAVE_UP = "copy-gave-up"
_CLOSED = "copy"
_MANY = "copy-many"


def records(table: str, region: str) -> dict[str, CopyRecord]:
    """The records of one destination, by the recovery point's id."""
    # The open one counts if a record was opened again between the reads.
    return _records(table, _CLOSED, region) | unfinished_records(table, region)


def open_records(table: str, region: str) -> dict[str, CopyRecord]:
    """The records of what is still to be copied. Their ids begin with the slot: the oldest come first."""
    return _records(table, _OPEN, region)


def unfinished_records(table: str, region: str) -> dict[str, CopyRecord]:
    """The records of what is still to be copied, or was given up."""
    return _records(table, _GAVE_UP, region) | open_records(table, region)


def _records(table: str, pk: str, region: str) -> dict[str, CopyRecord]:
    found = (document.read(CopyRecord) for document in documents.find_all(table, pk, prefix=f"{region}/"))
    return {record.point_id: record for record in found}


def save(table: str, record: CopyRecord, before: CopyRecord | None) -> bool:
    """Write a record where `before` stands, or where none does. False if another invocation has changed it."""
    document = Document(*_key(record), to_json(record), version=_version(record))
    if before is None or _key(before) == _key(record):
        return documents.write(table, documents.put(document, unchanged(_version(before)) if before else ABSENT))
    try:
        documents.transact(
            table, [documents.delete(*_key(before), unchanged(_version(before))), documents.put(document)]
        )
    except documents.Cancelled:
        return False
    return True


def forget(table: str, record: CopyRecord) -> None:
    """Delete the record of a recovery point that is no longer at home."""
    documents.write(table, documents.delete(*_key(record)))


def many_observed_at(table: str) -> datetime | None:
    """When all recovery points were last observed, if they were very many then."""
    found = documents.find(table, _MANY, _MANY)
    return found.read(datetime) if found else None


def remember_many(table: str, at: datetime) -> None:
    """Note that all recovery points were observed, and that they are very many."""
    documents.write(table, documents.put(Document(_MANY, _MANY, to_json(at))))


def forget_many(table: str) -> None:
    """Note that the recovery points are no longer very many."""
    documents.write(table, documents.delete(_MANY, _MANY))


def _version(record: CopyRecord) -> str:
    return f"{record.state} {record.attempts}"


def _key(record: CopyRecord) -> tuple[str, str]:
    partition = {CopyState.OPEN: _OPEN, CopyState.GAVE_UP: _GAVE_UP}.get(record.state, _CLOSED)
    return (partition, f"{record.region}/{record.point_id}")
