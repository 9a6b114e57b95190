"""Large runs: which batches of a run have reported, and the result of each.

A run is one document, with the numbers of the batches that are done. Each batch's result is another one. DynamoDB
deletes both after KEPT, as it does with answers of `lifeboat.aws.once`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.once import KEPT
from lifeboat.aws.table import ABSENT, Document, to_json
from lifeboat.backup.batch import Batch, BatchResult, Run
from lifeboat.domain.text import iso

_RUN = "run"
_RESULT = "run-result"


def open_run(table: str, run: Run) -> None:
    """Note a run before its batches are sent. Noting it again changes nothing."""
    documents.write(table, documents.put(_document(run, run.planned_at), ABSENT))


def report(table: str, batch: Batch, result: BatchResult, now: datetime) -> Run:
    """Note the result of a batch, once, and answer how its run stands now. The first report of a batch stays."""
    noted = Document(_RESULT, f"{batch.run}/{batch.number:05}", to_json(result), expiration=_expiration(now))
    documents.write(table, documents.put(noted, ABSENT))
    # If the table was lost, the batch still says all about its run but the number of instances.
    lost = Run(batch.run, batch.slot, late=batch.late, planned_at=now, instances=0, batches=batch.of)
    return _run(documents.add_number(table, batch.number, otherwise=_document(lost, now)))


def runs_of(table: str, slot: datetime) -> list[Run]:
    """The large runs of a slot."""
    return [_run(found) for found in documents.find_all(table, _RUN, prefix=f"{iso(slot)}/")]


def runs_of_day(table: str, day: datetime) -> list[Run]:
    """The large runs of all slots of a day in UTC, with those by hand."""
    return [_run(found) for found in documents.find_all(table, _RUN, prefix=iso(day)[: len("2026-11-23")])]


def results_of(table: str, run: str) -> list[BatchResult]:
    """The results of the batches of a run that have reported."""
    return [found.read(BatchResult) for found in documents.find_all(table, _RESULT, prefix=f"{run}/")]


def _document(run: Run, now: datetime) -> Document:
    return Document(_RUN, run.id, to_json(run), expiration=_expiration(now))


def _expiration(now: datetime) -> datetime:
    return now + timedelta(seconds=KEPT)


def _run(found: Document) -> Run:
    return replace(found.read(Run), done=found.numbers)
