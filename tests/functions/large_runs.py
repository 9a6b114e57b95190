"""A large run: instances whose backup goes through the work queue in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from functions.take_snapshots import app
from lifeboat import handler
from lifeboat.aws import clients, ec2_images
from lifeboat.backup import large_run
from tests.functions.conftest import Context, World


class LargeRun:
    """A world with a work queue, in which more than two instances are a large run and a batch is of one or two."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.sqs = boto3.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
        self.held_back: list[int] = []
        monkeypatch.setenv("LIFEBOAT_WORK_QUEUE", self.queue)
        monkeypatch.setattr(large_run, "DIRECT_INSTANCES", 2)
        handler.forget()
        clients.forget()
        real = clients.sqs().change_message_visibility

        def remember(**asked: Any) -> Any:
            self.held_back.append(asked["VisibilityTimeout"])
            return real(**{**asked, "VisibilityTimeout": 0})

        monkeypatch.setattr(clients.sqs(), "change_message_visibility", remember)
        monkeypatch.setattr(ec2_images, "_image_metadata", world.image_metadata)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What is on the queue, one after the other, as Lambda gives it to the function."""
        while found := self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=1, AttributeNames=["ApproximateReceiveCount"]
        ).get("Messages"):
            [message] = found
            yield {
                "eventSource": "aws:sqs",
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }

    def deliver(self, record: dict[str, Any], context: Context | None = None) -> bool:
        """Whether the function took it, and Lambda so took it off the queue."""
        answer = app.handler({"Records": [record]}, context or Context())
        failures = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
        assert failures in ([], [record["messageId"]])
        if not failures:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=record["receiptHandle"])
        return not failures

    def work(self) -> int:
        """Everything that is on the queue, until it is empty; how many invocations that took."""
        return sum(1 for record in self.messages() if self.deliver(record) or True)
