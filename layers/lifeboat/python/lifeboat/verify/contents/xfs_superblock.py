"""The superblock of XFS, versions 4 and 5.

Specification: "XFS Algorithms & Data Structures", 3rd edition, chapters "Allocation Groups" and "Self Describing
Metadata" (https://docs.kernel.org/filesystems/xfs/xfs-self-describing-metadata.html); `struct xfs_dsb` in Linux
`fs/xfs/libxfs/xfs_format.h`. Numbers are big-endian, but the CRC32C is little-endian.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from lifeboat.verify.contents.checksums import crc32c

MAGIC = b"XFSB"
LENGTH = 264
CRC_AT = 224
_V4_LENGTH = 208
_NO_INODE = (1 << 64) - 1
_LAYOUT = struct.Struct(">4sIQQQ16sQQQQIIIIIHHHH12sBBBBBBBBQQQQQQHBBIIIBBHIIIIIIIIIQQ16s")

META_UUID, META_DIRECTORY = 0x4, 0x100
"""Bits of `features_incompat`."""

QUOTA, LOG_V2, SECTORS, MORE_BITS = 0x0040, 0x0400, 0x0800, 0x8000
_KNOWN_BITS = 0xBFF0
_DIRECTORY_V2 = 0x2000
_KNOWN_MORE_BITS = 0x28A
"""Bits of `versionnum`, and of `features2` in version 4. Linux mounts only the second directory format."""

SMALLEST_GROUP = 64
"""Blocks in the smallest allocation group, XFS_MIN_AG_BLOCKS."""

LARGEST_GROUP = 1 << 40
"""Bytes in the largest allocation group."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """The fields of a superblock, under the names of xfs_format.h without `sb_`."""

    magic: bytes
    blocksize: int
    dblocks: int
    rblocks: int
    rextents: int
    uuid: bytes
    logstart: int
    rootino: int
    rbmino: int
    rsumino: int
    rextsize: int
    agblocks: int
    agcount: int
    rbmblocks: int
    logblocks: int
    versionnum: int
    sectsize: int
    inodesize: int
    inopblock: int
    fname: bytes
    blocklog: int
    sectlog: int
    inodelog: int
    inopblog: int
    agblklog: int
    rextslog: int
    inprogress: int
    imax_pct: int
    icount: int
    ifree: int
    fdblocks: int
    frextents: int
    uquotino: int
    gquotino: int
    qflags: int
    flags: int
    shared_vn: int
    inoalignmt: int
    unit: int
    width: int
    dirblklog: int
    logsectlog: int
    logsectsize: int
    logsunit: int
    features2: int
    bad_features2: int
    features_compat: int
    features_ro_compat: int
    features_incompat: int
    features_log_incompat: int
    crc: int
    spino_align: int
    pquotino: int
    lsn: int
    meta_uuid: bytes

    @property
    def version(self) -> int:
        return self.versionnum & 0xF

    @property
    def metadata_uuid(self) -> bytes:
        """The UUID in the headers of version 5; it stays when the administrator changes the file system's own."""
        return self.meta_uuid if self.features_incompat & META_UUID else self.uuid

    @property
    def text_uuid(self) -> str:
        return str(uuid.UUID(bytes=self.uuid))

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.dblocks * self.blocksize

    def group_at(self, number: int) -> int:
        """The byte at which an allocation group begins."""
        return number * self.agblocks * self.blocksize

    def group_length(self, number: int) -> int:
        """The blocks of an allocation group; the last one may be shorter."""
        return self.agblocks if number < self.agcount - 1 else self.dblocks - (self.agcount - 1) * self.agblocks

    def block_at(self, number: int) -> int | None:
        """The byte of a file system block, whose number has the group in its upper bits; None if it is in no group."""
        group, block = number >> self.agblklog, number & ((1 << self.agblklog) - 1)
        if group >= self.agcount or block >= self.group_length(group):
            return None
        return self.group_at(group) + block * self.blocksize


def read_superblock(sector: bytes) -> Superblock:
    """The fields as they are; nothing is checked. Needs LENGTH bytes."""
    return Superblock(*_LAYOUT.unpack_from(sector))


def crc_is_right(sector: bytes, at: int) -> bool:
    """Whether a sector has the CRC32C that lies in it, little-endian, at `at`."""
    return crc32c(sector[:at] + bytes(4) + sector[at + 4 :]) == int.from_bytes(sector[at : at + 4], "little")


def has_trailing_bytes(sector: bytes) -> bool:
    """Whether something lies behind the fields of version 4. Linux takes such a superblock for one with a CRC."""
    return any(sector[_V4_LENGTH:])


def is_power(value: int, logarithm: int, least: int, most: int) -> bool:
    """Whether the value is a power of two in these bounds, and the logarithm its own."""
    return least <= value <= most and logarithm < 64 and value == 1 << logarithm


def check_fields(found: Superblock) -> Iterator[str]:
    """What is wrong in the fields of a primary superblock by themselves: clauses that follow "The superblock"."""
    yield from check_features(found)
    yield from _check_sizes(found)
    yield from _check_groups(found)
    yield from _check_inodes(found)
    yield from _check_log(found)
    if found.inprogress:
        yield "says that mkfs.xfs did not end"
    if found.imax_pct > 100:
        yield f"lets inodes take {found.imax_pct} % of the space, expected at most 100"


