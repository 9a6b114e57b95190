"""The demo's actors: the local AWS, the stack in one region, an operator's clients, and the machines that are saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from local import stack
from local.narration import Narration, shorten
from local.session import REGION, ROOT, LocalAws

EVENTS = ROOT / "events"
VENDOR = "055430919509"
STARTED_WITHIN = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


class Demo:
    """One region of the demo: the deployed stack there, and an operator's clients."""

    def __init__(self, aws: LocalAws, narration: Narration, region: str = REGION) -> None:
        self.aws = aws
        self.narration = narration
        self.region = region
        self.ec2 = aws.client("ec2", region)
        self.sqs = aws.client("sqs", region)
        self.outputs: dict[str, str] = {}
        self.mailbox = ""
        self.published: list[dict[str, Any]] = []
        self.others: tuple[Demo, ...] = ()
        """The other regions of the demo, whose messages go on the timeline together with this one's."""
        self._here = "" if region == REGION else f"{region}: "

    # --- what a person does

    def deploy(self, parameters: Mapping[str, str]) -> None:
        """`sam deploy` of what was built."""
        self.outputs = stack.deploy(self.aws, parameters=parameters, region=self.region)

    def subscribe(self) -> None:
        """A mailbox on the topic, as any program would have."""
        self.mailbox = self.sqs.create_queue(QueueName="operator")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.mailbox, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        # SNS may write into a queue only if the queue says so.
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": self.outputs["NotificationTopicArn"]}},
                }
            ],
        }
        self.sqs.set_queue_attributes(QueueUrl=self.mailbox, Attributes={"Policy": json.dumps(policy)})
        self.aws.client("sns", self.region).subscribe(
            TopicArn=self.outputs["NotificationTopicArn"],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
        )

    def launch(self, image: str, name: str, disks: list[dict[str, Any]], zone: str, **tags: str) -> str:
        answer = self.ec2.run_instances(
            ImageId=image,
            InstanceType="m5.4xlarge",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": zone},
            BlockDeviceMappings=disks,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": tag_list({"Name": name, **tags})},
                {"ResourceType": "volume", "Tags": tag_list({"Name": f"{name}DataVolume", "team": "forensics"})},
            ],
        )
        instance_id: str = answer["Instances"][0]["InstanceId"]
        if not self.wait_for(f"{name} starts", lambda: self.state(instance_id) == "running", STARTED_WITHIN):
            raise RuntimeError(f"{instance_id} does not start: it is {self.state(instance_id)}")
        return instance_id

    def invoke(self, function: str, file: str, replace: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`sam remote invoke` with a file of `events/`, its placeholders filled in."""
        event = {**json.loads((EVENTS / file).read_text()), **(replace or {})}
        answer = stack.invoke_with_sam(self.aws, function, event, region=self.region)
        if answer.error:
            raise RuntimeError(f"{function} failed: {answer.payload}")
        payload: dict[str, Any] = answer.payload
        return payload

    # --- what is seen

    def instance(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][
            0
        ]
        return found

    def state(self, instance_id: str) -> str:
        """Of an instance, such as `running`."""
        state: str = self.instance(instance_id)["State"]["Name"]
        return state

    def image_state(self, image_id: str) -> str:
        """Of an image, such as `available`."""
        state: str = self.ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"]
        return state

    def disk(self, instance_id: str, device: str) -> dict[str, Any]:
        """The volume at a device, with the attachment's DeleteOnTermination."""
        for mapping in self.instance(instance_id)["BlockDeviceMappings"]:
            if mapping["DeviceName"] == device:
                volume: dict[str, Any] = self.ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
                return {**volume, "DeleteOnTermination": mapping["Ebs"]["DeleteOnTermination"]}
        return {}

    def read_messages(self) -> list[dict[str, Any]]:
        """All messages so far, oldest first; new ones go on the timeline, at the times that they name."""
        new = [moment for demo in (self, *self.others) for moment in demo._receive()]
        for at, who, what in sorted(new, key=lambda moment: moment[0]):
            self.narration.add(who, what, at)
        return self.published

    def _receive(self) -> Iterator[tuple[datetime, str, str]]:
        """Take what is new out of the mailbox; of each message when it was sent, by whom, and its words."""
        while messages := self.sqs.receive_message(QueueUrl=self.mailbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found = json.loads(message["Body"])
                if "AlarmName" in found:
                    words = f"alarm {found['AlarmName']} is {found['NewStateValue']}"
                    yield datetime.fromisoformat(found["StateChangeTime"]), "aws", self._here + words
                else:
                    self.published.append(found)
                    words = f"{found['event']}: {shorten(found['summary'])}"
                    yield datetime.fromisoformat(found["at"]), "lifeboat", self._here + words
                self.sqs.delete_message(QueueUrl=self.mailbox, ReceiptHandle=message["ReceiptHandle"])

    def wait_for(self, what: str, seen: Callable[[], Any], within: timedelta) -> Any:
        """Let the clock of the local AWS move on, minute by minute, until `seen` gives something.

        Returns:
            What it is, or None if it has not come about within so much time of that clock.
        """
        self.narration.waiting(what)
        control = self.aws.control
        end = control.now() + within
        while not (found := seen()):
            if control.now() >= end:
                self.narration.add("demo", f"waited {within} in vain for: {what}")
                return None
            control.advance(MINUTE.total_seconds())
            self.read_messages()
        return found

    def find_message(self, event: str, **subject: str) -> dict[str, Any] | None:
        for message in self.read_messages():
            if message["event"] == event and subject.items() <= message["subject"].items():
                return message
        return None


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def terraform_disks(key: str) -> list[dict[str, Any]]:
    """The platform as its Terraform module makes it: root and data equally large, so size distinguishes nothing."""
    data = {"VolumeSize": 100, "VolumeType": "gp3", "Iops": 4000, "Throughput": 200}
    return [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "DeleteOnTermination": True}},
        {"DeviceName": "/dev/sdh", "Ebs": {**data, "Encrypted": True, "KmsKeyId": key, "DeleteOnTermination": False}},
    ]


def console_disks() -> list[dict[str, Any]]:
    """The platform as its console deployment makes it: another device, not encrypted, EC2's defaults."""
    return [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "DeleteOnTermination": True}},
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "DeleteOnTermination": False}},
    ]
