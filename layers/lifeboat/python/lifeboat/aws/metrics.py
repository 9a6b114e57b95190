"""Metrics in CloudWatch's embedded metric format: CloudWatch reads them from the log, without a call or a permission.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE = "Lifeboat"


def seconds(name: str, value: float, *, stack: str, facts: Mapping[str, Any]) -> None:
    """Log one value of the stack's metric; `facts` are further fields of the same log line."""
    _log(name, "Seconds", value, stack, facts)


def percent(name: str, value: float, *, stack: str, facts: Mapping[str, Any]) -> None:
    """The same for a share of 100."""
    _log(name, "Percent", value, stack, facts)


def _log(name: str, unit: str, value: float, stack: str, facts: Mapping[str, Any]) -> None:
    # Only the catch-up run needs this import, so it must not delay the start of the other functions.
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (  # noqa: PLC0415
        AmazonCloudWatchEMFProvider,
    )

    # Without an empty service Powertools adds a second dimension from the environment.
    metrics = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service="")
    metrics.add_dimension("stack", stack)
    metrics.add_metric(name, unit, value)
    for key, fact in facts.items():
        metrics.add_metadata(key, fact)
    metrics.flush_metrics()
