"""The table's open backups: recovery points that were begun and not yet told good or failed.

An item is written before EC2 is asked, so that the sweep also finds a backup whose function was killed on the way.
"""

from __future__ import annotations

from datetime import datetime

from lifeboat.aws import clients

_OPEN = "backup-open"


def open_backup(table: str, recovery_point_id: str, begun_at: datetime) -> None:
    """Note that a recovery point is being made. Doing so again changes nothing but the time."""
    clients.dynamodb().put_item(
        TableName=table,
        Item={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}, "begun_at": {"S": begun_at.isoformat()}},
    )


def open_backups(table: str) -> dict[str, datetime]:
    """The recovery points being made, with when each was begun."""
    pages = (
        clients.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": _OPEN}},
            ConsistentRead=True,
        )
    )
    return {item["sk"]["S"]: datetime.fromisoformat(item["begun_at"]["S"]) for page in pages for item in page["Items"]}


def close_backup(table: str, recovery_point_id: str) -> None:
    """The recovery point has been told. Closing it again changes nothing."""
    clients.dynamodb().delete_item(TableName=table, Key={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}})
