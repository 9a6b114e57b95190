"""The operator of the demo and of an acceptance run, who deploys Lifeboat, gets its messages and uses AWS beside it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from acceptance.narration import Narration, shorten

EVENTS = Path(__file__).resolve().parent.parent / "events"
"""The requests that the documentation shows."""

STARTED_WITHIN = timedelta(minutes=10)


class Operator(ABC):
    """The clients of a person in one region, and what they show.

    Args:
        client: a boto3 client by the name of its service.
        narration: the timeline and the checks.
        here: what its words begin with, such as a region that is not the only one.
    """

    def __init__(self, client: Callable[[str], Any], narration: Narration, here: str = "") -> None:
        self.client = client
        self.narration = narration
        self.ec2 = client("ec2")
        self.sqs = client("sqs")
        self.outputs: dict[str, str] = {}
        self.mailbox = ""
        self.published: list[dict[str, Any]] = []
        self._here = here

    @abstractmethod
    def wait_for(self, what: str, seen: Callable[[], Any], within: timedelta) -> Any:
        """What `seen` gives as soon as it gives something; None if not within so much of AWS's time."""

    @abstractmethod
    def invoke(self, function: str, file: str, replace: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of a function, by its logical id, to a file of `events/` with its placeholders filled in."""

    # --- what a person does

    def subscribe(self, queue: str) -> None:
        """Have the topic's messages on a queue, as any program would."""
        self.mailbox = queue
        arn = self.queue_arn(queue)
        topic = self.outputs["NotificationTopicArn"]
        self.let_send(queue, arn, {"sns.amazonaws.com": topic})
        self.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )

    def queue_arn(self, queue: str) -> str:
        arn: str = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return arn

    def let_send(self, queue: str, arn: str, senders: Mapping[str, str]) -> None:
        """Let services send to a queue, each from one source; a queue takes nothing else from them."""
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": source}},
            }
            for service, source in senders.items()
        ]
        policy = {"Version": "2012-10-17", "Statement": statements}
        self.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})

    def run_instance(
        self,
        image: str,
        instance_type: str,
        disks: list[dict[str, Any]],
        tags: Mapping[str, str],
        volume_tags: Mapping[str, str],
        **more: Any,
    ) -> str:
        """Launch an instance; `more` goes to RunInstances. Its id."""
        answer = self.ec2.run_instances(
            ImageId=image,
            InstanceType=instance_type,
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=disks,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": tag_list(tags)},
                {"ResourceType": "volume", "Tags": tag_list(volume_tags)},
            ],
            **more,
        )
        instance_id: str = answer["Instances"][0]["InstanceId"]
        return instance_id

    def wait_until_running(self, instance_id: str, name: str) -> None:
        """Raises RuntimeError: it does not start."""
        if not self.wait_for(f"{name} starts", lambda: self.instance_state(instance_id) == "running", STARTED_WITHIN):
            raise RuntimeError(f"{instance_id} does not start: it is {self.instance_state(instance_id)}")

    def consent(self, *ids: str) -> None:
        """Allow a restore onto an instance, which displaces a volume: both are named."""
        self.ec2.create_tags(Resources=list(ids), Tags=tag_list({"lifeboat:restore-target": "true"}))

    # --- what is seen

    def instance(self, instance_id: str) -> dict[str, Any]:
        described = self.ec2.describe_instances(InstanceIds=[instance_id])
        found: dict[str, Any] = described["Reservations"][0]["Instances"][0]
        return found

    def instance_state(self, instance_id: str) -> str:
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

    def snapshots_of(self, point: str) -> list[dict[str, Any]]:
        """The snapshots of a recovery point."""
        wanted = [{"Name": "tag:lifeboat:recovery-point", "Values": [point]}]
        found: list[dict[str, Any]] = self.ec2.describe_snapshots(OwnerIds=["self"], Filters=wanted)["Snapshots"]
        return found

    def verified(self, point: str) -> str:
        """What verification says of a recovery point, by the tag of its snapshots; nothing before."""
        return next((tags_of(item).get("lifeboat:verified", "") for item in self.snapshots_of(point)), "")

    # --- what Lifeboat publishes

    def read_messages(self) -> list[dict[str, Any]]:
        """All messages so far, oldest first; new ones go on the timeline, at the times that they name."""
        self.place(self.receive())
        return self.published

    def place(self, new: Iterable[tuple[datetime, str, str]]) -> None:
        """Put moments on the timeline in their order."""
        for at, who, what in sorted(new, key=lambda moment: moment[0]):
            self.narration.add(who, what, at)

    def receive(self) -> Iterator[tuple[datetime, str, str]]:
        """Take what is new out of the mailbox; of each message when it was sent, by whom, and its words."""
        while messages := self.sqs.receive_message(QueueUrl=self.mailbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                yield self.keep(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.mailbox, ReceiptHandle=message["ReceiptHandle"])

    def keep(self, found: dict[str, Any]) -> tuple[datetime, str, str]:
        """Keep a message of the topic: when it was sent, by whom, and its words. An alarm is shown only."""
        if "AlarmName" in found:
            words = f"alarm {found['AlarmName']} is {found['NewStateValue']}"
            return datetime.fromisoformat(found["StateChangeTime"]), "aws", self._here + words
        self.published.append(found)
        words = f"{found['event']}: {shorten(found['summary'])}"
        return datetime.fromisoformat(found["at"]), "lifeboat", self._here + words

    def find_message(self, event: str, **subject: str) -> dict[str, Any] | None:
        for message in self.read_messages():
            if message["event"] == event and subject.items() <= message["subject"].items():
                return message
        return None


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}
