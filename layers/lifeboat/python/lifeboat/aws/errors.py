"""Translate botocore's exceptions into AwsError, and classify AWS's refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lifeboat.domain.error_codes import THROTTLED, TRANSIENT


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


_ENCODED = re.compile(r"(Encoded authorization failure message: )[\w+/=-]{40,}")
_IN_THE_LOG = r"\1in the function's log, for aws sts decode-authorization-message"


def code_of(problem: Exception) -> str:
    """AWS's error code, such as `VolumeInUse`; the exception's class name if the call got no answer."""
    if isinstance(problem, ClientError):
        return str(problem.response.get("Error", {}).get("Code", "Unknown"))
    return type(problem).__name__


def message_of(problem: Exception) -> str:
    """AWS's own words. An encoded authorization message, thousands of unreadable characters, goes to the log."""
    if not isinstance(problem, ClientError):
        return str(problem)
    said = str(problem.response.get("Error", {}).get("Message", ""))
    short = _ENCODED.sub(_IN_THE_LOG, said)
    if short != said:
        _logger().warning("AWS refused a call", extra={"call": problem.operation_name, "said": said})
    return short


def is_short_of_capacity(code: str) -> bool:
    """Whether EC2 lacks capacity: `InsufficientInstanceCapacity`, `Server.InsufficientVolumeCapacity` and similar."""
    return "Insufficient" in code and "Capacity" in code


def was_answered(problem: Exception) -> bool:
    """Whether AWS refused the call, so that nothing was done. After a lost answer or a 5xx this is not known: observe
    before acting again.

    A throttled call was not carried out (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). A
    shortage of capacity is a refusal, although EC2 reports it as a server error.
    """
    if not isinstance(problem, ClientError):
        return False
    status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code_of(problem)
    return code in THROTTLED or is_short_of_capacity(code) or 400 <= status < 500


class AwsError(Exception):
    """A call that AWS refused, or that got no answer.

    `code` and `message` are AWS's own words. `answered` is true if AWS refused the call, so that nothing was done. If
    it is false, the call may have been carried out.
    """

    def __init__(self, code: str, message: str, *, answered: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.answered = answered

    @property
    def throttled(self) -> bool:
        return self.code in THROTTLED

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later, or was carried out, without a person's help."""
        return not self.answered or self.code in TRANSIENT or is_short_of_capacity(self.code)


@contextmanager
def translated() -> Iterator[None]:
    """Turn botocore's exceptions into AwsError, so that only `lifeboat.aws` handles them."""
    try:
        yield
    except (ClientError, BotoCoreError) as problem:
        raise AwsError(code_of(problem), message_of(problem), answered=was_answered(problem)) from problem
