"""The terms that retention last used: one document for the stack, and one for each lineage with its own terms.

And its last runs, for the status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import Document, to_json
from lifeboat.domain.text import iso
from lifeboat.retention.policy_change import Remembered
from lifeboat.retention.record import RetentionRun

_KIND = "retention"
_RUN = "retention-run"

RUNS_KEPT = timedelta(days=7)
"""How long a run is remembered. There is one a slot, and one a day."""


def remembered_terms(table: str) -> dict[str, Remembered]:
    """The terms in force when retention last ran, by lineage, and the stack's."""
    return {found.sk: found.read(Remembered) for found in documents.find_all(table, _KIND)}


def remember_terms(table: str, items: Mapping[str, Remembered]) -> None:
    """Note the terms that are in force from now on."""
    documents.put_all(table, (Document(_KIND, key, to_json(item)) for key, item in items.items()))


def forget_terms(table: str, keys: Iterable[str]) -> None:
    """Note that the stack's terms are in force for these lineages, and that no former terms spare anything."""
    documents.delete_all(table, _KIND, keys)


def remember_run(table: str, run: RetentionRun) -> None:
    """Note what a run has done."""
    documents.put_all(table, [Document(_RUN, iso(run.at), to_json(run), expiration=run.at + RUNS_KEPT)])


def last_runs(table: str) -> tuple[RetentionRun, ...]:
    """The runs of the last days, the newest first."""
    return tuple(found.read(RetentionRun) for found in documents.find_all(table, _RUN))[::-1]
