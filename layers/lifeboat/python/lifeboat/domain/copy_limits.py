"""EC2's limits on copies of snapshots."""

from __future__ import annotations

from math import ceil

TOO_MANY = "ResourceLimitExceeded"
"""EC2's error code when the limit of concurrent copies is reached."""


COMPLETION_STEP = 15
"""Minutes: a time-based copy takes a multiple of this, and at least this (API reference of CopySnapshot)."""


MOST_COMPLETION = 2880
"""Most minutes of a time-based copy."""


MIB_A_MINUTE = 500 * 60
"""Most MiB of one time-based copy that EC2 transfers in a minute
(https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html)."""


def completion_minutes(asked: int, gib: int) -> int:
    """The minutes to request for a copy of a volume of `gib` GiB: `asked`, or the least that EC2 accepts.

    A snapshot may hold less than the volume and could be copied sooner, but EC2 refuses a duration that is too short.
    """
    if not asked:
        return 0
    least = ceil(gib * 1024 / MIB_A_MINUTE / COMPLETION_STEP) * COMPLETION_STEP
    return min(max(asked, least), MOST_COMPLETION)
