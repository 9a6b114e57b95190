"""One invocation of a function: its configuration, its deadline, and how it publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lifeboat.aws import clock, topic
from lifeboat.aws.once import UnderWay, once
from lifeboat.domain.audience import reaches
from lifeboat.domain.config import Config
from lifeboat.domain.message import Message, Stamp

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LEFT_FOR_RETURN = 20.0
"""Seconds reserved at the end of an invocation to publish what was done. The next invocation continues the work."""

LONGEST = timedelta(minutes=15)
"""The longest duration of an invocation, for one without a context
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html)."""

PUBLISH_SECONDS = 120
"""botocore's legacy retries call SNS at most five times, some 15 s each with the pauses between them."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a workflow needs besides its request. `context` is Lambda's, None outside Lambda."""

    config: Config
    context: LambdaContext | None = None

    @property
    def request_id(self) -> str:
        """Lambda's id of this invocation. Retries of an event have the same id. Empty outside Lambda."""
        return self.context.aws_request_id if self.context else ""

    @property
    def lease(self) -> str:
        """The name under which this invocation claims work. Lambda's retries of an event have the same one."""
        return self.request_id or str(uuid4())

    @property
    def function_arn(self) -> str:
        """The function that was invoked. Empty outside Lambda."""
        return self.context.invoked_function_arn if self.context else ""

    @property
    def ends(self) -> datetime:
        """When Lambda ends this invocation at the latest."""
        return clock.now() + timedelta(seconds=self.seconds_left())

    def seconds_left(self) -> float:
        """How long this invocation may still last."""
        return self.context.get_remaining_time_in_millis() / 1000 if self.context else LONGEST.total_seconds()

    def has_time(self, seconds: float = 0.0) -> bool:
        """Whether work of that many seconds leaves time to publish what was done."""
        return self.seconds_left() - seconds > LEFT_FOR_RETURN

    def stamp(self) -> Stamp:
        """What every message is built with: which stack publishes it, and when."""
        return {"stack": self.config.stack, "at": clock.now()}

    def publish(self, message: Message) -> None:
        """Publish a message to the stack's topics.

        Raises ClientError after all were tried, so that a topic that refuses keeps the message from no other.
        """
        refused = [problem for _, publish in self._topics(message) if (problem := _refusal_of(publish))]
        if refused:
            raise refused[0]

    def _topics(self, message: Message) -> list[tuple[str, Callable[[], None]]]:
        """The topics that get this message, each with a mark for its key: programs first, then e-mail and chat."""
        config = self.config
        found: list[tuple[str, Callable[[], None]]] = [("", lambda: topic.publish(config.topic_arn, message))]
        if reaches(message, config.people.mail):
            found.append((" mail", lambda: topic.publish(config.mail_topic_arn, message)))
        if reaches(message, config.people.chat):
            found.append((" chat", lambda: topic.publish_chat(config.chat_topic_arn, message)))
        return found

    def publish_once(self, kind: str, key: str, message: Message) -> bool:
        """Publish a message unless it was published for this kind and key before, to each topic once.

        Returns False while another invocation publishes it, because that may still fail. Raises ClientError after all
        topics were tried, so that one that refuses keeps the message from no other.
        """
        published = True
        refused: list[Exception] = []
        for mark, publish in self._topics(message):

            def work(publish: Callable[[], None] = publish) -> dict[str, Any]:
                publish()
                return {"published": message.event}

            try:
                self.once(kind, f"{key}{mark}", work, within=PUBLISH_SECONDS)
            except UnderWay:
                published = False
            except Exception as problem:
                refused.append(problem)
        if refused:
            raise refused[0]
        return published

    def once(
        self, kind: str, key: str, work: Callable[[], dict[str, Any]], *, within: int | None = None
    ) -> dict[str, Any]:
        """Do `work` unless it was done for this kind and key before. See `lifeboat.aws.once`."""
        return once(self.config.table, kind, key, work, self.context, within=within)


def _refusal_of(publish: Callable[[], None]) -> Exception | None:
    try:
        publish()
    except Exception as problem:
        return problem
    return None
