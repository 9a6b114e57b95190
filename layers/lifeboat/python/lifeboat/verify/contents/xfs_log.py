"""The log of XFS: whether it is clean, and whether a dirty one can be replayed.

Specification: "XFS Algorithms & Data Structures", 3rd edition, chapter "Journaling Log"; in Linux
`fs/xfs/libxfs/xfs_log_format.h` and `xlog_find_head` of `fs/xfs/xfs_log_recover.c`. The log is a ring of sectors of 512
bytes. Each has in its first word its cycle: the number of the round in which it was written. A record's first sector
has a magic number there, and the cycle in the next word. Where the cycle drops is the head. A clean unmount leaves a
record of one operation there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.verify.contents.image import Readable

SECTOR = 512
MAGIC = 0xFEEDBABE
_UNMOUNT = 0x20
_HEADER_SPAN = 32 * 1024
"""A header sector describes so many bytes of a record."""

_LARGEST_RECORD = 256 * 1024
_STEP = 32 * 1024
_IN_FLIGHT = 8 * _LARGEST_RECORD
"""Up to eight records are written at the same time, and in any order."""


@dataclass(frozen=True, slots=True)
class LogState:
    """`dirty` is None if the state is not known; `problem` is a clause that follows "The log"."""

    dirty: bool | None
    problem: str | None = None
    position: tuple[int, int] | None = None
    """The cycle and the sector of the head: nothing was written to the disk that is logged behind it."""


@dataclass(frozen=True, slots=True)
class _Record:
    at: int
    """The sector of its header, counted from the start of the log."""

    cycle: int
    version: int
    length: int
    place: int
    tail: int
    operations: int
    uuid: bytes
    size: int

    @property
    def headers(self) -> int:
        """The sectors in front of its data."""
        return max(1, -(-self.size // _HEADER_SPAN)) if self.version & 2 else 1

    @property
    def problem(self) -> str | None:
        """What is wrong in its header, whose sector is written whole: a clause that follows "The log"."""
        if self.place != self.cycle << 32 | self.at:
            return f"has a record in sector {self.at} that says it lies at {self.place >> 32}:{self.place & 0xFFFFFFFF}"
        sizes = self.version == 1 or (self.version == 2 and 0 < self.size <= _LARGEST_RECORD)
        if not sizes or not 0 < self.length <= _LARGEST_RECORD:
            return f"has a record of {self.length} bytes and version {self.version} in sector {self.at}"
        return None

    @property
    def end(self) -> int:
        """The sector behind its data; the log is a ring, so it may count on past its end."""
        return self.at + self.headers + -(-self.length // SECTOR)


def inspect_log(source: Readable, start: int, length: int, uuid: bytes) -> LogState:
    """Inspect the log of `length` bytes at byte `start`.

    Reads a sector at each step of a binary search, and up to one record's length in front of the head.
    Raises OutsideError and WorkBoundError.
    """
    sectors = length // SECTOR

    def cycle(sector: int) -> int:
        return _cycle_of(source.read(start + sector * SECTOR, 8))

    first, last = cycle(0), cycle(sectors - 1)
    if not first:
        return LogState(None, "holds no record: its first sector is zero")
    if first == last:
        head = _first_hole(source, start, sectors, first - 1)
    elif last == first - 1:  # in the first round the rest is zero
        head = _first_hole(source, start, _first_with(cycle, last, sectors), last)
    else:
        return LogState(None, f"has the cycle {first} at its start and {last} at its end, expected two that follow")
    head %= sectors
    record = _last_record(source, start, sectors, head)
    problem = _problem(record, head, uuid)
    if record and not problem and (record.end % sectors != head or not _is_whole(source, start, sectors, record)):
        # A record that was not written whole does not count, as in xlog_find_verify_log_record.
        head = record.at
        record = _last_record(source, start, sectors, head)
        problem = _problem(record, head, uuid)
    if problem or record is None:
        return LogState(None, problem)
    return _judge(source, start, sectors, head, record)


def _problem(record: _Record | None, head: int, uuid: bytes) -> str | None:
    if record is None:
        return f"has no record in front of its head in sector {head}"
    if record.uuid not in (uuid, bytes(16)):
        return f"has a record of another file system in sector {record.at}"
    return record.problem


def _judge(source: Readable, start: int, sectors: int, head: int, record: _Record) -> LogState:
    """The state of a log whose last record is known."""
    position = (record.cycle + (record.end >= sectors), head)
    if _is_unmount(source, start, sectors, head, record):
        return LogState(dirty=False, position=position)
    tail_cycle, tail = record.tail >> 32, record.tail & 0xFFFFFFFF
    if tail >= sectors or not _begins_record(source.read(start + tail * SECTOR, 8), tail_cycle):
        return LogState(True, f"cannot be replayed: no record begins at its tail, sector {tail} of cycle {tail_cycle}")
    return LogState(dirty=True, position=position)


def _cycle_of(words: bytes) -> int:
    first, second = struct.unpack(">II", words)
    return int(second if first == MAGIC else first)


def _begins_record(words: bytes, cycle: int) -> bool:
    return struct.unpack(">II", words) == (MAGIC, cycle)


def _first_with(cycle: Callable[[int], int], last: int, sectors: int) -> int:
    """The first sector of the cycle of the last one, by binary search: at most 22 steps for 2 GiB."""
    low, high = 0, sectors - 1
    while high - low > 1:
        middle = (low + high) // 2
        if cycle(middle) == last:
            high = middle
        else:
            low = middle
    return high


def _first_hole(source: Readable, start: int, head: int, cycle: int) -> int:
    """The first sector in front of the head that still has the cycle behind it; the head itself if there is none.

    Records are written in any order, so a crash may leave one out (xlog_find_verify_cycle).
    """
    begin = max(0, head - _IN_FLIGHT // SECTOR)
    for first in range(begin, head, _STEP // SECTOR):
        data = source.read(start + first * SECTOR, min(_STEP // SECTOR, head - first) * SECTOR)
        for at in range(0, len(data), SECTOR):
            if _cycle_of(data[at : at + 8]) == cycle:
                return first + at // SECTOR
    return head


def _last_record(source: Readable, start: int, sectors: int, head: int) -> _Record | None:
    """The last record that begins in front of the head; the log is a ring."""
    searched, end = 0, head
    most = min(_LARGEST_RECORD, sectors * SECTOR)
    while searched < most:
        if end == 0:
            end = sectors
        begin = max(0, end - _STEP // SECTOR)
        data = source.read(start + begin * SECTOR, (end - begin) * SECTOR)
        for sector in range(end - begin - 1, -1, -1):
            if struct.unpack_from(">I", data, sector * SECTOR) == (MAGIC,):
                return _record(begin + sector, data[sector * SECTOR : (sector + 1) * SECTOR])
        searched += (end - begin) * SECTOR
        end = begin
    return None


def _record(at: int, sector: bytes) -> _Record:
    _, cycle, version, length, place, tail = struct.unpack_from(">IIIIQQ", sector)
    [operations] = struct.unpack_from(">I", sector, 40)
    uuid, size = struct.unpack_from(">16sI", sector, 304)
    return _Record(at, cycle, version, length, place, tail, operations, uuid, size)


def _is_whole(source: Readable, start: int, sectors: int, record: _Record) -> bool:
    """Whether each sector of a record has its cycle; one behind the ring's end has the next."""
    for sector in range(record.at, min(record.end, record.at + _LARGEST_RECORD // SECTOR)):
        cycle = record.cycle + (sector >= sectors)
        if _cycle_of(source.read(start + sector % sectors * SECTOR, 8)) != cycle:
            return False
    return True


def _is_unmount(source: Readable, start: int, sectors: int, head: int, record: _Record) -> bool:
    """Whether the record ends at the head and holds nothing but the unmount."""
    data = record.at + record.headers
    if record.operations != 1 or record.end % sectors != head:
        return False
    flags = source.read(start + data % sectors * SECTOR + 9, 1)[0]
    return bool(flags & _UNMOUNT)
