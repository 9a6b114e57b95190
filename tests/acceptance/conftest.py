"""An account of the local AWS in which `make acceptance` runs, and all that is in it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from rich.console import Console

from acceptance.__main__ import Options, carry_out
from acceptance.state import STACK_NAME, TAG, State
from local import stack
from local.session import REGION, LocalAws

ARTIFACTS = "lifeboat-artifacts"
"""How the bucket of who deploys quickly begins; `sam deploy` has that of the run."""

type At = Callable[[str, str], bool]
"""Whether a call is where an interruption comes: its operation, and `before` or `after` AWS answers."""


class Account:
    """An account of the local AWS in which acceptance runs."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.printed = ""

    def accept(self, *, interrupted: At | None = None, **more: Any) -> int:
        """`make acceptance`, with `clean_only` `make acceptance-clean`; its exit code.

        Args:
            interrupted: where Ctrl-C comes, once.
        """
        session = new_session()
        if interrupted:
            interrupt(session, interrupted)
        console = Console(file=io.StringIO(), width=200)
        options = {"yes": True, "folder": self.folder, **more}
        try:
            return carry_out(Options(session, self.deploy, REGION, **options), console)
        finally:
            self.printed = console.file.getvalue()  # type: ignore[attr-defined]

    def deploy(self, state: State, parameters: Mapping[str, str]) -> None:
        """What `sam deploy` comes to, in a tenth of its time."""
        names = [item["StackName"] for item in self.aws.client("cloudformation").describe_stacks()["Stacks"]]
        if STACK_NAME not in names:
            stack.create(self.aws, parameters, stack_name=STACK_NAME, tags={TAG: state.run})
        s3 = self.aws.client("s3")
        for bucket in [item["Name"] for item in s3.list_buckets()["Buckets"] if item["Name"].startswith(ARTIFACTS)]:
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
            s3.delete_bucket(Bucket=bucket)

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found

    def differences(self) -> list[tuple[str, str, str, str]]:
        """Kind, about, here and local of each difference."""
        return [(item["kind"], item["about"], item["here"], item["local"]) for item in self.report["differences"]]

    def contents(self) -> set[str]:
        """All that is in the account."""
        return set(_contents(self.aws.client))


@cache
def descriptions() -> Any:
    """botocore's descriptions of the services, read once."""
    return botocore.session.Session().get_component("data_loader")


def new_session() -> Any:
    """A session of its own, as each `make acceptance` has."""
    session = botocore.session.Session()
    session.register_component("data_loader", descriptions())
    return boto3.Session(botocore_session=session, region_name=REGION)


def interrupt(session: Any, at: At) -> None:
    """Let Ctrl-C come once."""
    came: list[str] = []

    def check(when: str, model: Any) -> None:
        if not came and at(model.name, when):
            came.append(model.name)
            raise KeyboardInterrupt

    session.events.register("before-call", lambda model, **_: check("before", model))
    session.events.register("after-call", lambda model, **_: check("after", model))


def _contents(client: Callable[[str], Any]) -> Iterator[str]:
    ec2 = client("ec2")
    for reservation in ec2.describe_instances()["Reservations"]:
        yield from (i["InstanceId"] for i in reservation["Instances"] if i["State"]["Name"] != "terminated")
    yield from (item["VolumeId"] for item in ec2.describe_volumes()["Volumes"])
    yield from (item["SnapshotId"] for item in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"])
    yield from (item["ImageId"] for item in ec2.describe_images(Owners=["self"])["Images"])
    yield from (f"stack {item['StackId']}" for item in client("cloudformation").describe_stacks()["Stacks"])
    yield from (item["FunctionArn"] for item in client("lambda").list_functions()["Functions"])
    yield from (item["LayerArn"] for item in client("lambda").list_layers()["Layers"])
    yield from (f"table {name}" for name in client("dynamodb").list_tables()["TableNames"])
    yield from client("sqs").list_queues().get("QueueUrls", [])
    yield from (item["TopicArn"] for item in client("sns").list_topics()["Topics"])
    yield from (item["SubscriptionArn"] for item in client("sns").list_subscriptions()["Subscriptions"])
    yield from (item["Arn"] for item in client("events").list_rules()["Rules"])
    yield from (item["Arn"] for item in client("scheduler").list_schedules()["Schedules"])
    yield from (item["Arn"] for item in client("iam").list_roles()["Roles"])
    yield from (item["AlarmArn"] for item in client("cloudwatch").describe_alarms()["MetricAlarms"])
    yield from (f"log group {item['logGroupName']}" for item in client("logs").describe_log_groups()["logGroups"])
    yield from (f"bucket {item['Name']}" for item in client("s3").list_buckets()["Buckets"])
    for key in client("kms").list_keys()["Keys"]:
        if client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            yield key["KeyArn"]


@pytest.fixture(scope="module")
def running_aws() -> Iterator[LocalAws]:
    stack.build()
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def account(running_aws: LocalAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    for name, value in running_aws.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    before = running_aws.control.settings()
    yield Account(running_aws, tmp_path)
    running_aws.control.reset()
    running_aws.control.configure(before)
