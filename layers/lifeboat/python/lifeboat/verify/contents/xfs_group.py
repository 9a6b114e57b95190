"""The headers of one XFS allocation group: the copy of the superblock, AGF, AGI and AGFL.

Specification: as in xfs.py; `struct xfs_agf`, `xfs_agi` and `xfs_agfl` in Linux `fs/xfs/libxfs/xfs_format.h`.
Version 5 has in each a CRC32C and the UUID. Version 4 has neither, so more of its fields are compared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lifeboat.verify.contents import xfs_superblock
from lifeboat.verify.contents.image import Part
from lifeboat.verify.contents.xfs_log import LogState
from lifeboat.verify.contents.xfs_superblock import (
    Superblock,
    check_features,
    check_stripes,
    crc_is_right,
    has_trailing_bytes,
    read_superblock,
)

NOTHING = 0xFFFFFFFF
_AGF = struct.Struct(">4sIIIIIIIIIIIIIII16s")
_AGI = struct.Struct(">4sIIIIIIIII")
_AGF_PLACES, _AGI_PLACES = (216, 64, 208), (312, 296, 320)
"""Where the CRC, the UUID and the position in the log are."""

_AGFL_CRC, _AGFL_UUID = 32, 8
_NO_POSITIONS = (0, (1 << 64) - 1)
_AGFL_HEADER = 36
_TREE_HEADERS = {4: 16, 5: 56}

SAME = (
    *("blocksize", "dblocks", "rblocks", "rextents", "uuid", "logstart", "rextsize", "agblocks", "agcount"),
    *("rbmblocks", "logblocks", "sectsize", "inodesize", "inopblock", "blocklog", "sectlog", "inodelog", "inopblog"),
    *("agblklog", "rextslog", "dirblklog", "logsectlog", "logsectsize", "inoalignmt"),
)
"""The fields in which the copies of the superblock equal the primary one. Counters and flags need not."""


@dataclass(slots=True)
class Totals:
    """Sums over all allocation groups. After a clean unmount they equal the counters of the primary superblock."""

    inodes: int = 0
    free_inodes: int = 0
    free_blocks: int = 0
    unlinked: int = 0

    def compare(self, found: Superblock) -> Iterator[str]:
        """Clauses that follow "The primary superblock"."""
        if (found.icount, found.ifree) != (self.inodes, self.free_inodes):
            yield (
                f"has {found.ifree} free of {found.icount} inodes, but the allocation groups"
                f" have {self.free_inodes} free of {self.inodes}"
            )
        if found.fdblocks != self.free_blocks:
            yield f"has {found.fdblocks} free blocks, but the allocation groups have {self.free_blocks}"


@dataclass(frozen=True, slots=True)
class _Group:
    number: int
    at: int
    """The byte on the volume at which it begins."""

    length: int
    primary: Superblock
    log: LogState

    @property
    def clean(self) -> bool:
        """Whether what is in place must agree, because there is nothing to replay."""
        return self.log.dirty is False

    @property
    def checked_by_crc(self) -> bool:
        return self.primary.version == 5

    def has_block(self, block: int) -> bool:
        return 0 < block < self.length


def check_group(part: Part, primary: Superblock, number: int, totals: Totals, log: LogState) -> list[str]:
    """What is wrong in a group's headers, as sentences. Adds its counters to the totals.

    Raises OutsideError and WorkBoundError.
    """
    size = primary.sectsize
    start = primary.group_at(number)
    group = _Group(number, part.offset + start, primary.group_length(number), primary, log)
    data = part.read(start, 4 * size)
    sectors = [data[at : at + size] for at in range(0, 4 * size, size)]
    checks = {
        "copy of the superblock": (0, _check_copy(sectors[0], group) if number else iter(())),
        "AGF": (1, _check_agf(sectors[1], group, totals)),
        "AGI": (2, _check_agi(sectors[2], group, totals)),
        "AGFL": (3, _check_agfl(sectors[3], sectors[1], group)),
    }
    return [
        f"The {name} of allocation group {number} at byte {group.at + index * size} {clause}."
        for name, (index, clauses) in checks.items()
        for clause in clauses
    ]


def _check_copy(sector: bytes, group: _Group) -> Iterator[str]:
    primary = group.primary
    if sector[:4] != xfs_superblock.MAGIC:
        yield "lacks its magic number XFSB"
        return
    if group.checked_by_crc and not crc_is_right(sector, xfs_superblock.CRC_AT):
        yield "has a wrong CRC32C"
        return
    found = read_superblock(sector)
    for name in SAME:
        expected, value = getattr(primary, name), getattr(found, name)
        if value != expected:
            shown = (value.hex(), expected.hex()) if isinstance(value, bytes) else (value, expected)
            yield f"has {name} {shown[0]}, expected {shown[1]} as in the primary one"
    if found.version != primary.version:
        yield f"has the version {found.version}, expected {primary.version}"
    yield from check_stripes(found)
    if found.version == 4:
        yield from check_features(found)
    if not group.checked_by_crc and has_trailing_bytes(sector):
        yield "has bytes behind its last field"


def _check_agf(sector: bytes, group: _Group, totals: Totals) -> Iterator[str]:
    magic, version, number, length, *rest = _AGF.unpack_from(sector)
    yield from _check_head(sector, group, (magic, version, number, length), b"XAGF", _AGF_PLACES)
    by_block, by_size, _, block_levels, size_levels, _, first, last, listed, free, longest, tree, _ = rest
    totals.free_blocks += free + listed + tree
    most = _most_levels(group, (group.primary.agblocks + 1) // 2, 8, 12)
    for root, levels in ((by_block, block_levels), (by_size, size_levels)):
        if not group.has_block(root) or not 0 < levels <= most:
            yield f"has a free space tree of {levels} levels from block {root}"
    entries = _list_length(group)
    if first >= entries or last >= entries:
        yield f"has a free list from {first} to {last} of {entries} entries"
    elif not _list_fits(first, last, listed, entries):
        yield f"has {listed} blocks in the free list from {first} to {last}"
    if free > group.length or longest > free or tree > group.length:
        yield f"has {free} free blocks of {group.length}, {longest} in a row, and {tree} in trees"


def _check_agi(sector: bytes, group: _Group, totals: Totals) -> Iterator[str]:
    magic, version, number, length, count, root, levels, free, newest, directory = _AGI.unpack_from(sector)
    yield from _check_head(sector, group, (magic, version, number, length), b"XAGI", _AGI_PLACES)
    totals.inodes += count
    totals.free_inodes += free
    most = _most_levels(group, group.primary.agblocks * group.primary.inopblock // 64, 16, 8)
    if not group.has_block(root) or not 0 < levels <= most:
        yield f"has an inode tree of {levels} levels from block {root}"
    inodes = group.length * group.primary.inopblock
    if free > count or count > inodes:
        yield f"has {free} free of {count} inodes, and room for {inodes}"
    for inode in (newest, directory):
        if inode != NOTHING and inode >= inodes:
            yield f"has a newest inode {inode} of {inodes}"
    buckets = [value for value in struct.unpack_from(">64I", sector, 40) if value != NOTHING]
    totals.unlinked += len(buckets)
    if not group.checked_by_crc and (group.clean or any(value >= inodes for value in buckets)):
        for value in buckets:
            yield f"lists the deleted inode {value}, though the log is clean"


def _check_agfl(sector: bytes, agf: bytes, group: _Group) -> Iterator[str]:
    header = 0
    if group.checked_by_crc:
        header = _AGFL_HEADER
        magic, number = struct.unpack_from(">4sI", sector)
        if magic != b"XAFL":
            yield "lacks its magic number XAFL"
        elif not crc_is_right(sector, _AGFL_CRC):
            yield "has a wrong CRC32C"
        elif number != group.number or sector[_AGFL_UUID : _AGFL_UUID + 16] != group.primary.metadata_uuid:
            yield f"belongs to group {number} or to another file system"
    first, last, _ = struct.unpack_from(">III", agf, 40)
    entries = _list_length(group)
    if first >= entries or last >= entries:
        return
    at = first
    for _ in range((last - first) % entries + 1):
        [block] = struct.unpack_from(">I", sector, header + 4 * at)
        if not group.has_block(block) and (group.clean or block != NOTHING):
            yield f"lists the free block {block} of {group.length}"
            return
        at = (at + 1) % entries


def _check_head(
    sector: bytes, group: _Group, head: tuple[bytes, int, int, int], magic: bytes, places: tuple[int, int, int]
) -> Iterator[str]:
    """What AGF and AGI begin with, and their CRC, UUID and position in the log, which lie at `places`."""
    crc_at, uuid_at, position_at = places
    found, version, number, length = head
    if found != magic:
        yield f"lacks its magic number {magic.decode()}"
        return
    if group.checked_by_crc:
        if not crc_is_right(sector, crc_at):
            yield "has a wrong CRC32C"
            return
        if sector[uuid_at : uuid_at + 16] != group.primary.metadata_uuid:
            yield "has the UUID of another file system"
        [written] = struct.unpack_from(">Q", sector, position_at)
        position, log_end = (written >> 32, written & 0xFFFFFFFF), group.log.position
        if log_end and written not in _NO_POSITIONS and position >= log_end:
            # The log has lost what came before. Linux refuses such a header: xfs_log_check_lsn.
            yield f"was logged at {position[0]}:{position[1]}, but the log ends at {log_end[0]}:{log_end[1]}"
    if version != 1:
        yield f"has the version {version}, expected 1"
    if number != group.number:
        yield f"has the number {number}"
    if length != group.length:
        yield f"has {length} blocks, expected {group.length}"


def _most_levels(group: _Group, records: int, record: int, key: int) -> int:
    """The levels of a tree of so many records whose blocks are half full; `record` and `key` are sizes in bytes."""
    room = group.primary.blocksize - _TREE_HEADERS[group.primary.version]
    blocks, levels = -(-records // (room // record // 2)), 1
    while blocks > 1:
        blocks, levels = -(-blocks // (room // key // 2)), levels + 1
    return levels


def _list_length(group: _Group) -> int:
    """The entries of the free list: what is left of its sector."""
    return (group.primary.sectsize - (_AGFL_HEADER if group.checked_by_crc else 0)) // 4


def _list_fits(first: int, last: int, listed: int, entries: int) -> bool:
    """Whether the count fits the ends. In version 5 old kernels had one entry less, so a wrapped list may differ."""
    expected = (last - first) % entries + 1
    if listed == 0:
        return expected == entries or last == (first - 1) % entries
    return listed == expected or (first > last and abs(listed - expected) <= 1)
