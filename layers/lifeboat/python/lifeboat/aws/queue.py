"""The work queue: portions of a large run go out, and one that is not done yet is held back for a while."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated

BATCH = 10
"""The most messages that one SendMessageBatch takes
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html)."""

TRIES = 3
"""How often messages go out that SQS has refused one by one; botocore repeats calls that fail as a whole."""


def send(queue_url: str, bodies: Sequence[str]) -> None:
    """Put the messages on the queue. Raises AwsError when some could not be; others may be there then."""
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
    """Hand a message out again in so many seconds, from now on. Raises AwsError."""
    with translated():
        clients.sqs().change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
        )
