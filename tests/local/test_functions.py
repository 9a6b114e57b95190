"""A function runs as in Lambda: its path, its environment, its end, its log."""

import json
from typing import Any

import pytest

from local import stack
from local.control import Control
from local.session import LocalAws
from tests.local.conftest import Deploy, unique, zipped


def layer(aws: LocalAws, files: dict[str, str]) -> str:
    published = aws.client("lambda").publish_layer_version(
        LayerName=unique("layer"), Content={"ZipFile": zipped(files)}, CompatibleRuntimes=["python3.13"]
    )
    return str(published["LayerVersionArn"])


def run(aws: LocalAws, deploy: Deploy, source: str, **more: Any) -> Any:
    return stack.invoke(aws, deploy(source, **more).name, {}).payload


def test_a_layer_comes_before_the_runtimes_own_packages(aws: LocalAws, deploy: Deploy) -> None:
    shadow = layer(aws, {"python/boto3/__init__.py": "__version__ = 'of the layer'"})
    source = "import boto3\ndef handler(e, c): return boto3.__version__"
    assert run(aws, deploy, source, layers=[shadow]) == "of the layer"
    assert run(aws, deploy, source)[0].isdigit()


@pytest.mark.parametrize("package", ["ministack", "pydantic", "hypercorn", "yaml", "local"])
def test_the_emulators_packages_are_not_seen(aws: LocalAws, deploy: Deploy, package: str) -> None:
    answer = run(aws, deploy, f"import {package}\ndef handler(e, c): return 1")
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert package in answer["errorMessage"]


def test_the_environment_is_lambdas(aws: LocalAws, deploy: Deploy) -> None:
    source = """
import os
def handler(event, context):
    return {**os.environ, "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis()}
"""
    function = deploy(source, Environment={"Variables": {"MINE": "1"}})
    seen = stack.invoke(aws, function.name, {}).payload
    assert (seen["MINE"], seen["AWS_REGION"], seen["AWS_LAMBDA_FUNCTION_NAME"]) == ("1", "eu-west-1", function.name)
    assert (seen["AWS_EXECUTION_ENV"], seen["AWS_ENDPOINT_URL"]) == ("AWS_Lambda_python3.13", aws.endpoint)
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["arn"] == function.arn
    assert 9000 < seen["left"] <= 10_000
    assert not [name for name in seen if name.startswith(("MINISTACK", "LOCAL_AWS", "GATEWAY", "PYTHON"))]


def test_the_credentials_are_the_execution_roles(aws: LocalAws, deploy: Deploy) -> None:
    source = "import boto3\ndef handler(e, c): return boto3.client('sts').get_caller_identity()['Arn']"
    function = deploy(source)
    arn = f"arn:aws:sts::111122223333:assumed-role/{function.name}/{function.name}"
    assert stack.invoke(aws, function.name, {}).payload == arn


