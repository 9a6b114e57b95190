"""Comparisons of recovery points with their copies: one document for each that is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, to_json, unchanged
from lifeboat.verify.comparison import Comparison

_OPEN = "compare-open"
_DONE = "compare-done"

DONE_KEPT = timedelta(days=35)
"""How long it is known that a copy was compared, for a message that comes again."""


class Overtaken(Exception):  # noqa: N818 - a state of affairs, not an error
    """Another invocation has moved the comparison meanwhile, and continues it."""


def open_comparison(table: str, record: Comparison) -> None:
    """Record that a copy is to be compared, unless it is or was."""
    if documents.find(table, _DONE, record.key) is None:
        documents.write(table, documents.put(_document(record), ABSENT))


def open_comparisons(table: str) -> tuple[Comparison, ...]:
    """All comparisons that are not ended."""
    return tuple(found.read(Comparison) for found in documents.find_all(table, _OPEN))


def save_comparison(table: str, record: Comparison) -> Comparison:
    """Write the next version; answers it. Raises Overtaken."""
    moved = replace(record, version=record.version + 1)
    if not documents.write(table, documents.put(_document(moved), unchanged(str(record.version)))):
        raise Overtaken(record.key)
    return moved


def close_comparison(table: str, record: Comparison, now: datetime) -> None:
    """Note that a comparison has ended and is published. Closing it again changes nothing."""
    documents.write(table, documents.put(Document(_DONE, record.key, expiration=now + DONE_KEPT)))
    documents.write(table, documents.delete(_OPEN, record.key))


def due(records: Iterable[Comparison], now: datetime) -> list[Comparison]:
    """The comparisons that may go on, the newest recovery points first."""
    ready = (record for record in records if record.not_before is None or record.not_before <= now)
    return sorted(ready, key=lambda record: record.key, reverse=True)


def _document(record: Comparison) -> Document:
    return Document(_OPEN, record.key, to_json(record), version=str(record.version))
