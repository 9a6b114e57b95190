"""A snapshot's bytes, read by block, with a bound on the work.

The EBS direct APIs list the blocks of 512 KiB that were written, and give one block a call
(https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-elements.html). A block that is not listed is zeros. The bytes
are hostile: no header in them decides how much is read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol

BLOCK = 512 * 1024
"""The size of a block of the EBS direct APIs, in bytes."""

KEPT = 16
"""So many blocks stay in memory: 8 MiB."""

MOST_BYTES = 64 * 1024 * 1024
"""The default bound on the bytes that the parsers read. The headers of a volume of 64 TiB need less than half."""


class WorkBoundError(Exception):
    """The bound on the work is reached; the message says which one."""


class OutsideError(Exception):
    """A header points to bytes outside its file system or volume; the message says where."""


class Readable(Protocol):
    """Bytes of a known size: a volume, a partition or a logical volume."""

    @property
    def size(self) -> int:
        """The size in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes. Raises OutsideError and WorkBoundError."""


class Image:
    """The bytes of one snapshot.

    `size` is the volume's size in bytes. `written` holds the indexes of the blocks that the snapshot lists.
    `read_block` returns one block by its index; what it raises goes through. At most `most_blocks` blocks are fetched,
    and at most `most_bytes` bytes are handed to the parsers. `blocks_fetched` and `bytes_read` count them.
    """

    def __init__(
        self,
        size: int,
        written: Container[int],
        read_block: Callable[[int], bytes],
        most_blocks: int,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.size = size
        self.blocks_fetched = 0
        self.bytes_read = 0
        self.most_blocks = most_blocks
        self._written = written
        self._read_block = read_block
        self._most_bytes = most_bytes
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`.

        Raises OutsideError for bytes outside the volume, and WorkBoundError when a bound is reached.
        """
        _require_inside(offset, length, self.size, "the volume")
        self.bytes_read += length
        if self.bytes_read > self._most_bytes:
            raise WorkBoundError(f"the parsers asked for more than {self._most_bytes} bytes")
        parts = []
        while length > 0:
            index, start = divmod(offset, BLOCK)
            part = self._block(index)[start : start + length]
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def is_written(self, offset: int) -> bool:
        """Whether the snapshot lists the block that holds the byte at `offset`. Costs no read."""
        return 0 <= offset < self.size and offset // BLOCK in self._written

    def _block(self, index: int) -> bytes:
        if index not in self._written:
            return _ZEROS
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        if self.blocks_fetched >= self.most_blocks:
            raise WorkBoundError(f"the parsers asked for more than {self.most_blocks} blocks")
        self.blocks_fetched += 1
        data = self._read_block(index)
        if len(data) != BLOCK:
            # The last block of a volume that is no multiple of 512 KiB. EBS volumes are multiples of a GiB.
            data = data[:BLOCK].ljust(BLOCK, b"\0")
        self._kept[index] = data
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return data


@dataclass(frozen=True, slots=True)
class Part:
    """A range of an image: a partition, or the whole volume."""

    image: Image
    offset: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """As Image.read, from the range's start. Raises OutsideError for bytes outside the range."""
        _require_inside(offset, length, self.size, f"the {self.size} bytes at byte {self.offset}")
        return self.image.read(self.offset + offset, length)


def _require_inside(offset: int, length: int, size: int, of_what: str) -> None:
    if offset < 0 or length < 0 or offset + length > size:
        raise OutsideError(f"{length} bytes at byte {offset} are outside {of_what}")


_ZEROS = bytes(BLOCK)
