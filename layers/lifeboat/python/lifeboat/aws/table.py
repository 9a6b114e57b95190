"""The stack's table: JSON documents with conditional writes, leases, transactions and batches.

A document is a value in JSON under a partition and a sort key. Beside it stands only what a condition compares or what
DynamoDB itself reads. A write (`put`, `delete`, `lease`, ...) is carried out alone by `write` or with others by
`transact`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from lifeboat.aws import clients, clock
from lifeboat.aws.errors import code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import WriteRequestOutputTypeDef, WriteRequestTypeDef

type Write = dict[str, dict[str, Any]]
"""One action of TransactWriteItems, still without its table."""

BATCH = 25
"""The most that one BatchWriteItem takes
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html)."""

ATTEMPTS = 8
"""How often a batch asks again for what DynamoDB left unprocessed, with pauses that double: 6 seconds in all."""

FIRST_PAUSE = 0.05
"""Seconds before the second attempt."""

FOR_EVER = 10**12
"""The end of a lease that nobody may take any more, in seconds since 1970."""

UNMET, CONFLICT = "ConditionalCheckFailed", "TransactionConflict"
"""Why DynamoDB cancels a transaction: a condition does not hold, or another transaction is at the same document."""


class NotWritten(Exception):  # noqa: N818 - it says what is
    """DynamoDB still left items of a batch unprocessed after all attempts."""


class Cancelled(Exception):  # noqa: N818 - a state of affairs, not an error
    """A transaction wrote nothing. `reasons` has UNMET, CONFLICT or "None" for each write, in their order."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"DynamoDB cancelled a transaction: {', '.join(reasons)}")
        self.reasons = reasons


class Overtaken(Exception):  # noqa: N818 - a state of affairs, not an error
    """Another invocation has written the record meanwhile: it continues the work, or the record is to be read again."""


