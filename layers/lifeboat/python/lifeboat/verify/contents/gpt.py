"""The GUID partition table with its backup.

Specification: UEFI 2.10, section 5.3. Both headers and both arrays of entries have a CRC-32. Addresses are in sectors
of 512 bytes: EBS volumes have no others. The backup lies where the primary header says. After a volume was made larger
that is before its last sector until a tool moves it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lifeboat.verify.contents.checksums import crc32
from lifeboat.verify.contents.found import Partition, PartitionTable, bounded
from lifeboat.verify.contents.image import Image
from lifeboat.verify.contents.mbr import SECTOR, SIGNATURE, find_protective, overlaps

MAGIC = b"EFI PART"
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
MOST_ENTRY_BYTES = 1024 * 1024
"""An array of entries is read up to this size. The usual one has 16 KiB."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header whose CRC is right."""

    own: int
    other: int
    first_usable: int
    last_usable: int
    disk: bytes
    entries_at: int
    count: int
    entry_size: int
    entries_crc: int


@dataclass(frozen=True, slots=True)
class _Copy:
    """One of the two tables: its header and entries, each None if it is damaged, and why."""

    header: Header | None
    entries: bytes | None
    problem: str | None


def parse(image: Image) -> PartitionTable | None:
    """Return the table, or None if neither a header nor a protective MBR says that there is one."""
    sectors = image.size // SECTOR
    if sectors < 8:
        return None
    first, second = image.read(0, SECTOR), image.read(SECTOR, SECTOR)
    protected = find_protective(first)
    primary = _read(image, 1, "primary")
    if not primary.header and not (protected and first[510:512] == SIGNATURE) and second[:8] != MAGIC:
        return None
    problems = [] if protected else ["The protective MBR in front of the GPT at byte 0 is missing."]
    if protected and first[510:512] != SIGNATURE:
        problems.append("The protective MBR at byte 0 lacks its signature 55AAh.")
    if protected and protected.start != 1:  # Linux does not use the GPT then: pmbr_part_valid in block/partitions/efi.c
        problems.append(f"The protective MBR's partition begins in sector {protected.start}, expected 1.")
    at = primary.header.other if primary.header else sectors - 1
    backup = _read(image, at, "backup") if at < sectors else _Copy(None, None, _beyond(at, sectors))
    problems += [copy.problem for copy in (primary, backup) if copy.problem]
    if primary.header and backup.header and _described(primary.header) != _described(backup.header):
        problems.append(f"The backup GPT header at byte {at * SECTOR} describes another table than the primary one.")
    chosen = primary if primary.entries is not None else backup
    partitions: list[Partition] = []
    if chosen.header and chosen.entries is not None:
        partitions = _partitions(chosen.header, chosen.entries, problems)
    problems += overlaps(partitions)
    return PartitionTable("gpt", tuple(partitions), bounded(problems))


def _read(image: Image, at: int, which: str) -> _Copy:
    where = f"The {which} GPT header at byte {at * SECTOR}"
    header = _header(image.read(at * SECTOR, SECTOR), at, image.size // SECTOR)
    if isinstance(header, str):
        return _Copy(None, None, f"{where} {header}.")
    entries = image.read(header.entries_at * SECTOR, header.count * header.entry_size)
    if crc32(entries) != header.entries_crc:
        return _Copy(header, None, f"The {which} GPT entries at byte {header.entries_at * SECTOR} have a wrong CRC.")
    return _Copy(header, entries, None)


def _header(sector: bytes, at: int, sectors: int) -> Header | str:
    """The header, or what is wrong with it."""
    magic, revision, size, crc, _, *rest = _HEADER.unpack_from(sector)
    if magic != MAGIC:
        return "lacks its signature EFI PART"
    if revision >> 16 != 1 or not _HEADER.size <= size <= SECTOR:
        return f"has the revision {revision:#x} and the size {size}, expected 0x10000 and 92"
    if crc32(sector[:16] + bytes(4) + sector[20:size]) != crc:
        return "has a wrong CRC"
    header = Header(*rest)
    length = header.count * header.entry_size
    if header.own != at:
        return f"says that it lies in sector {header.own}"
    if header.entry_size < 128 or header.entry_size % 128 or length > MOST_ENTRY_BYTES:
        return f"has {header.count} entries of {header.entry_size} bytes, expected a multiple of 128 and at most 1 MiB"
    if not 2 <= header.entries_at <= sectors - length // SECTOR:
        return f"has its entries in sector {header.entries_at}, expected one before sector {sectors}"
    if not header.first_usable <= header.last_usable < sectors:
        return f"has the last usable sector {header.last_usable}, expected one before sector {sectors}"
    return header


def _described(header: Header) -> tuple[object, ...]:
    """What is the same in both headers."""
    return (
        sorted((header.own, header.other)),
        header.first_usable,
        header.last_usable,
        header.disk,
        header.count,
        header.entry_size,
        header.entries_crc,
    )


def _beyond(at: int, sectors: int) -> str:
    return f"The primary GPT header puts the backup into sector {at}, but the volume has {sectors} sectors."


def _partitions(header: Header, entries: bytes, problems: list[str]) -> list[Partition]:
    found = []
    for number in range(header.count):
        kind, _, first, last, _, name = struct.unpack_from("<16s16sQQQ72s", entries, number * header.entry_size)
        if not any(kind):
            continue
        if not header.first_usable <= first <= last <= header.last_usable:
            problems.append(
                f"GPT partition {number + 1} has the sectors {first} to {last}, expected them between"
                f" {header.first_usable} and {header.last_usable}."
            )
            continue
        text = name.decode("utf-16-le", "replace").split("\0")[0]
        label = "".join(letter for letter in text if letter.isprintable())
        found.append(Partition(number + 1, first * SECTOR, (last - first + 1) * SECTOR, label))
    return found
