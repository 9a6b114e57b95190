"""The table's records of copies: which recovery points are to be copied to which region, and what came of it.

A record stays as long as the recovery point is there at home, so that a copy that the destination's own retention has
let go is not made again. Losing the table loses the count of failed attempts, and nothing that is waiting.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.table import partition
from lifeboat.model import CopyRecord, CopyState

_COPY = "copy"


def records(table: str, region: str) -> dict[str, CopyRecord]:
    """The records of one destination, by the recovery point's id."""
    found = (_record(region, item) for item in partition(table, _COPY, prefix=f"{region}/"))
    return {record.point_id: record for record in found}


def _record(region: str, item: Any) -> CopyRecord:
    return CopyRecord(
        region=region,
        point_id=item["sk"]["S"].split("/", 1)[1],
        chains=tuple(chain["S"] for chain in item["chains"]["L"]),
        taken_at=datetime.fromisoformat(item["taken_at"]["S"]),
        attempts=int(item["attempts"]["N"]),
        not_before=datetime.fromisoformat(item["not_before"]["S"]) if "not_before" in item else None,
        state=CopyState(item["state"]["S"]),
    )


def save(table: str, record: CopyRecord, before: CopyRecord | None) -> bool:
    """Write a record where `before` stands, or where none does; whether it did: another invocation may be ahead."""
    client = clients.dynamodb()
    item: dict[str, Any] = {
        **_key(record),
        "chains": {"L": [{"S": chain} for chain in record.chains]},
        "taken_at": {"S": record.taken_at.isoformat()},
        "attempts": {"N": str(record.attempts)},
        "state": {"S": record.state},
    }
    if record.not_before:
        item["not_before"] = {"S": record.not_before.isoformat()}
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if before:
        condition = {
            "ConditionExpression": "attempts = :attempts AND #state = :state",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {":attempts": {"N": str(before.attempts)}, ":state": {"S": before.state}},
        }
    try:
        client.put_item(TableName=table, Item=item, **condition)
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def forget(table: str, record: CopyRecord) -> None:
    """The recovery point is no longer at home: nothing more is to be known of it."""
    clients.dynamodb().delete_item(TableName=table, Key=_key(record))


def _key(record: CopyRecord) -> dict[str, Any]:
    return {"pk": {"S": _COPY}, "sk": {"S": f"{record.region}/{record.point_id}"}}
