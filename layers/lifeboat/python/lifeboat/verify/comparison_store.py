"""Comparisons of recovery points with their copies: one document for each that is open."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, Overtaken
from lifeboat.verify.comparison import Comparison

_OPEN = "compare-open"
_DONE = "compare-done"

DONE_KEPT = timedelta(days=35)
"""How long it is known that a copy was compared, for a message that comes again."""


def open_comparison(table: str, record: Comparison) -> None:
    """Record that a copy is to be compared, unless it is or was."""
    if documents.find(table, _DONE, record.key) is None:
        _open(table, record)


def open_again(table: str, record: Comparison) -> None:
    """Record that a copy is to be compared, also if it was compared before. An open comparison begins anew.

    One that another invocation carries on right now stays as it is.
    """
    if _open(table, record):
        return
    standing = documents.find(table, _OPEN, record.key)
    if standing is not None:
        with suppress(Overtaken):
            save_comparison(table, replace(record, version=standing.read(Comparison).version))


def _open(table: str, record: Comparison) -> bool:
    return documents.write(table, documents.put(documents.versioned(_OPEN, record.key, record), ABSENT))


def known_comparisons(table: str) -> frozenset[str]:
    """The keys of the comparisons that are open, or ended less than DONE_KEPT ago."""
    return frozenset(found.sk for kind in (_OPEN, _DONE) for found in documents.find_all(table, kind))


def is_known(table: str, key: str) -> bool:
    """Whether a comparison is open, or ended less than DONE_KEPT ago."""
    return any(documents.find(table, kind, key) for kind in (_OPEN, _DONE))


def drop_comparison(table: str, record: Comparison) -> None:
    """Forget a comparison that nothing came of: there is no complete copy, or no recovery point any more."""
    documents.write(table, documents.delete(_OPEN, record.key))


def open_comparisons(table: str) -> tuple[Comparison, ...]:
    """All comparisons that are not ended."""
    return tuple(found.read(Comparison) for found in documents.find_all(table, _OPEN))


def save_comparison(table: str, record: Comparison) -> Comparison:
    """Write the next version; answers it. Raises Overtaken."""
    return documents.save_next(table, _OPEN, record.key, record)


def close_comparison(table: str, record: Comparison, now: datetime) -> None:
    """Note that a comparison has ended and is published. Closing it again changes nothing."""
    documents.write(table, documents.put(Document(_DONE, record.key, expiration=now + DONE_KEPT)))
    documents.write(table, documents.delete(_OPEN, record.key))
