"""Once: the key of a killed invocation is free again after the longest time that the work can take."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.awsrequest import AWSRequest

from lifeboat.aws import clients, clock
from lifeboat.aws.once import UnderWay, once


class Killed(BaseException):
    """Raised where Lambda kills a function: none of our code runs afterwards."""


class Context:
    """An invocation that may go on for five minutes."""

    function_name = "function"

    def get_remaining_time_in_millis(self) -> int:
        return 300_000


def killed() -> dict[str, Any]:
    raise Killed


@pytest.mark.parametrize(("within", "seconds"), [(120, 120), (None, 300), (900, 300)])
def test_the_key_of_a_killed_invocation_is_free_in_time(table: str, within: int | None, seconds: int) -> None:
    context: Any = Context()
    begun = clock.now().timestamp()
    with pytest.raises(Killed):
        once(table, "published", "it", killed, context, within=within)
    with pytest.raises(UnderWay):
        once(table, "published", "it", dict, context, within=within)

    [item] = clients.dynamodb().scan(TableName=table)["Items"]
    free_at = int(item["in_progress_expiration"]["N"]) / 1000
    assert seconds - 2 < free_at - begun < seconds + 10

    past = {":past": {"N": str(int(begun - 1) * 1000)}}
    key: Any = {"pk": item["pk"], "sk": item["sk"]}
    clients.dynamodb().update_item(
        TableName=table, Key=key, UpdateExpression="SET in_progress_expiration = :past", ExpressionAttributeValues=past
    )
    assert once(table, "published", "it", lambda: {"done": 1}, context, within=within) == {"done": 1}
    assert once(table, "published", "it", killed, context, within=within) == {"done": 1}


def test_work_after_work_adds_nothing_to_the_client(table: str) -> None:
    def count_handlers() -> int:
        request = AWSRequest(method="POST", url="https://dynamodb", headers={"User-Agent": "it"})
        return len(
            clients.dynamodb().meta.events.emit(
                "request-created.dynamodb.PutItem", request=request, operation_name="PutItem"
            )
        )

    context: Any = Context()
    once(table, "published", "first", dict, context)
    handlers = count_handlers()
    for number in range(20):
        once(table, "published", str(number), dict, context)
    assert count_handlers() == handlers
