"""The journal's superblock of ext3 and ext4.

Specification: https://docs.kernel.org/filesystems/ext4/journal.html (section "Super Block"). Numbers are big-endian.
mkfs keeps a copy of the journal inode's block map in the superblock, so that the journal is found without the inode.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lifeboat.verify.contents.checksums import crc32c_raw
from lifeboat.verify.contents.ext_superblock import HAS_JOURNAL, RECOVER, Superblock
from lifeboat.verify.contents.image import Part

MAGIC = 0xC03B3998
_BLOCK_MAP_COPIED = 1
_EXTENTS = 0xF30A
_CHECKSUMS = 0x8 | 0x10
_KNOWN_INCOMPATIBLE = 0x3F
_CHECKSUM_AT = 0xFC
_LENGTH = 1024


def check_journal(part: Part, found: Superblock) -> list[str]:
    """What is wrong in the journal's superblock, as sentences. Raises OutsideError and WorkBoundError."""
    if not found.compatible & HAS_JOURNAL or not found.journal_inode or found.journal_backup != _BLOCK_MAP_COPIED:
        return []
    block = _first_block(found.journal_blocks)
    if block is None:
        return []
    at = block * found.block_size
    where = f"The journal's superblock at byte {part.offset + at}"
    if not found.first_block < block < found.blocks or at + _LENGTH > part.size:
        return [f"{where} is outside the file system."]
    high, low = struct.unpack_from("<II", found.journal_blocks, 60)
    blocks = (low | high << 32) // found.block_size
    return [f"{where} {clause}." for clause in _check(part.read(at, _LENGTH), found, blocks)]


def _first_block(blocks: bytes) -> int | None:
    """The journal's first block, from a map of extents or of block numbers. None if an extent tree is deeper."""
    magic, entries, _, depth = struct.unpack_from("<HHHH", blocks)
    if magic != _EXTENTS:
        return int.from_bytes(blocks[:4], "little")
    if depth or not entries:
        return None
    _, _, high, low = struct.unpack_from("<IHHI", blocks, 12)
    return int(low | high << 32)


def _check(data: bytes, found: Superblock, blocks: int) -> Iterator[str]:
    """What is wrong in the superblock of a journal of so many blocks."""
    magic, kind, _, block_size, length, first, _, start = struct.unpack_from(">8I", data)
    if magic != MAGIC or kind not in (3, 4):
        yield f"lacks its magic number {MAGIC:#x}"
        return
    compatible, incompatible, read_only, _, users = struct.unpack_from(">III16sI", data, 0x24)
    if kind == 4 and incompatible & _CHECKSUMS:
        [checksum] = struct.unpack_from(">I", data, _CHECKSUM_AT)
        if crc32c_raw(0xFFFFFFFF, data[:_CHECKSUM_AT] + bytes(4) + data[_CHECKSUM_AT + 4 :]) != checksum:
            yield "has a wrong CRC32C"
            return
    if users > 1 or (kind == 3 and (compatible or incompatible or read_only or users)):
        yield f"has {users} users, or features that its version does not have"
    if kind == 4 and (incompatible & ~_KNOWN_INCOMPATIBLE or read_only or compatible & ~1):
        yield f"has unknown features {incompatible:#x}, {read_only:#x} and {compatible:#x}"
    if block_size != found.block_size:
        yield f"has blocks of {block_size} bytes, expected {found.block_size}"
    if not 0 < first < length <= blocks or start >= length:
        yield f"has {length} of {blocks} blocks, the first record in block {first} and the oldest in block {start}"
    elif start and not found.incompatible & RECOVER:
        yield f"has records to replay from block {start}, but the file system is marked clean"
