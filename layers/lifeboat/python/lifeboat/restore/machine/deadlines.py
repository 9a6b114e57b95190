"""All steps, both directions: how long each may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lifeboat.restore.record import RestoreStep

CLOCK_SKEW = timedelta(seconds=5)
"""The largest difference between EC2's clock and ours."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each step may take before the restore rolls back. `swap` bounds detach and attach, each.

    `window`: how long a started instance must keep running. EC2 accepts a start that fails on a KMS key, and the
    instance falls back to `stopped` (StartInstances, EC2 API reference). `again`: the time between two calls of the
    same action. `settle`: how long EC2 may take to show a new volume or copy.
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
