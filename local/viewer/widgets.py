"""Reads a dashboard, and calls the functions of its custom widgets, with the rights of the viewer alone."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local.session import REGION
from local.viewer.cleaning import clean

FUNCTION_ARN_PARTS = 7
"""arn:aws:lambda:REGION:ACCOUNT:function:NAME, and perhaps a version after it."""


class Clients(Protocol):
    """Whose rights count."""

    def client(self, service: str, region: str = REGION) -> Any: ...


def read_dashboard(viewer: Clients, name: str) -> dict[str, Any]:
    """The widgets of a dashboard: `{"name": ..., "widgets": [...]}`, or `{"error": ...}` in AWS's words."""
    try:
        body = viewer.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    except (BotoCoreError, ClientError) as error:
        return {"error": str(error)}
    return {"name": name, "widgets": json.loads(body)["widgets"]}


def call(viewer: Clients, endpoint: str, params: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    """Call a function as CloudWatch does for a widget or an action, and clean what it answers.

    Args:
        viewer: whose rights count.
        endpoint: the ARN of the function.
        params: of the widget or the action; they are the event itself.
        context: `widgetContext` of the event.

    Returns:
        `{"html": ...}` for a text, cleaned; `{"text": ...}` for anything else, as formatted JSON; `{"error": ...}` if
        the function failed or was not to be called. Markdown is shown as its text.
    """
    event = json.dumps({**params, "widgetContext": context})
    parts = endpoint.split(":")
    if len(parts) < FUNCTION_ARN_PARTS or parts[2] != "lambda":
        return {"error": f"The endpoint {endpoint!r} is not the ARN of a Lambda function."}
    try:
        answer = viewer.client("lambda", parts[3]).invoke(FunctionName=endpoint, Payload=event.encode())
        payload = json.loads(answer["Payload"].read() or "null")
    except (BotoCoreError, ClientError) as error:
        return {"error": str(error)}
    if answer.get("FunctionError"):
        failed = payload if isinstance(payload, Mapping) else {}
        return {"error": f"{failed.get('errorType', 'Error')}: {failed.get('errorMessage', payload)}"}
    if isinstance(payload, str):
        return {"html": clean(payload)}
    if isinstance(payload, Mapping) and isinstance(payload.get("markdown"), str):
        return {"text": payload["markdown"]}
    return {"text": json.dumps(payload, indent=2, ensure_ascii=False)}
