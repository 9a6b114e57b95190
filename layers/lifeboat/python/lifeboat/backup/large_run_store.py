"""The table's runs: which portions of a run that was handed out have reported, and what came of each.

One item for the run, with the numbers of the portions that are done, and one for each portion's result. They are
dropped by the table after KEPT, as what was told is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lifeboat.aws import clients
from lifeboat.aws.errors import code_of
from lifeboat.aws.once import KEPT
from lifeboat.backup.batch import Batch, BatchResult, Run
from lifeboat.domain.text import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_RUN = "run"
_RESULT = "run-result"


def open_run(table: str, run: Run) -> None:
    """Note a run before its portions go out. Noting it again changes nothing."""
    _put_new(
        table,
        {
            "pk": {"S": _RUN},
            "sk": {"S": run.id},
            "slot": {"S": run.slot.isoformat()},
            "late": {"BOOL": run.late},
            "planned_at": {"S": run.planned_at.isoformat()},
            "instances": {"N": str(run.instances)},
            "batches": {"N": str(run.batches)},
            "expiration": _expiration(run.planned_at),
        },
    )


def report(table: str, batch: Batch, result: BatchResult, now: datetime) -> Run:
    """Note what came of a portion, once, and answer how its run stands now. The first report of a portion stays."""
    _put_new(
        table,
        {
            "pk": {"S": _RESULT},
            "sk": {"S": _result_key(batch.run, batch.number)},
            "begun": {"S": " ".join(result.begun)},
            "skipped": {"S": " ".join(result.skipped)},
            "failed": {"S": json.dumps(result.failed)},
            "expiration": _expiration(now),
        },
    )
    answer = clients.dynamodb().update_item(
        TableName=table,
        Key={"pk": {"S": _RUN}, "sk": {"S": batch.run}},
        # What the table has lost is known again from the portion, but for the number of instances.
        UpdateExpression=(
            "ADD done :number SET slot = if_not_exists(slot, :slot), late = if_not_exists(late, :late), "
            "batches = if_not_exists(batches, :of), planned_at = if_not_exists(planned_at, :now), "
            "instances = if_not_exists(instances, :none), expiration = if_not_exists(expiration, :expiration)"
        ),
        ExpressionAttributeValues={
            ":number": {"NS": [str(batch.number)]},
            ":slot": {"S": batch.slot.isoformat()},
            ":late": {"BOOL": batch.late},
            ":of": {"N": str(batch.of)},
            ":now": {"S": now.isoformat()},
            ":none": {"N": "0"},
            ":expiration": _expiration(now),
        },
        ReturnValues="ALL_NEW",
    )
    return _run(answer["Attributes"])


def runs_of(table: str, slot: datetime) -> list[Run]:
    """The runs of a slot that were handed out."""
    return [_run(item) for item in _items(table, _RUN, f"{iso(slot)}/")]


def runs_of_day(table: str, day: datetime) -> list[Run]:
    """The runs of all slots of a day in UTC, those by hand among them, that were handed out."""
    return [_run(item) for item in _items(table, _RUN, iso(day)[: len("2026-11-23")])]


def results_of(table: str, run: str) -> list[BatchResult]:
    """What came of the portions of a run that have reported."""
    return [
        BatchResult(
            begun=tuple(item["begun"]["S"].split()),
            skipped=tuple(item["skipped"]["S"].split()),
            failed=tuple((instance_id, reason) for instance_id, reason in json.loads(item["failed"]["S"])),
        )
        for item in _items(table, _RESULT, f"{run}/")
    ]


def _result_key(run: str, number: int) -> str:
    return f"{run}/{number:05}"


def _expiration(now: datetime) -> AttributeValueTypeDef:
    return {"N": str(int(now.timestamp()) + KEPT)}


def _put_new(table: str, item: Mapping[str, AttributeValueTypeDef]) -> None:
    try:
        clients.dynamodb().put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as problem:
        if code_of(problem) != "ConditionalCheckFailedException":
            raise


def _items(table: str, kind: str, prefix: str) -> list[dict[str, Any]]:
    pages = (
        clients.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": kind}, ":prefix": {"S": prefix}},
            ConsistentRead=True,
        )
    )
    return [item for page in pages for item in page["Items"]]


def _run(item: Mapping[str, Any]) -> Run:
    return Run(
        id=item["sk"]["S"],
        slot=datetime.fromisoformat(item["slot"]["S"]),
        late=item["late"]["BOOL"],
        planned_at=datetime.fromisoformat(item["planned_at"]["S"]),
        instances=int(item["instances"]["N"]),
        batches=int(item["batches"]["N"]),
        done=frozenset(int(number) for number in item.get("done", {}).get("NS", ())),
    )
