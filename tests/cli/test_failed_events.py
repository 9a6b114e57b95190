"""failed: what each sender's message in the queue says. tests/e2e/test_first_hour.py replays and deletes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from moto import mock_aws

from lifeboat_cli import commands_failed
from lifeboat_cli.commands_failed import _read
from tests.cli.stub import Stub

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
RESTORE = {
    **RECORD,
    "requestContext": {
        **RECORD["requestContext"],  # type: ignore[dict-item]
        "functionArn": FUNCTION.replace("prune-snapshots", "restore-volume"),
    },
    "requestPayload": {"instance_id": "i-0123456789abcdef0", "recovery_point": "latest"},
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
        (
            RESTORE,
            {},
            "",
            RESTORE["requestPayload"],
            "RetriesExhausted after 3 attempts: EC2 is away. A restore of days",
        ),
        ({"Type": "Notification"}, {}, "", {"Type": "Notification"}, "not delivered"),
        ("no JSON", {}, "", "no JSON", "not delivered"),
    ],
    ids=["lambda", "rule", "bus", "another stack's function", "restore", "topic", "no JSON"],
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


@dataclass
class Queue:
    """The queue, as SQS has it, and the command line beside it."""

    stub: Stub
    sqs: Any
    url: str

    def run(self, *arguments: str) -> tuple[int, str]:
        code, out, error = self.stub.run("failed", *arguments, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
        return code, out + error

    @property
    def visible(self) -> int:
        name = "ApproximateNumberOfMessages"
        return int(self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])["Attributes"][name])


@pytest.fixture
def queue(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setattr(commands_failed, "WAIT_SECONDS", 0)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    with mock_aws():
        session = botocore.session.Session()
        session.set_credentials("testing", "testing")
        sqs = session.create_client("sqs", region_name="eu-west-1")
        url = sqs.create_queue(QueueName="failed-events")["QueueUrl"]
        monkeypatch.setattr(commands_failed, "_queue", lambda _: url)
        for _ in range(2):
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(RECORD))
        yield Queue(stub, sqs, url)


@pytest.mark.parametrize("named", [("",), ("no-such-event",)], ids=["an empty variable of a script", "a typing error"])
@pytest.mark.parametrize("what", ["--delete", "--replay"])
def test_an_id_that_names_no_event_touches_none(queue: Queue, named: tuple[str, ...], what: str) -> None:
    known = json.loads(queue.run("--json")[1])["failed"][0]["id"]
    code, said = queue.run(known, *named, what, "--yes")
    assert code in {1, 2}, said
    assert "an ID is empty" in said or "no failed event has the id no-such-event, and nothing was done" in said
    assert queue.visible == 2


def test_events_that_another_command_has_read_are_counted_and_the_queue_is_not_called_empty(queue: Queue) -> None:
    queue.sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)
    code, said = queue.run()
    assert code == 1
    assert "2 not shown. Another command reads the queue" in said
    assert "No event failed" not in said


def test_an_answer_after_the_events_are_visible_again_does_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_failed, "ANSWER_SECONDS", -1)
    code, said = queue.run("--delete", "--yes")
    assert (code, queue.visible) == (3, 2)
    assert "nothing was done" in said


def test_what_was_carried_out_before_a_refusal_is_said(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    read, second = commands_failed._read, json.loads(queue.run("--json")[1])["failed"][1]["id"]

    def spoilt(message: dict[str, Any], stack: str) -> commands_failed.FailedEvent:
        return read({**message, "ReceiptHandle": "of no message"} if message["MessageId"] == second else message, stack)

    monkeypatch.setattr(commands_failed, "_read", spoilt)
    code, said = queue.run("--delete", "--yes")
    assert code == 3
    assert "Before this, 1 deleted" in said
