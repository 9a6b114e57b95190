"""Whether all recovery points of a slot are decided, so that a subscriber works once for a slot.

Otherwise each of ten thousand BackupCompleted of one slot would read ten thousand recovery points.
"""

from __future__ import annotations

from lifeboat.aws.invocation import Invocation
from lifeboat.backup import store as backups
from lifeboat.domain.recovery_point_tags import slot_prefix


def others_are_open(completed: str | None, invocation: Invocation) -> bool:
    """Whether other recovery points of the same slot are still being made. Their own completion invokes us again.

    Each is noted as good before BackupCompleted is published. So whatever the order of the messages, the last one
    finds none open. If the last one of a slot fails, no message follows: the daily run or the reconcile run does the
    rest.
    """
    prefix = slot_prefix(completed) if completed else None
    return prefix is not None and backups.undecided_beside(invocation.config.table, str(completed), prefix)
