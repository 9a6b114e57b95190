"""The change canary's documents: the history of each lineage, and the checkpoint of a snapshot whose lists are long.

If the table is lost, only the baselines are lost: the canary gives no verdict for a week. Open suspicions are tags.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, to_json, unchanged
from lifeboat.verify.canary import Observation
from lifeboat.verify.canary_record import History, Lists

_HISTORY = "canary"
_LISTS = "canary-lists"

LISTS_KEPT = timedelta(days=6)
"""How long a checkpoint is used: the tokens in it last seven days
(https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-elements.html)."""

ATTEMPTS = 5
"""How often a change of a history is tried against other invocations' changes."""


class Contended(Exception):  # noqa: N818 - a state of affairs, not an error
    """Other invocations have changed a history again and again."""


def find_history(table: str, lineage: str) -> History:
    """The history of a lineage, empty if there is none."""
    found = documents.find(table, _HISTORY, lineage)
    return found.read(History) if found else History(lineage)


def record_observation(table: str, history: History, observation: Observation) -> None:
    """Add an observation to the lineage's history, which was read before. Raises Contended."""
    for _ in range(ATTEMPTS):
        if _save(table, history, history.with_observation(observation)):
            return
        history = find_history(table, history.lineage)
    raise Contended(history.lineage)


def record_expected(table: str, lineage: str, point_id: str) -> None:
    """Let the suspected observation of a recovery point count as usual from now on. Raises Contended."""
    for _ in range(ATTEMPTS):
        before = find_history(table, lineage)
        after = before.with_expected(point_id)
        if after == before or _save(table, before, after):
            return
    raise Contended(lineage)


def _save(table: str, before: History, after: History) -> bool:
    moved = replace(after, version=before.version + 1)
    document = Document(_HISTORY, after.lineage, to_json(moved), version=str(moved.version))
    return documents.write(table, documents.put(document, unchanged(str(before.version)) if before.version else ABSENT))


def find_lists(table: str, snapshot_id: str, earlier_id: str, now: datetime) -> Lists:
    """The checkpoint of a snapshot that is compared with this one, or a new one."""
    found = documents.find(table, _LISTS, snapshot_id)
    lists = found.read(Lists) if found and found.version > now.isoformat() else None
    return lists if lists and lists.earlier_id == earlier_id else Lists(snapshot_id, earlier_id)


def save_lists(table: str, lists: Lists, now: datetime) -> None:
    """Write a checkpoint in the place of the one that is there: only one invocation reads at a time.

    It is not deleted when the lists are read: it expires.
    """
    until = now + LISTS_KEPT
    documents.write(
        table,
        documents.put(Document(_LISTS, lists.snapshot_id, to_json(lists), version=until.isoformat(), expiration=until)),
    )
