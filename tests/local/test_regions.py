"""A region that is gone takes everything with it and answers nobody; another region lives on."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from local.control import Control
from local.session import LocalAws
from tests.local.conftest import new_role, unique, zipped

DOOMED = "ap-south-1"
"""No other test of the local AWS is there: it does not come back."""
AWAY = "eu-central-1"
DUE_IN = 2
INSTANCE = "EC2 Instance State-change Notification"


def doomed_function(aws: LocalAws) -> tuple[str, Any]:
    """A function that an event of EC2 invokes and, in a moment, a schedule; its name."""
    name = unique("doomed")
    client, events = aws.client("lambda", DOOMED), aws.client("events", DOOMED)
    arn = client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=new_role(aws, name, "lambda.amazonaws.com", []),
        Handler="app.handler",
        Code={"ZipFile": zipped({"app.py": "def handler(event, context):\n    return event\n"})},
    )["FunctionArn"]
    rule = events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.ec2"]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": arn}])
    client.add_permission(
        FunctionName=name,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    return name, arn


def due_schedule(aws: LocalAws, name: str, arn: str) -> None:
    role = new_role(
        aws, unique("due"), "scheduler.amazonaws.com", [{"Action": "lambda:InvokeFunction", "Resource": arn}]
    )
    due = aws.control.now() + timedelta(seconds=DUE_IN)
    aws.client("scheduler", DOOMED).create_schedule(
        Name=name,
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role},
    )


def test_a_lost_region_answers_and_does_nothing_and_a_copy_elsewhere_stays(aws: LocalAws, control: Control) -> None:
    source = control.seed_snapshot(size=1, region=DOOMED)
    copy = aws.client("ec2", AWAY).copy_snapshot(SourceRegion=DOOMED, SourceSnapshotId=source)["SnapshotId"]
    function, arn = doomed_function(aws)
    event = {"detail-type": INSTANCE, "detail": {"state": "running"}, "region": DOOMED}
    control.put_event(event)
    control.settle()
    assert len(control.invocations(function=function)) == 1, "before, it receives"
    due_schedule(aws, function, arn)

    control.lose_region(DOOMED)

    for call in (
        lambda: aws.client("ec2", DOOMED).describe_snapshots(SnapshotIds=[source]),
        lambda: aws.client("lambda", DOOMED).invoke(FunctionName=function),
    ):
        with pytest.raises(BotoCoreError):
            call()
    control.put_event(event)
    control.advance(DUE_IN + 1)
    assert len(control.invocations(function=function)) == 1, "neither its event nor its schedule came"
    there = aws.client("ec2", AWAY).describe_snapshots(SnapshotIds=[copy])["Snapshots"]
    assert [item["State"] for item in there] == ["completed"]
    assert aws.client("ec2").describe_snapshots(OwnerIds=["self"])["ResponseMetadata"]["HTTPStatusCode"] == 200
