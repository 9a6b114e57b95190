"""The table's restores: one item each, moved only by conditional writes, and one lock for each target instance.

The record itself is kept as JSON in one attribute: it is written by one version of this code and read by the next, so
unknown fields are refused rather than dropped. Beside it stand the facts that a person looks for in the console.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from lifeboat.aws import clients
from lifeboat.aws.errors import code_of
from lifeboat.aws.table import partition
from lifeboat.restore.record import Restore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_RECORD = "restore"
_OPEN = "restore-open"


class InstanceTaken(Exception):  # noqa: N818 - a state of affairs, not an error
    """Another restore is open on the instance; `restore_id` says which."""

    def __init__(self, restore_id: str) -> None:
        super().__init__(f"restore {restore_id} is open on this instance")
        self.restore_id = restore_id


class Overtaken(Exception):  # noqa: N818 - a state of affairs, not an error
    """Somebody else moved the restore on meanwhile: read it again and decide anew."""


@cache
def _json() -> TypeAdapter[Restore]:
    return TypeAdapter(Restore)


def open_restore(table: str, restore: Restore) -> None:
    """Record a new restore and take its instance, both or neither. Raises InstanceTaken."""
    lock = {"pk": {"S": _OPEN}, "sk": {"S": restore.instance_id}, "restore_id": {"S": restore.id}}
    writes: list[TransactWriteItemTypeDef] = [
        {"Put": {"TableName": table, "Item": lock, "ConditionExpression": "attribute_not_exists(pk)"}},
        {"Put": {"TableName": table, "Item": _item(restore), "ConditionExpression": "attribute_not_exists(pk)"}},
    ]
    try:
        clients.dynamodb().transact_write_items(TransactItems=writes)
    except ClientError as problem:
        if code_of(problem) != "TransactionCanceledException":
            raise
        raise InstanceTaken(open_on(table, restore.instance_id) or restore.id) from problem


def save_restore(table: str, restore: Restore) -> Restore:
    """Write the next version of a restore; answers it with its new version. Raises Overtaken."""
    moved = _next(restore)
    try:
        clients.dynamodb().put_item(TableName=table, Item=_item(moved), **_unless_overtaken(restore))
    except ClientError as problem:
        if code_of(problem) != "ConditionalCheckFailedException":
            raise
        raise Overtaken(restore.id) from problem
    return moved


def close_restore(table: str, restore: Restore) -> Restore:
    """Write the last version of a restore and set its instance free, both or neither. Raises Overtaken."""
    moved = _next(restore)
    lock: Any = {
        "TableName": table,
        "Key": {"pk": {"S": _OPEN}, "sk": {"S": restore.instance_id}},
        "ConditionExpression": "attribute_not_exists(pk) OR restore_id = :id",
        "ExpressionAttributeValues": {":id": {"S": restore.id}},
    }
    record: Any = {"TableName": table, "Item": _item(moved), **_unless_overtaken(restore)}
    try:
        clients.dynamodb().transact_write_items(TransactItems=[{"Delete": lock}, {"Put": record}])
    except ClientError as problem:
        if code_of(problem) != "TransactionCanceledException":
            raise
        raise Overtaken(restore.id) from problem
    return moved


def load_restore(table: str, restore_id: str) -> Restore | None:
    """The restore as it stands now."""
    answer = clients.dynamodb().get_item(
        TableName=table, Key={"pk": {"S": _RECORD}, "sk": {"S": restore_id}}, ConsistentRead=True
    )
    item = answer.get("Item")
    return _json().validate_json(item["document"]["S"]) if item else None


def open_on(table: str, instance_id: str) -> str | None:
    """The id of the restore that is open on an instance."""
    answer = clients.dynamodb().get_item(
        TableName=table, Key={"pk": {"S": _OPEN}, "sk": {"S": instance_id}}, ConsistentRead=True
    )
    item = answer.get("Item")
    return item["restore_id"]["S"] if item else None


def open_restores(table: str) -> tuple[str, ...]:
    """The ids of all open restores: one cheap query, and nothing comes back when nothing is open."""
    return tuple(item["restore_id"]["S"] for item in partition(table, _OPEN))


def open_by_instance(table: str) -> dict[str, Restore]:
    """All open restores, by their target instance."""
    found = (load_restore(table, restore_id) for restore_id in open_restores(table))
    return {restore.instance_id: restore for restore in found if restore and not restore.closed}


def in_use(table: str) -> dict[str, str]:
    """The snapshots that an open restore may still make a volume of, each with the restore's id."""
    found: dict[str, str] = {}
    for restore_id in open_restores(table):
        restore = load_restore(table, restore_id)
        if restore and not restore.touched:
            found.update((volume.snapshot_id, restore_id) for volume in restore.volumes)
    return found


def _next(restore: Restore) -> Restore:
    return replace(restore, version=restore.version + 1)


def _unless_overtaken(restore: Restore) -> dict[str, Any]:
    return {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(restore.version)}},
    }


def _item(restore: Restore) -> dict[str, Any]:
    return {
        "pk": {"S": _RECORD},
        "sk": {"S": restore.id},
        "version": {"N": str(restore.version)},
        "instance_id": {"S": restore.instance_id},
        "recovery_point": {"S": restore.recovery_point_id},
        "status": {"S": str(restore.status)},
        "document": {"S": _json().dump_json(restore).decode()},
    }
