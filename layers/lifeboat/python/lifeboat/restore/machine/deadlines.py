"""How long a restore waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lifeboat.restore.record import (
    RestoreStep,
)

CLOCK_SKEW = timedelta(seconds=5)
"""How far EC2's clock and ours may be apart."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each step may take before the restore turns back; `swap` counts for detach and attach, each.

    `window`: how long a started instance must be seen running, because EC2 accepts a start that fails on a KMS key and
    lets the instance fall back to `stopped` (StartInstances, EC2 API reference). `again`: how long after an action the
    same one may be asked for again. `settle`: how long a volume or a copy that was asked for may stay unseen.
    """

    copies: timedelta = timedelta(hours=24)
    volumes: timedelta = timedelta(hours=1)
    stop: timedelta = timedelta(minutes=15)
    swap: timedelta = timedelta(minutes=10)
    start: timedelta = timedelta(minutes=20)
    verify: timedelta = timedelta(minutes=20)
    window: timedelta = timedelta(minutes=2)
    again: timedelta = timedelta(seconds=15)
    settle: timedelta = timedelta(minutes=2)

    def of(self, step: RestoreStep) -> timedelta:
        """The deadline of one step."""
        return {
            RestoreStep.COPIES: self.copies,
            RestoreStep.VOLUMES: self.volumes,
            RestoreStep.STOP: self.stop,
            RestoreStep.DETACH: self.swap,
            RestoreStep.ATTACH: self.swap,
            RestoreStep.START: self.start,
            RestoreStep.VERIFY: self.verify,
            RestoreStep.CLEAN_UP: self.volumes,
            RestoreStep.DONE: timedelta.max,
        }[step]
