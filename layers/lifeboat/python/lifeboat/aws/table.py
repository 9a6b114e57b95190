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


def partition(table: str, pk: str) -> Iterator[Item]:
    """Every item of a partition, as it stands now."""
    pages = (
        clients.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
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
