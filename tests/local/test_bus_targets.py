"""What EventBridge refuses of an event bus as a target, called or deployed."""

import json
from contextlib import nullcontext
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.session import HOME_ACCOUNT, LocalAws
from tests.local.conftest import unique

BUS = f"arn:aws:events:eu-central-1:{HOME_ACCOUNT}:event-bus/default"
ROLE = f"arn:aws:iam::{HOME_ACCOUNT}:role/forwards"
RETRIES = {"RetryPolicy": {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600}}
NO_RETRIES = "Retry policy is not supported for Event bus targets."


def test_put_targets_refuses_a_retry_policy_on_a_bus(aws: LocalAws) -> None:
    events = aws.client("events")
    rule = unique("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.ec2"]}))
    target: Any = {"Id": "home", "Arn": BUS, "RoleArn": ROLE}
    with pytest.raises(ClientError) as refusal:
        events.put_targets(Rule=rule, Targets=[{**target, **RETRIES}])
    assert refusal.value.response["Error"] == {"Code": "ValidationException", "Message": NO_RETRIES}
    with pytest.raises(ClientError, match="ValidationException"):
        events.put_targets(Rule=rule, Targets=[{**target, "Input": "{}"}])
    with pytest.raises(ClientError, match="ValidationException"):
        events.put_targets(Rule=rule, Targets=[{"Id": "home", "Arn": BUS}])
    assert not events.list_targets_by_rule(Rule=rule)["Targets"]

    events.put_targets(Rule=rule, Targets=[target])
    queue = {"Id": "queue", "Arn": f"arn:aws:sqs:eu-west-1:{HOME_ACCOUNT}:queue", **RETRIES}
    assert events.put_targets(Rule=rule, Targets=[queue])["FailedEntryCount"] == 0
    assert len(events.list_targets_by_rule(Rule=rule)["Targets"]) == 2


@pytest.mark.parametrize(("more", "status"), [(RETRIES, "ROLLBACK_COMPLETE"), ({}, "CREATE_COMPLETE")])
def test_a_stack_whose_bus_target_has_a_retry_policy_is_rolled_back(
    aws: LocalAws, more: dict[str, Any], status: str
) -> None:
    cloudformation = aws.client("cloudformation")
    name = unique("stack")
    rule = {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "EventPattern": {"source": ["aws.ec2"]},
            "Targets": [{"Id": "home", "Arn": BUS, "RoleArn": ROLE, **more}],
        },
    }
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Rule": rule}}))
    with pytest.raises(WaiterError) if more else nullcontext():  # a roll-back is what the waiter fails on
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == status
    said = [
        item.get("ResourceStatusReason", "")
        for item in cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    ]
    assert any(NO_RETRIES in reason for reason in said) == bool(more)
