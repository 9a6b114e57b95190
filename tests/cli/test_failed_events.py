"""failed: what each sender's message in the queue says. tests/e2e/test_first_hour.py replays and deletes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lifeboat_cli.commands_failed import _read

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:lifeboat-prune-snapshots"
RECORD = {
    "version": "1.0",
    "requestContext": {
        "functionArn": f"{FUNCTION}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    },
    "requestPayload": {"sweep": True},
    "responsePayload": {"errorMessage": "EC2 is away", "errorType": "Error"},
}
NO_RIGHT = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not authorized"}


@pytest.mark.parametrize(
    ("body", "attributes", "function", "event", "reason"),
    [
        (RECORD, {}, "lifeboat-prune-snapshots", {"sweep": True}, "RetriesExhausted after 3 attempts: EC2 is away"),
        (
            {"a": 1},
            {"TARGET_ARN": FUNCTION, **NO_RIGHT},
            "lifeboat-prune-snapshots",
            {"a": 1},
            "not delivered: NO_PERM",
        ),
        (
            {"a": 1},
            {"TARGET_ARN": "arn:aws:events:eu-west-1:1:event-bus/default", **NO_RIGHT},
            "",
            {"a": 1},
            "not deliv",
        ),
        ({"a": 1}, {"TARGET_ARN": FUNCTION.replace("lifeboat-", "other-")}, "", {"a": 1}, "not delivered"),
        ({"Type": "Notification"}, {}, "", {"Type": "Notification"}, "not delivered"),
        ("no JSON", {}, "", "no JSON", "not delivered"),
    ],
    ids=["lambda", "rule", "bus", "another stack's function", "topic", "no JSON"],
)
def test_only_a_function_of_the_stack_that_the_message_names_is_replayed(
    body: Any, attributes: dict[str, str], function: str, event: Any, reason: str
) -> None:
    message = {
        "MessageId": "m",
        "ReceiptHandle": "r",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": "1793000000000"},
        "MessageAttributes": {name: {"StringValue": value} for name, value in attributes.items()},
    }
    read = _read(message, "lifeboat")
    assert (read.function, read.event) == (function, event)
    assert read.reason.startswith(reason)
