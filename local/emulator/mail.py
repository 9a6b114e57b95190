"""The e-mails that a topic sends: ministack sends none, so they are kept here to be read."""

from dataclasses import asdict, dataclass
from typing import Any

from ministack.services import sns

from local.emulator.sequence import next_number

PROTOCOL = "email"


@dataclass(frozen=True)
class Letter:
    """One e-mail.

    Attributes:
        number: its place in the order of everything logged.
        to: the address.
        topic: the topic's ARN.
        subject: as published.
        text: what SNS takes for e-mail: the `email` part of a structured message, else its default.
    """

    number: int
    to: str
    topic: str
    subject: str
    text: str


class Mailbox:
    """All e-mails, oldest first."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []

    def add(self, to: str, topic: str, subject: str, text: str) -> None:
        """Keep an e-mail."""
        self._letters.append(Letter(next_number(), to, topic, subject, text))

    def since(self, mark: int = 0) -> list[dict[str, Any]]:
        """The e-mails after a mark."""
        return [asdict(letter) for letter in self._letters if letter.number > mark]


MAILBOX = Mailbox()
"""The mailbox of this process."""

_fan_out = sns._fanout


def fan_out(  # noqa: PLR0917 - ministack calls it so
    topic_arn: str,
    msg_id: str,
    message: str,
    subject: str,
    message_structure: str = "",
    message_attributes: dict[str, Any] | None = None,
    *rest: str,
    **named: str,
) -> None:
    """In place of ministack's `_fanout`: the same, and e-mails."""
    _fan_out(topic_arn, msg_id, message, subject, message_structure, message_attributes, *rest, **named)
    text = sns._resolve_message_for_protocol(message, message_structure, PROTOCOL)
    for subscription in _email_subscriptions(topic_arn):
        if sns._matches_filter_policy(subscription, message_attributes or {}, text):
            MAILBOX.add(subscription["endpoint"], topic_arn, subject, text)


def _email_subscriptions(topic_arn: str) -> list[dict[str, Any]]:
    topic = sns._topic_by_arn_any_scope(topic_arn) or {}
    return [item for item in topic.get("subscriptions", []) if item.get("protocol") == PROTOCOL]
