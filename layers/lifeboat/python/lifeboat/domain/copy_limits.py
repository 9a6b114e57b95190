"""Limits of EC2's on copies of snapshots."""

from __future__ import annotations

from math import ceil

TOO_MANY = "ResourceLimitExceeded"
"""EC2's word when it makes as many already: somebody has begun some since we looked."""


COMPLETION_STEP = 15
"""Minutes; a time-based copy is asked for in steps of it, the least one included (API reference of CopySnapshot)."""


MOST_COMPLETION = 2880
"""Minutes that a time-based copy may take at most."""


MIB_A_MINUTE = 500 * 60
"""How much of one time-based copy EC2 transfers at most
(https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html)."""


def completion_minutes(asked: int, gib: int) -> int:
    """The minutes to ask for a snapshot of a volume of so many GiB: what is wanted, or the least that EC2 does it in.

    The snapshot may hold less than the volume, and could then be there sooner; EC2 refuses what it cannot do.
    """
    if not asked:
        return 0
    least = ceil(gib * 1024 / MIB_A_MINUTE / COMPLETION_STEP) * COMPLETION_STEP
    return min(max(asked, least), MOST_COMPLETION)
