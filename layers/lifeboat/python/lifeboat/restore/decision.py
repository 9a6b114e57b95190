"""What the state machine observes, and what it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lifeboat.domain.ec2 import Instance, Snapshot, Volume
from lifeboat.domain.ec2_calls import Change
from lifeboat.restore.record import Restore, RestoreState


@dataclass(frozen=True, slots=True)
class Observed:
    """How things stand now. `volumes`: the displaced and the restored ones and every one tagged with the restore.

    `instance` is None when EC2 does not show it. `status_checks`: ok, initializing, impaired or unknown. `copies`: our
    snapshots here that are copies of what the restore fetches, by id, as long as it does.
    """

    instance: Instance | None
    volumes: Mapping[str, Volume]
    status_checks: str = "unknown"
    copies: Mapping[str, Snapshot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requeue:
    """Nothing to do now. `look_again`: EC2 finishes within seconds what is waited for."""

    reason: str
    check_soon: bool = False


@dataclass(frozen=True, slots=True)
class Complete:
    """Tell the outcome. With `closes` the restore has ended; without, it has failed and goes on trying.

    An end is told before it is recorded, a failure after: the record says until then that it has to be told.
    """

    outcome: RestoreState
    closes: bool = True


type Action = Change | Requeue | Complete


@dataclass(frozen=True, slots=True)
class Step:
    """One decision. `restore` is the record to save before the action is carried out.

    `restore` is the very record that was given when there is nothing to save.
    """

    action: Action
    restore: Restore
    reason: str
