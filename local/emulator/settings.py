"""What can be tuned while the emulator runs: how long EC2 takes, and what it says beside the documented minimum.

The defaults are for a person who waits: quick. On a simulated clock waiting costs nothing, so everything takes as long
as in AWS (`as_in_aws`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


class SettingsError(ValueError):
    """A setting that does not exist or has the wrong type."""


@dataclass
class Delays:
    """Seconds that EC2 takes for what it answers at once and finishes later; infinite until a request finishes it.

    Attributes:
        snapshot: pending to completed.
        copy: the same for CopySnapshot.
        volume: creating to available.
        initialize: from the creation of a volume to its event that all blocks of its snapshot have arrived.
        delete: a volume's deleting to gone.
        attach: attaching to attached.
        detach: detaching to detached, and the volume available.
        start: pending to running, after RunInstances as after StartInstances.
        stop: stopping to stopped.
        terminate: shutting-down to terminated.
        status: the instance status checks, initializing to ok, counted from running.
        image: CreateImage and CopyImage, pending to available.
        readable: a snapshot's completed to readable by the EBS direct APIs; nothing is under way meanwhile.
        event: from a change of state to its event on the bus.
    """

    snapshot: float = 2.0
    copy: float = 2.0
    volume: float = 1.0
    initialize: float = 2.0
    delete: float = 0.5
    attach: float = 0.5
    detach: float = 0.5
    start: float = 1.0
    stop: float = 1.0
    terminate: float = 1.0
    status: float = 2.0
    image: float = 2.0
    readable: float = 0.0
    event: float = 0.0


@dataclass
class Settings:
    """Everything that `POST /_local/settings` may change.

    Attributes:
        delays: see `Delays`.
        per_volume_events: whether CreateSnapshots sends, beside the one event of the set, an event for each snapshot.
            AWS does not say; both must be survived, so the default is the more demanding one.
        multi_volume_events: whether CreateSnapshots sends the one event of the set.
        busy_detach: whether detaching from a running instance hangs in `busy`, as it does while the file system is
            mounted; only Force or stopping the instance ends it.
        retry_seconds: the seconds between an asynchronous invocation and its first retry; the second waits twice as
            long. AWS: 60.
        schedules_fire: whether due schedules fire by themselves; off, only `schedules/fire` fires them.
        waits_end: whether the waits of Step Functions end; off, an execution that has to wait waits for ever.
        schedule_check_seconds: how often due schedules are checked; a simulated clock stops at each by itself.
        alarm_seconds: how often alarms are evaluated.
        snapshot_limits: whether EBS refuses a sixth snapshot of a volume at once, and two within 15 seconds.
        empty_pages: whether the first page of every Describe that has a page size is empty and has a NextToken, as any
            page may be.
        stuck_seconds: seconds of the machine's clock in which nothing runs and nothing could run, and after which what
            is under way all the same is said to be stuck.
        bad_key_leaves_error: whether a volume whose key may not be used stays, in the state `error`, as documented;
            else it vanishes, as it does on AWS.
        throttling: whether EC2's API token buckets apply.
        throttle_speed: how many times faster than in AWS the buckets refill.
    """

    delays: Delays = field(default_factory=Delays)
    per_volume_events: bool = True
    multi_volume_events: bool = True
    busy_detach: bool = False
    retry_seconds: float = 1.0
    schedules_fire: bool = True
    waits_end: bool = True
    schedule_check_seconds: float = 0.5
    alarm_seconds: float = 1.0
    snapshot_limits: bool = False
    empty_pages: bool = False
    stuck_seconds: float = 20.0
    bad_key_leaves_error: bool = False
    throttling: bool = False
    throttle_speed: float = 1.0

    def as_in_aws(self) -> None:
        """Let everything take as long as in AWS."""
        self.update(AS_IN_AWS)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Apply changes, all or none.

        Raises:
            SettingsError: an unknown name or a value of the wrong type.
        """
        plain = {name: value for name, value in changes.items() if name != "delays"}
        delays = changes.get("delays", {})
        _check(self, plain)
        _check(self.delays, delays)
        for name, value in plain.items():
            setattr(self, name, value)
        for name, value in delays.items():
            setattr(self.delays, name, float(value))


def _check(target: object, changes: Mapping[str, Any]) -> None:
    known = {field_.name for field_ in fields(target)}  # type: ignore[arg-type]
    for name, value in changes.items():
        if name not in known:
            raise SettingsError(f"there is no setting {name!r}; there are {', '.join(sorted(known))}")
        expected = bool if isinstance(getattr(target, name), bool) else (int, float)
        if not isinstance(value, expected) or (expected is not bool and isinstance(value, bool)):
            raise SettingsError(f"{name} cannot be {value!r}")


AS_IN_AWS: Mapping[str, Any] = {
    "delays": {
        "snapshot": 90,
        "copy": 180,
        "volume": 8,
        "initialize": 70,
        "delete": 1,
        "attach": 3,
        "detach": 5,
        "start": 15,
        "stop": 30,
        "terminate": 30,
        "status": 120,
        "image": 120,
        "readable": 60,
        "event": 1,
    },
    "retry_seconds": 60,
    "alarm_seconds": 60,
}

SETTINGS = Settings()
"""The settings of this process."""
