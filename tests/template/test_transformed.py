"""The template after SAM's transform: which services may invoke which function, for which resource."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BY_HAND_ONLY = {"RestoreVolumeFunction", "ShowStatusFunction"}


@pytest.fixture(scope="module")
def resources():
    done = subprocess.run(
        [ROOT / ".tools" / "sam" / "bin" / "python", Path(__file__).with_name("transform.py")],
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["Resources"]


def of_type(resources, kind):
    return {name: item for name, item in resources.items() if item["Type"] == kind}


def test_a_service_invokes_only_for_its_own_rule_or_topic(resources):
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert len(permissions) == 11
    for name, permission in permissions.items():
        said = permission["Properties"]
        assert said["Action"] == "lambda:InvokeFunction"
        source = said["SourceArn"]
        [named] = source.values()
        target = named[0] if isinstance(named, list) else named
        expected = {"events.amazonaws.com": "AWS::Events::Rule", "sns.amazonaws.com": "AWS::SNS::Topic"}
        assert resources[target]["Type"] == expected[said["Principal"]], name
        assert "FunctionUrlAuthType" not in said


def test_a_restore_begins_by_hand_only(resources):
    invokable = {
        item["Properties"]["FunctionName"]["Ref"] for item in of_type(resources, "AWS::Lambda::Permission").values()
    }
    scheduled = {
        item["Properties"]["Target"]["Arn"]["Fn::GetAtt"][0]
        for item in of_type(resources, "AWS::Scheduler::Schedule").values()
    }
    functions = set(of_type(resources, "AWS::Lambda::Function"))
    assert functions - invokable - scheduled == BY_HAND_ONLY
    assert not of_type(resources, "AWS::Lambda::Url")


def test_a_schedule_may_invoke_its_one_function_and_leave_what_fails(resources):
    for name, schedule in of_type(resources, "AWS::Scheduler::Schedule").items():
        target = schedule["Properties"]["Target"]
        role = resources[target["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": ["scheduler.amazonaws.com"]}
        assert "ManagedPolicyArns" not in role
        allowed = {
            (statement["Action"], json.dumps(statement["Resource"], sort_keys=True))
            for policy in role["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        }
        assert allowed == {
            ("lambda:InvokeFunction", json.dumps(target["Arn"], sort_keys=True)),
            ("sqs:SendMessage", json.dumps(target["DeadLetterConfig"]["Arn"], sort_keys=True)),
        }, name


def test_a_functions_role_is_lambdas_alone(resources):
    for name in of_type(resources, "AWS::Lambda::Function"):
        role = resources[f"{name}Role"]["Properties"]
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}
        assert trust["Action"] == ["sts:AssumeRole"]


def test_no_policy_is_public(resources):
    observed = 0
    for name, item in resources.items():
        if "PolicyDocument" in item.get("Properties", {}) and "Principal" in json.dumps(item):
            for statement in item["Properties"]["PolicyDocument"]["Statement"]:
                if "Principal" in statement and statement["Effect"] == "Allow":
                    observed += 1
                    assert set(statement["Principal"]) == {"Service"}, name
                    assert {"aws:SourceArn"} <= {key for pairs in statement["Condition"].values() for key in pairs}, (
                        name
                    )
    assert observed >= 3


def test_a_target_that_is_an_event_bus_has_nothing_that_eventbridge_refuses_there(resources):
    """PutTargets: "Retry policy is not supported for Event bus targets."; no Input of any kind; a role is needed."""
    buses = [
        target
        for rule in of_type(resources, "AWS::Events::Rule").values()
        for target in rule["Properties"]["Targets"]
        if ":event-bus/" in json.dumps(target["Arn"])
    ]
    assert buses
    for target in buses:
        assert set(target) == {"Id", "Arn", "RoleArn", "DeadLetterConfig"}
