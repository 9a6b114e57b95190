"""The table's runs by hand: one item for each request, so that the same one asked again finds its run."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lifeboat.aws import clients
from lifeboat.aws.errors import code_of
from lifeboat.by_hand.plan import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_KIND = "asked"

KEPT = 24 * 3600
"""Seconds for which what came of a run can be asked for."""

ROOM = 350_000
"""Bytes of a packed answer in one item, which has 400 KB at most
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). What is longer has more items."""


def known_run(table: str, key: str) -> Run | None:
    """The newest run of a request."""
    item = _item(table, key)
    if item is None:
        return None
    return Run(
        id=item["id"]["S"],
        asked_at=datetime.fromisoformat(item["asked_at"]["S"]),
        lease=item["lease"]["S"],
        until=datetime.fromisoformat(item["until"]["S"]),
        done_at=datetime.fromisoformat(item["done_at"]["S"]) if "done_at" in item else None,
        answer=_answer(table, item),
        failed=item["failed"]["S"] if "failed" in item else "",
        refused=item["refused"]["S"] if "refused" in item else "",
        heard="heard" in item,
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
        "expiration": _expiration(run),
    }
    if run.done_at:
        item["done_at"] = {"S": run.done_at.isoformat()}
    if run.answer is not None:
        first, *rest = _parts(run.answer)
        item |= {"answer": {"B": first}, "parts": {"N": str(len(rest))}}
        for number, part in enumerate(rest, start=1):
            more: dict[str, Any] = {
                "pk": {"S": _KIND},
                "sk": {"S": _part_key(run.id, number)},
                "answer": {"B": part},
                "expiration": _expiration(run),
            }
            clients.dynamodb().put_item(TableName=table, Item=more)
    item |= {name: {"S": text[:1000]} for name in ("failed", "refused") if (text := getattr(run, name))}
    if run.heard:
        item["heard"] = {"BOOL": True}
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if instead_of is not None:
        condition = {
            "ConditionExpression": "attribute_not_exists(pk) OR (id = :id AND lease = :lease)",
            "ExpressionAttributeValues": {":id": {"S": instead_of.id}, ":lease": {"S": instead_of.lease}},
        }
    return _done(lambda: clients.dynamodb().put_item(TableName=table, Item=item, **condition))


def note_heard(table: str, key: str, run: Run) -> None:
    """Note that a client has had the answer, unless another run has taken the place of this one."""
    _done(
        lambda: clients.dynamodb().update_item(
            TableName=table,
            Key={"pk": {"S": _KIND}, "sk": {"S": key}},
            UpdateExpression="SET heard = :heard",
            ConditionExpression="id = :id",
            ExpressionAttributeValues={":heard": {"BOOL": True}, ":id": {"S": run.id}},
        )
    )


def _item(table: str, sk: str) -> dict[str, Any] | None:
    found = clients.dynamodb().get_item(TableName=table, Key={"pk": {"S": _KIND}, "sk": {"S": sk}}, ConsistentRead=True)
    return found.get("Item")


def _expiration(run: Run) -> AttributeValueTypeDef:
    return {"N": str(int(run.until.timestamp()) + KEPT)}


def _part_key(run_id: str, number: int) -> str:
    return f"{run_id}/{number}"


def _parts(answer: Mapping[str, Any]) -> list[bytes]:
    packed = gzip.compress(json.dumps(answer).encode(), mtime=0)
    return [packed[at : at + ROOM] for at in range(0, len(packed), ROOM)]


def _answer(table: str, item: Mapping[str, Any]) -> dict[str, Any] | None:
    """None as well when the table has dropped a part of it: it then is as if it had never been done."""
    if "answer" not in item:
        return None
    parts = [item, *(_item(table, _part_key(item["id"]["S"], number + 1)) for number in range(int(item["parts"]["N"])))]
    packed = b"".join(part["answer"]["B"] for part in parts if part is not None)
    answer: dict[str, Any] | None = json.loads(gzip.decompress(packed)) if None not in parts else None
    return answer


def _done(write: Callable[[], object]) -> bool:
    try:
        write()
    except ClientError as problem:
        if code_of(problem) != "ConditionalCheckFailedException":
            raise
        return False
    return True
