"""EC2's error codes that Lifeboat distinguishes, by what the caller should do.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

BLOCKS_THROTTLED = frozenset(
    {
        "RequestThrottledException",
        "ACCOUNT_THROTTLED",
        "DEPENDENCY_REQUEST_THROTTLED",
        "RESOURCE_LEVEL_THROTTLE",
    }
)
"""Too many calls of the EBS direct APIs: the code, and the reasons that they give instead."""

THROTTLED = BLOCKS_THROTTLED | {
    *("RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"),
    "SlowDown",
}
"""Too many calls. The call was not carried out. SlowDown is S3's, with the status 503
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""

NOT_ALLOWED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"})
"""A permission is missing."""

BAD_VALUES = frozenset(
    {"InvalidParameterValue", "InvalidParameterCombination", "InvalidParameterDependency", "InvalidParameter"}
)
"""EC2 refuses a value of the call. CreateVolume and CopySnapshot check values before permissions and DryRun (recorded
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
"""EC2 has no capacity now, and may have in a minute."""

SNAPSHOT_LIMITS = frozenset(
    {
        "SnapshotCreationPerVolumeRateExceeded",
        "ConcurrentSnapshotLimitExceeded",
        "PendingSnapshotLimitExceeded",
    }
)
"""Too many snapshots of one volume or in all. The first ends after 15 seconds, the others when pending snapshots
complete."""

SNAPSHOT_GONE = frozenset({"InvalidSnapshot.NotFound", "InvalidID"})
"""A snapshot does not exist any more. CreateTags says InvalidID."""

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
"""Already done, or not possible yet: observe again."""

TRANSIENT = THROTTLED | CAPACITY | SNAPSHOT_LIMITS | NOT_NOW
"""The same call may succeed later without a change."""

NOT_SUBSCRIBED = "OptInRequired"
"""A volume with a Marketplace product code cannot be attached, because the account has no subscription to the product
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html)."""

MISMATCH = "IdempotentParameterMismatch"
"""The ClientToken was used before with other parameters. For an identical call: the resource made then is gone."""
