"""Share every good recovery point with the vault account. Lifeboat never withdraws a permission that it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifeboat.aws import ec2_snapshots, sharing
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.copies import messages
from lifeboat.copies.vault import MOST_SHARED, to_share
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.recovery_point import RecoveryPoint

if TYPE_CHECKING:
    from collections.abc import Sequence


SNAPSHOTS_TO_SHARE = 10_000
"""The most snapshots that one run observes: some 50 MB of the function's memory. With more it shares nothing."""


def share_all(invocation: Invocation) -> dict[str, Any]:
    """Share the snapshots that the vault does not see yet, at most MOST_SHARED; the next reconcile run continues.

    SharingFailed is published once for a recovery point when EC2 refuses one of its snapshots. The vault begins no copy
    of it, because it copies complete recovery points only. Raises AwsError when EC2 shows nothing, and TooMany.
    """
    account = invocation.config.vault_account
    points = read_catalogue(
        ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, {}, most=SNAPSHOTS_TO_SHARE)
    ).points
    shared: list[str] = []
    failed: dict[str, str] = {}
    room = MOST_SHARED
    for point, ids in to_share(points, sharing.shared_with(account, invocation.config.stack), invocation.config.stack):
        if room <= 0:
            break
        room -= len(ids)
        for snapshot_id in ids:
            try:
                sharing.share(snapshot_id, account)
            except AwsError as problem:
                if problem.throttled:
                    return {"shared": shared, "failed": failed}
                if problem.answered:
                    failed[point.id] = f"ModifySnapshotAttribute of {snapshot_id}: {problem}"
                    _publish(point, ids, failed[point.id], invocation)
                break
            shared.append(snapshot_id)
    return {"shared": shared, "failed": failed}


def _publish(point: RecoveryPoint, ids: Sequence[str], reason: str, invocation: Invocation) -> None:
    message = messages.sharing_failed(
        **invocation.stamp(),
        point=point,
        account=invocation.config.vault_account,
        reason=reason,
        snapshot_ids=ids,
    )
    invocation.publish_once("published-not-shared", f"{invocation.config.vault_account}/{point.id}", message)
