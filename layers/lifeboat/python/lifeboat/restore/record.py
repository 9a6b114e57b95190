"""A restore as the table keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.ec2_calls import CopySnapshot
from lifeboat.domain.tags import Tags


class RestoreState(StrEnum):
    """The state of a restore. Lifeboat may still retry a FAILED one: `Restore.closed` says whether it does."""

    OPEN = "open"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class Direction(StrEnum):
    """Where a restore is going. It changes at most once, from FORWARD to ROLLBACK."""

    FORWARD = "forward"
    ROLLBACK = "rollback"


class RestoreStep(StrEnum):
    """What a restore is doing. Both directions use the same steps."""

    COPIES = "copies"  # copies from another region or account; nothing has been changed
    VOLUMES = "volumes"  # new volumes; nothing else has been changed
    STOP = "stop"
    DETACH = "detach"
    ATTACH = "attach"  # the DeleteOnTermination flags included
    START = "start"
    VERIFY = "verify"  # the instance keeps running, and its status checks pass
    CLEAN_UP = "clean-up"  # delete what the restore made and does not need
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of what a restore did."""

    at: datetime
    step: RestoreStep
    text: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """The copy to create a volume from, where its snapshot is only in another region or account.

    `call` starts the copy. `copy_id` is known once EC2 has shown the copy, which another caller may have started.
    `asked_at` is when this restore last called, and `not_before` when it may call again.
    """

    call: CopySnapshot
    copy_id: str | None = None
    asked_at: datetime | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class RestoreVolume:
    """One volume of a restore: what to create, at which device, and what it displaces.

    `size` is in GiB, `throughput` and `initialization_rate` in MiB/s. `snapshot_id` is the snapshot that `fetch`
    copies until the copy is known, then the copy. `displaced_volume_id` is None when the device was free.
    `displaced_delete_on_termination` is the flag that the displaced volume had and the restored one gets.
    `restored_volume_id` is known once EC2 has shown the volume. `asked_at` is the last call of CreateVolume.
    `tags_left_out` counts the tags of the backed-up volume that the new one does not get, and `left_out` has their
    keys as far as they are known.
    """

    snapshot_id: str
    device: str
    zone: str
    type: str
    size: int
    encrypted: bool
    lineage: str
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    initialization_rate: int | None = None
    tags: Tags = field(default_factory=dict)
    displaced_volume_id: str | None = None
    displaced_delete_on_termination: bool = False
    restored_volume_id: str | None = None
    asked_at: datetime | None = None
    fetch: Fetch | None = None
    tags_left_out: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptVolume:
    """A volume that the restore made and does not delete, and why."""

    volume_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore as the table keeps it. `version` counts conditional writes.

    * `touched`: the instance may have been changed. Before that, a roll-back only deletes what the restore made.
    * `was_running`: the power state just before the first change. A roll-back restores it.
    * `start`: True and False decide whether the instance runs in the end, None leaves it as it was.
    * `launched_at`: the launch time before the first change. A later one reveals a start that was not observed.
    * `started_on_restored`: the instance was started with a restored volume. From then on none is deleted.
    * `starts`: the starts that EC2 accepted in this direction.
    * `asked`, `asked_at`: the last action, saved before the call.
    * `refused`: EC2's words about that action, if it refused it for a temporary reason.
    * `failure`: why the restore rolled back. `blocked`: why the roll-back cannot finish.
    * `cancelled_by`, `cancel_reason`: who cancelled it, and why; `cancelled_by` is None unless a person did.
    * `closed`: Lifeboat does nothing more, and the instance is free for another restore.
    * `source_instance_id`, `source_name`: whose data it is, the Name as a snapshot's tag records it.
    * `plan`: the pre-flight's plan in words.
    * `start_published`, `failure_published`: RestoreStarted, and RestoreFailed, were published.
    * `tags_left`: EC2 refused to remove the tags of a displaced volume.
    * `stop_takes`: what a stop removes permanently, one phrase each. `stopped`: the stop has happened.
    """

    id: str
    request_id: str
    instance_id: str
    recovery_point_id: str
    volumes: tuple[RestoreVolume, ...]
    started_at: datetime
    step_since: datetime
    status: RestoreState = RestoreState.OPEN
    direction: Direction = Direction.FORWARD
    step: RestoreStep = RestoreStep.VOLUMES
    version: int = 0
    was_running: bool = False
    start: bool | None = None
    requested_by: str = ""
    reason: str = ""
    ami_override: str | None = None
    touched: bool = False
    launched_at: datetime | None = None
    started_on_restored: bool = False
    starts: int = 0
    asked: str = ""
    asked_at: datetime | None = None
    failure: str | None = None
    blocked: str | None = None
    tags_left: bool = False
    kept: tuple[KeptVolume, ...] = ()
    closed: bool = False
    source_instance_id: str = ""
    source_name: str = ""
    crossed: tuple[str, ...] = ()
    cloudformation_stack: str | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    plan: str = ""
    start_published: bool = False
    failure_published: bool = False
    refused: str = ""
    stop_takes: tuple[str, ...] = ()
    stopped: bool = False
    cancelled_by: str | None = None
    cancel_reason: str = ""

    @property
    def taken(self) -> tuple[str, ...]:
        """What the stop of the instance has removed permanently, one phrase each."""
        return self.stop_takes if self.stopped else ()

    @property
    def shall_run(self) -> bool:
        """Whether the instance runs after a completed restore."""
        return self.was_running if self.start is None else self.start
