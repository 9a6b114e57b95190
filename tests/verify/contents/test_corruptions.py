"""Each corruption that a real tool finds in what `read` covers, inspect finds. The tools' verdicts are recorded.

The default run takes 200 of the 2,000; CORRUPTIONS=all takes all (`make fuzz`).
"""

from __future__ import annotations

import os
import random
from functools import cache

import pytest

from lifeboat.verify.contents.found import Contents
from tools.images.corruptions import Corruption, inspect_sparse
from tools.images.sparse import SparseImage, load, names
from tools.images.verdicts import COUNT, is_covered, recorded

ALL = recorded()
CHOSEN = ALL if os.environ.get("CORRUPTIONS") == "all" else random.Random(16).sample(ALL, 200)
PER_TEST = 50


@cache
def pristine(name: str) -> SparseImage:
    return load(name)


def said(found: Contents) -> tuple[object, ...]:
    """What a reader of the verdict learns: what is there, the state of its log, the problems and the notes."""
    return found.table, [(each.type, each.log_dirty, each.notes, each.problems) for each in found.file_systems]


@pytest.mark.parametrize("first", range(0, len(CHOSEN), PER_TEST))
def test_what_a_real_tool_finds_inspect_finds(first):
    missed = []
    for one, complaint in CHOSEN[first : first + PER_TEST]:
        image = pristine(one.image)
        found = inspect_sparse(one.apply(image))
        if is_covered(complaint) and not found.problems and said(found) == said(inspect_sparse(image)):
            missed.append((one, complaint))
    assert missed == []


def test_as_many_verdicts_are_recorded_as_promised():
    assert len(ALL) == len({one for one, _ in ALL}) == COUNT
    assert {one.image for one, _ in ALL} <= set(names())
    assert sum(is_covered(complaint) for _, complaint in ALL) > COUNT // 2


HEADERS = [
    ("xfs-v5", 0, "zero", "The primary superblock at byte 0 lacks its magic number XFSB, but the headers of an"),
    ("xfs-v5", 530, "byte", "The AGF of allocation group 0 at byte 512 has a wrong CRC32C."),
    ("xfs-v4", 520, "byte", "The AGF of allocation group 0 at byte 512 has the number"),
    (
        "ext4",
        1024,
        "zero",
        "The primary superblock at byte 1024 lacks its magic number, but a copy lies at",
    ),
    ("ext4", 1100, "byte", "The primary superblock at byte 1024 has a wrong CRC32C."),
    ("ext4", 2052, "byte", "The descriptor of group 0 at byte 2048 has a wrong checksum"),
    ("ntfs", 0, "zero", "The boot sector at byte 0 lacks the name NTFS, but its mirror lies at byte"),
    ("ntfs", 17408, "zero", "The record of $MFTMirr in $MFT at byte"),
    ("gpt", 0, "zero", "The protective MBR in front of the GPT at byte 0 is missing."),
    ("gpt", 512, "zero", "The primary GPT header at byte 512 lacks its signature EFI PART."),
    ("gpt", 1030, "byte", "The primary GPT entries at byte 1024 have a wrong CRC."),
    ("mbr", 510, "byte", "The master boot record at byte 0 lacks its signature 55AAh."),
    ("mbr", 446, "byte", "Entry 1 of the master boot record has the status 0x5a, expected 0 or 0x80."),
    ("mbr", (17 << 20) + 510, "byte", "The extended boot record at byte 17825792 lacks its signature 55AAh."),
    ("lvm2", 600, "byte", "The LVM2 label at byte 512 has a wrong CRC."),
    ("lvm2", 4150, "byte", "The LVM2 metadata area at byte 4096 has a wrong CRC."),
]
"""One of each kind. MBR and LVM2 have no recorded verdicts."""


@pytest.mark.parametrize(("name", "at", "kind", "sentence"), HEADERS, ids=[f"{row[0]}-{row[1]}" for row in HEADERS])
def test_a_broken_header_is_named_with_its_place(name, at, kind, sentence):
    found = inspect_sparse(Corruption(name, kind, at, 512, data="5a").apply(pristine(name)))
    assert any(problem.startswith(sentence) for problem in found.problems), found.problems


def test_broken_text_of_lvm2_is_found():
    image = pristine("lvm2")
    at = 4096 + int.from_bytes(image.read(4096 + 40, 8), "little")
    found = inspect_sparse(Corruption("lvm2", "byte", at + 30, data="00").apply(image))
    assert found.problems == ("The text of the LVM2 metadata area at byte 4096 has a wrong CRC.",)


@pytest.mark.parametrize("place", [0, 512, 1024], ids=["protective MBR", "header", "entries"])
def test_partitions_are_found_by_the_backup_of_a_broken_gpt(place):
    found = inspect_sparse(Corruption("gpt", "zero", place, 512).apply(pristine("gpt")))
    assert [part.number for part in found.table.partitions] == [1, 2, 3, 9]
    assert len(found.problems) == 1


def test_the_last_blocks_missing_from_the_list_are_named_by_the_headers_in_them():
    image = pristine("xfs-v5")
    found = inspect_sparse(Corruption("xfs-v5", "cut", 200 << 20).apply(image))
    assert "The AGF of allocation group 3 at byte 239075840 lacks its magic number XAGF." in found.problems
