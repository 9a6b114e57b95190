"""Sample widgets: functions in this process, which the viewer calls as it calls those of a stack."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

DASHBOARD = "samples"


def arn_of(name: str) -> str:
    """The ARN of a sample's function."""
    return f"arn:aws:lambda:eu-west-1:111122223333:function:{name}"


@dataclass
class Samples:
    """The functions by their names, and the events that they were called with.

    A function gives an answer, or raises an exception as one in Lambda does.
    """

    functions: Mapping[str, Callable[[Mapping[str, Any]], Any]]
    params: Mapping[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, service: str, region: str = "") -> Self:
        """Both services that the viewer uses, in any region."""
        assert service in ("lambda", "cloudwatch"), region
        return self

    def get_dashboard(self, DashboardName: str) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        """A dashboard with one widget, the function `show`, and one that the viewer does not draw."""
        shown = {"endpoint": arn_of("show"), "title": "Sample", "params": self.params}
        widgets = [
            {"type": "custom", "x": 0, "y": 0, "width": 24, "height": 6, "properties": shown},
            {"type": "metric", "properties": {"title": "Errors"}},
        ]
        return {"DashboardName": DashboardName, "DashboardBody": json.dumps({"widgets": widgets})}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        """Call a sample's function."""
        name, event = FunctionName.rpartition(":")[2], json.loads(Payload)
        self.events.append((name, event))
        try:
            return {"Payload": io.BytesIO(json.dumps(self.functions[name](event)).encode())}
        except ValueError as error:
            failed = {"errorType": "ValueError", "errorMessage": str(error)}
            return {"Payload": io.BytesIO(json.dumps(failed).encode()), "FunctionError": "Unhandled"}


def button(label: str, content: str, **attributes: str) -> str:
    """A button with its action, whose content is HTML or JSON, escaped already."""
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<button type="button" class="btn">{label}</button><cwdb-action {written}>{content}</cwdb-action>'
