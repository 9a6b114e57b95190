"""A backup run by the product's own handler, in this process, against whatever endpoint its environment names.

For whoever compares Lifeboat with other tools on one server that knows EC2, DynamoDB, SNS and SQS: `prepare` makes what
a deployed stack has, `back_up` fires a slot and works on the queue until it is empty, as Lambda would.
"""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
for place in (str(ROOT), str(LAYER)):
    if place not in sys.path:  # run as a program, not by pytest
        sys.path.insert(0, place)

TABLE = "lifeboat"
INVOCATION_SECONDS = 60


def prepare(*, large_run: bool = True) -> Mapping[str, str]:
    """Make the table, the topic and, for a large run, the queue; the environment of the function, also set here."""
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    made = {
        "AWS_REGION": boto3.client("ec2").meta.region_name,
        "LIFEBOAT_STACK": "lifeboat",
        "LIFEBOAT_TABLE": TABLE,
        "LIFEBOAT_TOPIC": boto3.client("sns").create_topic(Name="notifications")["TopicArn"],
        "LIFEBOAT_WORK_QUEUE": boto3.client("sqs").create_queue(QueueName="work")["QueueUrl"] if large_run else "",
        "POWERTOOLS_SERVICE_NAME": "lifeboat",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    os.environ.update(made)
    return made


@dataclass(slots=True)
class _Context:
    """What Lambda gives an invocation."""

    began: float = field(default_factory=perf_counter)
    function_name: str = "take-snapshots"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111122223333:function:take-snapshots"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (INVOCATION_SECONDS - (perf_counter() - self.began)))


def back_up(slot: str) -> list[dict[str, Any]]:
    """Fire a slot, such as 2026-11-23T02:00:00Z, for all instances with lifeboat:backup=true; what each invocation
    answered, the planner's first. Raises what an invocation raises."""
    from functions.take_snapshots.app import handler
    from lifeboat.backup.large_run import WORKERS

    context: Any = _Context()
    answers = [handler({"scheduled_time": slot}, context)]
    queue = os.environ["LIFEBOAT_WORK_QUEUE"]
    if not queue:
        return answers
    problems: list[BaseException] = []

    def work() -> None:
        try:
            answers.extend(_worked(queue))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return answers


def _worked(queue: str) -> list[dict[str, Any]]:
    """What the invocations for message after message answered; a message that is held back is left on the queue."""
    from functions.take_snapshots.app import handler

    sqs, answers = boto3.Session().client("sqs"), []
    while messages := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=1, VisibilityTimeout=360, AttributeNames=["ApproximateReceiveCount"]
    ).get("Messages"):
        [message] = messages
        record = {
            "eventSource": "aws:sqs",
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": dict(message["Attributes"]),
        }
        context: Any = _Context()
        answer = handler({"Records": [record]}, context)
        if not answer["batchItemFailures"]:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        answers.append(answer)
    return answers
