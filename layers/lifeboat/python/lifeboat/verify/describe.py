"""What is on a volume, in a few words."""

from __future__ import annotations

from lifeboat.domain.text import clip
from lifeboat.verify.contents.found import EMPTY, UNKNOWN, Contents, FileSystem

MOST_NOTES, LONGEST_NOTE = 10, 500
"""Of each snapshot, and in characters: names on the volume are in them, and a set has up to 38 snapshots."""

_TABLES = {"none": "", "mbr": " in an MBR partition table", "gpt": " in a GPT"}


def describe_contents(contents: Contents) -> str:
    """`xfs in a GPT`, `ext4 (dirty log, normal)`, `unknown file system`: what the inspection recognised."""
    if not contents.file_systems:
        return "no file system"
    kinds = list(dict.fromkeys(map(_describe, contents.file_systems)))
    return f"{', '.join(kinds)}{_TABLES[contents.table.kind]}"


def list_notes(contents: Contents) -> tuple[str, ...]:
    """The sentences about what is normal but worth knowing."""
    of_file_systems = (note for found in contents.file_systems for note in found.notes)
    different = dict.fromkeys((*contents.notes, *of_file_systems))
    return tuple(clip(note, LONGEST_NOTE) for note in different)[:MOST_NOTES]


def _describe(found: FileSystem) -> str:
    if found.type == UNKNOWN:
        return "unknown file system"
    if found.type == EMPTY:
        return "nothing written"
    return f"{found.type} (dirty log, normal)" if found.log_dirty else found.type
