"""The topic: where the news goes out."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.domain.message import Message


def publish(topic_arn: str, news: Message) -> None:
    """Publish one message, with `event` and `severity` as attributes for filter policies. Raises ClientError."""
    clients.sns().publish(
        TopicArn=topic_arn,
        Subject=news.subject_line(),
        Message=news.sns_message(),
        MessageStructure="json",
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in news.attributes().items()
        },
    )
