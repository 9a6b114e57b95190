"""A restore as the table keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.ec2_calls import CopySnapshot
from lifeboat.domain.tags import Tags


class RestoreState(StrEnum):
    """How a restore stands. FAILED may still be worked on: `Restore.closed` says whether it is."""

    OPEN = "open"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class Direction(StrEnum):
    """Where a restore is going. It turns once, and never back."""

    FORWARD = "forward"
    ROLLBACK = "rollback"


class RestoreStep(StrEnum):
    """What a restore is busy with. The same words serve both directions."""

    COPIES = "copies"  # what is only in another region or account is being copied; nothing has been touched
    VOLUMES = "volumes"  # the new volumes are being made; nothing else has been touched
    STOP = "stop"
    DETACH = "detach"
    ATTACH = "attach"  # the DeleteOnTermination flags included
    START = "start"
    VERIFY = "verify"  # it runs; does it stay so, and what do its status checks say?
    CLEAN_UP = "clean-up"  # what the restore made and nobody needs
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a restore's story."""

    at: datetime
    step: RestoreStep
    text: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """The copy that a volume is to be made of, where its snapshot is only elsewhere: `call` is what begins it.

    `copy_id` is known once EC2 has told or shown the copy, which anybody may have begun; `asked_at` is when this
    restore last asked for it, `not_before` when it may again.
    """

    call: CopySnapshot
    copy_id: str | None = None
    asked_at: datetime | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class RestoreVolume:
    """One volume of a restore: what is to be made, where it goes, and what it displaces.

    `snapshot_id` is, until the copy is known, that of the snapshot which `fetch` copies. `displaced_volume_id` is
    None when the device was free. `displaced_delete_on_termination` is the flag that the displaced volume had, and
    that the restored one gets. `restored_volume_id` is known once EC2 has shown the volume; `asked_at` is when
    CreateVolume was last asked for it. `initialization_rate` is MiB/s. `tags_left_out` is how many of the saved
    volume's own tags it does not get, `left_out` the keys of those of them that are known.
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

    `touched`: the instance may have been changed; before that, a roll-back only deletes what was made.
    `was_running`: the instance's power state just before it was touched, which a roll-back gives back.
    `launched_at` is the instance's launch time at that moment: it tells of a start that nobody saw.
    `started_on_restored`: a start was asked, or seen, with a restored volume attached; none is deleted from then on.
    `starts` counts the starts asked in this direction. `asked` and `asked_at` are the last action, noted before it was
    carried out; `refused` is what EC2 said to it, if it refused it for a reason that may pass. `failure` is why it
    turned back, `blocked` why the roll-back cannot finish. `closed`: nothing more will be done, the instance is free
    for another restore. `plan` is what the pre-flight said it would do. `told`: that it has begun has been told;
    `told_failed`: that its roll-back cannot finish has been.
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
    crossed: tuple[str, ...] = ()
    cloudformation_stack: str | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    plan: str = ""
    told: bool = False
    failure_published: bool = False
    refused: str = ""
    stop_takes: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def taken(self) -> tuple[str, ...]:
        """What no roll-back gives back, because the instance was stopped, one phrase each."""
        return self.stop_takes if self.stopped else ()

    @property
    def shall_run(self) -> bool:
        """Whether the instance is to run when the restore has completed."""
        return self.was_running if self.start is None else self.start
