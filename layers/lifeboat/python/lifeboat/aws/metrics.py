"""Metrics: figures that CloudWatch takes from the log, in its embedded metric format; that needs no call and no right.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE = "Lifeboat"


def seconds(name: str, value: float, *, stack: str, facts: Mapping[str, Any]) -> None:
    """Log one value of the stack's metric; `facts` are fields of the same log line, and no metrics."""
    # Only the look every quarter of an hour needs it, and no start of another door is to wait for it.
    from aws_lambda_powertools.metrics import MetricUnit  # noqa: PLC0415
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (  # noqa: PLC0415
        AmazonCloudWatchEMFProvider,
    )

    # Powertools would add the service's name as a second dimension, of the environment's.
    metrics = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service="")
    metrics.add_dimension("stack", stack)
    metrics.add_metric(name, MetricUnit.Seconds, value)
    for key, fact in facts.items():
        metrics.add_metadata(key, fact)
    metrics.flush_metrics()
