"""The table's open backups: recovery points that were begun and not yet told good or failed.

An item is written before EC2 is asked, so that the sweep also finds a backup whose function was killed on the way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from lifeboat.aws import clients, clock
from lifeboat.aws.table import partition, put_all

_OPEN = "backup-open"

_DONE = "backup-done"

DONE_KEPT = timedelta(days=35)
"""How long it is known that a recovery point was made, though EC2 does not show it any more: see `once`."""

TAKEN_AT_ONCE = 50
"""Two actions for each; 100 is the most that one transaction takes
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html)."""

_HAS_IT, _MEETS = "ConditionalCheckFailed", "TransactionConflict"

MEETINGS = 6
PAUSE = 0.05
"""How often a transaction that meets with others is tried; seconds before the second time, doubled each time."""

OBSERVED_AT_ONCE = 25
"""Open backups in a page when one undecided is looked for: mostly the first is it, and thousands need no reading."""


def open_backups_for(
    table: str, recovery_point_ids: Iterable[str], *, begun_at: datetime, until: datetime
) -> frozenset[str]:
    """Note that these are being made, by whoever asks, until `until`; those of them that are.

    One that is noted already is left to whoever noted it, until that one's time is up. So of several who ask for the
    same recovery point at the same time one is answered that it may make it. One that was made before is not made
    again, even if somebody has deleted it since. Very many cost few calls.
    """
    ours: set[str] = set()
    for some in batched(sorted(set(recovery_point_ids)), TAKEN_AT_ONCE, strict=False):
        ours |= _open_some(table, some, begun_at, until)
    return frozenset(ours)


def _open_some(table: str, ids: Sequence[str], begun_at: datetime, until: datetime) -> set[str]:
    """All that nobody else has, in one transaction. Its refusal names those that somebody has; the rest is asked for
    again, as is what just meets with another transaction.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    client = clients.dynamodb()
    wanted = list(ids)
    for attempt in range(MEETINGS):
        actions: list[Any] = [
            action
            for point_id in wanted
            for action in (
                {"Update": _opening(table, point_id, begun_at, until)},
                {"ConditionCheck": _not_done(table, point_id)},
            )
        ]
        try:
            client.transact_write_items(TransactItems=actions)
        except client.exceptions.TransactionCanceledException as refused:
            said: Any = refused.response.get("CancellationReasons", [])
            codes = [reason.get("Code") for reason in said]
            if attempt == MEETINGS - 1 or not set(codes) <= {None, "None", _HAS_IT, _MEETS}:
                raise
            pairs = zip(wanted, batched(codes, 2, strict=True), strict=True)
            wanted = [item for item, pair in pairs if _HAS_IT not in pair]
            if not wanted:
                return set()
            if _MEETS in codes:
                clock.wait(PAUSE * 2**attempt)
        else:
            break
    return set(wanted)


def _opening(table: str, recovery_point_id: str, begun_at: datetime, until: datetime) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": {"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}},
        "UpdateExpression": "SET begun_at = :begun_at, #until = :until ADD attempts :one",
        "ConditionExpression": "attribute_not_exists(pk) OR (#until < :now AND attribute_not_exists(decided))",
        "ExpressionAttributeNames": {"#until": "until"},
        "ExpressionAttributeValues": {
            ":begun_at": {"S": begun_at.isoformat()},
            ":until": {"N": str(until.timestamp())},
            ":now": {"N": str(begun_at.timestamp())},
            ":one": {"N": "1"},
        },
    }


def _not_done(table: str, recovery_point_id: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": {"pk": {"S": _DONE}, "sk": {"S": recovery_point_id}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }


def withdraw(table: str, recovery_point_id: str) -> None:
    """EC2 has not begun it. It is open no more, unless an earlier attempt may have begun it after all."""
    dynamodb = clients.dynamodb()
    try:
        dynamodb.delete_item(
            TableName=table,
            Key={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}},
            ConditionExpression="attempts = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        release(table, recovery_point_id)


def release(table: str, recovery_point_id: str) -> None:
    """Let anybody else try to make it at once. It stays open, as EC2 may have begun it all the same."""
    dynamodb = clients.dynamodb()
    with contextlib.suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}},
            UpdateExpression="SET #until = :never",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#until": "until"},
            ExpressionAttributeValues={":never": {"N": "0"}},
        )


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
        for item in partition(table, _OPEN, prefix=prefix, page_size=OBSERVED_AT_ONCE)
    )


def remember_made(table: str, recovery_point_ids: Iterable[str], now: datetime) -> None:
    """Note that EC2 has begun these. Raises NotWritten."""
    expiration = str(int((now + DONE_KEPT).timestamp()))
    put_all(
        table,
        (
            {"pk": {"S": _DONE}, "sk": {"S": point_id}, "expiration": {"N": expiration}}
            for point_id in recovery_point_ids
        ),
    )


def close_backup(table: str, recovery_point_id: str) -> None:
    """The recovery point has been told. Closing it again changes nothing."""
    clients.dynamodb().delete_item(TableName=table, Key={"pk": {"S": _OPEN}, "sk": {"S": recovery_point_id}})
