"""How many calls of the EBS direct APIs are granted in a second; only while throttling is switched on.

https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html. That a second's calls may come at once is not
documented, nor which reason a snapshot's own quota has.
"""

from local.emulator import throttle
from local.emulator.ebs.answers import EbsError
from local.emulator.scope import Scope

LISTS = throttle.Limit(50, 50)
BLOCKS_OF_SNAPSHOT = throttle.Limit(1_000, 1_000)
BLOCKS_OF_ACCOUNT = throttle.Limit(1_000, 1_000)
BLOCKS_IN_LARGE_REGION = throttle.Limit(5_000, 5_000)
LARGE_REGIONS = ("us-east-1", "us-east-2", "us-west-2", "ap-southeast-1", "eu-west-1")


def take(scope: Scope, operation: str, snapshot_id: str) -> None:
    """Count a call.

    Raises:
        EbsError: RequestThrottledException.
    """
    if operation in ("GetSnapshotBlock", "PutSnapshotBlock"):
        of_account = BLOCKS_IN_LARGE_REGION if scope.region in LARGE_REGIONS else BLOCKS_OF_ACCOUNT
        _take(scope, f"{operation} of {snapshot_id}", BLOCKS_OF_SNAPSHOT, "RESOURCE_LEVEL_THROTTLE")
        _take(scope, operation, of_account, "ACCOUNT_THROTTLED")
    elif operation.startswith("List"):
        _take(scope, operation, LISTS, "ACCOUNT_THROTTLED")


def _take(scope: Scope, name: str, limit: throttle.Limit, reason: str) -> None:
    if throttle.empty(scope, name, limit):
        raise EbsError("RequestThrottledException", "The request was denied due to request throttling.", reason)
