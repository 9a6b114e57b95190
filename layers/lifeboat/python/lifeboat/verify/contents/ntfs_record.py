"""A record of NTFS's master file table: its fixups and its attributes.

Specification: ntfs-3g's `layout.h` (`MFT_RECORD`, `ATTR_RECORD`), and the NTFS documentation of the Linux-NTFS project
("Concepts: File Record, Fixup, Data Runs"). Numbers are little-endian. The last two bytes of each 512 bytes of a record
are an update sequence number; the bytes that belong there stand in an array in the header. Where two of these numbers
differ, a write was cut off.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

STRIDE = 512
VOLUME_INFORMATION, DATA = 0x70, 0x80
_END = 0xFFFFFFFF
_HEADER = struct.Struct("<4sHHQHHHHIIQH")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`content` is the value of a resident attribute; `first_run` the first cluster of one that is not."""

    type: int
    content: bytes
    first_run: int | None


def with_fixups(raw: bytes, magic: bytes) -> bytes | str:
    """A record with its own bytes back in place, or a clause that says what is wrong."""
    if raw[:4] != magic:
        return f"lacks its magic number {magic.decode()}"
    at, count = struct.unpack_from("<HH", raw, 4)
    if count != len(raw) // STRIDE + 1 or at + 2 * count > STRIDE - 2 or at % 2:
        return f"has an update sequence of {count} entries at {at}, expected {len(raw) // STRIDE + 1}"
    number = raw[at : at + 2]
    fixed = bytearray(raw)
    for index in range(1, count):
        end = index * STRIDE - 2
        if fixed[end : end + 2] != number:
            return f"was not written whole: its sector {index - 1} has another update sequence number"
        fixed[end : end + 2] = raw[at + 2 * index : at + 2 * index + 2]
    return bytes(fixed)


def check_record(record: bytes, number: int) -> Iterator[str]:
    """What is wrong in a record after the fixups: clauses that follow "The record"."""
    _, _, _, _, sequence, links, first, flags, used, allocated, base, _ = _HEADER.unpack_from(record)
    if not flags & 1 or sequence == 0 or links == 0 or base:
        yield "is not in use"
    if allocated != len(record) or not first < used <= allocated or first % 8:
        yield f"uses {used} of {allocated} bytes from {first}, expected a size of {len(record)}"
        return
    at_new = struct.unpack_from("<I", record, 44)[0]
    if struct.unpack_from("<H", record, 4)[0] >= 48 and at_new != number:
        yield f"says that it is record {at_new}"
    at, last = first, 0
    while True:
        if at + 4 > used:
            yield "has attributes without an end"
            return
        kind = int.from_bytes(record[at : at + 4], "little")
        if kind == _END:
            return
        length = int.from_bytes(record[at + 4 : at + 8], "little")
        if length < 24 or length % 8 or at + length > used or kind < last or kind % 16:
            yield f"has an attribute of type {kind:#x} and {length} bytes at {at}"
            return
        at, last = at + length, kind


def attributes(record: bytes) -> Iterator[Attribute]:
    """The attributes of a record that check_record found right, without a name."""
    at = int.from_bytes(record[20:22], "little")
    while True:
        kind = int.from_bytes(record[at : at + 4], "little")
        length = int.from_bytes(record[at + 4 : at + 8], "little")
        whole = record[at : at + length]
        if kind == _END or len(whole) < 24:
            return
        elsewhere, name = whole[8], whole[9]
        if not name and not elsewhere:
            size, start = struct.unpack_from("<IH", whole, 16)
            yield Attribute(kind, whole[start : start + size], None)
        elif not name and length >= 64:
            yield Attribute(kind, b"", _first_run(whole[int.from_bytes(whole[32:34], "little") :]))
        at += length


def _first_run(runs: bytes) -> int | None:
    """The first cluster of a list of runs; None if it begins with a hole or is damaged."""
    if not runs:
        return None
    lengths, starts = runs[0] & 0xF, runs[0] >> 4
    raw = runs[1 + lengths : 1 + lengths + starts]
    if not lengths or not starts or len(raw) < starts:
        return None
    return int.from_bytes(raw, "little", signed=True)
