"""The resource of calls about a dashboard of CloudWatch, which ministack asks IAM about as `*`.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html: a dashboard's ARN has an
account and no region.
"""

import json
from collections.abc import Mapping
from typing import Any


def dashboard_arn(body: bytes, params: Mapping[str, Any], account: str) -> str | None:
    """The ARN of the dashboard that a request names, in JSON or as a query; nothing if it names none."""
    name = params.get("DashboardName") or _written(body)
    name = name[0] if isinstance(name, list) else name
    return f"arn:aws:cloudwatch::{account}:dashboard/{name}" if name else None


def _written(body: bytes) -> Any:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return None
    return request.get("DashboardName") if isinstance(request, Mapping) else None
