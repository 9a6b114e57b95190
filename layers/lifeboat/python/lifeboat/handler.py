"""What every Lambda handler does: log, parse the event, run the workflow, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clients
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.config import Config, load

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

# Lambda gives a line whose time is not of RFC 3339 its own time and the level INFO
# (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
logger = Logger(use_rfc3339=True)


@cache
def _config() -> Config:
    return load()


def make_handler[Request](
    parse: Callable[[Mapping[str, Any]], Request],
    act: Callable[[Request, Invocation], dict[str, Any]],
    *,
    logs_answer: bool = True,
) -> Handler:
    """A Lambda handler that parses its event with `parse` and does the work with `act`.

    An impossible request of a person changes nothing and is answered with one sentence, `{"refused": ...}`. For an
    event of AWS that cannot be parsed the handler raises BadRequest, so that Lambda puts the event into the failure
    queue. `logs_answer`: whether the log has the answer; a long one that changes nothing is only counted there.
    """

    clients.make_ready()

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:
            request = parse(event)
            answer = act(request, Invocation(_config(), context))
        except BadRequest as refusal:
            logger.warning("refused", extra={"refusal": str(refusal)})
            if _is_from_aws(event):
                raise
            return {"refused": str(refusal)}
        # Nearly all of some ninety thousand reconcile runs a month find nothing: their lines would be most of the bill.
        said = answer if logs_answer else {"fields": len(answer)}
        (logger.info if any(answer.values()) else logger.debug)("answered", extra={"answer": said})
        return answer

    return handler


def _is_from_aws(event: Any) -> bool:
    return isinstance(event, Mapping) and ("detail-type" in event or "Records" in event)


def forget() -> None:
    """Read the configuration again at the next event. Tests change it."""
    _config.cache_clear()
