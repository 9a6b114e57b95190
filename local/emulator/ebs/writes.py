"""The three operations that make a snapshot without a volume: StartSnapshot, PutSnapshotBlock, CompleteSnapshot.

Facts are documented (https://docs.aws.amazon.com/ebs/latest/APIReference/API_Operations.html) unless said otherwise;
local/README.md says what rests on nothing.
"""

import base64
import hashlib
import json
from datetime import UTC
from typing import Any

from local.emulator.ebs import rights
from local.emulator.ebs.answers import Answer, EbsError, invalid, not_found, unfit
from local.emulator.ec2 import keys, notices, snapshots
from local.emulator.ec2.blocks import BLOCK_SIZE, GIB, Block
from local.emulator.ec2.model import LOCK, Request, Snapshot, new_id, now
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

MOST_GIB = 65_536


def start_snapshot(request: Request) -> Answer:
    """A pending snapshot without a block. The same token again: the same snapshot."""
    given = json.loads(request.get("body") or b"{}")
    size = given.get("VolumeSize")
    if not isinstance(size, int) or not 1 <= size <= MOST_GIB:
        raise unfit(size, "volumeSize", "have value greater than or equal to 1")
    if given.get("ParentSnapshotId"):
        raise invalid("INVALID_PARAMETER_VALUE", "The local AWS does not start a snapshot of a parent.")
    known = _known(request, given)
    snapshot = known or _new(request, given)
    if not known:
        request.region.snapshots[snapshot.snapshot_id] = snapshot
        if given.get("ClientToken"):
            token = (request.account, "StartSnapshot", given["ClientToken"])
            request.region.tokens[token] = (_same(given), snapshot.snapshot_id)
    found: dict[str, Any] = {
        "SnapshotId": snapshot.snapshot_id,
        "OwnerId": snapshot.owner,
        "Status": snapshot.state,
        "StartTime": snapshot.start_time.astimezone(UTC).timestamp(),
        "VolumeSize": snapshot.size,
        "BlockSize": BLOCK_SIZE,
        "Description": snapshot.description or None,
        "KmsKeyArn": snapshot.kms_key_id,
        "Tags": [{"Key": key, "Value": value} for key, value in snapshot.tags.items()] or None,
    }
    return 201, {"Content-Type": "application/json"}, json.dumps(found).encode()


def _same(given: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in given.items() if name != "ClientToken"}, sort_keys=True)


def _known(request: Request, given: dict[str, Any]) -> Snapshot | None:
    """What this token has started before."""
    before = request.region.tokens.get((request.account, "StartSnapshot", given.get("ClientToken", "")))
    if before is None:
        return None
    if before[0] != _same(given):
        raise EbsError("ConflictException", "The client token was used with other parameters.")
    snapshot = request.region.snapshots.get(before[1])
    if snapshot is None:
        raise not_found(before[1])
    return snapshot


def _new(request: Request, given: dict[str, Any]) -> Snapshot:
    key = keys.for_new(request, encrypted=given.get("Encrypted"), given=given.get("KmsKeyArn"), inherited=None)
    return Snapshot(
        owner=request.account,
        snapshot_id=new_id("snap"),
        tags={item["Key"]: item["Value"] for item in given.get("Tags") or []},
        volume_id=snapshots.COPIED_VOLUME,
        size=given["VolumeSize"],
        description=given.get("Description") or "",
        encrypted=key is not None,
        kms_key_id=key,
        seconds=SETTINGS.delays.snapshot,
    )


def put_snapshot_block(request: Request) -> Answer:
    """Write a block; a second write of it replaces the first."""
    snapshot = _open(request)
    index, content = int(request.parameters["blockIndex"]), bytes(request.get("body") or b"")
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    if len(content) != BLOCK_SIZE:
        raise invalid("INVALID_PARAMETER_VALUE", f"The block has {len(content)} bytes, expected {BLOCK_SIZE}.")
    if request.get("x-amz-checksum") != checksum:
        raise invalid("INVALID_CONTENT_ENCODING", "The checksum is not that of the block.")
    if not 0 <= index < snapshot.size * GIB // BLOCK_SIZE:
        raise invalid("INVALID_PARAMETER_VALUE", f"The block {index} does not lie within {snapshot.size} GiB.")
    snapshot.blocks[index] = Block.written(content)
    return 201, {"x-amz-Checksum": checksum, "x-amz-Checksum-Algorithm": "SHA256"}, b""


def complete_snapshot(request: Request) -> Answer:
    """Seal it; it is completed some time later, with an event whose source is the snapshot itself (recorded)."""
    snapshot = _open(request)
    changed = int(request.get("x-amz-changedblockscount", -1))
    if changed != len(snapshot.blocks):
        raise invalid("INVALID_PARAMETER_VALUE", f"{changed} changed blocks, and {len(snapshot.blocks)} were written.")
    snapshot.sealed = True

    def completed() -> None:
        with LOCK:
            ended = now()
            snapshots.end(request.scope, snapshot, "completed", ended)
            notices.snapshot_created(request.scope, snapshot, ended, of_itself=True)

    TIMERS.after(SETTINGS.delays.snapshot, completed, f"snapshot {snapshot.snapshot_id}")
    return 202, {"Content-Type": "application/json"}, json.dumps({"Status": "pending"}).encode()


def _open(request: Request) -> Snapshot:
    """The snapshot, which must still take blocks."""
    snapshot_id = request.parameters["snapshotId"]
    snapshot = request.region.snapshots.get(snapshot_id)
    if snapshot is None or snapshot.owner != request.account:
        raise not_found(snapshot_id)
    if snapshot.state != "pending" or snapshot.sealed or snapshot.volume_id != snapshots.COPIED_VOLUME:
        raise invalid("INVALID_SNAPSHOT_ID", f"The snapshot {snapshot_id} does not take blocks.")
    rights.check_key(request, snapshot, to_read=False)
    return snapshot


OPERATIONS = {
    "CompleteSnapshot": complete_snapshot,
    "PutSnapshotBlock": put_snapshot_block,
    "StartSnapshot": start_snapshot,
}
