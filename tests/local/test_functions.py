"""A function runs as in Lambda: its path, its environment, its end, its log."""

import json
import os
import select
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from local import stack
from local.control import Control
from local.session import ROOT, LocalAws
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


@pytest.mark.parametrize("package", ["ministack", "pydantic", "hypercorn", "uvicorn", "yaml", "local"])
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
    observed = stack.invoke(aws, function.name, {}).payload
    assert (observed["MINE"], observed["AWS_REGION"], observed["AWS_LAMBDA_FUNCTION_NAME"]) == (
        "1",
        "eu-west-1",
        function.name,
    )
    assert (observed["AWS_EXECUTION_ENV"], observed["AWS_ENDPOINT_URL"]) == ("AWS_Lambda_python3.13", aws.endpoint)
    assert observed["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert observed["arn"] == function.arn
    assert 9000 < observed["left"] <= 10_000
    assert not [name for name in observed if name.startswith(("MINISTACK", "LOCAL_AWS", "GATEWAY", "PYTHON"))]


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


WAYS_OUT = {
    "os._exit(3)": "exit status 3",
    "sys.exit(4)": "exit status 4",
    "os.kill(os.getpid(), 11)": "signal: SIGSEGV",
    "os.kill(os.getpid(), 9)": "signal: SIGKILL",
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_how_a_process_ended_is_said_and_the_next_one_is_new(aws: LocalAws, deploy: Deploy, way: str) -> None:
    source = f"""
import os, sys
CALLS = []
def handler(event, context):
    CALLS.append(event)
    if event: {way}
    return len(CALLS)
"""
    function = deploy(source)
    assert [stack.invoke(aws, function.name, {}).payload for _ in range(2)] == [1, 2]
    lost = stack.invoke(aws, function.name, {"end": True})
    assert (lost.error, lost.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert lost.payload["errorMessage"].endswith(f"Runtime exited with error: {WAYS_OUT[way]}")
    assert stack.invoke(aws, function.name, {}).payload == 1


def test_the_log_of_an_invocation_is_all_that_it_wrote_and_no_more(
    aws: LocalAws, control: Control, deploy: Deploy, mark: int
) -> None:
    source = """
import os, subprocess, sys
print("while initialising")
def handler(event, context):
    for line in range(2000):
        print(event["n"], line)
    subprocess.run([sys.executable, "-c", "print('of a child')"], stdout=2)
    os.write(2, b"not UTF-8: \\xff\\n")
    sys.stdout.write("out without an end ")
    sys.stderr.write("err without an end")
    if event["n"] == 2: sys.stdout.flush(), sys.stderr.flush(), os._exit(1)
"""
    function = deploy(source)
    for n in range(3):
        stack.invoke(aws, function.name, {"n": n})
    invocations = control.invocations(mark, function=function.name)
    lines = [invocation["log"].splitlines() for invocation in invocations]
    assert lines[0].pop(0) == "while initialising"
    assert "Runtime exited" in lines[2].pop()
    for n, log in enumerate(lines):
        assert log[:2000] == [f"{n} {line}" for line in range(2000)]
        assert log[2000:2002] == ["of a child", "not UTF-8: \ufffd"]
        assert log[2002] == "out without an end err without an end"
        assert len(log) == 2003


PARENT = "import os\ndef handler(e, c): return os.getppid()"


def test_functions_of_one_layer_are_forks_of_one_process(aws: LocalAws, deploy: Deploy) -> None:
    one, other = (layer(aws, {"python/own.py": f"N = {n}"}) for n in range(2))
    parents = [run(aws, deploy, PARENT, layers=layers) for layers in ([one], [one], [other], [])]
    assert parents[0] == parents[1]
    assert len({*parents, aws.pid}) == 4


def test_a_module_of_the_layer_reads_the_environment_of_each_function(aws: LocalAws, deploy: Deploy) -> None:
    library = layer(
        aws,
        {
            "python/lifeboat/__init__.py": "",
            "python/lifeboat/reader.py": "import os\nMINE = os.environ.get('MINE')",
            "python/lifeboat/user.py": "from lifeboat.reader import MINE",
            "python/lifeboat/pure.py": "import os\nPID = os.getpid()",
        },
    )
    source = """
import os
from lifeboat import pure, user
def handler(event, context): return [user.MINE, pure.PID == os.getppid(), os.getppid()]
"""
    observed = [
        run(aws, deploy, source, layers=[library], Environment={"Variables": {"MINE": mine}}) for mine in ("1", "2")
    ]
    assert [(mine, shared) for mine, shared, _ in observed] == [("1", True), ("2", True)]
    # This one would have been given what was imported without HOME.
    alone = run(aws, deploy, source, layers=[library], Environment={"Variables": {"HOME": "/nowhere", "MINE": "3"}})
    assert alone == ["3", False, aws.pid]


def test_a_functions_own_module_comes_before_one_that_is_imported_already(aws: LocalAws, deploy: Deploy) -> None:
    function = deploy("import calendar\ndef handler(e, c): return calendar.WHOSE")
    aws.client("lambda").update_function_code(
        FunctionName=function.name,
        ZipFile=zipped(
            {"app.py": "import calendar\ndef handler(e, c): return calendar.WHOSE", "calendar.py": "WHOSE = 'mine'"}
        ),
    )
    assert stack.invoke(aws, function.name, {}).payload == "mine"


def test_a_layer_that_starts_a_thread_is_not_forked(aws: LocalAws, deploy: Deploy) -> None:
    starts = "import threading, time\nthreading.Thread(target=time.sleep, args=[60]).start()"
    threaded = layer(aws, {"python/lifeboat/__init__.py": starts})
    assert run(aws, deploy, f"import lifeboat\n{PARENT}", layers=[threaded]) == aws.pid


def test_the_time_zone_is_the_functions(aws: LocalAws, deploy: Deploy) -> None:
    source = "import time\ndef handler(e, c): return time.localtime(0).tm_hour"
    zones = [{}, {"Environment": {"Variables": {"TZ": "Asia/Tokyo"}}}]
    assert [run(aws, deploy, source, **zone) for zone in zones] == [0, 9]


def test_forks_differ_in_what_is_random(aws: LocalAws, deploy: Deploy) -> None:
    source = "import random, uuid\ndef handler(e, c): return [random.random(), str(uuid.uuid4())]"
    (one, its_id), (other, others_id) = (run(aws, deploy, source) for _ in range(2))
    assert one != other
    assert its_id != others_id


def test_nearly_all_of_the_library_is_imported_before_the_fork(aws: LocalAws, deploy: Deploy, tmp_path: Path) -> None:
    built = stack.build().parent / "LifeboatLayer"
    archive = Path(shutil.make_archive(str(tmp_path / "layer"), "zip", built))
    published = aws.client("lambda").publish_layer_version(
        LayerName=unique("layer"), Content={"ZipFile": archive.read_bytes()}, CompatibleRuntimes=["python3.13"]
    )
    source = """
import os, sys
HAD = list(sys.modules)
import lifeboat.handler
def handler(event, context): return {"parent": os.getppid(), "had": HAD}
"""
    observed = run(
        aws,
        deploy,
        source,
        layers=[published["LayerVersionArn"]],
        Environment={"Variables": {"POWERTOOLS_SERVICE_NAME": "lifeboat", "POWERTOOLS_LOG_LEVEL": "INFO"}},
    )
    assert observed["parent"] != aws.pid
    assert {"boto3", "pydantic", "aws_lambda_powertools"} <= set(observed["had"])
    modules = {
        ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        for path in (LIBRARY / "lifeboat").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert len(modules) > 20
    left = modules - set(observed["had"])
    assert len(left) <= 3, "each cold start imports these anew, because they read the environment when imported"


LIBRARY = Path(ROOT) / "layers" / "lifeboat" / "python"


def test_a_function_survives_the_end_of_the_process_it_was_forked_from(aws: LocalAws, deploy: Deploy) -> None:
    own = layer(aws, {"python/own.py": ""})
    function = deploy(PARENT, layers=[own])
    parent = stack.invoke(aws, function.name, {}).payload
    os.kill(parent, signal.SIGKILL)
    assert ended(parent)
    assert stack.invoke(aws, function.name, {}).payload != parent
    assert run(aws, deploy, PARENT, layers=[own]) not in (parent, aws.pid)


def test_all_processes_end_when_the_emulator_is_killed() -> None:
    # The thread keeps the process although its standard input has ended.
    source = """
import os, threading, time
def handler(event, context):
    threading.Thread(target=time.sleep, args=[600]).start()
    return [os.getpid(), os.getppid()]
"""
    with LocalAws() as aws:
        role = aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        aws.client("lambda").create_function(
            FunctionName="f",
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": zipped({"app.py": source})},
        )
        worker, parent = stack.invoke(aws, "f", {}).payload
        os.kill(aws.pid, signal.SIGKILL)
        assert ended(worker)
        assert ended(parent)


def ended(pid: int) -> bool:
    """Wait for the end of a process that is not our child; false if it does not come for a minute."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 60)[0])
    finally:
        os.close(process)


def test_what_is_no_json_is_an_error(aws: LocalAws, deploy: Deploy) -> None:
    assert run(aws, deploy, "def handler(e, c): return object()")["errorType"] == "TypeError"


def test_invocations_are_logged_for_tests(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    function = deploy("import time\ndef handler(event, c):\n    time.sleep(2)\n    print('hello')\n    return event")
    stack.invoke(aws, function.name, {"n": 1})
    (found,) = control.invocations(mark, function=function.name)
    assert (found["event"], found["result"], found["error"], found["log"]) == ({"n": 1}, {"n": 1}, False, "hello")
    assert found["milliseconds"] == 2000


def test_two_at_once_run_in_two_processes(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    function = deploy("import os, time\ndef handler(e, c):\n    time.sleep(0.3)\n    return os.getpid()")
    for _ in range(2):
        stack.invoke(aws, function.name, {}, asynchronous=True)
    control.settle()
    assert len({found["result"] for found in control.invocations(mark, function=function.name)}) == 2


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
def test_conditions_join_a_list_parameter_and_know_region_and_partition(
    aws: LocalAws, regions: str, made: list[str]
) -> None:
    stacks, name = aws.client("cloudformation"), unique("conditions")
    empty = {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Regions"}]}, ""]}
    elsewhere = {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["-", ["eu", "west", "1"]]}, {"Ref": "AWS::Region"}]}]}
    foreign = {"Fn::Not": [{"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws"]}]}
    topic = {"Type": "AWS::SNS::Topic"}
    template = {
        "Parameters": {"Regions": {"Type": "CommaDelimitedList", "Default": ""}},
        "Conditions": {
            "Some": {"Fn::Not": [empty]},
            "Here": {"Fn::Not": [elsewhere]},
            "Elsewhere": elsewhere,
            "Foreign": foreign,
        },
        "Resources": {
            "Always": topic,
            **{condition: {**topic, "Condition": condition} for condition in ("Some", "Here", "Elsewhere", "Foreign")},
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
