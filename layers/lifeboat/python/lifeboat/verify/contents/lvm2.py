"""An LVM2 physical volume: its label, its header, and the metadata of its volume group.

Specification: LVM2's lib/format_text/layout.h (`pv_header`, `mda_header`, `raw_locn`) and lib/label/label.h.
Numbers are little-endian. The checksum is CRC-32 with a start value of its own, and not inverted. A metadata area is a
ring of text behind a header of 512 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

from lifeboat.verify.contents.checksums import crc32_raw
from lifeboat.verify.contents.found import FileSystem, bounded
from lifeboat.verify.contents.image import Part
from lifeboat.verify.contents.lvm2_text import Section, TextError, number_of, parse_text, section_of

SECTOR = 512
LABEL, TYPE = b"LABELONE", b"LVM2 001"
AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_SEED = 0xF597A6CF
_IGNORED = 1
MOST_TEXT = 2 * 1024 * 1024
"""Longer metadata is not read. The default area has 1 MiB, and holds two texts at least."""

MOST_VOLUMES, MOST_NAME = 128, 127
"""Logical volumes that are read, and characters in the name of one (lvm(8))."""

MOST_AREAS = 4
"""Areas of each kind in a header: pvcreate makes one of data and up to two of metadata."""


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """A logical volume in one piece on this physical volume; `offset` and `size` are in bytes of the volume."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """What the parsers found, and the logical volumes that can be read."""

    found: FileSystem
    volumes: tuple[LogicalVolume, ...] = ()


@dataclass(frozen=True, slots=True)
class _Header:
    uuid: str
    size: int
    metadata: tuple[tuple[int, int], ...]


def parse(part: Part) -> FileSystem | None:
    """Return the physical volume in the part, or None if none of its first four sectors has a label."""
    known = read_volume(part)
    return known.found if known else None


def read_volume(part: Part) -> PhysicalVolume | None:
    """As `parse`, with the logical volumes."""
    if part.size < 8 * SECTOR:
        return None
    for number in range(4):
        sector = part.read(number * SECTOR, SECTOR)
        if sector[:8] == LABEL and sector[24:32] == TYPE:
            return _read(part, number, sector)
    return None


def _read(part: Part, number: int, sector: bytes) -> PhysicalVolume:
    where = f"The LVM2 label at byte {part.offset + number * SECTOR}"
    own, crc, at = struct.unpack_from("<QII", sector, 8)
    if crc32_raw(_SEED, sector[20:]) != crc:
        return PhysicalVolume(_failed(part, [f"{where} has a wrong CRC."]))
    if own != number or not 32 <= at <= SECTOR - 40 - 32:
        return PhysicalVolume(_failed(part, [f"{where} says that it lies in sector {own}, with its header at {at}."]))
    header = _read_header(sector[at:])
    if header is None:
        return PhysicalVolume(_failed(part, [f"{where} has a header with lists that do not end."]))
    problems: list[str] = []
    notes: list[str] = []
    if header.size > part.size:
        problems.append(f"{where} says {header.size} bytes, but only {part.size} are there.")
    texts = []
    for start, length in header.metadata:
        text = _read_area(part, start, length, problems)
        if text:
            texts.append(text)
    volumes: tuple[LogicalVolume, ...] = ()
    if len(set(texts)) > 1:
        problems.append(f"The metadata areas of the LVM2 volume at byte {part.offset} differ.")
    if texts:
        volumes = _read_text(part, texts[0], header.uuid, problems, notes)
    found = FileSystem(part.offset, header.size, "lvm2", header.uuid, notes=tuple(notes), problems=bounded(problems))
    return PhysicalVolume(found, volumes)


def _failed(part: Part, problems: list[str]) -> FileSystem:
    return FileSystem(part.offset, part.size, "lvm2", problems=tuple(problems))


def _read_header(data: bytes) -> _Header | None:
    raw, size = struct.unpack_from("<32sQ", data)
    at, lists = 40, []
    for _ in range(2):  # the areas of data, then those of metadata
        areas = []
        while at + 16 <= len(data):
            area = struct.unpack_from("<QQ", data, at)
            at += 16
            if not area[0]:
                break
            areas.append(area)
        else:
            return None
        if len(areas) > MOST_AREAS:
            return None
        lists.append(tuple(areas))
    return _Header(_text_uuid(raw), size, lists[1])


def _text_uuid(raw: bytes) -> str:
    """The UUID as LVM2 prints it, in groups of 6, 4, 4, 4, 4, 4 and 6 characters."""
    text = raw.decode("ascii", "replace")
    ends = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(text[start:end] for start, end in pairwise(ends))


def _read_area(part: Part, start: int, length: int, problems: list[str]) -> bytes | None:
    """The text in a metadata area; None if the area has none, is ignored or is damaged."""
    where = f"The LVM2 metadata area at byte {part.offset + start}"
    if length <= SECTOR or start + length > part.size:
        problems.append(f"{where} has {length} bytes, which are not inside the volume.")
        return None
    sector = part.read(start, SECTOR)
    crc, magic, version, own, size = struct.unpack_from("<I16sIQQ", sector)
    if crc32_raw(_SEED, sector[4:]) != crc:
        problems.append(f"{where} has a wrong CRC.")
        return None
    if magic != AREA_MAGIC or version != 1 or own != start or size != length:
        problems.append(f"{where} describes another one: {size} bytes at byte {own}, version {version}.")
        return None
    offset, used, text_crc, flags = struct.unpack_from("<QQII", sector, 40)
    if not offset or flags & _IGNORED:
        return None
    if not SECTOR <= offset < length or not 0 < used <= length - SECTOR:
        problems.append(f"{where} has its text of {used} bytes at {offset}, which is outside.")
        return None
    if used > MOST_TEXT:
        return None
    first = part.read(start + offset, min(used, length - offset))
    text = first + part.read(start + SECTOR, used - len(first))
    if crc32_raw(_SEED, text) != text_crc:
        problems.append(f"The text of {where[0].lower()}{where[1:]} has a wrong CRC.")
        return None
    return text


def _read_text(part: Part, text: bytes, own: str, problems: list[str], notes: list[str]) -> tuple[LogicalVolume, ...]:
    try:
        groups = parse_text(text.rstrip(b"\0").decode("utf-8", "replace"))
    except TextError as error:
        problems.append(f"The metadata of the LVM2 volume at byte {part.offset} {error}.")
        return ()
    volumes = []
    for name, group in groups.items():
        if not isinstance(group, dict) or "physical_volumes" not in group:
            continue
        for key, volume in islice(section_of(group, "logical_volumes").items(), MOST_VOLUMES):
            label = f"{name[:MOST_NAME]}/{key[:MOST_NAME]}"
            place = _place(group, volume, own) if isinstance(volume, dict) else None
            if place and place[0] + place[1] <= part.size:
                volumes.append(LogicalVolume(label, *place))
            else:
                notes.append(f"The logical volume {label} is not in one piece here, so it was not read.")
    return tuple(volumes)


def _place(group: Section, volume: Section, own: str) -> tuple[int, int] | None:
    """The byte and the size of a logical volume that lies in one piece on the physical volume `own`."""
    extent = number_of(group, "extent_size")
    names = [name for name, value in section_of(group, "physical_volumes").items() if _has_id(value, own)]
    if not extent or extent < 0 or not names:
        return None
    begin = number_of(section_of(section_of(group, "physical_volumes"), names[0]), "pe_start")
    pieces = sorted(_pieces(volume, names[0]))
    if begin is None or begin < 0 or not pieces or len(pieces) != number_of(volume, "segment_count"):
        return None
    logical, total, first = 0, 0, pieces[0][2]
    for start, count, physical in pieces:
        if start != logical or physical != first + logical or count <= 0 or physical < 0:
            return None
        logical += count
        total += count
    return (begin + first * extent) * SECTOR, total * extent * SECTOR


def _has_id(value: object, own: str) -> bool:
    return isinstance(value, dict) and value.get("id") == own


def _pieces(volume: Section, physical: str) -> Iterator[tuple[int, int, int]]:
    """Of each linear segment the first logical extent, the count, and the first physical extent."""
    for name in volume:
        segment = section_of(volume, name)
        start, count = number_of(segment, "start_extent"), number_of(segment, "extent_count")
        stripes = segment.get("stripes")
        if start is None or count is None or segment.get("type") != "striped" or not isinstance(stripes, list):
            continue
        if len(stripes) == 2 and stripes[0] == physical and isinstance(stripes[1], int):
            yield start, count, stripes[1]
