"""The bytes of volumes and snapshots of the local AWS: written, read, loaded from an image, and damaged."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

BLOCK_SIZE = 524_288
"""Bytes of a block of the EBS direct APIs."""


class Calls(Protocol):
    """Who calls the control endpoint: `local.control.Control`."""

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any: ...


class Contents:
    """What `Control` can do with bytes. Offsets and lengths are in bytes; `region` is the home region if not given.

    Every method raises `ControlError` for a resource that is not there, and for bytes that do not lie within it.
    """

    def write(self: Calls, volume_id: str, data: bytes, offset: int = 0, *, region: str | None = None) -> None:
        """Write to a volume, as an instance would."""
        body = {"volume_id": volume_id, "offset": offset, "data": _packed(data), **_at(region)}
        self._call("POST", "volume/write", body)

    def read(self: Calls, resource: str, length: int, offset: int = 0, *, region: str | None = None) -> bytes:
        """What a volume or a snapshot holds; zeros where nothing was written."""
        body = {"resource": resource, "length": length, "offset": offset, **_at(region)}
        return zlib.decompress(base64.b64decode(self._call("POST", "volume/read", body)["data"]))

    def load_image(self: Calls, volume_id: str, blocks: Mapping[int, bytes], *, region: str | None = None) -> None:
        """Put an image on a volume in place of all that it held.

        Args:
            volume_id: the volume.
            blocks: of 512 KiB, by their index; each may lack the zeros at its end.
            region: where it is.
        """
        packed = {str(index): _packed(content.rstrip(b"\0")) for index, content in blocks.items()}
        self._call("POST", "volume/load", {"volume_id": volume_id, "blocks": packed, **_at(region)})

    def damage(
        self: Calls, snapshot_id: str, block: int, at: int = 0, *, on_the_way: bool = False, region: str | None = None
    ) -> None:
        """Invert one byte of one block of one snapshot; no other snapshot changes, and EBS knows of no change.

        Args:
            snapshot_id: the snapshot.
            block: the index of a block that was written.
            at: which byte of the block.
            on_the_way: GetSnapshotBlock answers the checksum of what lies there, and other bytes. Else the checksum is
                that of the damaged bytes.
            region: where it is.
        """
        body = {"snapshot_id": snapshot_id, "block": block, "at": at, "on_the_way": on_the_way, **_at(region)}
        self._call("POST", "snapshot/damage", body)


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode()


def _at(region: str | None) -> dict[str, str]:
    return {"region": region} if region else {}
