"""Which subscriptions of a topic nobody confirmed, as SNS lists them
(https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html)."""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import sns

PENDING = "PendingConfirmation"

type Listing = Callable[[Mapping[str, Any]], Any]


def listed(listing: Listing) -> Listing:
    """In place of ministack's: the same, but a subscription that nobody confirmed has no ARN yet."""

    def list_subscriptions(params: Mapping[str, Any]) -> Any:
        status, headers, body = listing(params)
        text = body.decode() if isinstance(body, bytes) else body
        topic = params.get("TopicArn", "")
        arn = topic[0] if isinstance(topic, list) else topic
        for item in (sns._topic_by_arn_any_scope(arn) or {}).get("subscriptions", []):
            if not item.get("confirmed", True):
                text = text.replace(f"<SubscriptionArn>{item['arn']}<", f"<SubscriptionArn>{PENDING}<")
        return status, headers, text.encode() if isinstance(body, bytes) else text

    return list_subscriptions
