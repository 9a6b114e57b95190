"""XFS, versions 4 and 5: the superblock, the headers of each allocation group, and the log.

Specification: "XFS Algorithms & Data Structures", 3rd edition, chapters "Allocation Groups" and "Self Describing
Metadata" (https://docs.kernel.org/filesystems/xfs/xfs-self-describing-metadata.html); `fs/xfs/libxfs/xfs_format.h`.
An allocation group begins with a copy of the superblock and three headers, each in a sector of its own: AGF, AGI, AGFL.
"""

from __future__ import annotations

from lifeboat.verify.contents import xfs_superblock
from lifeboat.verify.contents.found import FileSystem, bounded
from lifeboat.verify.contents.image import Part
from lifeboat.verify.contents.xfs_group import Totals, check_group
from lifeboat.verify.contents.xfs_log import LogState, inspect_log
from lifeboat.verify.contents.xfs_superblock import (
    Superblock,
    check_fields,
    crc_is_right,
    has_trailing_bytes,
    read_superblock,
)

SECTORS = (512, 1024, 2048, 4096, 8192, 16384, 32768)
MOST_GROUPS = 128
"""So many allocation groups are read. Of more, an even sample is: each one costs a block."""


def parse(part: Part) -> FileSystem | None:
    """Return the XFS in the part, or None if it does not begin with a superblock."""
    if part.size < SECTORS[0]:
        return None
    sector = part.read(0, SECTORS[0])
    if sector[:4] != xfs_superblock.MAGIC:
        return None
    found = read_superblock(sector)
    problems = _check_primary(part, found)
    if problems:
        return FileSystem(part.offset, part.size, "xfs", found.text_uuid, problems=bounded(problems))
    return _check_all(part, found)


def parse_trace(part: Part) -> FileSystem | None:
    """Return an XFS without its primary superblock, if other headers show that one was there."""
    trace = _trace(part)
    if trace is None:
        return None
    problem = f"The primary superblock at byte {part.offset} lacks its magic number XFSB, but {trace}."
    return FileSystem(part.offset, part.size, "xfs", problems=(problem,))


def _trace(part: Part) -> str | None:
    for size in SECTORS:
        if 3 * size <= part.size and (part.read(size, 4) == b"XAGF" or part.read(2 * size, 4) == b"XAGI"):
            return f"the headers of an allocation group follow from byte {part.offset + size}"
    quarter = -(-part.size // 4 // 4096) * 4096
    for at in (quarter, quarter - 4096):
        if 0 < at <= part.size - 4 and part.read(at, 4) == xfs_superblock.MAGIC:
            return f"a copy lies at byte {part.offset + at}, where mkfs.xfs puts the second allocation group"
    return None


def _check_primary(part: Part, found: Superblock) -> list[str]:
    where = f"The primary superblock at byte {part.offset}"
    if found.version == 5:
        if found.sectsize not in SECTORS or found.sectsize > part.size:
            return [f"{where} has the sector size {found.sectsize}, expected 512 to 32768."]
        if not crc_is_right(part.read(0, found.sectsize), xfs_superblock.CRC_AT):
            return [f"{where} has a wrong CRC32C."]
    problems = [f"{where} {clause}." for clause in check_fields(found)]
    if found.version == 4 and found.sectsize <= part.size and has_trailing_bytes(part.read(0, found.sectsize)):
        problems.append(f"{where} has bytes behind its last field.")
    if not problems and found.size > part.size:
        problems.append(f"{where} says {found.size} bytes, but only {part.size} are there.")
    return problems


def _check_all(part: Part, found: Superblock) -> FileSystem:
    log = _log(part, found)
    problems = [f"The log of the XFS at byte {part.offset} {log.problem}."] if log.problem else []
    notes = []
    if log.dirty:
        notes.append("The log is dirty, which is normal in a crash-consistent snapshot: the next mount replays it.")
    if not found.logstart:
        notes.append("The log is on another volume; its state is not known here.")
    totals = Totals()
    numbers = sample(found.agcount)
    for number in numbers:
        problems += check_group(part, found, number, totals, log)
    if len(numbers) < found.agcount:
        notes.append(f"{len(numbers)} of {found.agcount} allocation groups were read, an even sample.")
    elif log.dirty is False and not problems:
        problems += [f"The primary superblock at byte {part.offset} {clause}." for clause in totals.compare(found)]
    if totals.unlinked:
        notes.append(f"{totals.unlinked} lists of deleted but open files are not empty; the next mount frees them.")
    return FileSystem(part.offset, found.size, "xfs", found.text_uuid, log.dirty, tuple(notes), bounded(problems))


def _log(part: Part, found: Superblock) -> LogState:
    if not found.logstart:
        return LogState(None)
    at, length = found.block_at(found.logstart), found.logblocks * found.blocksize
    first = found.logstart & ((1 << found.agblklog) - 1)
    group = found.logstart >> found.agblklog
    if at is None or first + found.logblocks > found.group_length(group):
        return LogState(None, f"has {found.logblocks} blocks from block {found.logstart}, which are in no group")
    return inspect_log(part, at, length, found.uuid)


def sample(count: int) -> list[int]:
    """The numbers of the allocation groups to read: all, or MOST_GROUPS from the first to the last, evenly spread."""
    if count <= MOST_GROUPS:
        return list(range(count))
    return [number * (count - 1) // (MOST_GROUPS - 1) for number in range(MOST_GROUPS)]
