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
GONE = "gone"
AT_REST = frozenset({"running", "stopped", "terminated", "available", "in-use attached", "completed", "error", GONE})


class Watch:
    """Polls what the run has made, and what Lifeboat has made for it."""

    def __init__(self, ec2: Any, state: State, recorder: Recorder) -> None:
        self._ec2 = ec2
        self._state = state
        self._recorder = recorder
        self._last = recorder.now - AT_REST_EVERY

    def poll(self, *, at_once: bool = False) -> None:
        """Record the states, unless all are at rest and were polled within a minute.

        Args:
            at_once: something has happened, or is about to.
        """
        now, states = self._recorder.now, self._recorder.states.values()
        at_rest = all(states[-1][0] in AT_REST for states in states)
        if not at_once and now - self._last < (AT_REST_EVERY if at_rest else EVERY):
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
        of_stack = [{"Name": "tag:lifeboat:stack", "Values": [STACK_NAME]}]
        for filters, role in ((mine, ""), (of_stack, "recovery point")):
            for snapshot in self._ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]:
                yield snapshot["SnapshotId"], role or _role(snapshot), snapshot["State"]
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
