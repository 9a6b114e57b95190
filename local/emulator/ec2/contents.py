"""What tests and the demo do with the bytes of volumes and snapshots, and no client can."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from local.emulator.ec2 import blocks
from local.emulator.ec2.blocks import BLOCK_SIZE
from local.emulator.ec2.errors import Ec2Error
from local.emulator.ec2.model import LOCK, WORLD, Snapshot, Volume
from local.emulator.scope import Scope


def write(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Write bytes to a volume at an offset.

    Raises:
        Ec2Error: there is no such volume.
        ValueError: they do not lie within it.
    """
    data = _unpacked(wanted["data"])
    with LOCK:
        volume = _volume(scope, wanted["volume_id"])
        blocks.write(volume.blocks, int(wanted.get("offset", 0)), data, volume.size)
    return {"written": len(data)}


def read(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Read bytes of a volume or a snapshot, as they lie there.

    Raises:
        Ec2Error: there is no such volume or snapshot.
        ValueError: they do not lie within it.
    """
    with LOCK:
        found = _holder(scope, wanted["resource"])
        content = blocks.read(found.blocks, int(wanted.get("offset", 0)), int(wanted["length"]), found.size)
    return {"data": base64.b64encode(zlib.compress(content, 1)).decode()}


def load(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Put an image on a volume, in place of all that it held.

    Raises:
        Ec2Error: there is no such volume.
        ValueError: the image is larger than the volume.
    """
    given = {int(index): _unpacked(content) for index, content in wanted["blocks"].items()}
    with LOCK:
        volume = _volume(scope, wanted["volume_id"])
        volume.blocks = blocks.image(given, volume.size)
    return {"blocks": len(given)}


def damage(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Invert one byte of one block of one snapshot: where it lies, or on the way to whoever reads it.

    Other snapshots that have the same block keep it. EBS does not know: the block counts as unchanged. The checksum of
    a block that rotted where it lies is that of what is read; on the way, that of what was sent.

    Raises:
        Ec2Error: there is no such snapshot.
        ValueError: nothing was written to the block, or it has no such byte.
    """
    index, at = int(wanted["block"]), int(wanted.get("at", 0))
    with LOCK:
        found = _holder(scope, wanted["snapshot_id"])
        block = found.blocks.get(index)
        if block is None or not 0 <= at < BLOCK_SIZE:
            raise ValueError(f"{wanted['snapshot_id']} has no byte {at} of block {index}")
        found.blocks[index] = block.garbled(at) if wanted.get("on_the_way") else block.rotten(at)
    return {"snapshot_id": wanted["snapshot_id"], "block": index}


def _volume(scope: Scope, volume_id: str) -> Volume:
    found = WORLD.region(scope.region).volumes.get(volume_id)
    if found is None:
        raise Ec2Error("InvalidVolume.NotFound", f"there is no {volume_id} in {scope.region}")
    return found


def _holder(scope: Scope, resource_id: str) -> Volume | Snapshot:
    if resource_id.startswith("vol-"):
        return _volume(scope, resource_id)
    found = WORLD.region(scope.region).snapshots.get(resource_id)
    if found is None:
        raise Ec2Error("InvalidSnapshot.NotFound", f"there is no {resource_id} in {scope.region}")
    return found


def _unpacked(data: str) -> bytes:
    return zlib.decompress(base64.b64decode(data))
