"""Runs by hand: one document for each request, so that the same request finds its run again."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Document, to_json, unchanged, unchanged_or_absent
from lifeboat.by_hand.plan import Run
from lifeboat.domain.text import clip

_KIND = "asked"

KEPT = timedelta(days=1)
"""How long after its end a run can be asked for."""

ROOM = 350_000
"""Characters of a packed answer in one document. DynamoDB's limit is 400 KB
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). A longer answer takes more."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A run without its answer, the first part of the packed answer, and how many more parts it has."""

    run: Run
    packed: str = ""
    parts: int = 0


def known_run(table: str, key: str) -> Run | None:
    """The newest run of a request."""
    found = documents.find(table, _KIND, key)
    if found is None:
        return None
    stored = found.read(_Stored)
    return replace(stored.run, answer=_answer(table, stored)) if stored.packed else stored.run


def write_run(table: str, key: str, run: Run, instead_of: Run | None) -> bool:
    """Write a run in the place of another, or of none. False if another invocation has written meanwhile."""
    first, *rest = _parts(run.answer)
    for number, part in enumerate(rest, start=1):
        more = Document(_KIND, _part_key(run, number), part, expiration=run.until + KEPT)
        documents.write(table, documents.put(more))
    condition = unchanged_or_absent(_version(instead_of)) if instead_of else ABSENT
    return documents.write(table, documents.put(_document(key, run, first, len(rest)), condition))


def note_delivered(table: str, key: str, run: Run) -> None:
    """Note that a client has had the answer of a run that is done, unless another run has taken its place."""
    first, *rest = _parts(run.answer)
    delivered = _document(key, replace(run, delivered=True), first, len(rest))
    documents.write(table, documents.put(delivered, unchanged(_version(run))))


def _document(key: str, run: Run, first: str, parts: int) -> Document:
    short = replace(run, answer=None, failed=clip(run.failed, 1000), refused=clip(run.refused, 1000))
    return Document(_KIND, key, to_json(_Stored(short, first, parts)), _version(run), run.until + KEPT)


def _version(run: Run) -> str:
    return f"{run.id} {run.lease}"


def _part_key(run: Run, number: int) -> str:
    return f"{run.id}/{number}"


def _parts(answer: Mapping[str, Any] | None) -> list[str]:
    if answer is None:
        return [""]
    packed = base64.b64encode(gzip.compress(json.dumps(answer).encode(), mtime=0)).decode()
    return [packed[at : at + ROOM] for at in range(0, len(packed), ROOM)]


def _answer(table: str, stored: _Stored) -> dict[str, Any] | None:
    """None as well when DynamoDB has deleted a part: then the run counts as not done."""
    rest = [documents.find(table, _KIND, _part_key(stored.run, number)) for number in range(1, stored.parts + 1)]
    if None in rest:
        return None
    packed = stored.packed + "".join(part.text for part in rest if part)
    answer: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return answer
