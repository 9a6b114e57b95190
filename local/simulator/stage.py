"""The emulator in this process, and the real template deployed on it."""

import contextvars
import io
import json
import logging
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

HOME_ACCOUNT = "111122223333"
REGION = "eu-west-1"
STACK_NAME = "lifeboat"
ROOT = Path(__file__).resolve().parent.parent.parent
CODE = re.compile(r"(CodeUri|ContentUri): \S+")
PACKAGE = "package.zip"
"""What every function's code is here: nothing, because the handlers run in this process."""

os.environ.update(
    GATEWAY_PORT="0",
    MINISTACK_ACCOUNT_ID=HOME_ACCOUNT,
    MINISTACK_REGION=REGION,
    LOCAL_AWS_ACCOUNT=HOME_ACCOUNT,
    LOCAL_AWS_REGION=REGION,
    AUTH="true",
    IOT_MTLS_ENABLED="0",
    SFTP_ENABLED="0",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)
for _name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
    os.environ.pop(_name, None)

from local.simulator import machine  # noqa: E402

machine.begin()  # before anything is imported that starts a thread

import boto3  # noqa: E402 all of these read the environment as they are imported
from botocore.config import Config  # noqa: E402
from ministack.core import iam_evaluator  # noqa: E402
from ministack.services import dynamodb, lambda_svc, sns  # noqa: E402
from ministack.services.cloudformation import changesets, stacks  # noqa: E402
from ministack.services.cloudformation import handlers as stack_calls  # noqa: E402

from local import quick_botocore  # noqa: E402
from local.emulator import alarms, hooks, install, invocations, workers  # noqa: E402
from local.emulator.scope import Scope  # noqa: E402
from local.emulator.settings import SETTINGS  # noqa: E402
from local.simulator import calls, functions  # noqa: E402
from local.simulator.machine import MACHINE, Killed  # noqa: E402

HOME = Scope(HOME_ACCOUNT, REGION)
AWAY = Scope(HOME_ACCOUNT, "eu-central-1")
VAULT = Scope("777788889999", REGION)
"""Where stacks may be: at home, in a region that is copied to, in the vault account."""


class StageError(RuntimeError):
    """The stack could not be deployed; the message says why."""


def begin() -> None:
    """Make this process the local AWS, with no thread but this one."""
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "ERROR"), format="%(name)s %(message)s", force=True)
    hooks.require_hooks()
    quick_botocore.quicken()
    calls.begin()
    functions.begin()
    alarms.start = lambda: None
    install.install()
    sns._threading = machine._Threading()
    lambda_svc.threading = machine._Threading()
    lambda_svc._execute_function_warm = functions.ENVIRONMENTS.run
    lambda_svc._emit_lambda_logs = lambda *_arguments, **_named: None
    lambda_svc._poller_started = True
    invocations._measure = lambda *_arguments, **_named: None
    workers.kill_caller = _kill_caller
    parse = iam_evaluator.parse_policy_document
    parsed = cache(parse)
    iam_evaluator.parse_policy_document = lambda document: (parsed if isinstance(document, str) else parse)(document)
    for module in (changesets, stack_calls, stacks):
        module._create_stack_task_in_region = _create_stack
    for name in FUNCTIONS:
        functions.ENVIRONMENTS.prepare(name, PREPARED.get(name, 1))


FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
PREPARED = {"attach_volume": 3, "confirm_snapshots": 2, "take_snapshots": 2, "restore_volume": 2, "prune_snapshots": 2}
"""How many environments of a function are made before a world begins; one of the others."""


def begin_time(beginning: str) -> None:
    """Start the clock; everything takes as long as in AWS."""
    machine.begin_time(beginning)
    SETTINGS.as_in_aws()


def _kill_caller(*_ports: int) -> None:
    """In place of the workers': whoever made the call under way is gone."""
    raise Killed("signal: SIGKILL")


def _create_stack(work: Any, stack: Any, stack_id: str | None = None) -> None:
    """In place of ministack's: what happens to a stack happens soon, in its region."""
    with stacks._stack_region_context(stack, stack_id):
        context = contextvars.copy_context()
    MACHINE.spawn(lambda: context.run(calls.finished, work), "a stack is made")


@cache
def client(service: str, region: str = REGION, account: str = HOME_ACCOUNT) -> Any:
    """A client as the root of an account."""
    session = _session()
    return session.client(
        service,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="x",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        ),
    )


@cache
def _session() -> Any:
    return boto3.Session()


def template(bucket: str) -> str:
    """The real template; only where the code is differs, as after `sam package`."""
    return CODE.sub(lambda found: f"{found[1]}: s3://{bucket}/{PACKAGE}", (ROOT / "template.yaml").read_text())


def in_background[Answer](work: Callable[[], Answer], *, most: float = 3600.0) -> Answer:
    """Do work in a greenlet, and let the clock move until it is done.

    Raises whatever the work raises, and StageError if it is not done in `most` seconds.
    """
    done: list[tuple[Answer | None, BaseException | None]] = []

    def run() -> None:
        try:
            done.append((work(), None))
        except Exception as error:
            done.append((None, error))

    MACHINE.spawn(run, "the operator")
    MACHINE.run_while(lambda: not done, most=most)
    if not done:
        raise StageError(f"not done within {most:.0f} seconds")
    answer, error = done[0]
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def deploy(parameters: Mapping[str, str], place: Scope = HOME) -> dict[str, str]:
    """Create the stack; its outputs.

    Raises:
        StageError: CloudFormation refused, or rolled back.
    """
    s3, bucket = client("s3", place.region, place.account), _bucket(place)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": place.region})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr(zipfile.ZipInfo("app.py", (2026, 1, 1, 0, 0, 0)), "handler = None\n")
    s3.put_object(Bucket=bucket, Key=PACKAGE, Body=archive.getvalue())
    s3.put_object(Bucket=bucket, Key="template", Body=template(bucket).encode())
    cloudformation = client("cloudformation", place.region, place.account)
    cloudformation.create_stack(StackName=STACK_NAME, **_stack(parameters, place))
    return _outputs(cloudformation)


def update(parameters: Mapping[str, str], place: Scope = HOME) -> None:
    """Deploy the stack again with these parameters, to the end.

    Raises:
        StageError: CloudFormation refused, or rolled back.
    """
    cloudformation = client("cloudformation", place.region, place.account)
    cloudformation.update_stack(StackName=STACK_NAME, **_stack(parameters, place))
    _outputs(cloudformation)


def _bucket(place: Scope) -> str:
    """S3 knows a bucket's name once in the world."""
    return f"code-{place.account}-{place.region}"


def _stack(parameters: Mapping[str, str], place: Scope) -> dict[str, Any]:
    return {
        "TemplateURL": f"https://s3.{place.region}.amazonaws.com/{_bucket(place)}/template",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }


def _outputs(cloudformation: Any) -> dict[str, str]:
    def stack() -> Any:
        return cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]

    for _ in range(100):
        if not stack()["StackStatus"].endswith("IN_PROGRESS"):
            break
        MACHINE.sleep(1)
    found = stack()
    if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        raise StageError(f"{found['StackStatus']}: {json.dumps([e.get('ResourceStatusReason', '') for e in events])}")
    return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}


def items(partition: str, outputs: Mapping[str, str], place: Scope = HOME) -> dict[str, Any]:
    """The items of a partition of the table of the stack in this place, by their sort key."""
    table = dynamodb._tables.get_scoped(place.account, place.region, outputs["StateTableName"])
    found: dict[str, Any] = table["items"].get(partition, {}) if table else {}
    return found
