"""The table's count of attempts: Lambda invokes a function again with the same request id, and does not say how often
it has done so already (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html)."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.aws import clients

_ATTEMPT = "attempt"

KEPT = timedelta(days=1)
"""How long attempts are counted together; Lambda gives up an event after six hours at most."""


def count_attempt(table: str, request_id: str, now: datetime) -> int:
    """Note one more attempt at what was asked for under this id; how many there were, this one included."""
    answer = clients.dynamodb().update_item(
        TableName=table,
        Key={"pk": {"S": _ATTEMPT}, "sk": {"S": request_id}},
        UpdateExpression="ADD attempts :one SET expiration = :until",
        ExpressionAttributeValues={":one": {"N": "1"}, ":until": {"N": str(int((now + KEPT).timestamp()))}},
        ReturnValues="UPDATED_NEW",
    )
    return int(answer["Attributes"]["attempts"]["N"])
