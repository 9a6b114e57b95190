"""A call of the CloudWatch dashboard's custom widget.

CloudWatch adds `widgetContext` to the event: the theme, what the forms of the widget hold, its size and its parameters
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html). It invokes the
function with the permissions of the viewer of the dashboard, and shows the HTML that it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTEXT = "widgetContext"

DESCRIBE = "describe"
"""The console sends `{"describe": true}` for the documentation of a widget, in Markdown."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call of the widget has beside its request.

    `asked` is the event without CloudWatch's part, `forms` what a person has typed. `function_arn` is the function that
    was invoked, empty outside Lambda, and `id` is Lambda's id of the invocation. `by_itself`: the request is the
    widget's own parameters, which CloudWatch sends whenever the dashboard is opened or refreshed, without a click.
    At a click, `params` still has them, beside the button's request: AWS's sample logsInsightsQuery returns to its
    first query by that (https://github.com/aws-samples/cloudwatch-custom-widgets-samples).
    """

    asked: Mapping[str, Any]
    forms: Mapping[str, str]
    dark: bool
    stack: str
    function_arn: str = ""
    id: str = ""
    by_itself: bool = False

    def endpoint(self, function: str) -> str:
        """The ARN of a function of the stack by the end of its name, such as `restore-volume`."""
        prefix = self.function_arn.split(":")[:6]
        return ":".join([*prefix, f"{self.stack}-{function}"]) if len(prefix) == 6 else f"{self.stack}-{function}"


def is_call(event: Any) -> bool:
    """Whether CloudWatch's widget sent the event."""
    return isinstance(event, Mapping) and (CONTEXT in event or event.get(DESCRIBE) is True)


def read_call(event: Mapping[str, Any], *, stack: str, function_arn: str = "", call_id: str = "") -> Call:
    """The call as it is meant. What is not as CloudWatch documents it counts as absent."""
    context = _mapping(event.get(CONTEXT))
    typed = _mapping(_mapping(context.get("forms")).get("all"))
    asked = {key: value for key, value in event.items() if key != CONTEXT}
    return Call(
        asked=asked,
        forms={str(key): value for key, value in typed.items() if isinstance(value, str)},
        dark=context.get("theme") == "dark",
        stack=stack,
        function_arn=function_arn,
        id=call_id,
        by_itself=context.get("params") == asked,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
