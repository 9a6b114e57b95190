"""The table's partitions: reading one whole, and writing many items of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING

from lifeboat.aws import clients, clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestOutputTypeDef, WriteRequestTypeDef

    type Item = dict[str, AttributeValueTypeDef]

BATCH = 25
"""The most that one BatchWriteItem takes
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html)."""

ATTEMPTS = 8
"""How often what DynamoDB left undone is asked for again, with pauses that double: 6 seconds in all."""

FIRST_PAUSE = 0.05
"""Seconds before the second attempt."""


class NotWritten(Exception):  # noqa: N818 - it says what is
    """DynamoDB took some items of a batch again and again not."""


def partition(table: str, pk: str, *, prefix: str = "", page_size: int | None = None) -> Iterator[Item]:
    """The items of a partition, as it stands now: all, or those whose sort key begins with `prefix`, in its order.

    `page_size`: how many are read at a time, for who stops at the first that will do; by default 1 MB of them.
    """
    values: dict[str, AttributeValueTypeDef] = {":pk": {"S": pk}}
    if prefix:
        values[":prefix"] = {"S": prefix}
    pages = (
        clients.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)" if prefix else "pk = :pk",
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            PaginationConfig={"PageSize": page_size} if page_size else {},
        )
    )
    for page in pages:
        yield from page["Items"]


def put_all(table: str, items: Iterable[Item]) -> None:
    """Write whole items; one that is there is replaced. Raises NotWritten; some may have been written by then."""
    _write(table, [{"PutRequest": {"Item": item}} for item in items])


def delete_all(table: str, keys: Iterable[Item]) -> None:
    """Delete items by their keys, whether they are there or not. Raises NotWritten; some may be gone by then."""
    _write(table, [{"DeleteRequest": {"Key": key}} for key in keys])


def _write(table: str, requests: Iterable[WriteRequestTypeDef]) -> None:
    for some in batched(requests, BATCH, strict=False):
        left: Sequence[WriteRequestTypeDef | WriteRequestOutputTypeDef] = list(some)
        for attempt in range(ATTEMPTS):
            if attempt:
                clock.wait(FIRST_PAUSE * 2 ** (attempt - 1))
            answer = clients.dynamodb().batch_write_item(RequestItems={table: left})
            left = answer["UnprocessedItems"].get(table, [])
            if not left:
                break
        else:
            raise NotWritten(f"table {table} took {len(left)} items not in {ATTEMPTS} attempts, expected all")
