"""CloudFormation stacks: reads only."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.errors import translated
from lifeboat.domain.stack import Stack, StackResource

GONE = "DELETE_COMPLETE"


def find_stack(name: str) -> Stack:
    """The stack, with its parameters and resources. Raises AwsError.

    DescribeStacks shows what the last drift detection found, and begins none
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackDriftInformation.html).
    """
    client = clients.cloudformation()
    with translated():
        [found] = client.describe_stacks(StackName=name)["Stacks"]
        pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = tuple(
            StackResource(item["ResourceType"], item["LogicalResourceId"], item.get("PhysicalResourceId", ""))
            for page in pages
            for item in page["StackResourceSummaries"]
            if item["ResourceStatus"] != GONE
        )
    drift = found.get("DriftInformation", {})
    return Stack(
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        deployed_at=found.get("LastUpdatedTime") or found["CreationTime"],
        drift=drift.get("StackDriftStatus", "NOT_CHECKED"),
        drift_checked_at=drift.get("LastCheckTimestamp"),
        parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", ())},
        resources=resources,
    )
