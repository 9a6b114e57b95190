"""What every Lambda handler does: log, parse the event, run the workflow, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clients
from lifeboat.aws.invocation import Invocation
from lifeboat.doctor.rehearsal_workflow import rehearse
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.config import Config, load
from lifeboat.domain.widget import Call, is_call, read_call

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any] | str]

# Lambda gives a line whose time is not of RFC 3339 its own time and the level INFO
# (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
logger = Logger(use_rfc3339=True)


@cache
def _config() -> Config:
    return load()


@dataclass(frozen=True, slots=True)
class Page[Request]:
    """How a function answers CloudWatch's custom widget: with HTML, which `render` makes of the answer.

    `parse` and `act` are those of its other requests, unless a page has its own. Unless the page `only_reads`, it
    refuses the parameters of a widget: who may write dashboards could otherwise have their viewers act without a click.
    """

    render: Callable[[Mapping[str, Any], Call], str]
    parse: Callable[[Call], Request] | None = None
    act: Callable[[Request, Invocation], dict[str, Any]] | None = None
    only_reads: bool = False


NOT_CLICKED = (
    "the request is the parameters of a widget, which a dashboard sends without a click, expected the request of a "
    "button of the page: the widget's own function is show-status"
)


def make_handler[Request, Shown](
    parse: Callable[[Mapping[str, Any]], Request],
    act: Callable[[Request, Invocation], dict[str, Any]],
    *,
    logs_answer: bool = True,
    page: Page[Shown] | None = None,
    rehearses: str = "",
) -> Handler:
    """A Lambda handler that parses its event with `parse` and does the work with `act`.

    An impossible request of a person changes nothing and is answered with one sentence, `{"refused": ...}`. For an
    event of AWS that cannot be parsed the handler raises BadRequest, so that Lambda puts the event into the failure
    queue. `logs_answer`: whether the log has the answer; a long one that changes nothing is only counted there.
    `page`: how a widget's call is answered. Of a function without it, such a call is refused.
    `rehearses` is the end of the function's name, if `{"rehearse": true}` rehearses its calls.
    """

    clients.make_ready()

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | str:
        if page is not None and is_call(event):
            call = _call(event, context)
            return page.render(answer_to(call.asked, context, call), call)
        return answer_to(event, context)

    def answer_to(event: Mapping[str, Any], context: LambdaContext, call: Call | None = None) -> dict[str, Any]:
        try:
            if call is not None and page is not None and call.by_itself and not page.only_reads:
                raise BadRequest(NOT_CLICKED)
            if call is not None and page is not None and page.parse and page.act:
                shown = page.parse(call)
                answer = page.act(shown, Invocation(_config(), context))
            elif rehearses and isinstance(event, Mapping) and "rehearse" in event:
                answer = rehearse(event, rehearses, Invocation(_config(), context))
            else:
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


def _call(event: Mapping[str, Any], context: LambdaContext) -> Call:
    invocation = Invocation(_config(), context)
    return read_call(event, stack=_config().stack, function_arn=invocation.function_arn, call_id=invocation.request_id)


def _is_from_aws(event: Any) -> bool:
    return isinstance(event, Mapping) and ("detail-type" in event or "Records" in event)


def forget() -> None:
    """Read the configuration again at the next event. Tests change it."""
    _config.cache_clear()
