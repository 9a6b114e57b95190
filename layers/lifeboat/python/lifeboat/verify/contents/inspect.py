"""Inspects a snapshot's bytes: the partition table, and the headers of each file system.

Nothing in the bytes can make this crash or loop: each parser checks what it reads, and the image bounds the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lifeboat.verify.contents import ext, foreign, gpt, lvm2, mbr, ntfs, xfs
from lifeboat.verify.contents.found import EMPTY, UNKNOWN, Contents, FileSystem, Partition, PartitionTable
from lifeboat.verify.contents.image import Image, OutsideError, Part, WorkBoundError

Parser = Callable[[Part], FileSystem | None]
"""Returns None if the bytes hold nothing of its format. Raises OutsideError and WorkBoundError."""

PARSERS: tuple[Parser, ...] = (xfs.parse, ntfs.parse, lvm2.parse, ext.parse)
"""They go by a magic number in its place."""

MOST_PARTITIONS = 128
"""A GPT has room for so many, unless it was made with a larger one."""

TRACERS: tuple[Parser, ...] = (xfs.parse_trace, ext.parse_trace, ntfs.parse_trace)
"""They recognise a file system whose first header is lost by its other headers."""


def inspect(image: Image) -> Contents:
    """Return what the image holds and what is damaged in it.

    Raises nothing but what the image's `read_block` raises.
    """
    table = PartitionTable("none")
    systems: list[FileSystem] = []
    notes: list[str] = []
    try:
        whole = Part(image, 0, image.size)
        bare = None
        found = _table(gpt.parse, image)
        if found is None:
            bare = _first(PARSERS, whole)
            found = None if bare else _table(mbr.parse, image)
        table = found or table
        if table.kind == "none":
            _add(systems, bare or _recognise(whole), whole, "")
        if len(table.partitions) > MOST_PARTITIONS:
            notes.append(f"The first {MOST_PARTITIONS} of {len(table.partitions)} partitions were inspected.")
        for partition in table.partitions[:MOST_PARTITIONS]:
            part = Part(image, partition.offset, partition.size)
            _add(systems, _recognise(part), part, partition.name)
    except WorkBoundError as bound:
        notes.append(f"The inspection ended early: {bound}.")
    return Contents(table, tuple(systems), not notes, image.blocks_fetched, image.bytes_read, tuple(notes))


def _add(systems: list[FileSystem], found: FileSystem, part: Part, name: str) -> None:
    """Add what a part holds, and what its logical volumes hold."""
    systems.append(replace(found, name=name))
    known = lvm2.read_volume(part) if found.type == "lvm2" else None
    for volume in known.volumes if known else ():
        inner = Part(part.image, part.offset + volume.offset, volume.size)
        systems.append(replace(_recognise(inner), name=volume.name))


def _table(parse: Callable[[Image], PartitionTable | None], image: Image) -> PartitionTable | None:
    try:
        return parse(image)
    except OutsideError:  # a volume too small for this table
        return None


def _recognise(part: Part) -> FileSystem:
    found = _first((*PARSERS, foreign.parse, *TRACERS), part)
    kind = UNKNOWN if part.image.is_written(part.offset) else EMPTY
    return found or FileSystem(part.offset, part.size, kind)


def _first(parsers: tuple[Parser, ...], part: Part) -> FileSystem | None:
    """What the first parser recognised that recognises anything."""
    for parse in parsers:
        try:
            found = parse(part)
        except OutsideError as outside:
            # Each parser checks places before it reads there. This is for the place that was forgotten.
            return FileSystem(part.offset, part.size, UNKNOWN, problems=(f"A header points outside: {outside}.",))
        if found:
            return found
    return None


__all__ = ["Contents", "FileSystem", "Partition", "PartitionTable", "inspect"]