def check_features(found: Superblock) -> Iterator[str]:
    """What is wrong in the version and its feature bits, as clauses. Version 5 has its newer ones elsewhere."""
    number = found.versionnum
    if found.version not in (4, 5) or (found.version == 4 and number & ~0xF & ~_KNOWN_BITS):
        yield f"has the version {number:#x}, expected 4 or 5 with known features"
    elif not number & _DIRECTORY_V2:
        yield f"has the version {number:#x}, expected the second directory format in it"
    if found.version == 4 and number & MORE_BITS:
        if found.features2 & ~_KNOWN_MORE_BITS:
            yield f"has unknown features {found.features2:#x}"
        if found.features2 != found.bad_features2:
            yield "has two different copies of its second feature word"


def _check_sizes(found: Superblock) -> Iterator[str]:
    if not is_power(found.blocksize, found.blocklog, 512, 65536):
        yield f"has the block size {found.blocksize} and its logarithm {found.blocklog}, expected 512 to 65536"
    if not is_power(found.sectsize, found.sectlog, 512, 32768) or found.sectsize > found.blocksize:
        yield f"has the sector size {found.sectsize} and its logarithm {found.sectlog}, expected 512 to 32768"
    if not is_power(found.inodesize, found.inodelog, 256, 2048) or found.inodesize > found.blocksize:
        yield f"has the inode size {found.inodesize} and its logarithm {found.inodelog}, expected 256 to 2048"
    elif found.inopblock != found.blocksize // found.inodesize or found.inopblog != found.blocklog - found.inodelog:
        yield f"has {found.inopblock} inodes in a block, expected {found.blocksize // found.inodesize}"
    if found.blocklog + found.dirblklog > 16:
        yield f"has directory blocks of 2^{found.dirblklog} blocks, expected at most 64 KiB"


def _check_groups(found: Superblock) -> Iterator[str]:
    groups, blocks = found.agcount, found.agblocks
    if not groups or blocks < SMALLEST_GROUP or blocks * found.blocksize > LARGEST_GROUP:
        yield f"has {groups} allocation groups of {blocks} blocks"
    elif not (groups - 1) * blocks + SMALLEST_GROUP <= found.dblocks <= groups * blocks:
        yield f"has {found.dblocks} blocks, expected those of {groups} allocation groups of {blocks}"
    if found.agblklog != (blocks - 1).bit_length():
        yield f"has the logarithm {found.agblklog} of the group size, expected {(blocks - 1).bit_length()}"
    if found.rextsize == 0 or found.rextsize * found.blocksize > 1 << 30:
        yield f"has realtime extents of {found.rextsize} blocks"
    elif not found.features_incompat & META_DIRECTORY:
        if found.rextents != found.rblocks // found.rextsize:
            yield f"has {found.rextents} realtime extents, expected {found.rblocks // found.rextsize}"
        bitmaps = -(-found.rextents // (found.blocksize * 8)) if found.blocksize else 0
        if found.rbmblocks != bitmaps:
            yield f"has {found.rbmblocks} blocks of realtime bitmap, expected {bitmaps}"
        if found.rextslog != max(found.rextents.bit_length() - 1, 0):
            yield f"has the logarithm {found.rextslog} of {found.rextents} realtime extents"
        if found.frextents > found.rextents:
            yield f"has {found.frextents} free realtime extents of {found.rextents}"


def _check_inodes(found: Superblock) -> Iterator[str]:
    root = found.rootino
    group, inode = root >> (found.agblklog + found.inopblog), root & ((1 << (found.agblklog + found.inopblog)) - 1)
    if group >= found.agcount or inode >> found.inopblog >= found.agblocks:
        yield f"has the root inode {root}, expected one inside an allocation group"
    elif not found.features_incompat & META_DIRECTORY and (found.rbmino, found.rsumino) != (root + 1, root + 2):
        yield f"has the realtime inodes {found.rbmino} and {found.rsumino}, expected {root + 1} and {root + 2}"
    if found.ifree > found.icount or found.fdblocks > found.dblocks:
        yield f"has {found.ifree} free of {found.icount} inodes, and {found.fdblocks} free of {found.dblocks} blocks"
    quotas = (found.uquotino, found.gquotino)
    if found.version == 4 and not found.versionnum & QUOTA and (found.qflags or set(quotas) - {0, _NO_INODE}):
        yield f"has the quota inodes {quotas[0]} and {quotas[1]}, expected none without the feature"
    if found.shared_vn:
        yield f"has the shared version {found.shared_vn}, expected 0"


def _check_log(found: Superblock) -> Iterator[str]:
    if not found.logblocks:
        yield "has a log of 0 blocks"
    if found.versionnum & SECTORS:
        if not is_power(found.logsectsize, found.logsectlog, 512, 32768):
            yield f"has log sectors of {found.logsectsize} bytes and the logarithm {found.logsectlog}"
    elif found.logsectsize or found.logsectlog:
        yield f"has log sectors of {found.logsectsize} bytes, expected none without the feature"
    if found.versionnum & LOG_V2 and found.logsunit > 1 and found.logsunit % max(found.blocksize, 1):
        yield f"has a log stripe of {found.logsunit} bytes, expected whole blocks"
    yield from check_stripes(found)


def check_stripes(found: Superblock) -> Iterator[str]:
    """What is wrong in the stripes, as clauses. A mount option may change them in the primary superblock alone."""
    if bool(found.unit) != bool(found.width) or (found.unit and found.width % found.unit):
        yield f"has stripes {found.width} blocks wide of units of {found.unit}"
