"""Who may read blocks: IAM on each snapshot's ARN, the snapshot's own sharing, and KMS on its key."""

import re
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import new_uuid

from local.emulator import iam
from local.emulator.ebs.answers import EbsError, invalid, not_found
from local.emulator.ec2 import keys
from local.emulator.ec2.model import WORLD, Request, Snapshot, now
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS

SNAPSHOT = re.compile(r"^/snapshots/(?:completion/)?([^/]+)")


def _named(path: str, query: Mapping[str, Any]) -> list[str]:
    found = SNAPSHOT.match(path)
    first = query.get("firstSnapshotId")
    return [*([found[1]] if found else []), *([str(first[0] if isinstance(first, list) else first)] if first else [])]


def checks(action: str, path: str, query: Mapping[str, Any], scope: Scope) -> list[iam.Check]:
    """The questions to IAM, about each snapshot that is named; its ARN has no account (recorded)."""
    found = []
    for snapshot_id in _named(path, query) or ["*"]:
        snapshot = WORLD.region(scope.region).snapshots.get(snapshot_id)
        context: dict[str, Any] = {}
        if snapshot is not None:
            seen = snapshot.tags_seen_by(scope.account)
            context = {f"aws:resourcetag/{key}".lower(): value for key, value in seen.items()}
            context[iam.RESOURCE_ACCOUNT] = snapshot.owner
        found.append(iam.Check(action, f"arn:aws:ec2:{scope.region}::snapshot/{snapshot_id}", context))
    return found


def readable(request: Request, *snapshot_ids: str) -> list[Snapshot]:
    """The snapshots, if their blocks can be read at all.

    Raises:
        EbsError: SNAPSHOT_NOT_FOUND, INVALID_SNAPSHOT_ID.
    """
    found = [request.region.snapshots.get(snapshot_id) for snapshot_id in snapshot_ids]
    seen = [snapshot for snapshot in found if snapshot and snapshot.readable_by(request.account)]
    if any("all" in snapshot.groups and snapshot.owner != request.account for snapshot in seen):
        raise invalid("INVALID_SNAPSHOT_ID", "Public snapshots are not supported")
    ready = [snapshot for snapshot in seen if _ready(snapshot)]
    if len(ready) < len(snapshot_ids):
        raise not_found(*snapshot_ids)
    return ready


def _ready(snapshot: Snapshot) -> bool:
    """Completed, for a while, and not archived. An archived one is documented as not readable, its error is not."""
    if snapshot.state != "completed" or snapshot.completion_time is None or snapshot.storage_tier != "standard":
        return False
    return (now() - snapshot.completion_time).total_seconds() >= SETTINGS.delays.readable


def check_key(request: Request, snapshot: Snapshot, *, to_read: bool) -> None:
    """KMS's say on an encrypted snapshot.

    The list asks for DescribeKey only, and of another account's snapshot for Decrypt as well; a block for both. What is
    not allowed looks like a key that does not exist. A disabled key is refused when a block is read (all recorded).

    Raises:
        EbsError: DEPENDENCY_RESOURCE_NOT_FOUND, INVALID_DEPENDENCY_REQUEST.
    """
    key = snapshot.kms_key_id
    if not key:
        return
    unusable = keys.why_unusable(request.scope, request.region, key)
    actions = ["kms:DescribeKey"]
    if to_read or snapshot.owner != request.account:
        actions.append("kms:Decrypt")
    if unusable.endswith("does not exist.") or any(_forbidden(request, snapshot, action) for action in actions):
        raise EbsError("ResourceNotFoundException", "KMS key not found.", "DEPENDENCY_RESOURCE_NOT_FOUND")
    if unusable and "kms:Decrypt" in actions:
        kind = "DisabledException" if unusable.endswith("is disabled.") else "KMSInvalidStateException"
        raise invalid(
            "INVALID_DEPENDENCY_REQUEST",
            f"Invalid parameters for a dependent service: com.amazonaws.services.kms.model.{kind}: {unusable} "
            f"(Service: AWSKMS; Status Code: 400; Error Code: {kind}; Request ID: {new_uuid()}; Proxy: null)",
        )


def _forbidden(request: Request, snapshot: Snapshot, action: str) -> str:
    """In words why the caller may not do this with the key. A snapshot's data key is its volume's, a copy's its own."""
    copied = snapshot.volume_id.startswith("vol-ffffffff")
    data_key_of = snapshot.snapshot_id if copied else snapshot.volume_id
    more = {"kms:encryptioncontext:aws:ebs:id": data_key_of} if action == "kms:Decrypt" else {}
    return keys.why_forbidden(request, snapshot.kms_key_id, (action,), more)
