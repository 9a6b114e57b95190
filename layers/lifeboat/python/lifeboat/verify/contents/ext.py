"""ext2, ext3 and ext4: the superblock and its copies, the group descriptors, and the journal.

Specification: https://docs.kernel.org/filesystems/ext4/ (sections "Super Block", "Block Group Descriptors",
"Checksums", "Journal"); Linux `fs/ext4/super.c`. A copy of the superblock may be older than the primary one: Linux does
not update it with each change, and up to Linux 6.1 an online resize left a wrong checksum there. So of a copy only what
never changes is checked, and a wrong checksum is a note.
"""

from __future__ import annotations

from itertools import islice, product

from lifeboat.verify.contents.ext_groups import check_groups
from lifeboat.verify.contents.ext_journal import check_journal
from lifeboat.verify.contents.ext_superblock import (
    AT,
    CHECKSUMS,
    HAS_JOURNAL,
    JOURNAL_DEVICE,
    LENGTH,
    RECOVER,
    VALID,
    Superblock,
    check_fields,
    checksum_is_right,
    read_superblock,
    unknown_features,
)
from lifeboat.verify.contents.found import FileSystem, bounded
from lifeboat.verify.contents.image import Part

MOST_COPIES = 24
"""So many copies of the superblock are read: each one costs a block. 100 GiB have 14."""

_SAME = ("log_block", "blocks_per_group", "inodes_per_group", "inode_size", "first_block", "first_inode")
"""What never changes, so that each copy has it."""

_ORPHANS = 0x10000
"""The bit of `read_only` that says that a file lists deleted but open files."""

_CLUSTER_BLOCKS = (1, 16)
"""One with bigalloc is usually of 16 blocks, and the groups are so many times larger."""


def parse(part: Part) -> FileSystem | None:
    """Return the file system in the part, or None if it has no superblock of this family in its place."""
    if part.size < AT + LENGTH:
        return None
    data = part.read(AT, LENGTH)
    found = read_superblock(data)
    if found is None or found.incompatible & JOURNAL_DEVICE:
        return None
    problems = _check_primary(part, data, found)
    if problems:
        return FileSystem(part.offset, part.size, found.type, found.text_uuid, problems=bounded(problems))
    return _check_all(part, found)


def parse_trace(part: Part) -> FileSystem | None:
    """Return a file system without its primary superblock, if the first copy lies where mkfs puts it."""
    for log_block, ratio in product(range(3), _CLUSTER_BLOCKS):
        size = 1024 << log_block
        at = (size * 8 * ratio + (log_block == 0 and ratio == 1)) * size
        if at + LENGTH > part.size:
            continue
        found = read_superblock(part.read(at, LENGTH))
        if found and found.log_block == log_block and found.group_number == 1:
            problem = (
                f"The primary superblock at byte {part.offset + AT} lacks its magic number,"
                f" but a copy lies at byte {part.offset + at}."
            )
            return FileSystem(part.offset, part.size, found.type, found.text_uuid, problems=(problem,))
    return None


def _check_primary(part: Part, data: bytes, found: Superblock) -> list[str]:
    where = f"The primary superblock at byte {part.offset + AT}"
    if found.read_only & CHECKSUMS and not checksum_is_right(data):
        return [f"{where} has a wrong CRC32C."]
    problems = [f"{where} {clause}." for clause in check_fields(found)]
    if not problems and found.size > part.size:
        problems.append(f"{where} says {found.size} bytes, but only {part.size} are there.")
    return problems


def _check_all(part: Part, found: Superblock) -> FileSystem:
    problems: list[str] = []
    notes: list[str] = []
    dirty = bool(found.incompatible & RECOVER) if found.compatible & HAS_JOURNAL else None
    if dirty:
        notes.append("The journal is dirty, which is normal in a crash-consistent snapshot: the next mount replays it.")
    if dirty is None and not found.state & VALID:
        notes.append("It was mounted and has no journal: run e2fsck before the next mount.")
    if any(unknown_features(found)):
        notes.append(f"It has features that are not known here: {' '.join(map(hex, unknown_features(found)))}.")
    clean = not dirty and bool(found.state & VALID)
    problems += check_groups(part, found, clean=clean)
    problems += check_journal(part, found)
    _check_copies(part, found, problems, notes)
    return FileSystem(part.offset, found.size, found.type, found.text_uuid, dirty, tuple(notes), bounded(problems))


def _check_copies(part: Part, found: Superblock, problems: list[str], notes: list[str]) -> None:
    """Read the copies of the superblock."""
    for group in islice(_groups_with_copies(found), MOST_COPIES):
        at = found.first_block_of(group) * found.block_size
        if at + LENGTH > part.size:
            return
        where = f"The copy of the superblock in group {group} at byte {part.offset + at}"
        data = part.read(at, LENGTH)
        copy = read_superblock(data)
        if copy is None:
            problems.append(f"{where} lacks its magic number.")
            continue
        problems += [
            f"{where} has {name} {getattr(copy, name)}, expected {getattr(found, name)} as in the primary one."
            for name in _SAME
            if getattr(copy, name) != getattr(found, name)
        ]
        if copy.blocks == found.blocks and copy.reserved_tables != found.reserved_tables:
            problems.append(f"{where} reserves {copy.reserved_tables} blocks, expected {found.reserved_tables}.")
        if copy.group_number != group & 0xFFFF:
            problems.append(f"{where} says that it is the copy of group {copy.group_number}.")
        if _features(copy) != _features(found):
            notes.append(f"{where} names other features than the primary one.")
        if copy.read_only & CHECKSUMS and not checksum_is_right(data):
            notes.append(f"{where} has a wrong CRC32C. Linux up to 6.1 left it so after an online resize.")


def _features(found: Superblock) -> tuple[int, ...]:
    return found.compatible, found.incompatible & ~RECOVER, found.read_only & ~_ORPHANS


def _groups_with_copies(found: Superblock) -> list[int]:
    """The groups behind the first one that may have a copy: few, because their numbers are powers."""
    powers = {base**exponent for base in (3, 5, 7) for exponent in range(1, 14)}
    near = range(1, 2 * MOST_COPIES)
    numbers = {*near, *powers, *found.backup_groups}
    return [number for number in sorted(numbers) if 0 < number < found.groups and found.has_copy(number)]
