"""The demo's actors: the local AWS, the stack in one region, an operator's clients, and the machines that are saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from acceptance.narration import Narration
from acceptance.operator import EVENTS, Operator
from local import stack
from local.session import REGION, LocalAws

VENDOR = "055430919509"
MINUTE = timedelta(minutes=1)


class Demo(Operator):
    """One region of the demo: the deployed stack there, and an operator's clients."""

    def __init__(self, aws: LocalAws, narration: Narration, region: str = REGION) -> None:
        here = "" if region == REGION else f"{region}: "
        super().__init__(lambda service: aws.client(service, region), narration, here)
        self.aws = aws
        self.region = region
        self.others: tuple[Demo, ...] = ()
        """The other regions of the demo, whose messages go on the timeline together with this one's."""

    def deploy(self, parameters: Mapping[str, str]) -> None:
        """`sam deploy` of what was built."""
        self.outputs = stack.deploy(self.aws, parameters=parameters, region=self.region)

    def listen(self) -> None:
        """A mailbox on the topic."""
        self.subscribe(self.sqs.create_queue(QueueName="operator")["QueueUrl"])

    def launch(self, image: str, name: str, disks: list[dict[str, Any]], zone: str, **tags: str) -> str:
        """Launch an instance, and wait until it runs."""
        instance_id = self.run_instance(
            image,
            "m5.4xlarge",
            disks,
            {"Name": name, **tags},
            {"Name": f"{name}DataVolume", "team": "forensics"},
            Placement={"AvailabilityZone": zone},
        )
        self.wait_until_running(instance_id, name)
        return instance_id

    def invoke(self, function: str, file: str, replace: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`sam remote invoke` with a file of `events/`, its placeholders filled in."""
        event = {**json.loads((EVENTS / file).read_text()), **(replace or {})}
        answer = stack.invoke_with_sam(self.aws, function, event, region=self.region)
        if answer.error:
            raise RuntimeError(f"{function} failed: {answer.payload}")
        payload: dict[str, Any] = answer.payload
        return payload

    def read_messages(self) -> list[dict[str, Any]]:
        """All messages so far, oldest first; new ones of all regions go on the timeline together."""
        self.place([moment for demo in (self, *self.others) for moment in demo.receive()])
        return self.published

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