def test_the_timeout_is_enforced(aws: LocalAws, deploy: Deploy) -> None:
    answer = run(aws, deploy, "import time\ndef handler(e, c): time.sleep(5)", Timeout=1)
    assert answer["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]


def test_an_error_keeps_its_type_and_the_process(aws: LocalAws, deploy: Deploy) -> None:
    source = "import os\ndef handler(event, c):\n    if event: return os.getpid()\n    raise KeyError(os.getpid())"
    function = deploy(source)
    failed = stack.invoke(aws, function.name, {})
    assert (failed.error, failed.payload["errorType"]) == ("Unhandled", "KeyError")
    assert failed.payload["stackTrace"]
    assert stack.invoke(aws, function.name, {"again": 1}).payload == int(failed.payload["errorMessage"])


def test_what_it_writes_is_in_the_log(aws: LocalAws, deploy: Deploy) -> None:
    function = deploy(
        "import sys\ndef handler(e, c):\n    print('out')\n    print('err', file=sys.stderr)\n"
        "    return c.aws_request_id"
    )
    request_id = stack.invoke(aws, function.name, {}).payload
    logs = aws.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")["events"]
    messages = [event["message"] for event in events]
    assert {"out", "err"} <= set(messages)
    assert messages[0].startswith(f"START RequestId: {request_id}")
    assert messages[-1].startswith(f"REPORT RequestId: {request_id}")


def test_what_cannot_be_told_as_json_is_an_error(aws: LocalAws, deploy: Deploy) -> None:
    assert run(aws, deploy, "def handler(e, c): return object()")["errorType"] == "TypeError"


def test_invocations_are_logged_for_tests(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    function = deploy("def handler(event, c):\n    print('hello')\n    return event")
    stack.invoke(aws, function.name, {"n": 1})
    (told,) = control.invocations(mark, function=function.name)
    assert (told["event"], told["result"], told["error"], told["log"]) == ({"n": 1}, {"n": 1}, False, "hello")
    assert told["milliseconds"] > 0


def test_two_at_once_run_in_two_processes(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    function = deploy("import os, time\ndef handler(e, c):\n    time.sleep(0.3)\n    return os.getpid()")
    for _ in range(2):
        stack.invoke(aws, function.name, {}, asynchronous=True)
    control.settle()
    assert len({told["result"] for told in control.invocations(mark, function=function.name)}) == 2


TYPES = {
    "AWS::Rbin::Rule": {
        "ResourceType": "EBS_SNAPSHOT",
        "RetentionPeriod": {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"},
    },
    "AWS::KMS::Key": {"KeyPolicy": {"Version": "2012-10-17", "Statement": []}},
    "AWS::CloudWatch::Dashboard": {"DashboardBody": '{"widgets": []}'},
    "AWS::Logs::LogGroup": {"RetentionInDays": 7},
    "AWS::DynamoDB::Table": {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "DeletionProtectionEnabled": False,
    },
}


def test_resource_types_a_template_may_contain_are_accepted(aws: LocalAws) -> None:
    stacks, name = aws.client("cloudformation"), unique("types")
    resources = {f"R{index}": {"Type": kind, "Properties": p} for index, (kind, p) in enumerate(TYPES.items())}
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    stacks.delete_stack(StackName=name)


def test_stacks_of_one_name_in_two_regions_have_roles_of_their_own(aws: LocalAws) -> None:
    name = unique("twice")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    names = set()
    for region in ("eu-west-1", "eu-central-1"):
        stacks = aws.client("cloudformation", region)
        stacks.create_stack(
            StackName=name, TemplateBody=json.dumps({"Resources": {"R": role}}), Capabilities=["CAPABILITY_IAM"]
        )
        stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
        [made] = stacks.describe_stack_resources(StackName=name)["StackResources"]
        names.add(made["PhysicalResourceId"])
    assert len(names) == 2, "IAM is one for all regions"


@pytest.mark.parametrize(
    ("regions", "made"), [("", ["Always", "Here"]), ("eu-central-1, us-east-1", ["Always", "Here", "Some"])]
)
def test_conditions_join_a_list_parameter_and_know_the_region(aws: LocalAws, regions: str, made: list[str]) -> None:
    stacks, name = aws.client("cloudformation"), unique("conditions")
    empty = {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Regions"}]}, ""]}
    elsewhere = {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["-", ["eu", "west", "1"]]}, {"Ref": "AWS::Region"}]}]}
    topic = {"Type": "AWS::SNS::Topic"}
    template = {
        "Parameters": {"Regions": {"Type": "CommaDelimitedList", "Default": ""}},
        "Conditions": {"Some": {"Fn::Not": [empty]}, "Here": {"Fn::Not": [elsewhere]}, "Elsewhere": elsewhere},
        "Resources": {
            "Always": topic,
            **{condition: {**topic, "Condition": condition} for condition in ("Some", "Here", "Elsewhere")},
        },
    }
    stacks.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Regions", "ParameterValue": regions}],
    )
    stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    resources = stacks.describe_stack_resources(StackName=name)["StackResources"]
    assert sorted(item["LogicalResourceId"] for item in resources) == made
