"""Who gets the topic's messages."""

from __future__ import annotations

from botocore.stub import Stubber

from lifeboat.aws import clients, topic
from lifeboat.domain.stack import Subscription

ARN = "arn:aws:sns:eu-west-1:111122223333:lifeboat-mail"


def test_a_subscription_that_its_own_link_has_ended_gets_no_message_and_does_not_count():
    found = [
        {"SubscriptionArn": arn, "Protocol": "email", "Endpoint": f"{name}@example.com", "TopicArn": ARN, "Owner": "1"}
        for name, arn in (("ann", "Deleted"), ("bob", f"{ARN}:1"), ("eve", "PendingConfirmation"))
    ]
    with Stubber(clients.sns()) as sns:
        sns.add_response("list_subscriptions_by_topic", {"Subscriptions": found}, {"TopicArn": ARN})
        assert topic.find_subscriptions(ARN) == (
            Subscription(f"{ARN}:1", "email", "bob@example.com"),
            Subscription("PendingConfirmation", "email", "eve@example.com"),
        )
