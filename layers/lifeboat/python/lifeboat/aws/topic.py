"""The SNS topic: publish messages."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.domain.message import Message


def publish(topic_arn: str, message: Message) -> None:
    """Publish one message, with `event` and `severity` as attributes for filter policies. Raises ClientError."""
    clients.sns().publish(
        TopicArn=topic_arn,
        Subject=message.subject_line(),
        Message=message.sns_message(),
        MessageStructure="json",
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes().items()
        },
    )