class Versioned(Protocol):
    """A record that is written only where its last version stands."""

    @property
    def version(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document of the table.

    `version` names the state of the document; a writer compares it with the state that it has read. `expiration` is
    when DynamoDB may delete the document. `leased_until` (seconds since 1970) and `numbers` are read, not put: `lease`
    and `add_number` write them.
    """

    pk: str
    sk: str
    text: str = ""
    version: str = ""
    expiration: datetime | None = None
    leased_until: float = 0
    numbers: frozenset[int] = frozenset()

    def read[Value](self, kind: type[Value]) -> Value:
        """The value, of this type. Raises pydantic's ValidationError where it is none."""
        value: Value = _adapter(kind).validate_json(self.text)
        return value


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def to_json(value: object) -> str:
    """A value as the text of a document; `Document.read` is the way back."""
    return _adapter(type(value)).dump_json(value).decode()


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of a document for a write to be carried out."""

    text: str
    values: Mapping[str, Any]


ALWAYS = Condition("", {})
ABSENT = Condition("attribute_not_exists(pk)", {})
FIRST_ATTEMPT = Condition("attempts = :one", {":one": {"N": "1"}})
"""The lease was taken only once."""


def unchanged(version: str) -> Condition:
    """The document is there in this version."""
    return Condition("version = :version", {":version": {"S": version}})


def unchanged_or_absent(version: str) -> Condition:
    """The document is there in this version, or not there."""
    return Condition("attribute_not_exists(pk) OR version = :version", {":version": {"S": version}})


def put(document: Document, condition: Condition = ALWAYS) -> Write:
    """Write a whole document in the place of the one that is there."""
    return {"Put": {"Item": _item(document), **_only_if(condition)}}


def delete(pk: str, sk: str, condition: Condition = ALWAYS) -> Write:
    """Delete a document. Without a condition, deleting it again changes nothing."""
    return {"Delete": {"Key": _key(pk, sk), **_only_if(condition)}}


def check(pk: str, sk: str, condition: Condition) -> Write:
    """Change nothing, and cancel the transaction unless the condition holds."""
    return {"ConditionCheck": {"Key": _key(pk, sk), **_only_if(condition)}}


def lease(document: Document, *, now: datetime, until: datetime) -> Write:
    """Write a document and take its lease until `until`, if the lease is free or has run out. The table counts it."""
    return {
        "Update": {
            "Key": _key(document.pk, document.sk),
            "UpdateExpression": "SET document = :document, leased_until = :until ADD attempts :one",
            "ConditionExpression": "attribute_not_exists(pk) OR leased_until < :now",
            "ExpressionAttributeValues": {
                ":document": {"S": document.text},
                ":until": {"N": str(until.timestamp())},
                ":now": {"N": str(now.timestamp())},
                ":one": {"N": "1"},
            },
        }
    }


def end_lease(pk: str, sk: str, at: int = 0) -> Write:
    """Make a lease end `at` these seconds since 1970, 0 for at once, unless it is FOR_EVER already."""
    return {
        "Update": {
            "Key": _key(pk, sk),
            "UpdateExpression": "SET leased_until = :at",
            "ConditionExpression": "leased_until < :for_ever",
            "ExpressionAttributeValues": {":at": {"N": str(at)}, ":for_ever": {"N": str(FOR_EVER)}},
        }
    }


def write(table: str, action: Write) -> bool:
    """Carry out one write; whether its condition held."""
    [(kind, arguments)] = action.items()
    client = clients.dynamodb()
    calls: dict[str, Any] = {"Put": client.put_item, "Delete": client.delete_item, "Update": client.update_item}
    try:
        calls[kind](TableName=table, **arguments)
    except ClientError as problem:
        if code_of(problem) != "ConditionalCheckFailedException":
            raise
        return False
    return True


def versioned(pk: str, sk: str, record: Versioned) -> Document:
    """The document of a record."""
    return Document(pk, sk, to_json(record), version=str(record.version))


def next_version[R: Versioned](record: R) -> R:
    """The record as it is written next."""
    return replace(record, version=record.version + 1)  # type: ignore[type-var]


def save_next[R: Versioned](table: str, pk: str, sk: str, record: R) -> R:
    """Write the next version of a record where its last one stands, and return it. Raises Overtaken."""
    moved = next_version(record)
    if not write(table, put(versioned(pk, sk, moved), unchanged(str(record.version)))):
        raise Overtaken(sk)
    return moved


def transact(table: str, actions: Iterable[Write]) -> None:
    """Carry out all of up to 100 writes, or none. Raises Cancelled for conditions that do not hold and for conflicts.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    client = clients.dynamodb()
    items: Any = [{kind: {"TableName": table, **what} for kind, what in action.items()} for action in actions]
    try:
        client.transact_write_items(TransactItems=items)
    except client.exceptions.TransactionCanceledException as problem:
        said: Any = problem.response.get("CancellationReasons", [])
        reasons = [str(reason.get("Code")) for reason in said]
        if not {"None", UNMET, CONFLICT}.issuperset(reasons):
            raise
        raise Cancelled(reasons) from problem


def is_protected(table: str) -> bool:
    """Whether the table has deletion protection. Raises AwsError."""
    with translated():
        return bool(clients.dynamodb().describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"))


def find(table: str, pk: str, sk: str) -> Document | None:
    """The document as it stands now."""
    answer = clients.dynamodb().get_item(TableName=table, Key=_key(pk, sk), ConsistentRead=True)
    return _document(answer["Item"]) if "Item" in answer else None


def find_all(table: str, pk: str, *, prefix: str = "", page_size: int | None = None) -> Iterator[Document]:
    """The documents of a partition as it stands now, in the order of their sort keys, which begin with `prefix`.

    `page_size` is how many are read at a time, for a caller that may stop early; by default 1 MB of them.
    """
    values: dict[str, Any] = {":pk": {"S": pk}}
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
        yield from map(_document, page["Items"])


def count(table: str, pk: str, sk: str, *, expiration: datetime) -> int:
    """Count one more attempt; how many there were, with this one."""
    answer = clients.dynamodb().update_item(
        TableName=table,
        Key=_key(pk, sk),
        UpdateExpression="ADD attempts :one SET expiration = :expiration",
        ExpressionAttributeValues={":one": {"N": "1"}, ":expiration": _seconds(expiration)},
        ReturnValues="UPDATED_NEW",
    )
    return int(answer["Attributes"]["attempts"]["N"])


def add_number(table: str, number: int, otherwise: Document) -> Document:
    """Add a number to the set that a document has, once; the document afterwards, `otherwise` where none was there."""
    item = _item(otherwise)
    kept = [name for name in item if name not in ("pk", "sk")]
    missing = ", ".join(f"{name} = if_not_exists({name}, :{name})" for name in kept)
    answer = clients.dynamodb().update_item(
        TableName=table,
        Key=_key(otherwise.pk, otherwise.sk),
        UpdateExpression=f"ADD numbers :number SET {missing}",
        ExpressionAttributeValues={":number": {"NS": [str(number)]}, **{f":{name}": item[name] for name in kept}},
        ReturnValues="ALL_NEW",
    )
    return _document(answer["Attributes"])


def put_all(table: str, documents: Iterable[Document]) -> None:
    """Write documents in the place of those that are there. Raises NotWritten; some may have been written by then."""
    _write_all(table, ({"PutRequest": {"Item": _item(document)}} for document in documents))


def delete_all(table: str, pk: str, sks: Iterable[str]) -> None:
    """Delete documents of a partition, whether they are there or not. Raises NotWritten; some may be gone by then."""
    _write_all(table, ({"DeleteRequest": {"Key": _key(pk, sk)}} for sk in sks))


def _write_all(table: str, requests: Iterable[WriteRequestTypeDef]) -> None:
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
            raise NotWritten(f"table {table} left {len(left)} items unprocessed in {ATTEMPTS} attempts, expected none")


def _only_if(condition: Condition) -> dict[str, Any]:
    values = {"ExpressionAttributeValues": dict(condition.values)} if condition.values else {}
    return {"ConditionExpression": condition.text, **values} if condition.text else {}


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _seconds(at: datetime) -> dict[str, Any]:
    return {"N": str(int(at.timestamp()))}


def _item(document: Document) -> dict[str, Any]:
    item = _key(document.pk, document.sk)
    for name, text in (("document", document.text), ("version", document.version)):
        if text:
            item[name] = {"S": text}
    if document.expiration:
        item["expiration"] = _seconds(document.expiration)
    return item


def _document(item: Mapping[str, Any]) -> Document:
    return Document(
        pk=item["pk"]["S"],
        sk=item["sk"]["S"],
        text=item["document"]["S"] if "document" in item else "",
        version=item["version"]["S"] if "version" in item else "",
        leased_until=float(item["leased_until"]["N"]) if "leased_until" in item else 0,
        numbers=frozenset(map(int, item["numbers"]["NS"])) if "numbers" in item else frozenset(),
    )
