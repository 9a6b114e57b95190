"""Inspects a snapshot's bytes: the partition table, and the headers of each file system.

Nothing in the bytes can make this crash or loop: each parser checks what it reads, and the image bounds the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lifeboat.verify.contents.found import EMPTY, UNKNOWN, Contents, FileSystem, Partition, PartitionTable
from lifeboat.verify.contents.image import Image, OutsideError, Part, WorkBoundError

Parser = Callable[[Part], FileSystem | None]
"""Returns None if the bytes hold nothing of its format. Raises OutsideError and WorkBoundError."""

PARSERS: tuple[Parser, ...] = ()


def inspect(image: Image) -> Contents:
    """Return what the image holds and what is damaged in it.

    Raises nothing but what the image's `read_block` raises.
    """
    table = PartitionTable("none")
    systems: list[FileSystem] = []
    notes: list[str] = []
    try:
        for part in _parts(image, table):
            systems.append(_recognise(part))
    except WorkBoundError as bound:
        notes.append(f"The inspection ended early: {bound}.")
    return Contents(table, tuple(systems), not notes, image.blocks_fetched, image.bytes_read, tuple(notes))


def _parts(image: Image, table: PartitionTable) -> Iterator[Part]:
    if table.kind == "none":
        yield Part(image, 0, image.size)
    for partition in table.partitions:
        yield Part(image, partition.offset, partition.size)


def _recognise(part: Part) -> FileSystem:
    for parse in PARSERS:
        try:
            found = parse(part)
        except OutsideError as outside:
            return FileSystem(part.offset, part.size, UNKNOWN, problems=(f"{outside}.",))
        if found:
            return found
    kind = UNKNOWN if part.image.is_written(part.offset) else EMPTY
    return FileSystem(part.offset, part.size, kind)


__all__ = ["Contents", "FileSystem", "Partition", "PartitionTable", "inspect"]
