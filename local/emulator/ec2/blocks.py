"""What volumes and snapshots hold: blocks of 512 KiB, of which only those exist that were written.

A snapshot of a volume has the volume's blocks themselves, not their bytes once more: a block never changes, and a write
puts another one in its place. So a volume to which nothing was written costs nothing, nor does its snapshot.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

BLOCK_SIZE = 524_288
GIB = 1024**3

_writes = itertools.count(1)


@dataclass(frozen=True)
class Block:
    """A block that was written.

    Attributes:
        kept: its bytes without the zeros at their end, which are most of a file system's.
        write: the write that made it. A write of the same bytes counts as a change (recorded from a live account).
        garbled_at: the byte that is another one in each answer than in the checksum beside it; none if nothing.
    """

    kept: bytes
    write: int
    garbled_at: int | None = None

    @classmethod
    def written(cls, content: bytes) -> "Block":
        """The block that a write of these bytes leaves, with zeros after them."""
        return cls(content.rstrip(b"\0"), next(_writes))

    @property
    def content(self) -> bytes:
        """All its bytes."""
        return self.kept.ljust(BLOCK_SIZE, b"\0")

    def rotten(self, at: int) -> "Block":
        """The same block with one byte that nobody wrote; EBS does not know of it."""
        return Block(flipped(self.content, at).rstrip(b"\0"), self.write, self.garbled_at)

    def garbled(self, at: int) -> "Block":
        """The same block, of which one byte changes on its way to whoever reads it."""
        return Block(self.kept, self.write, at)


Blocks = dict[int, Block]
"""Blocks by their index: the offset divided by 512 KiB."""


def flipped(content: bytes, at: int) -> bytes:
    """The bytes, with all bits of one of them inverted."""
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def write(blocks: Blocks, offset: int, data: bytes, size: int) -> None:
    """Write bytes.

    Args:
        blocks: those of a volume, which change.
        offset: of the first byte.
        data: the bytes.
        size: of the volume, in GiB.

    Raises:
        ValueError: they do not lie within the volume.
    """
    _check(offset, len(data), size)
    position = 0
    while position < len(data):
        index, begin = divmod(offset + position, BLOCK_SIZE)
        part = data[position : position + BLOCK_SIZE - begin]
        if len(part) < BLOCK_SIZE and index in blocks:
            before = blocks[index].content
            whole = before[:begin] + part + before[begin + len(part) :]
        else:
            whole = bytes(begin) + part
        blocks[index] = Block.written(whole)
        position += len(part)


def read(blocks: Mapping[int, Block], offset: int, length: int, size: int) -> bytes:
    """Bytes; zeros where nothing was written.

    Raises:
        ValueError: they do not lie within the volume.
    """
    _check(offset, length, size)
    parts, end = [], offset + length
    while offset < end:
        index, begin = divmod(offset, BLOCK_SIZE)
        most = min(end - offset, BLOCK_SIZE - begin)
        block = blocks.get(index)
        parts.append(block.content[begin : begin + most] if block else bytes(most))
        offset += most
    return b"".join(parts)


def image(contents: Mapping[int, bytes], size: int) -> Blocks:
    """The blocks of an image, given by their index; each may lack the zeros at its end.

    Raises:
        ValueError: a block is too long, or does not lie within the volume.
    """
    for index, content in contents.items():
        if len(content) > BLOCK_SIZE:
            raise ValueError(f"block {index} has {len(content)} bytes, expected at most {BLOCK_SIZE}")
        _check(index * BLOCK_SIZE, BLOCK_SIZE, size)
    return {index: Block.written(contents[index]) for index in sorted(contents)}


def _check(offset: int, length: int, size: int) -> None:
    if offset < 0 or length < 0 or offset + length > size * GIB:
        raise ValueError(f"{length} bytes at offset {offset} do not lie within {size} GiB")
