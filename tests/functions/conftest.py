"""Handlers are tested whole, with AWS's own event samples in and the effects on moto out.

What moto cannot show (asynchronous states, IAM, events) is shown on the local AWS, in tests/e2e.
"""

from __future__ import annotations

import importlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import time_machine
from botocore.exceptions import ClientError
from moto import mock_aws

from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_images
from lifeboat.backup import store as backups

ROOT = Path(__file__).parents[2]
TABLE = "lifeboat-state"
ACCOUNT = "123456789012"  # moto's own
TODAY = datetime(2026, 11, 28, tzinfo=UTC)
"""The time in this room, moto's as well."""


@pytest.fixture(autouse=True)
def _at_a_fixed_time() -> Iterator[None]:
    """Each test begins at that time, however long the tests before it took."""
    with time_machine.travel(TODAY, tick=True):
        yield


FUNCTIONS = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function"
client = cache(boto3.client)
"""Made once: what is behind it is another world for each test."""


@dataclass
class Context:
    """What a function knows about its invocation."""

    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:function"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Functions:
    """Lambda, as far as a function asks for it: what is to be invoked later is at once, unless it is `busy`.

    moto would start containers. Lambda's own times and retries are shown on the local AWS.
    """

    def __init__(self) -> None:
        self.handed: list[tuple[str, dict[str, Any], Context]] = []
        self.busy = False
        """Whether what is handed over waits for `run`."""
        self.refuses = ""
        """The code with which it refuses to take anything over."""

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803 - boto3's names
        assert InvocationType == "Event"
        if self.refuses:
            answer: Any = {"Error": {"Code": self.refuses}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, "Invoke")
        context = Context(invoked_function_arn=FunctionName)
        self.handed.append((FunctionName.rsplit(":", 1)[-1], json.loads(Payload), context))
        if not self.busy:
            self.run()

    def run(self) -> Exception | dict[str, Any]:
        """Invoke with what was handed over last; once more is Lambda's retry. What it answers, or the failure."""
        function, event, context = self.handed[-1]
        try:
            answer: dict[str, Any] = importlib.import_module(f"functions.{function}.app").handler(event, context)
        except Exception as failure:
            return failure
        return answer


