"""Metrics in CloudWatch's embedded metric format: CloudWatch reads them from the log, without a call or a permission.

Each costs $0.30 a month. Without the parameter Metrics the same facts are an ordinary line of the log.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lifeboat.domain.config import Config

NAMESPACE = "Lifeboat"


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


def seconds(name: str, value: float, *, config: Config, facts: Mapping[str, Any]) -> None:
    """Log one value of the stack's metric; `facts` are further fields of the same log line."""
    _log(name, "Seconds", value, config, facts)


def percent(name: str, value: float, *, config: Config, facts: Mapping[str, Any]) -> None:
    """The same for a share of 100."""
    _log(name, "Percent", value, config, facts)


def _log(name: str, unit: str, value: float, config: Config, facts: Mapping[str, Any]) -> None:
    if not config.metrics:
        _logger().info(name, extra={name: value, **facts})
        return
    # Only the catch-up run needs this import, so it must not delay the start of the other functions.
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (  # noqa: PLC0415
        AmazonCloudWatchEMFProvider,
    )

    # Without an empty service Powertools adds a second dimension from the environment.
    metrics = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service="")
    metrics.add_dimension("stack", config.stack)
    metrics.add_metric(name, unit, value)
    for key, fact in facts.items():
        metrics.add_metadata(key, fact)
    metrics.flush_metrics()
