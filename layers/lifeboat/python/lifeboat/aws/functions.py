"""Lambda functions: invoke one asynchronously."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.errors import translated


def invoke_later(arn: str, event: Mapping[str, Any]) -> None:
    """Invoke a function asynchronously. Lambda may deliver the event more than once. Raises AwsError."""
    with translated():
        clients.functions().invoke(FunctionName=arn, InvocationType="Event", Payload=json.dumps(event).encode())
