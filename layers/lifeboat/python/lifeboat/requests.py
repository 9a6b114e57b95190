"""What the doors are asked for: EARS make these from envelopes, chains carry them out. Nouns only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lifeboat.model import Portion, VolumeFacts


class Trigger(StrEnum):
    """Who woke the function."""

    SCHEDULE = "schedule"
    EVENT = "event"
    SWEEP = "sweep"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """Make recovery points. `slot` is the schedule's due time, None by hand; no `instance_ids` means all selected.

    `late`: the catch-up asks, after the slot's own run had its time. `request_id` tells requests by hand apart.
    `retried`: Lambda tries again what fails.
    """

    trigger: Trigger
    slot: datetime | None = None
    instance_ids: tuple[str, ...] = ()
    dry_run: bool = False
    late: bool = False
    request_id: str = ""
    retried: bool = True


@dataclass(frozen=True, slots=True)
class CatchUpRequest:
    """Make the recovery points of the newest slot that its own run has left missing past the grace."""


@dataclass(frozen=True, slots=True)
class PortionRequest:
    """Take a portion of a run that was handed out. `attempt` counts from 1; with `receipt` the message is held back."""

    portion: Portion
    message_id: str
    receipt: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """Look at the recovery points of these snapshots, or with `sweep` at all open ones."""

    snapshot_ids: tuple[str, ...] = ()
    sweep: bool = False


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """Go on with the copies to other regions; with `retry` at once, those that were given up included.

    `completed` is the recovery point whose completion woke it, `ended` are the copies whose end did.
    """

    retry: bool = False
    completed: str | None = None
    ended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Let go what no rule keeps; with `dry_run` only say what that would be.

    `completed` is the recovery point whose completion woke it. `request_id` tells requests by hand apart.
    """

    trigger: Trigger
    dry_run: bool = False
    completed: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """Make existing snapshots recovery points: those of a volume, or those with a tag (key, value): one of the two.

    `facts` are of that volume, where EC2 cannot tell them. Without `confirm` it is only said what that would be.
    """

    volume_id: str | None = None
    tag: tuple[str, str] | None = None
    facts: VolumeFacts = field(default_factory=VolumeFacts)
    confirm: bool = False
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Tell what came of a run by hand."""

    run_id: str


@dataclass(frozen=True, slots=True)
class HandedOver[Request]:
    """Carry out a run by hand that another invocation, which a person waits for, has handed over by its `lease`."""

    run_id: str
    lease: str
    request: Request


@dataclass(frozen=True, slots=True)
class AdvanceRequest:
    """Move on the restores that these belong to, or with `sweep` all open ones. `copy_ids` are snapshots' copies."""

    volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    copy_ids: tuple[str, ...] = ()
    sweep: bool = False


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Judge the images of these instances; none means all selected."""

    trigger: Trigger
    instance_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelRestore:
    """Roll back what has not been committed."""

    restore_id: str
    requested_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RestoreStatus:
    """Tell where a restore stands."""

    restore_id: str
