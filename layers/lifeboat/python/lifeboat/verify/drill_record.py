"""A restore drill as the table keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifeboat.restore.record import RestoreVolume

SUSPECT, FAILED = "suspect", "failed"
"""What may be known of a recovery point that should not be restored, although it can be."""


class DrillState(StrEnum):
    """What a drill is doing. Each state follows the one before it; a postponed drill waits again."""

    WAITING = "waiting"  # for its turn, or for the end of a restore
    CREATING = "creating"  # volumes are created, compared and read
    DELETING = "deleting"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Drill:
    """The rehearsal of one recovery point: all its volumes are created in a zone, compared, read and deleted.

    * `lineage`: the lineage whose newest good recovery point this is. At most one drill of a lineage is open.
    * `run`: the schedule's due time, or the id of the request by hand.
    * `volumes`: as a restore would create them. `restored_volume_id` is known once EC2 has shown the volume.
    * `begun_at`: the first call of CreateVolume. `available_at`: when all volumes were first seen available.
    * `read`: a block of each snapshot was read.
    * `since`: when the state began. `attempt` counts how often it was postponed.
    * `postponed`: why it is to wait again once its volumes are deleted.
    * `failure`: why the drill fails; empty while it may pass. `refused`: EC2's last words that were no failure.
    * `verification`: what was known of the recovery point when the drill was planned.
    * `deletions`: the volumes whose deletion was requested since `deleted_at`.
    """

    id: str
    run: str
    lineage: str
    recovery_point_id: str
    taken_at: datetime
    instance_id: str
    instance_name: str
    lineages: tuple[str, ...]
    zone: str
    volumes: tuple[RestoreVolume, ...]
    requested_at: datetime
    since: datetime
    state: DrillState = DrillState.WAITING
    version: int = 0
    attempt: int = 0
    begun_at: datetime | None = None
    available_at: datetime | None = None
    read: bool = False
    postponed: str = ""
    failure: str = ""
    refused: str = ""
    deletions: tuple[str, ...] = ()
    deleted_at: datetime | None = None
    verification: str = "not proven"

    @property
    def seconds(self) -> float | None:
        """The measured recovery time: from the first call until all volumes were available. None: not reached."""
        if self.begun_at is None or self.available_at is None:
            return None
        return (self.available_at - self.begun_at).total_seconds()

    @property
    def holds_volumes(self) -> bool:
        """Whether it has volumes, or may have."""
        return self.state in {DrillState.CREATING, DrillState.DELETING}
