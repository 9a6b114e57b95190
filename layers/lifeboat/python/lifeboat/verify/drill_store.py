"""Drills in the table: an open one for each lineage, and of each lineage's last one its run and its zone."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, Overtaken, to_json, unchanged
from lifeboat.verify.drill_plan import LastDrill
from lifeboat.verify.drill_record import Drill

_OPEN = "drill-open"
_LAST = "drill"

REMEMBERED = timedelta(days=400)
"""How long the last drill of a lineage is remembered. After that its zones begin anew."""


def open_drill(table: str, drill: Drill) -> bool:
    """Record a new drill. False if a drill of its lineage is open already."""
    return documents.write(table, documents.put(documents.versioned(_OPEN, drill.lineage, drill), ABSENT))


def open_drills(table: str) -> tuple[Drill, ...]:
    """All open drills, in one cheap query that returns nothing when none is open."""
    return tuple(document.read(Drill) for document in documents.find_all(table, _OPEN))


def save_drill(table: str, drill: Drill) -> Drill:
    """Write the next version of a drill. Returns it with its new version. Raises Overtaken."""
    return documents.save_next(table, _OPEN, drill.lineage, drill)


def close_drill(table: str, drill: Drill) -> None:
    """Remember a drill as the last of its lineage, then delete the record of the open one. Raises Overtaken.

    Not in one transaction: an invocation that is killed between the two leaves the drill open, and it is closed again.
    """
    last = LastDrill(drill.run, drill.zone, drill.since)
    document = Document(_LAST, drill.lineage, to_json(last), expiration=drill.since + REMEMBERED)
    documents.write(table, documents.put(document))
    if not documents.write(table, documents.delete(_OPEN, drill.lineage, unchanged(str(drill.version)))):
        raise Overtaken(drill.id)


def last_drills(table: str) -> dict[str, LastDrill]:
    """What is remembered of the last drill of each lineage."""
    return {document.sk: document.read(LastDrill) for document in documents.find_all(table, _LAST)}
