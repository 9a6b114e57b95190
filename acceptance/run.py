"""A run: an operator with the clock of AWS, who makes each thing once, however often the run is interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from acceptance.narration import Narration
from acceptance.operator import EVENTS, Operator, tags_of
from acceptance.recorder import Recorder
from acceptance.state import ROLE, TAG, State
from acceptance.watch import AT_ONCE, SOON, Watch

POLL_SECONDS = 10
"""How long one poll waits for a message: as long as states pass unseen at most."""
MADE_WITHIN = timedelta(minutes=20)


def _there(seen: Callable[[], Any]) -> Any:
    """What `seen` gives. EC2 may not find for a moment what it has just made."""
    try:
        return seen()
    except IndexError:  # an empty list of what was named
        return None
    except ClientError as refusal:
        if refusal.response["Error"]["Code"].endswith(".NotFound"):
            return None
        raise


class Run(Operator):
    """One run in one account and region.

    Args:
        session: a boto3 session of that account and region. It may have `AWS_ENDPOINT_URL` in its environment.
    """

    def __init__(self, session: Any, state: State, recorder: Recorder, narration: Narration) -> None:
        clients: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in clients:
                clients[service] = session.client(service, region_name=state.region)
            return clients[service]

        super().__init__(client, narration)
        self.session = session
        self.state = state
        self.recorder = recorder
        self.watch = Watch(self.ec2, state, recorder)
        self.outputs = state.facts.get("outputs", {})
        self.mailbox = state.made.get("queue", "")
        self.published = state.facts.setdefault("published", [])

    # --- making each thing once

    def make(self, role: str, create: Callable[[str], str], find: Callable[[str], str | None]) -> str:
        """The id of a resource: kept, found by its tags if an earlier attempt was cut off, or made now.

        Args:
            create: makes it with a client token or a name, and returns its id.
            find: finds one by its role.
        """
        if role in self.state.made:
            return self.state.made[role]
        found = find(role) if role in self.state.intended else None
        self.state.intend(role)
        made = found or create(f"{self.state.run}-{role.replace(' ', '-')}")
        self.state.keep(role, made)
        self.watch.poll(SOON)
        return made

    def find_instance(self, role: str) -> str | None:
        found = self.ec2.describe_instances(Filters=self._tagged(role))["Reservations"]
        live = [item for group in found for item in group["Instances"] if item["State"]["Name"] != "terminated"]
        return live[0]["InstanceId"] if live else None

    def find_volume(self, role: str) -> str | None:
        found = self.ec2.describe_volumes(Filters=self._tagged(role))["Volumes"]
        return next((item["VolumeId"] for item in found if "lifeboat:restore" not in tags_of(item)), None)

    def find_snapshot(self, role: str) -> str | None:
        found = self.ec2.describe_snapshots(OwnerIds=["self"], Filters=self._tagged(role))["Snapshots"]
        return found[0]["SnapshotId"] if found else None

    def find_image(self, role: str) -> str | None:
        found = self.ec2.describe_images(Owners=["self"], Filters=self._tagged(role))["Images"]
        return found[0]["ImageId"] if found else None

    def _tagged(self, role: str) -> list[dict[str, Any]]:
        return [
            {"Name": f"tag:{TAG}", "Values": [self.state.run]},
            {"Name": f"tag:{ROLE}", "Values": [role]},
        ]

    # --- waiting, by the queue: it ends early when a message is there, on any clock that AWS has

    def wait_for(self, what: str, seen: Callable[[], Any], within: timedelta = MADE_WITHIN) -> Any:
        """Poll until `seen` gives something; None if it has not within so much of AWS's time."""
        self.narration.waiting(what)
        end = self.recorder.now + within
        while not (found := _there(seen)):
            if self.recorder.now >= end:
                self.narration.add("acceptance", f"waited {within} in vain for: {what}")
                return None
            self.listen(POLL_SECONDS)
        self.watch.poll(SOON)
        return found

    def must(self, what: str, seen: Callable[[], Any], within: timedelta = MADE_WITHIN) -> Any:
        """The same, and without it nothing goes on. Raises RuntimeError."""
        found = self.wait_for(what, seen, within)
        if not found:
            raise RuntimeError(f"it did not come about within {within}: {what}")
        return found

    def listen(self, seconds: int) -> None:
        """Take what came on the queue, waiting for it; then see in which states everything is."""
        answer = self.sqs.receive_message(QueueUrl=self.mailbox, MaxNumberOfMessages=10, WaitTimeSeconds=seconds)
        moments = []
        for message in answer.get("Messages", []):
            found = json.loads(message["Body"])
            if "detail-type" in found:
                self.recorder.delivered(found)
            else:
                moments.append(self.keep(found))
                self.state.save()
            self.sqs.delete_message(QueueUrl=self.mailbox, ReceiptHandle=message["ReceiptHandle"])
        self.place(moments)
        self.watch.poll(AT_ONCE if answer.get("Messages") else None)

    def read_messages(self) -> list[dict[str, Any]]:
        """All messages so far; whoever waits takes the new ones from the queue."""
        return self.published

    # --- asking functions

    def invoke(self, function: str, file: str, replace: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As the guide's `sam remote invoke` does.

        Raises:
            RuntimeError: the function failed.
        """
        event = {**json.loads((EVENTS / file).read_text()), **(replace or {})}
        answer = self.client("lambda").invoke(FunctionName=self.outputs[function], Payload=json.dumps(event))
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise RuntimeError(f"{function} failed: {payload}")
        return payload
