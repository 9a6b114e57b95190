"""NTFS: the boot sector and its mirror, the first records of $MFT and $MFTMirr, and the state of $LogFile.

Specification: ntfs-3g's `layout.h` (`NTFS_BOOT_SECTOR`, `MFT_RECORD`) and `logfile.h` (`RESTART_AREA`), and the NTFS
documentation of the Linux-NTFS project. Numbers are little-endian. $MFTMirr repeats the first four records of $MFT, and
the last sector repeats the boot sector.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lifeboat.verify.contents.found import FileSystem, bounded
from lifeboat.verify.contents.image import Part
from lifeboat.verify.contents.ntfs_record import (
    DATA,
    STRIDE,
    VOLUME_INFORMATION,
    attributes,
    check_record,
    with_fixups,
)

OEM = b"NTFS    "
SECTOR = 512
NAMES = ("$MFT", "$MFTMirr", "$LogFile", "$Volume")
_LOG_FILE, _VOLUME = 2, 3
_VOLUME_DIRTY = 1
_LOG_CLEAN, _NO_CLIENT = 2, 0xFFFF


@dataclass(frozen=True, slots=True)
class _Boot:
    sector: int
    cluster: int
    sectors: int
    mft: int
    mirror: int
    record: int
    serial: int

    @property
    def size(self) -> int:
        """The size in bytes, with the sector of the mirror."""
        return (self.sectors + 1) * self.sector


def parse(part: Part) -> FileSystem | None:
    """Return the NTFS in the part, or None if it does not begin with its boot sector."""
    if part.size < SECTOR:
        return None
    data = part.read(0, SECTOR)
    if data[3:11] != OEM:
        return None
    boot = _read_boot(data)
    if isinstance(boot, str):
        return FileSystem(part.offset, part.size, "ntfs", problems=(f"The boot sector at byte {part.offset} {boot}.",))
    if boot.sectors * boot.sector > part.size:
        problem = f"The boot sector at byte {part.offset} says {boot.size} bytes, but only {part.size} are there."
        return FileSystem(part.offset, part.size, "ntfs", f"{boot.serial:016x}", problems=(problem,))
    return _check_all(part, data, boot)


def parse_trace(part: Part) -> FileSystem | None:
    """Return an NTFS without its boot sector, if the mirror of the boot sector lies at the end of the part."""
    for size in (512, 1024, 2048, 4096):
        at = part.size - size
        if at > 0 and part.read(at, 11)[3:11] == OEM:
            mirror = f"its mirror lies at byte {part.offset + at}"
            problem = f"The boot sector at byte {part.offset} lacks the name NTFS, but {mirror}."
            return FileSystem(part.offset, part.size, "ntfs", problems=(problem,))
    return None


def _read_boot(data: bytes) -> _Boot | str:
    """The boot sector, or a clause that says what is wrong in it."""
    sector, per_cluster = struct.unpack_from("<HB", data, 11)
    sectors, mft, mirror, per_record = struct.unpack_from("<QQQb", data, 40)
    [serial] = struct.unpack_from("<Q", data, 72)
    if data[510:512] != b"\x55\xaa":
        return "lacks its signature 55AAh"
    if sector not in (256, 512, 1024, 2048, 4096):
        return f"has sectors of {sector} bytes, expected 256 to 4096"
    count = 1 << (256 - per_cluster) if per_cluster > 0xE0 else per_cluster
    cluster = sector * count
    if not count or count & (count - 1) or cluster > 2 << 20:
        return f"has clusters of {count} sectors, expected a power of two and at most 2 MiB"
    record = per_record * cluster if per_record > 0 else 1 << min(-per_record, 32)
    if record not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
        return f"has records of {record} bytes, expected 512 to 65536"
    if any(data[14:21]) or any(data[22:24]) or any(data[32:36]):
        return "has values in fields that are zero in NTFS"
    clusters = sectors // count
    if not 0 < mft < clusters or not 0 < mirror < clusters:
        return f"has $MFT in cluster {mft} and $MFTMirr in cluster {mirror} of {clusters}"
    return _Boot(sector, cluster, sectors, mft, mirror, record, serial)


def _check_all(part: Part, data: bytes, boot: _Boot) -> FileSystem:
    problems: list[str] = []
    notes: list[str] = []
    _check_mirror(part, data, boot, problems, notes)
    records = _read_records(part, boot, boot.mft, "$MFT", problems)
    mirrors = _read_records(part, boot, boot.mirror, "$MFTMirr", problems)
    dirty = None
    if len(records) == len(NAMES):
        dirty = _log_dirty(part, boot, records[_LOG_FILE], notes, problems)
        if _volume_flags(records[_VOLUME]) & _VOLUME_DIRTY:
            notes.append("Windows marked the volume for a check at the next start.")
    if dirty:
        notes.append("The log is dirty, which is normal in a crash-consistent snapshot: the next mount replays it.")
    unequal = [name for name, record, mirror in zip(NAMES, records, mirrors, strict=False) if record != mirror]
    if unequal:
        text = f"$MFTMirr at byte {part.offset + boot.mirror * boot.cluster} differs from $MFT in {', '.join(unequal)}."
        # The mirror is written after $MFT, so a crash may come between the two.
        (notes if dirty else problems).append(text)
    serial = f"{boot.serial:016x}"
    return FileSystem(part.offset, boot.size, "ntfs", serial, dirty, tuple(notes), bounded(problems))


def _check_mirror(part: Part, data: bytes, boot: _Boot, problems: list[str], notes: list[str]) -> None:
    """Compare the boot sector with its mirror behind the last sector, or at the end of a larger partition.

    Tools change the code for booting, the hidden sectors and the drive number in the first sector alone.
    """
    places = (boot.sectors * boot.sector, part.size - boot.sector)
    mirrors = [part.read(at, SECTOR) for at in places if at + SECTOR <= part.size]
    if not any(_geometry(mirror) == _geometry(data) for mirror in mirrors):
        problems.append(f"The mirror of the boot sector at byte {part.offset + places[0]} differs from it.")
    elif data not in mirrors:
        notes.append("The boot sector's mirror has other code for booting. Nothing depends on it after a restore.")


def _geometry(sector: bytes) -> tuple[bytes, ...]:
    return sector[3:28], sector[40:80], sector[510:512]


def _read_records(part: Part, boot: _Boot, cluster: int, name: str, problems: list[str]) -> list[bytes]:
    """The first four records that are right."""
    found: list[bytes] = []
    for number, of_what in enumerate(NAMES):
        at = cluster * boot.cluster + number * boot.record
        where = f"The record of {of_what} in {name} at byte {part.offset + at}"
        if at + boot.record > part.size:
            problems.append(f"{where} is outside the file system.")
            return found
        record = with_fixups(part.read(at, boot.record), b"FILE")
        clauses = [record] if isinstance(record, str) else list(check_record(record, number))
        if clauses:
            problems += [f"{where} {clause}." for clause in clauses]
        elif isinstance(record, bytes):
            found.append(record)
    return found


def _volume_flags(record: bytes) -> int:
    for attribute in attributes(record):
        if attribute.type == VOLUME_INFORMATION and len(attribute.content) >= 12:
            return int.from_bytes(attribute.content[10:12], "little")
    return 0


def _log_dirty(part: Part, boot: _Boot, record: bytes, notes: list[str], problems: list[str]) -> bool | None:
    """Whether $LogFile has changes to replay; None if that is not known."""
    runs = [attribute.first_run for attribute in attributes(record) if attribute.type == DATA]
    if not runs or not runs[0]:
        notes.append("The log was not read: its place is not in the first record of $LogFile.")
        return None
    at = runs[0] * boot.cluster
    where = f"$LogFile at byte {part.offset + at}"
    if at < 0 or at + 4096 > part.size:
        problems.append(f"{where} is outside the file system.")
        return None
    states = [state for state in _restart_states(part, at) if state is not None]
    if not states:
        problems.append(f"{where} has no restart page.")
        return None
    return not max(states)[1]


def _restart_states(part: Part, at: int) -> Iterator[tuple[int, bool] | None]:
    """Of both restart pages the sequence number and whether they say that the log is clean. None: damaged."""
    for start in (at, at + 4096):
        if start + 4096 > part.size:
            return
        raw = part.read(start, 4096)
        if raw == b"\xff" * 4096:  # as mkntfs leaves it
            yield 0, True
            continue
        page = with_fixups(raw, b"RSTR") if _fits(raw) else ""
        if isinstance(page, str):
            yield None
            continue
        area = int.from_bytes(page[24:26], "little")
        if area > len(page) - 16:
            yield None
            continue
        current, _, _, in_use, flags = struct.unpack_from("<QHHHH", page, area)
        yield current, bool(flags & _LOG_CLEAN) or in_use == _NO_CLIENT


def _fits(raw: bytes) -> bool:
    """Whether the page's own size is the one that was read."""
    return int.from_bytes(raw[16:20], "little") == len(raw) and len(raw) % STRIDE == 0
