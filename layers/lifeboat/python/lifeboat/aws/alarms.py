"""CloudWatch alarms: reads only."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched

from lifeboat.aws import clients
from lifeboat.aws.errors import translated
from lifeboat.domain.stack import MISSING, Alarm

NAMES = 100
"""The most names that DescribeAlarms takes
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html)."""


def find_alarms(names: Iterable[str]) -> tuple[Alarm, ...]:
    """The alarms of these names, in their order. Raises AwsError."""
    names = tuple(names)
    found: dict[str, Alarm] = {}
    for some in batched(names, NAMES, strict=False):
        with translated():
            answer = clients.cloudwatch().describe_alarms(AlarmNames=list(some), MaxRecords=NAMES)
        for item in answer["MetricAlarms"]:
            notifies = bool(item.get("ActionsEnabled") and item.get("AlarmActions"))
            found[item["AlarmName"]] = Alarm(
                item["AlarmName"], item["StateValue"], item.get("StateReason", ""), notifies
            )
    return tuple(found.get(name, Alarm(name, MISSING)) for name in names)
