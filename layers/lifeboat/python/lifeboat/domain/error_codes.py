"""EC2's error codes that are known here, by what they mean for whoever asked.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"})
"""Too many calls. The call was not carried out."""

NOT_ALLOWED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"})
"""A right is missing."""

BAD_VALUES = frozenset(
    {"InvalidParameterValue", "InvalidParameterCombination", "InvalidParameterDependency", "InvalidParameter"}
)
"""A value of the call is refused. CreateVolume and CopySnapshot say so before any right and before DryRun (recorded
from a live account)."""

CAPACITY = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacity",
        "InsufficientCapacityOnHost",
        "InsufficientReservedInstanceCapacity",
        "InsufficientVolumeCapacity",
        "Server.InsufficientInstanceCapacity",
    }
)
"""EC2 has no room now, and may have in a minute."""

SNAPSHOT_LIMITS = frozenset(
    {
        "SnapshotCreationPerVolumeRateExceeded",
        "ConcurrentSnapshotLimitExceeded",
        "PendingSnapshotLimitExceeded",
    }
)
"""Too many snapshots at once, of one volume or in all. The first passes after 15 seconds, the others as soon as
snapshots that are pending are completed."""

NOT_NOW = frozenset(
    {
        "IncorrectState",
        "IncorrectInstanceState",
        "InvalidAttachment.NotFound",
        "VolumeInUse",
        "ConcurrentTagAccess",
        "InternalError",
        "InternalFailure",
        "ServiceUnavailable",
        "Unavailable",
    }
)
"""Already done, or not yet possible: look again."""

TRANSIENT = THROTTLED | CAPACITY | SNAPSHOT_LIMITS | NOT_NOW
"""The same call may be granted in a while, without anybody's doing."""

NOT_SUBSCRIBED = "OptInRequired"
"""What carries a Marketplace product's code is attached only while the account is subscribed to the product
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html)."""

MISMATCH = "IdempotentParameterMismatch"
"""The ClientToken was used before. For a call that says the same again: what it made then is gone."""
