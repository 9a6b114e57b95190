"""One local AWS for all fidelity tests of a test process, on a simulated clock, well-behaved at the start of each."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.control import Control
from local.session import HOME_ACCOUNT, LocalAws

ZONE = "eu-west-1a"
_numbers = count(1)


@pytest.fixture(scope="session")
def running_aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def as_it_begins(running_aws: LocalAws) -> dict[str, Any]:
    """The settings that it starts with: everything takes as long as in AWS."""
    return running_aws.control.settings()


@pytest.fixture
def aws(running_aws: LocalAws, as_it_begins: dict[str, Any]) -> LocalAws:
    """The local AWS with its settings as it begins, no faults, and nothing of an earlier test under way."""
    running_aws.control.reset()
    running_aws.control.configure(as_it_begins)
    running_aws.control.settle()
    return running_aws


@pytest.fixture
def control(aws: LocalAws) -> Control:
    return aws.control


@pytest.fixture
def ec2(aws: LocalAws) -> Any:
    return aws.client("ec2")


@pytest.fixture
def mark(control: Control) -> int:
    """Where the logs stood when the test began."""
    return control.mark()


def unique(name: str) -> str:
    """A name that no other test of this process has."""
    return f"{name}-{next(_numbers)}"


def refusal(call: Callable[[], object]) -> str:
    """The error code that a call is refused with.

    Raises:
        AssertionError: it was accepted.
    """
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    raise AssertionError("accepted")


@dataclass(frozen=True)
class Machine:
    """An instance with a root and a data volume, attached."""

    instance_id: str
    root_id: str
    data_id: str


@pytest.fixture
def machine(aws: LocalAws, ec2: Any) -> Machine:
    """A running instance: root /dev/xvda, and /dev/sdh of 20 GiB that outlives it."""
    return launch(aws, ec2)


def launch(aws: LocalAws, ec2: Any, **more: Any) -> Machine:
    """Launch a `Machine` and wait until it runs."""
    wanted = {
        "ImageId": amazon_image(ec2),
        "InstanceType": "t3.micro",
        "MinCount": 1,
        "MaxCount": 1,
        "Placement": {"AvailabilityZone": ZONE},
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}},
            {
                "DeviceName": "/dev/sdh",
                "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": False},
            },
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "CadoResponse"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Backup", "Value": "daily"}]},
        ],
        **more,
    }
    launched = ec2.run_instances(**wanted)["Instances"][0]
    aws.control.settle()
    volumes = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in launched["BlockDeviceMappings"]}
    return Machine(launched["InstanceId"], volumes["/dev/xvda"], volumes["/dev/sdh"])


def amazon_image(ec2: Any) -> str:
    """An image every region has."""
    return str(ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"])


@pytest.fixture
def volume(aws: LocalAws, ec2: Any) -> str:
    """An available gp3 volume of 4 GiB."""
    return new_volume(aws, ec2)


def new_volume(aws: LocalAws, ec2: Any, **more: Any) -> str:
    """A volume, available by default."""
    wanted = {"AvailabilityZone": ZONE, "Size": 4, "VolumeType": "gp3", **more}
    made = str(ec2.create_volume(**wanted)["VolumeId"])
    aws.control.settle()
    return made


def new_snapshot(aws: LocalAws, ec2: Any, volume_id: str, **more: Any) -> str:
    """A snapshot, completed by default."""
    made = str(ec2.create_snapshot(VolumeId=volume_id, **more)["SnapshotId"])
    aws.control.settle()
    return made


def tagged(kind: str, **tags: str) -> list[dict[str, Any]]:
    """TagSpecifications of one kind."""
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]


@dataclass(frozen=True)
class Function:
    """A Lambda function made for a test."""

    name: str
    arn: str
    role_arn: str


Deploy = Callable[..., Function]


@pytest.fixture
def deploy(aws: LocalAws) -> Deploy:
    """Makes a function of a source text with a role of its own."""

    def make(
        source: str,
        statements: Sequence[Mapping[str, Any]] = (),
        layers: Sequence[str] = (),
        account: str = HOME_ACCOUNT,
        **config: Any,
    ) -> Function:
        name = unique("fn")
        functions = aws.client("lambda", account=account)
        role_arn = new_role(aws, name, "lambda.amazonaws.com", statements, account=account)
        made = functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role_arn,
            Handler="app.handler",
            Code={"ZipFile": zipped({"app.py": source})},
            **{"Timeout": 10, "Layers": list(layers), **config},
        )
        return Function(name, made["FunctionArn"], role_arn)

    return make


def new_role(
    aws: LocalAws, name: str, service: str, statements: Sequence[Mapping[str, Any]], account: str = HOME_ACCOUNT
) -> str:
    """A role that a service may take on, with one inline policy."""
    iam = aws.client("iam", account=account)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    if statements:
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **s} for s in statements]}
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=json.dumps(policy))
    return str(role)


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip archive of text files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@dataclass(frozen=True)
class Queue:
    """An SQS queue made for a test."""

    url: str
    arn: str
    sqs: Any

    def messages(self) -> list[dict[str, Any]]:
        """What is on it now, with attributes; they stay invisible afterwards."""
        found: list[dict[str, Any]] = []
        while True:
            batch = self.sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
            ).get("Messages", [])
            if not batch:
                return found
            found += batch

    def bodies(self) -> list[Any]:
        """The decoded bodies of what is on it now."""
        return [json.loads(message["Body"]) for message in self.messages()]

    def allow(self, service: str) -> None:
        """Let a service send to it."""
        policy = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sqs:SendMessage",
                    "Resource": self.arn,
                }
            ]
        }
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": json.dumps(policy)})


@pytest.fixture
def new_queue(aws: LocalAws) -> Callable[[], Queue]:
    def make() -> Queue:
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return Queue(url, arn, sqs)

    return make


def rule_to(
    aws: LocalAws, function: Function, pattern: Mapping[str, Any], *, permit: bool = True, **target: Any
) -> str:
    """A rule on the default bus that invokes a function, with the permission by default; its ARN."""
    events, name = aws.client("events"), unique("rule")
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": function.arn, **target}])
    if permit:
        aws.client("lambda").add_permission(
            FunctionName=function.name,
            StatementId=name,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=arn,
        )
    return str(arn)
