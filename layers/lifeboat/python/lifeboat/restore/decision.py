"""What the state machine observes, and what it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lifeboat.domain.ec2 import Instance, Snapshot, Volume
from lifeboat.domain.ec2_calls import Change
from lifeboat.restore.record import Restore, RestoreState


@dataclass(frozen=True, slots=True)
class Observed:
    """What EC2 shows now. `volumes`: the displaced and restored ones and every one tagged with the restore, by id.

    `instance` is None when EC2 does not show it. `status_checks`: ok, initializing, impaired or unknown. `copies`: our
    copies of the restore's snapshots in this region, by id, observed only in step `copies`.
    """

    instance: Instance | None
    volumes: Mapping[str, Volume]
    status_checks: str = "unknown"
    copies: Mapping[str, Snapshot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requeue:
    """Nothing to do now. `check_soon`: EC2 finishes within seconds what the restore waits for.

    `again_at`: when to observe again at the latest, because no event of EC2 says that the wait is over.
    """

    reason: str
    check_soon: bool = False
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """Publish the outcome. With `closes` the restore has ended. Without, its roll-back has failed and is retried.

    An end is published before it is recorded. A failure is recorded first, and the record says that it is unpublished.
    """

    outcome: RestoreState
    closes: bool = True


type Action = Change | Requeue | Complete


@dataclass(frozen=True, slots=True)
class Step:
    """One decision. `restore` is the record to save before the action.

    When there is nothing to save, it is the same object that `next_step` got.
    """

    action: Action
    restore: Restore
    reason: str
