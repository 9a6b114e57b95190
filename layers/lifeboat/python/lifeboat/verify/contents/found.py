"""What the parsers found in a snapshot, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOST_PROBLEMS = 20
"""A file system or table lists so many problems; one more sentence counts the rest."""

UNKNOWN, EMPTY = "unknown", "empty"
"""Types of what no parser recognised, and of bytes that were never written. Neither is a failure."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `offset` and `size` are in bytes; `number` counts from 1 as Linux does."""

    number: int
    offset: int
    size: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """The partition table; `none` if the volume begins with a file system or with nothing known."""

    kind: Literal["none", "mbr", "gpt"]
    partitions: tuple[Partition, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system, an LVM2 physical volume, or what lies where one would be.

    `type` is one of xfs, ext2, ext3, ext4, ntfs, lvm2, unknown, empty. `offset` is in bytes from the volume's start.
    `size` is in bytes, as the headers say, or of the partition if they say none. `uuid` is None if there is none, and
    the serial number for NTFS. `log_dirty` is None if the type has no log or its state is not known; a dirty log is
    normal in a crash-consistent snapshot, and is replayed at the next mount. `notes` are sentences about what is normal
    but worth knowing. `problems` are sentences about what is damaged. `name` is the partition's, or that of the logical
    volume with its group in front.
    """

    offset: int
    size: int
    type: str
    uuid: str | None = None
    log_dirty: bool | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a snapshot holds. `problems` lists those of the table and of every file system.

    `complete` is False if the bound on the work ended the inspection early; `notes` says so. `blocks_fetched` and
    `bytes_read` are the work done.
    """

    table: PartitionTable
    file_systems: tuple[FileSystem, ...]
    complete: bool
    blocks_fetched: int
    bytes_read: int
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem, each one a sentence that says what is wrong and where."""
        return self.table.problems + tuple(text for found in self.file_systems for text in found.problems)


def bounded(problems: list[str]) -> tuple[str, ...]:
    """The first problems, and a sentence that counts the others."""
    if len(problems) <= MOST_PROBLEMS:
        return tuple(problems)
    more = len(problems) - MOST_PROBLEMS
    return (*problems[:MOST_PROBLEMS], f"{more} more problems of this kind are not listed.")
