"""The table's open backups: recovery points that were begun and not yet told good or failed.

An item is written before EC2 is asked, so that the sweep also finds a backup whose function was killed on the way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from lifeboat.aws import clients
from lifeboat.aws.table import partition

_OPEN = "backup-open"

LOOKED_AT = 25
"""Open backups in a page when one undecided is looked for: mostly the first is it, and thousands need no reading."""


def open_backup(table: str, recovery_point_id: str, begun_at: datetime) -> bool:
    """Note that a recovery point is being made; whether it was not open yet. Doing so again changes but the time."""
    answer = clients.dynamodb().put_item(
        TableName=table,
        Item={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}, "begun_at": {"S": begun_at.isoformat()}},
        ReturnValues="ALL_OLD",
    )
    return not answer.get("Attributes")


def open_backups(table: str) -> dict[str, datetime]:
    """The recovery points being made, with when each was begun."""
    return {item["sk"]["S"]: datetime.fromisoformat(item["begun_at"]["S"]) for item in partition(table, _OPEN)}


def begun_at(table: str, recovery_point_ids: Iterable[str]) -> dict[str, datetime]:
    """Of these the ones that are being made, with when each was begun."""
    found = {}
    for recovery_point_id in recovery_point_ids:
        key = {"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}}
        item = clients.dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        if item is not None:
            found[recovery_point_id] = datetime.fromisoformat(item["begun_at"]["S"])
    return found


def mark_decided(table: str, recovery_point_id: str) -> None:
    """Note that an open recovery point is about to be told good. What is not open stays so."""
    dynamodb = clients.dynamodb()
    with contextlib.suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}},
            UpdateExpression="SET decided = :true",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":true": {"BOOL": True}},
        )


def undecided_beside(table: str, recovery_point_id: str, prefix: str) -> bool:
    """Whether another recovery point whose id begins with `prefix` is being made and not yet found good."""
    return any(
        item["sk"]["S"] != recovery_point_id and "decided" not in item
        for item in partition(table, _OPEN, prefix=prefix, page_size=LOOKED_AT)
    )


def close_backup(table: str, recovery_point_id: str) -> None:
    """The recovery point has been told. Closing it again changes nothing."""
    clients.dynamodb().delete_item(TableName=table, Key={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}})
