"""The stage of the end-to-end tests: a local AWS with the real stack, its operator, and what the operator sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifeboat.restore.machine.history import restore_id
from local import platform, stack
from local.session import HOME_ACCOUNT, REGION, LocalAws

ZONE = f"{REGION}a"
DEVICE = "/dev/sdh"
CONSENT = {"lifeboat:restore-target": "true"}
PARAMETERS = {
    "Schedule": "cron(0 0 1 1 ? 2099)",  # fired by the tests alone
    "Verify": "off",  # only the tests about it want each recovery point read
}
SETTINGS: Mapping[str, Any] = {"schedules_fire": False, "waits_end": False}
"""The tests fire the schedules they are about, each minute of the simulated clock where that matters. What a wake does,
test_wakes.py shows."""

type Tags = Mapping[str, str]


@dataclass(frozen=True)
class Machine:
    """An instance that can be backed up and restored, with the ids of its data volumes by device."""

    instance_id: str
    volumes: Mapping[str, str]

    @property
    def volume_id(self) -> str:
        """The only data volume."""
        [volume_id] = self.volumes.values()
        return volume_id

    @property
    def device(self) -> str:
        """Its device."""
        [device] = self.volumes
        return device


class Stage:
    """A local AWS, the deployed stack, and an operator's clients and mailbox. `with_sam`: as a person deploys it."""

    def __init__(
        self,
        aws: LocalAws,
        parameters: Mapping[str, str],
        region: str = REGION,
        account: str = HOME_ACCOUNT,
        *,
        with_sam: bool = False,
    ) -> None:
        self.aws = aws
        self.region = region
        self.account = account
        self.control = aws.control
        self.ec2 = aws.client("ec2", region, account)
        self.sqs = aws.client("sqs", region, account)
        stack.build()
        make = stack.deploy if with_sam else stack.create
        self.outputs = make(aws, parameters={**PARAMETERS, **parameters}, region=region, account=account)
        self.image = platform.vendor_image(aws, region=region)
        self._mailbox = self._subscribe()
        self._published: list[dict[str, Any]] = []

    def _subscribe(self) -> str:
        url: str = self.sqs.create_queue(QueueName="operator")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.outputs["NotificationTopicArn"]}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.aws.client("sns", self.region, self.account).subscribe(
            TopicArn=self.outputs["NotificationTopicArn"],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
        )
        return url

    # --- what an operator does

    def launch(
        self,
        count: int = 1,
        *,
        disks: Mapping[str, Mapping[str, Any]] | None = None,
        zone: str = ZONE,
        tags: Tags | None = None,
        volume_tags: Tags | None = None,
        image: str | None = None,
    ) -> list[Machine]:
        """Launch machines alike and wait until they run; `disks` are `Ebs` mappings by device."""
        disks = disks or {DEVICE: {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}
        root = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}
        tags = {"lifeboat:backup": "true", **CONSENT} if tags is None else tags
        volume_tags = CONSENT if volume_tags is None else volume_tags
        launched = self.ec2.run_instances(
            ImageId=image or self.image,
            InstanceType="m5.xlarge",
            MinCount=count,
            MaxCount=count,
            Placement={"AvailabilityZone": zone},
            BlockDeviceMappings=[
                root,
                *({"DeviceName": name, "Ebs": {"DeleteOnTermination": False, **disk}} for name, disk in disks.items()),
            ],
            TagSpecifications=[
                {"ResourceType": kind, "Tags": tag_list(wanted)}
                for kind, wanted in (("instance", {"Name": "platform", **tags}), ("volume", volume_tags))
                if wanted
            ],
        )["Instances"]
        self.control.settle()
        return [self._machine(item["InstanceId"]) for item in launched]

    def _machine(self, instance_id: str) -> Machine:
        instance = self.instance(instance_id)
        disks = {item["DeviceName"]: item["Ebs"]["VolumeId"] for item in instance["BlockDeviceMappings"]}
        del disks[instance["RootDeviceName"]]
        return Machine(instance_id, disks)

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """What a function answers a person, by the function's name in the template."""
        answer = stack.invoke(self.aws, self.outputs[function], event, region=self.region, account=self.account)
        if answer.error:
            raise AssertionError(f"{function} failed: {answer.payload}")
        payload: dict[str, Any] = answer.payload
        return payload

    def back_up(self, *instance_ids: str) -> dict[str, dict[str, Any]]:
        """Recovery points of these instances, or of all selected, without a word to anyone; snapshots by volume id.

        No event of EC2 is sent meanwhile: nothing but the snapshots is wanted here.
        """
        with self.silence():
            event = {"instance_ids": list(instance_ids)} if instance_ids else {}
            answer = self.invoke("TakeSnapshotsFunction", event)
            assert "refused" not in answer, answer
            self.control.settle()
        return {item["VolumeId"]: item for item in self.recovery_point_snapshots()}

    def point_of(self, machine: Machine) -> str:
        """The id of a new, good recovery point of a machine."""
        snapshots = self.back_up(machine.instance_id)
        [point] = {tags_of(snapshots[volume])["lifeboat:recovery-point"] for volume in machine.volumes.values()}
        return point

    def restore(self, machine: Machine, point: str | Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Ask for a restore; the request's id is the instance's by default."""
        ask = {"instance_id": machine.instance_id, "recovery_point": point, "request_id": machine.instance_id, **more}
        return self.invoke("RestoreVolumeFunction", ask)

    def status(self, restore: str) -> dict[str, Any]:
        """The table's record of a restore, as a person reads it."""
        return self.invoke("RestoreVolumeFunction", {"status": restore})

    @contextmanager
    def silence(self) -> Iterator[None]:
        """No event of EC2 reaches anyone meanwhile."""
        self.control.event_fault("drop", count=0)
        yield
        self.control.settle()
        self.control.reset()

    # --- what time does

    def now(self) -> datetime:
        """The time on the clock of the local AWS."""
        return self.control.now()

    def target_of(self, function: str) -> str:
        """The end of the ARN of a function of this stack. Stacks of other accounts may have the same names."""
        return f":{self.account}:function:{self.outputs[function]}"

    def reconcile(self, function: str = "AttachVolumeFunction") -> None:
        """The reconcile run's schedule fires, and what comes of it comes."""
        self.control.fire_schedule(self.target_of(function), region=self.region)
        self.control.settle()

    def reconcile_until(self, done: Callable[[], Any], minutes: int = 240, what: str = "it") -> Any:
        """Reconcile each minute until `done` gives something; what it is. Fails after so many minutes of simulated
        time."""
        for _minute in range(minutes):
            if found := done():
                return found
            self.control.advance(60)
            self.reconcile()
        raise AssertionError(f"{what} did not come about within {minutes} minutes")

    def until_closed(self, restore: str, minutes: int = 240) -> dict[str, Any]:
        """Reconcile until a restore has ended; its record."""
        self.reconcile_until(lambda: restore not in self.open_restores(), minutes, f"the end of {restore}")
        self.control.settle()
        return self.status(restore)

    # --- what is seen

    def open_restores(self) -> set[str]:
        """The ids of all open restores."""
        pages = (
            self.aws.client("dynamodb", self.region, self.account)
            .get_paginator("query")
            .paginate(
                TableName=self.outputs["StateTableName"],
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": "restore-open"}},
                ConsistentRead=True,
            )
        )
        return {item["version"]["S"] for page in pages for item in page["Items"]}

    def instance(self, instance_id: str) -> dict[str, Any]:
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        found: dict[str, Any] = reservation["Instances"][0]
        return found

    def power(self, instance_id: str) -> str:
        state: str = self.instance(instance_id)["State"]["Name"]
        return state

    def disks(self, instance_id: str) -> dict[str, tuple[str, bool]]:
        """What is attached beside the root volume: by device, the volume's id and its DeleteOnTermination."""
        instance = self.instance(instance_id)
        return {
            item["DeviceName"]: (item["Ebs"]["VolumeId"], item["Ebs"]["DeleteOnTermination"])
            for item in instance["BlockDeviceMappings"]
            if item["DeviceName"] != instance["RootDeviceName"]
        }

    def volumes(self, *filters: tuple[str, str]) -> dict[str, dict[str, Any]]:
        """Volumes by id; a filter is EC2's name of it and a value."""
        wanted = [{"Name": name, "Values": [value]} for name, value in filters]
        pages = self.ec2.get_paginator("describe_volumes").paginate(Filters=wanted)
        return {item["VolumeId"]: item for page in pages for item in page["Volumes"]}

    def volume(self, volume_id: str) -> dict[str, Any]:
        return self.volumes(("volume-id", volume_id))[volume_id]

    def made_by(self, restore: str) -> list[str]:
        """The volumes that a restore made and that are still there."""
        return sorted(self.volumes(("tag:lifeboat:restore", restore)))

    def recovery_point_snapshots(self, *filters: tuple[str, str]) -> list[dict[str, Any]]:
        wanted = [{"Name": name, "Values": [value]} for name, value in filters]
        pages = self.ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["lifeboat:recovery-point"]}, *wanted]
        )
        return [item for page in pages for item in page["Snapshots"]]

    def messages(self) -> list[dict[str, Any]]:
        """All that has been published so far, oldest first, alarms left out."""
        while messages := self.sqs.receive_message(QueueUrl=self._mailbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found = json.loads(message["Body"])
                if "AlarmName" not in found:
                    self._published.append(found)
                self.sqs.delete_message(QueueUrl=self._mailbox, ReceiptHandle=message["ReceiptHandle"])
        return self._published

    def forget_messages(self) -> None:
        """What has been published so far is of an earlier test."""
        self.messages().clear()

    def published_about(self, **subject: str) -> list[dict[str, Any]]:
        """What has been published of a restore, an instance or a recovery point."""
        return [message for message in self.messages() if subject.items() <= message["subject"].items()]

    def failed_events(self) -> list[Any]:
        """What has failed for good, taken off its queue."""
        url, found = self.outputs["FailedEventsUrl"], []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def changes(self, since: int, caller: str = "") -> list[str]:
        """The actions that changed something in EC2 after a mark, in their order; what was only rehearsed left out."""
        calls = self.control.calls(since, service="ec2", caller=caller or None)
        return [
            call["action"]
            for call in calls
            if not call["action"].startswith(("Describe", "Get")) and "DryRun=true" not in call["request"]
        ]

    def denied(self, since: int = 0) -> list[str]:
        """The calls of functions that no policy allowed, in short."""
        return [f"{call['caller']}: {call['service']}:{call['action']}" for call in self.denied_calls(since)]

    def denied_calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The same as they were."""
        return [
            call
            for call in self.control.calls(since, caller="assumed-role")
            if call["error"] in {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError"}
        ]


@dataclass(frozen=True)
class Regions:
    """The stack at home, and the same template in another region."""

    home: Stage
    away: Stage


@contextmanager
def staged(parameters: Mapping[str, str] | None = None, **delays: float) -> Iterator[Stage]:
    """A stage of its own, gone afterwards."""
    with LocalAws({**SETTINGS, "delays": delays}) as aws:
        yield Stage(aws, parameters or {})


def tag_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def id_of(machine: Machine) -> str:
    """The id of the restore that `Stage.restore` asks for by default."""
    return restore_id(machine.instance_id)


def events_of(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    return [message["event"] for message in messages]


def both_attached(calls: Sequence[Mapping[str, Any]], instance_id: str, displaced: str) -> list[set[str]]:
    """The moments at which two data volumes were on an instance, replayed from the API calls in their order.

    A call that was cut, or answered with a server's error, counts as carried out: an attachment is never overlooked.
    """
    on, moments = {displaced}, []
    for call in calls:
        request = call["request"]
        if instance_id not in request or not (call["status"] in {0, 200} or call["error"] == "InternalError"):
            continue
        [volume_id] = [part[9:] for part in request.split("&") if part.startswith("VolumeId=")] or [""]
        if call["action"] == "AttachVolume":
            on.add(volume_id)
        elif call["action"] == "DetachVolume":
            on.discard(volume_id)
        if len(on) > 1:
            moments.append(set(on))
    return moments
