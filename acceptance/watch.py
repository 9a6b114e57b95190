"""The states of the run's instances, volumes, snapshots and images, as polling shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from acceptance.operator import tags_of
from acceptance.recorder import Recorder
from acceptance.state import ROLE, STACK_NAME, TAG, State

EVERY = timedelta(seconds=10)
"""While anything is in a state that passes by itself; a state that lasts less may not be seen."""
AT_REST_EVERY = timedelta(minutes=1)
AT_ONCE, SOON = timedelta(), timedelta(seconds=1)
"""When an event came; when a step made or found something, which was perhaps polled in this second already."""
GONE = "gone"
OF_STACK = "lifeboat:stack"
"""The tag of recovery points that says which stack took them."""
AT_REST = frozenset({"running", "stopped", "terminated", "available", "in-use attached", "completed", "error", GONE})


class Watch:
    """Polls what the run has made, and what Lifeboat has made for it."""

    def __init__(self, ec2: Any, state: State, recorder: Recorder) -> None:
        self._ec2 = ec2
        self._state = state
        self._recorder = recorder
        self._last = recorder.now - AT_REST_EVERY

    def poll(self, every: timedelta | None = None) -> None:
        """Record the states, unless that was done within so much time; of states that are at rest within a minute."""
        now, states = self._recorder.now, self._recorder.states.values()
        at_rest = all(known[-1][0] in AT_REST for known in states)
        if now - self._last < (every if every is not None else AT_REST_EVERY if at_rest else EVERY):
            return
        self._last = now
        found = {resource: (role, state) for resource, role, state in self._observe()}
        for resource, (role, state) in found.items():
            self._recorder.seen(resource, role, state)
        for resource, role in list(self._recorder.roles.items()):
            if resource not in found and self._recorder.states[resource][-1][0] != "terminated":
                self._recorder.seen(resource, role, GONE)

    def _observe(self) -> Iterator[tuple[str, str, str]]:
        mine = [{"Name": f"tag:{TAG}", "Values": [self._state.run]}]
        for reservation in self._ec2.describe_instances(Filters=mine)["Reservations"]:
            for instance in reservation["Instances"]:
                yield instance["InstanceId"], _role(instance), instance["State"]["Name"]
        for volume in self._ec2.describe_volumes(Filters=mine)["Volumes"]:
            attached = [item["State"] for item in volume.get("Attachments", [])]
            yield volume["VolumeId"], self._role_of_volume(volume), " ".join([volume["State"], *attached])
        tagged = [{"Name": "tag-key", "Values": [TAG, OF_STACK]}]
        for snapshot in self._ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]:
            tags = tags_of(snapshot)
            if tags.get(TAG) == self._state.run or tags.get(OF_STACK) == STACK_NAME:
                yield snapshot["SnapshotId"], tags.get(ROLE, "recovery point"), snapshot["State"]
        if "image" in self._state.made:
            for image in self._ec2.describe_images(Owners=["self"], Filters=mine)["Images"]:
                yield image["ImageId"], _role(image), image["State"]

    def _role_of_volume(self, volume: Mapping[str, Any]) -> str:
        """A restored volume has the tags of the one that was saved; volumes of one launch differ by their devices."""
        tags = tags_of(volume)
        if "lifeboat:restore" in tags:
            with_key = tags["lifeboat:restore"] == self._state.made.get("roll back")
            return "volume under the key" if with_key else "restored volume"
        devices = [item["Device"] for item in volume.get("Attachments", [])]
        role = tags.get(ROLE, "?")
        return f"{role} {devices[0]}" if devices and role in ("source", "target", "clone") else role


def _role(resource: Mapping[str, Any]) -> str:
    return tags_of(resource).get(ROLE, "?")
