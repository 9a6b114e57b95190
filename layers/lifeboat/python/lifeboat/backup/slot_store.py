"""Settled: whether a slot's recovery points are all decided, so that a slot is dealt with once, not per instance.

Each of ten thousand BackupCompleted of one slot would otherwise look at ten thousand recovery points.
"""

from __future__ import annotations

from lifeboat.aws.invocation import Invocation
from lifeboat.backup import store as backups
from lifeboat.domain.recovery_point_tags import slot_prefix


def others_are_open(completed: str | None, invocation: Invocation) -> bool:
    """Whether other recovery points of the same slot are still being made; their own completion wakes us again.

    Each is noted as good before it is told so. So whatever order the messages come in, the last one finds none open.
    When a slot's last one fails, nobody is woken by it: the daily run, or the sweep, does what is left.
    """
    prefix = slot_prefix(completed) if completed else None
    return prefix is not None and backups.undecided_beside(invocation.config.table, str(completed), prefix)
