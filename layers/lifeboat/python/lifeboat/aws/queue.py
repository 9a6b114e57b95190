"""SQS: the work queue of a large run, and how many events have failed for good."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated

BATCH = 10
"""The most messages that one SendMessageBatch takes
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html)."""

TRIES = 3
"""How often messages are sent that SQS refused one by one; botocore repeats calls that fail as a whole."""


def send(queue_url: str, bodies: Sequence[str]) -> None:
    """Send the messages. Raises AwsError when SQS refused some of them; it may have accepted others."""
    for some in batched(bodies, BATCH, strict=False):
        left = dict(enumerate(some))
        for _ in range(TRIES):
            with translated():
                answer = clients.sqs().send_message_batch(
                    QueueUrl=queue_url,
                    Entries=[{"Id": str(number), "MessageBody": body} for number, body in left.items()],
                )
            refused = answer.get("Failed", [])
            left = {int(item["Id"]): left[int(item["Id"])] for item in refused}
            if not left:
                break
        else:
            raise AwsError(refused[0]["Code"], refused[0].get("Message", ""), answered=True)


def hold_back(queue_url: str, receipt_handle: str, seconds: int) -> None:
    """Make a message visible again after `seconds` from now. Raises AwsError."""
    with translated():
        clients.sqs().change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
        )


def waiting(queue_url: str) -> int:
    """How many messages a queue has for the next reader, as SQS estimates it. Raises AwsError."""
    with translated():
        answer = clients.sqs().get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
