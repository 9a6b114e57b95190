"""The SNS topic: publish messages, and read who gets them."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.errors import translated
from lifeboat.domain.chat import to_chat
from lifeboat.domain.message import Message
from lifeboat.domain.stack import Subscription


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


def publish_chat(topic_arn: str, message: Message) -> None:
    """Publish one message in the form that Amazon Q Developer in chat applications takes. Raises ClientError."""
    clients.sns().publish(TopicArn=topic_arn, Message=to_chat(message))


def unconfirmed(topic_arn: str) -> int:
    """How many subscriptions of the topic were not confirmed, so that they get no message. Raises AwsError."""
    with translated():
        attributes = clients.sns().get_topic_attributes(TopicArn=topic_arn)["Attributes"]
    return int(attributes.get("SubscriptionsPending", 0))


UNSUBSCRIBED = "Deleted"
"""SNS still lists a subscription that its own link ended, with this in place of its ARN
(https://github.com/ansible/ansible/pull/20086)."""


def find_subscriptions(topic_arn: str) -> tuple[Subscription, ...]:
    """All subscriptions of the topic that get its messages, or wait to be confirmed. Raises AwsError."""
    with translated():
        pages = clients.sns().get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
        return tuple(
            Subscription(item["SubscriptionArn"], item["Protocol"], item["Endpoint"])
            for page in pages
            for item in page["Subscriptions"]
            if item["SubscriptionArn"] != UNSUBSCRIBED
        )
