"""The master boot record with its extended and logical partitions.

Specification: UEFI 2.10, section 5.2.1 (legacy MBR); for the linked list of extended boot records, Linux
`block/partitions/msdos.c`. Addresses are in sectors of 512 bytes: EBS volumes have no others.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lifeboat.verify.contents.found import Partition, PartitionTable, bounded
from lifeboat.verify.contents.image import Image

SECTOR = 512
SIGNATURE = b"\x55\xaa"
PROTECTIVE = 0xEE
EXTENDED = (0x05, 0x0F, 0x85)
MOST_LOGICAL = 60
"""So many logical partitions are read. Linux numbers minor devices up to 63 for a disk in the classic scheme."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the four entries of a boot record; `start` and `count` are in sectors."""

    number: int
    status: int
    type: int
    start: int
    count: int

    @property
    def used(self) -> bool:
        return self.type != 0 and self.count != 0

    @property
    def well_formed(self) -> bool:
        return self.status in (0, 0x80)

    def fits(self, sectors: int) -> bool:
        return self.start > 0 and self.start + self.count <= sectors


def read_entries(sector: bytes) -> tuple[Entry, ...]:
    """The four entries of a boot record."""
    return tuple(Entry(number + 1, *struct.unpack_from("<B3xB3xII", sector, 446 + 16 * number)) for number in range(4))


def find_protective(sector: bytes) -> Entry | None:
    """The entry that protects a GPT: its type is EEh."""
    return next((entry for entry in read_entries(sector) if entry.type == PROTECTIVE), None)


def parse(image: Image) -> PartitionTable | None:
    """Return the table in the first sector, or None if that is no boot record.

    A boot record is believed without its signature only if every entry is empty or describes a possible partition.
    """
    sector = image.read(0, SECTOR)
    sectors = image.size // SECTOR
    entries = read_entries(sector)
    used = [entry for entry in entries if entry.used]
    possible = [entry for entry in used if entry.well_formed and entry.fits(sectors)]
    signed = sector[510:512] == SIGNATURE
    if not possible or (not signed and len(possible) < sum(any(_raw(sector, entry)) for entry in entries)):
        return None
    problems = [] if signed else ["The master boot record at byte 0 lacks its signature 55AAh."]
    problems += [
        f"Entry {entry.number} of the master boot record has the status {entry.status:#x}, expected 0 or 0x80."
        for entry in entries
        if not entry.well_formed
    ]
    partitions: list[Partition] = []
    for entry in used:
        if not entry.fits(sectors):
            problems.append(_outside(f"Partition {entry.number}", entry.start, entry.count, sectors))
        elif entry.type in EXTENDED:
            partitions += _logical(image, entry, problems)
        else:
            partitions.append(Partition(entry.number, entry.start * SECTOR, entry.count * SECTOR))
    partitions.sort(key=lambda partition: partition.number)
    problems += overlaps(partitions)
    return PartitionTable("mbr", tuple(partitions), bounded(problems))


def overlaps(partitions: list[Partition]) -> list[str]:
    """A sentence for each partition that begins before the one in front of it ends."""
    ordered = sorted(partitions, key=lambda partition: partition.offset)
    return [
        f"Partition {after.number} at byte {after.offset} overlaps partition {before.number}."
        for before, after in pairwise(ordered)
        if after.offset < before.offset + before.size
    ]


def _logical(image: Image, extended: Entry, problems: list[str]) -> Iterator[Partition]:
    """Follow the extended boot records. Each one must lie behind the last, so the list ends."""
    at, end, number = extended.start, extended.start + extended.count, 5
    while number < 5 + MOST_LOGICAL:
        sector = image.read(at * SECTOR, SECTOR)
        if sector[510:512] != SIGNATURE:
            problems.append(f"The extended boot record at byte {at * SECTOR} lacks its signature 55AAh.")
            return
        data, link = read_entries(sector)[:2]
        problems += [
            f"An entry of the extended boot record at byte {at * SECTOR} has the status {entry.status:#x},"
            " expected 0 or 0x80."
            for entry in (data, link)
            if not entry.well_formed
        ]
        if data.used:
            start = at + data.start
            if start > at and start + data.count <= end:
                yield Partition(number, start * SECTOR, data.count * SECTOR)
            else:
                problems.append(_outside(f"Logical partition {number}", start, data.count, end))
            number += 1
        if not link.used:
            return
        following = extended.start + link.start
        if link.type not in EXTENDED or not at < following < end:
            problems.append(
                f"The extended boot record at byte {at * SECTOR} has a bad link to byte {following * SECTOR}."
            )
            return
        at = following
    problems.append(f"The extended partition has more than {MOST_LOGICAL} logical partitions.")


def _raw(sector: bytes, entry: Entry) -> bytes:
    start = 446 + 16 * (entry.number - 1)
    return sector[start : start + 16]


def _outside(what: str, start: int, count: int, end: int) -> str:
    return f"{what} has {count} sectors from sector {start}, expected them before sector {end}."
