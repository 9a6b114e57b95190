"""The table's runs by hand: one item for each request, so that the same one asked again finds its run."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.aws import clients
from lifeboat.aws.errors import code_of
from lifeboat.rules.asked import Run

_KIND = "asked"

KEPT = 24 * 3600
"""Seconds for which what came of a run can be asked for."""

ROOM = 350_000
"""Bytes of an answer, packed: an item has 400 KB at most
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""


def known_run(table: str, key: str) -> Run | None:
    """The newest run of a request."""
    found = clients.dynamodb().get_item(
        TableName=table, Key={"pk": {"S": _KIND}, "sk": {"S": key}}, ConsistentRead=True
    )
    item = found.get("Item")
    if item is None:
        return None
    packed = item["answer"]["B"] if "answer" in item else None
    return Run(
        id=item["id"]["S"],
        asked_at=datetime.fromisoformat(item["asked_at"]["S"]),
        lease=item["lease"]["S"],
        until=datetime.fromisoformat(item["until"]["S"]),
        done_at=datetime.fromisoformat(item["done_at"]["S"]) if "done_at" in item else None,
        answer=None if packed is None else json.loads(gzip.decompress(packed)),
        failed=item["failed"]["S"] if "failed" in item else "",
    )


def write_run(table: str, key: str, run: Run, instead_of: Run | None) -> bool:
    """Write a run in the place of another, or of none; whether nobody else has written meanwhile."""
    item: dict[str, Any] = {
        "pk": {"S": _KIND},
        "sk": {"S": key},
        "id": {"S": run.id},
        "asked_at": {"S": run.asked_at.isoformat()},
        "lease": {"S": run.lease},
        "until": {"S": run.until.isoformat()},
        "expiration": {"N": str(int(run.until.timestamp()) + KEPT)},
    }
    if run.done_at:
        item["done_at"] = {"S": run.done_at.isoformat()}
    if run.answer is not None:
        item["answer"] = {"B": _packed(run.answer)}
    if run.failed:
        item["failed"] = {"S": run.failed[:1000]}
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if instead_of is not None:
        condition = {
            "ConditionExpression": "attribute_not_exists(pk) OR (id = :id AND lease = :lease)",
            "ExpressionAttributeValues": {":id": {"S": instead_of.id}, ":lease": {"S": instead_of.lease}},
        }
    try:
        clients.dynamodb().put_item(TableName=table, Item=item, **condition)
    except ClientError as problem:
        if code_of(problem) != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _packed(answer: Mapping[str, Any]) -> bytes:
    packed = gzip.compress(json.dumps(answer).encode(), mtime=0)
    if len(packed) <= ROOM:
        return packed
    # Lists and the calendar fill it; what is counted stays.
    short = {key: value for key, value in answer.items() if not isinstance(value, list | str) or len(value) < 100}
    return gzip.compress(json.dumps({**short, "cut": "the lists were too long to be kept"}).encode(), mtime=0)
