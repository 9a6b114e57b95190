"""The group descriptors of ext2, ext3 and ext4.

Specification: https://docs.kernel.org/filesystems/ext4/globals.html#block-group-descriptors; `descriptor_loc`,
`ext4_group_desc_csum` and `ext4_check_descriptors` in Linux `fs/ext4/super.c`. Linux refuses to mount a file system for
what is checked here, before it replays the journal.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lifeboat.verify.contents.checksums import crc16, crc32c_raw
from lifeboat.verify.contents.ext_superblock import (
    CHECKSUMS,
    FLEX_BG,
    GROUP_CHECKSUMS,
    META_BG,
    WIDE,
    Superblock,
)
from lifeboat.verify.contents.found import MOST_PROBLEMS
from lifeboat.verify.contents.image import Part

MOST_COMPARED = 1 << 16
"""Without checksums, the places of so many groups are held against each other: 8 TiB of 4-KiB blocks."""

_ANY_CHECKSUMS = CHECKSUMS | GROUP_CHECKSUMS
_UNUSED_PARTS = 0x3
"""Flags that say that the bitmaps were not written. They need checksums."""

_FLAGS_AT, _CHECKSUM_AT = 18, 30
_LOW = struct.Struct("<IIIHHHHIHHHH")
_HIGH = struct.Struct("<IIIHHHH")


@dataclass(frozen=True, slots=True)
class _Descriptor:
    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    free_blocks: int
    free_inodes: int
    directories: int
    checksum: int


def check_groups(part: Part, found: Superblock, *, clean: bool) -> list[str]:
    """What is wrong in the descriptors, as sentences. `clean` says that the counters must agree.

    Raises OutsideError and WorkBoundError.
    """
    problems: list[str] = []
    size, groups = found.descriptor_bytes, found.groups
    in_block = found.block_size // size
    free_blocks = free_inodes = 0
    places = (
        _reserved(found) if not found.read_only & (CHECKSUMS | GROUP_CHECKSUMS) and groups <= MOST_COMPARED else None
    )
    for table in range(-(-groups // in_block)):
        at = _table_at(found, table, in_block) * found.block_size
        if at + found.block_size > part.size:
            return [*problems, f"The group descriptors of block {table} would lie at byte {part.offset + at}."]
        data = part.read(at, found.block_size)
        for number in range(table * in_block, min(groups, (table + 1) * in_block)):
            start = number % in_block * size
            raw = data[start : start + size]
            descriptor = _read(raw, found)
            free_blocks += descriptor.free_blocks
            free_inodes += descriptor.free_inodes
            if places is not None:
                places += _places(descriptor, number, found)
            if len(problems) <= MOST_PROBLEMS:  # of many, the first ones are listed
                where = f"The descriptor of group {number} at byte {part.offset + at + start}"
                problems += [f"{where} {clause}." for clause in _check(raw, descriptor, number, found)]
    if places and not problems:
        problems += _overlaps(sorted(places))
    if clean and not problems:
        problems += _compare(found, free_blocks, free_inodes)
    return problems


type _Place = tuple[int, int, str]
"""First block, number of blocks, and what lies there."""


def _reserved(found: Superblock) -> list[_Place]:
    """The superblock and its copies with the group descriptors behind them."""
    descriptors = -(-found.groups * found.descriptor_bytes // found.block_size)
    if found.incompatible & META_BG:
        descriptors = min(descriptors, found.first_meta_bg)
    length = 1 + descriptors + found.reserved_tables
    copies = [group for group in range(found.groups) if found.has_copy(group)]
    return [(found.first_block_of(group), length, f"the superblock of group {group}") for group in copies]


def _places(descriptor: _Descriptor, number: int, found: Superblock) -> list[_Place]:
    return [
        (descriptor.block_bitmap, 1, f"the block bitmap of group {number}"),
        (descriptor.inode_bitmap, 1, f"the inode bitmap of group {number}"),
        (descriptor.inode_table, found.inode_table_blocks, f"the inode table of group {number}"),
    ]


def _overlaps(places: list[_Place]) -> list[str]:
    found = [
        f"The group descriptors put {after[2]} at block {after[0]}, into {before[2]}."
        for before, after in pairwise(places)
        if after[0] < before[0] + before[1]
    ]
    return found[: MOST_PROBLEMS + 1]


def _table_at(found: Superblock, table: int, in_block: int) -> int:
    """The block that holds a block of descriptors, as descriptor_loc."""
    if not found.incompatible & META_BG or table < found.first_meta_bg:
        return (1 if found.block_size == 1024 else 0) + table + 1
    group = table * in_block
    behind = int(found.has_copy(group))
    if found.block_size == 1024 and table == 0 and found.first_block == 0:
        behind += 1
    return behind + found.first_block_of(group)


def _read(raw: bytes, found: Superblock) -> _Descriptor:
    low = _LOW.unpack_from(raw)
    wide = bool(found.incompatible & WIDE) and len(raw) >= 64
    high = _HIGH.unpack_from(raw, 32) if wide else (0,) * 7
    return _Descriptor(
        block_bitmap=low[0] | high[0] << 32,
        inode_bitmap=low[1] | high[1] << 32,
        inode_table=low[2] | high[2] << 32,
        free_blocks=low[3] | high[3] << 16,
        free_inodes=low[4] | high[4] << 16,
        directories=low[5] | high[5] << 16,
        checksum=low[11],
    )


def _check(raw: bytes, descriptor: _Descriptor, number: int, found: Superblock) -> Iterator[str]:
    expected = _checksum(raw, number, found)
    if expected is not None and descriptor.checksum != expected:
        yield f"has a wrong checksum {descriptor.checksum:#06x}, expected {expected:#06x}"
        return
    if not found.read_only & _ANY_CHECKSUMS and raw[_FLAGS_AT] & _UNUSED_PARTS:
        yield f"has the flags {raw[_FLAGS_AT]:#x}, which need checksums"
    first, last = found.first_block, found.blocks - 1
    if not found.incompatible & FLEX_BG:
        first = found.first_block_of(number)
        last = min(last, first + found.blocks_per_group - 1)
    for name, block, length in (
        ("block bitmap", descriptor.block_bitmap, 1),
        ("inode bitmap", descriptor.inode_bitmap, 1),
        ("inode table", descriptor.inode_table, found.inode_table_blocks),
    ):
        if not first <= block <= last - length + 1:
            yield f"has its {name} at block {block}, expected it between {first} and {last}"
    inodes, blocks = found.inodes_per_group, found.blocks_per_group
    if descriptor.free_blocks > blocks or descriptor.free_inodes > inodes or descriptor.directories > inodes:
        yield (
            f"has {descriptor.free_blocks} free blocks of {blocks}, {descriptor.free_inodes} free inodes of {inodes},"
            f" and {descriptor.directories} directories"
        )


def _checksum(raw: bytes, number: int, found: Superblock) -> int | None:
    """The checksum that the descriptor must have; None if the file system has none."""
    group = number.to_bytes(4, "little")
    if found.read_only & CHECKSUMS:
        data = group + raw[:_CHECKSUM_AT] + bytes(2) + raw[_CHECKSUM_AT + 2 :]
        return crc32c_raw(found.seed, data) & 0xFFFF
    if found.read_only & GROUP_CHECKSUMS:
        behind = raw[_CHECKSUM_AT + 2 :] if found.incompatible & WIDE else b""
        return crc16(0xFFFF, found.uuid + group + raw[:_CHECKSUM_AT] + behind)
    return None


def _compare(found: Superblock, free_clusters: int, free_inodes: int) -> Iterator[str]:
    """The counters of a clean file system. The groups count clusters, the superblock counts blocks."""
    free_blocks = free_clusters * found.cluster_blocks
    if free_blocks != found.free_blocks:
        yield f"The superblock has {found.free_blocks} free blocks, but the groups have {free_blocks}."
    if free_inodes != found.free_inodes:
        yield f"The superblock has {found.free_inodes} free inodes, but the groups have {free_inodes}."