class Wakes:
    """Step Functions, as far as a function asks for it: the wakes of each function, and when they are due.

    moto would interpret the state machine. What a wake does is shown on the local AWS.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime]] = []
        self.refuses = ""
        """The code with which it refuses a wake."""

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803 - boto3's
        stack = stateMachineArn.removeprefix(f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:").removesuffix("-wake")
        wanted = json.loads(input)
        function, at = wanted["function"].removeprefix(f"{stack}-"), datetime.fromisoformat(wanted["at"])
        assert name == f"{function}-{at:%Y%m%dT%H%M%SZ}"
        if self.refuses:
            answer: Any = {"Error": {"Code": self.refuses}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(answer, "StartExecution")
        if (function, at) not in self.asked:  # the same name and input while it waits: the same execution
            self.asked.append((function, at))


class World:
    """An account with the stack's table and topic, a mailbox on the topic, and machines to save."""

    def __init__(self) -> None:
        self.ec2 = client("ec2")
        self.sns = client("sns")
        self.sqs = client("sqs")
        client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        self.topic = self.sns.create_topic(Name="notifications")["TopicArn"]
        self.mailbox = self.sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:mailbox"
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        self.functions = Functions()
        self.wakes = Wakes()
        self.image_owner = "055430919509"
        self.image_name = "CadoResponse_v2.324.0"
        [self.image] = self.ec2.describe_images(Owners=["amazon"])["Images"]

    def invoke(self, function: str, event: Any) -> dict[str, Any]:
        """What the function answers. What it hands over to another invocation of itself is done by then."""
        module = importlib.import_module(f"functions.{function}.app")
        return module.handler(event, Context(invoked_function_arn=f"{FUNCTIONS}:{function}"))

    def messages(self) -> list[dict[str, Any]]:
        """The messages published since the last observation, oldest first."""
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self.mailbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.mailbox, ReceiptHandle=message["ReceiptHandle"])
        return found

    def launch_many(self, count: int) -> set[str]:
        """So many at once, each with a data disk."""
        answer = self.ec2.run_instances(
            ImageId=self.image["ImageId"],
            MinCount=count,
            MaxCount=count,
            BlockDeviceMappings=[
                {"DeviceName": self.image["RootDeviceName"], "Ebs": {"VolumeSize": 10}},
                {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 20}},
            ],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "lifeboat:backup", "Value": "true"}]},
            ],
        )
        return {item["InstanceId"] for item in answer["Instances"]}

    def launch(self, zone: str = "eu-west-1a", device: str = "/dev/sdh", disks: int = 1, **tags: str) -> str:
        """A running instance with data disks of 20 GiB; tags: underscores stand for colons and hyphens as given."""
        tags = tags or {"lifeboat:backup": "true", "Name": "CadoResponse"}
        data = [
            {
                "DeviceName": device[:-1] + chr(ord(device[-1]) + number),
                "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Iops": 4000, "DeleteOnTermination": False},
            }
            for number in range(disks)
        ]
        answer = self.ec2.run_instances(
            ImageId=self.image["ImageId"],
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.micro",
            Placement={"AvailabilityZone": zone},
            BlockDeviceMappings=[{"DeviceName": self.image["RootDeviceName"], "Ebs": {"VolumeSize": 10}}, *data],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )
        return answer["Instances"][0]["InstanceId"]

    def image_metadata(self, instance_ids: list[str]) -> dict[str, dict[str, str]]:
        image = {"ImageId": self.image["ImageId"], "OwnerId": self.image_owner, "Name": self.image_name}
        return dict.fromkeys(instance_ids, image)

    def image_ancestry(self, **asked: str) -> dict[str, list[dict[str, str]]]:
        return {"ImageAncestryEntries": [{"ImageId": asked["ImageId"]}]}

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots that belong to a recovery point."""
        return self.ec2.describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["lifeboat:recovery-point"]}]
        )["Snapshots"]

    def volume_of(self, instance_id: str, device: str = "/dev/sdh") -> str:
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        mappings = reservation["Instances"][0]["BlockDeviceMappings"]
        return next(item["Ebs"]["VolumeId"] for item in mappings if item["DeviceName"] == device)


def open_backup(recovery_point_id: str) -> None:
    """Note a recovery point as being made now."""
    now = clock.now()
    backups.open_backups_for(TABLE, [recovery_point_id], begun_at=now, until=now)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, counts_filter_values: None) -> Iterator[World]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "LIFEBOAT_STACK": "lifeboat",
        "LIFEBOAT_TABLE": TABLE,
        "LIFEBOAT_RETENTION": "last=3 daily=14",
        "LIFEBOAT_METRICS": "true",
        "LIFEBOAT_TRUSTED_OWNERS": "055430919509",
        "POWERTOOLS_SERVICE_NAME": "lifeboat",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = World()
        monkeypatch.setenv("LIFEBOAT_TOPIC", made.topic)
        clients.forget()
        handler.forget()
        monkeypatch.setattr(clients, "functions", cache(lambda: made.functions))
        monkeypatch.setattr(clients, "step_functions", cache(lambda: made.wakes))
        # moto knows neither DescribeInstanceImageMetadata nor GetImageAncestry; the local AWS does.
        monkeypatch.setattr(ec2_images, "_image_metadata", made.image_metadata)
        monkeypatch.setattr(
            clients.ec2_reads(),
            "get_image_ancestry",
            lambda **asked: {"ImageAncestryEntries": [{"ImageId": asked["ImageId"]}]},
        )
        yield made
    clients.forget()
    handler.forget()


@pytest.fixture
def sample() -> Callable[..., dict[str, Any]]:
    """One of AWS's sample events, with ids replaced: `sample("ebs-createVolume-available", {"vol-old": "vol-new"})`."""

    def read(name: str, replace: dict[str, str] | None = None) -> dict[str, Any]:
        text = (ROOT / "tests" / "fixtures" / "events" / f"{name}.json").read_text()
        for old, new in (replace or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        event: dict[str, Any] = json.loads(text)
        return event

    return read
