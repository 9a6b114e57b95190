"""The table's records of copies: which recovery points are to be copied to which region, and what came of it.

A record stays as long as the recovery point is there at home, so that a copy that the destination's own retention has
let go is not made again. Losing the table loses the count of failed attempts, and nothing that is waiting.

The open records have a partition of their own: with very many recovery points only those are looked at each minute.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.table import partition
from lifeboat.copies.record import CopyRecord, CopyState

_OPEN = "copy-open"
_CLOSED = "copy"
_MANY = "copy-many"


def records(table: str, region: str) -> dict[str, CopyRecord]:
    """The records of one destination, by the recovery point's id."""
    closed = (_record(region, item) for item in partition(table, _CLOSED, prefix=f"{region}/"))
    # The open one, where a record was just opened again.
    return {record.point_id: record for record in closed} | open_records(table, region)


def open_records(table: str, region: str) -> dict[str, CopyRecord]:
    """Those of what is still to be copied. Their ids begin with the slot: the oldest come first."""
    found = (_record(region, item) for item in partition(table, _OPEN, prefix=f"{region}/"))
    return {record.point_id: record for record in found}


def _record(region: str, item: Any) -> CopyRecord:
    return CopyRecord(
        region=region,
        point_id=item["sk"]["S"].split("/", 1)[1],
        lineages=tuple(lineage["S"] for lineage in item["lineages"]["L"]),
        taken_at=datetime.fromisoformat(item["taken_at"]["S"]),
        attempts=int(item["attempts"]["N"]),
        not_before=datetime.fromisoformat(item["not_before"]["S"]) if "not_before" in item else None,
        state=CopyState(item["state"]["S"]),
    )


def save(table: str, record: CopyRecord, before: CopyRecord | None) -> bool:
    """Write a record where `before` stands, or where none does; whether it did: another invocation may be ahead."""
    client = clients.dynamodb()
    put: Any = {"TableName": table, "Item": _item(record)}
    there = _unchanged(before) if before else {"ConditionExpression": "attribute_not_exists(pk)"}
    moves = before is not None and _partition(before) != _partition(record)
    try:
        if before is not None and moves:
            delete: Any = {"TableName": table, "Key": _key(before), **there}
            client.transact_write_items(TransactItems=[{"Delete": delete}, {"Put": put}])
        else:
            client.put_item(**put, **there)
    except (
        client.exceptions.ConditionalCheckFailedException,
        client.exceptions.TransactionCanceledException,
    ):
        return False
    return True


def _unchanged(before: CopyRecord) -> dict[str, Any]:
    return {
        "ConditionExpression": "attempts = :attempts AND #state = :state",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": {":attempts": {"N": str(before.attempts)}, ":state": {"S": before.state}},
    }


def _item(record: CopyRecord) -> dict[str, Any]:
    item: dict[str, Any] = {
        **_key(record),
        "lineages": {"L": [{"S": lineage} for lineage in record.lineages]},
        "taken_at": {"S": record.taken_at.isoformat()},
        "attempts": {"N": str(record.attempts)},
        "state": {"S": record.state},
    }
    if record.not_before:
        item["not_before"] = {"S": record.not_before.isoformat()}
    return item


def forget(table: str, record: CopyRecord) -> None:
    """The recovery point is no longer at home: nothing more is to be known of it."""
    clients.dynamodb().delete_item(TableName=table, Key=_key(record))


def many_observed_at(table: str) -> datetime | None:
    """When all recovery points were looked at last, if they were very many then."""
    answer = clients.dynamodb().get_item(TableName=table, Key=_MANY_KEY, ConsistentRead=True)
    item = answer.get("Item")
    return datetime.fromisoformat(item["at"]["S"]) if item else None


def remember_many(table: str, at: datetime) -> None:
    """Note that all were looked at, and that they are very many."""
    clients.dynamodb().put_item(TableName=table, Item={**_MANY_KEY, "at": {"S": at.isoformat()}})


def forget_many(table: str) -> None:
    """Note that they are very many no more."""
    clients.dynamodb().delete_item(TableName=table, Key=_MANY_KEY)


_MANY_KEY: Any = {"pk": {"S": _MANY}, "sk": {"S": _MANY}}


def _partition(record: CopyRecord) -> str:
    return _OPEN if record.state is CopyState.OPEN else _CLOSED


def _key(record: CopyRecord) -> dict[str, Any]:
    return {"pk": {"S": _partition(record)}, "sk": {"S": f"{record.region}/{record.point_id}"}}
