"""Telling: one message for one thing, whoever comes upon it, how often ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifeboat.aws import topic
from lifeboat.aws.once import UnderWay, once
from lifeboat.domain.config import Config
from lifeboat.domain.message import Message

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

WITHIN = 120
"""Seconds. SNS is asked five times at most, of 15 s each with the pauses between (botocore's legacy retries)."""


def publish_once(kind: str, key: str, message: Message, config: Config, context: LambdaContext | None) -> bool:
    """Whether it has been told. While another invocation is telling it, nobody knows yet whether that succeeds."""

    def publish() -> dict[str, Any]:
        topic.publish(config.topic_arn, message)
        return {"told": message.event}

    try:
        once(config.table, kind, key, publish, context, within=WITHIN)
    except UnderWay:
        return False
    return True
