"""The superblock of ext2, ext3 and ext4.

Specification: https://docs.kernel.org/filesystems/ext4/globals.html#super-block; `struct ext4_super_block` in Linux
`fs/ext4/ext4.h`. Numbers are little-endian.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from lifeboat.verify.contents.checksums import crc32c_raw

AT, LENGTH, MAGIC = 1024, 1024, 0xEF53
CHECKSUM_AT = 1020

HAS_JOURNAL, SPARSE_SUPER2 = 0x4, 0x200
"""Bits of `compatible`."""

RECOVER, JOURNAL_DEVICE, META_BG, WIDE, FLEX_BG, CHECKSUM_SEED = 0x4, 0x8, 0x10, 0x80, 0x200, 0x2000
"""Bits of `incompatible`. WIDE is the feature 64bit."""

SPARSE_SUPER, GROUP_CHECKSUMS, QUOTA, BIGALLOC, CHECKSUMS = 0x1, 0x10, 0x100, 0x200, 0x400
"""Bits of `read_only`. GROUP_CHECKSUMS is uninit_bg, with CRC-16; CHECKSUMS is metadata_csum, with CRC32C."""

_EXT4_INCOMPATIBLE, _EXT4_READ_ONLY = 0xFFFFFFC0, 0xFFFFFFF8
_KNOWN_COMPATIBLE, _KNOWN_INCOMPATIBLE, _KNOWN_READ_ONLY = 0x1F3F, 0x3F7DF, 0x1BF7F
VALID, ERRORS = 0x1, 0x2
"""Bits of `state`."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the checks need, with 64-bit counts put together."""

    inodes: int
    blocks: int
    reserved: int
    free_blocks: int
    free_inodes: int
    first_block: int
    log_block: int
    log_cluster: int
    blocks_per_group: int
    clusters_per_group: int
    inodes_per_group: int
    state: int
    revision: int
    first_inode: int
    inode_size: int
    group_number: int
    compatible: int
    incompatible: int
    read_only: int
    uuid: bytes
    reserved_tables: int
    journal_inode: int
    journal_elsewhere: bytes
    """The UUID and the device of a journal on another volume."""

    descriptor_size: int
    first_meta_bg: int
    journal_backup: int
    journal_blocks: bytes
    checksum_type: int
    extra_sizes: tuple[int, int]
    """The least and the wanted size of the fields behind the first 128 bytes of an inode."""

    quota_inodes: tuple[int, int]
    backup_groups: tuple[int, int]
    checksum_seed: int

    @property
    def block_size(self) -> int:
        return int(1024 << self.log_block)

    @property
    def cluster_blocks(self) -> int:
        """The blocks in a cluster: more than one with the feature bigalloc."""
        return 1 << max(0, min(self.log_cluster - self.log_block, 20)) if self.read_only & BIGALLOC else 1

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.blocks * self.block_size

    @property
    def groups(self) -> int:
        return -(-(self.blocks - self.first_block) // self.blocks_per_group)

    @property
    def type(self) -> str:
        if self.incompatible & _EXT4_INCOMPATIBLE or self.read_only & _EXT4_READ_ONLY:
            return "ext4"
        return "ext3" if self.compatible & HAS_JOURNAL else "ext2"

    @property
    def text_uuid(self) -> str:
        return str(uuid.UUID(bytes=self.uuid))

    @property
    def seed(self) -> int:
        """What the CRC32C of each structure begins with."""
        if self.incompatible & CHECKSUM_SEED:
            return self.checksum_seed
        return crc32c_raw(0xFFFFFFFF, self.uuid)

    @property
    def descriptor_bytes(self) -> int:
        return self.descriptor_size if self.incompatible & WIDE else 32

    @property
    def inode_table_blocks(self) -> int:
        """The blocks of a group's inode table."""
        return -(-self.inodes_per_group * self.inode_size // self.block_size)

    def first_block_of(self, group: int) -> int:
        return self.first_block + group * self.blocks_per_group

    def has_copy(self, group: int) -> bool:
        """Whether a group begins with a copy of the superblock, as ext4_bg_has_super."""
        if group == 0:
            return True
        if self.compatible & SPARSE_SUPER2:
            return group in self.backup_groups
        if group == 1 or not self.read_only & SPARSE_SUPER:
            return True
        return any(_is_power_of(group, base) for base in (3, 5, 7))


def read_superblock(data: bytes) -> Superblock | None:
    """The superblock in 1,024 bytes, or None if it lacks the magic number. Nothing else is checked."""
    if data[56:58] != MAGIC.to_bytes(2, "little"):
        return None
    words = struct.unpack_from("<11I", data)
    [state] = struct.unpack_from("<H", data, 58)
    revision, first_inode, inode_size, group_number = struct.unpack_from("<I4xIHH", data, 76)
    features = struct.unpack_from("<III16s", data, 92)
    [reserved_tables] = struct.unpack_from("<H", data, 206)
    [journal_inode] = struct.unpack_from("<I", data, 224)
    backup_type, descriptor_size = struct.unpack_from("<BH", data, 253)
    [first_meta_bg] = struct.unpack_from("<I", data, 260)
    high = struct.unpack_from("<III", data, 336) if features[1] & WIDE else (0, 0, 0)
    if revision == 0:  # the original format has none of these fields
        first_inode, inode_size, features = 11, 128, (0, 0, 0, features[3])
    return Superblock(
        inodes=words[0],
        blocks=words[1] | high[0] << 32,
        reserved=words[2] | high[1] << 32,
        free_blocks=words[3] | high[2] << 32,
        free_inodes=words[4],
        first_block=words[5],
        log_block=words[6],
        log_cluster=words[7],
        blocks_per_group=words[8],
        clusters_per_group=words[9],
        inodes_per_group=words[10],
        state=state,
        revision=revision,
        first_inode=first_inode,
        inode_size=inode_size,
        group_number=group_number,
        compatible=features[0],
        incompatible=features[1],
        read_only=features[2],
        uuid=features[3],
        reserved_tables=reserved_tables,
        journal_inode=journal_inode,
        journal_elsewhere=data[208:224] + data[228:232],
        descriptor_size=descriptor_size,
        first_meta_bg=first_meta_bg,
        journal_backup=backup_type,
        journal_blocks=data[268:336],
        checksum_type=data[373],
        extra_sizes=struct.unpack_from("<HH", data, 348),
        quota_inodes=struct.unpack_from("<II", data, 576),
        backup_groups=struct.unpack_from("<II", data, 588),
        checksum_seed=struct.unpack_from("<I", data, 624)[0],
    )


def checksum_is_right(data: bytes) -> bool:
    """Whether 1,024 bytes of a superblock with the feature metadata_csum have the CRC32C at their end."""
    return crc32c_raw(0xFFFFFFFF, data[:CHECKSUM_AT]) == int.from_bytes(data[CHECKSUM_AT:LENGTH], "little")


def check_fields(found: Superblock) -> Iterator[str]:
    """What is wrong in the fields by themselves: clauses that follow "The superblock"."""
    if found.revision > 1 or found.log_block > 6:
        yield f"has the revision {found.revision} and blocks of 2^{10 + found.log_block} bytes, expected at most 64 KiB"
        return
    yield from _check_groups(found)
    if found.blocks <= found.first_block or found.free_blocks > found.blocks or found.reserved > found.blocks // 2:
        yield f"has {found.blocks} blocks, {found.free_blocks} of them free and {found.reserved} reserved"
    elif found.blocks_per_group:
        yield from _check_inodes(found)
    yield from _check_features(found)
    if found.group_number:
        yield f"says that it is the copy of group {found.group_number}"
    if found.state & ERRORS:
        yield "records that the kernel found errors"


def unknown_features(found: Superblock) -> tuple[int, int, int]:
    """The compatible, incompatible and read-only compatible features that this parser does not know."""
    return (
        found.compatible & ~_KNOWN_COMPATIBLE,
        found.incompatible & ~_KNOWN_INCOMPATIBLE,
        found.read_only & ~_KNOWN_READ_ONLY,
    )


def _check_groups(found: Superblock) -> Iterator[str]:
    ratio, most = found.cluster_blocks, found.block_size * 8 * found.cluster_blocks
    if not found.read_only & BIGALLOC and found.log_cluster != found.log_block:
        yield f"has clusters of 2^{10 + found.log_cluster} bytes, expected those of its blocks"
    if not 8 <= found.blocks_per_group <= most or found.blocks_per_group != found.clusters_per_group * ratio:
        yield f"has {found.blocks_per_group} blocks in a group, expected at most {most}"
    expected = 1 if found.block_size == 1024 and ratio == 1 else 0
    if found.first_block != expected and not (ratio > 1 and found.first_block == 1):
        yield f"has the first data block {found.first_block}, expected {expected}"


def _check_features(found: Superblock) -> Iterator[str]:
    if found.incompatible & WIDE and found.descriptor_size not in (64, 128, 256, 512, 1024):
        yield f"has group descriptors of {found.descriptor_size} bytes, expected 64 to 1024"
    if found.reserved_tables > found.block_size // 4:
        yield f"reserves {found.reserved_tables} blocks for group descriptors, expected at most {found.block_size // 4}"
    if found.read_only & CHECKSUMS and found.checksum_type != 1:
        yield f"has the checksum type {found.checksum_type}, expected 1"
    if found.journal_inode and any(found.journal_elsewhere):
        yield "names a journal of its own and one on another volume"
    if found.journal_inode and not found.compatible & HAS_JOURNAL:
        yield f"names the journal in inode {found.journal_inode}, but has no such feature"
    if not found.read_only & QUOTA and any(found.quota_inodes):
        yield f"has the quota inodes {found.quota_inodes}, expected none without the feature"


def _check_inodes(found: Superblock) -> Iterator[str]:
    size, bits = found.inode_size, found.block_size * 8
    if size < 128 or size & (size - 1) or size > found.block_size:
        yield f"has inodes of {size} bytes, expected a power of two from 128 to {found.block_size}"
    elif not 0 < found.inodes_per_group <= bits:
        yield f"has {found.inodes_per_group} inodes in a group, expected at most {bits}"
    elif found.inodes != found.inodes_per_group * found.groups:
        yield f"has {found.inodes} inodes, expected {found.inodes_per_group} in each of {found.groups} groups"
    if size > 128 and any(extra % 4 or extra > size - 128 for extra in found.extra_sizes):
        yield f"wants {found.extra_sizes[1]} extra bytes in inodes of {size}"
    if found.free_inodes > found.inodes or not 11 <= found.first_inode <= found.inodes:
        yield f"has {found.free_inodes} free inodes of {found.inodes}, and {found.first_inode} as the first usable one"


def _is_power_of(number: int, base: int) -> bool:
    power = base
    while power < number:
        power *= base
    return power == number
