"""What inspect finds in the images that the real tools made: everything, and nothing wrong."""

from __future__ import annotations

import pytest

from lifeboat.verify.contents.foreign import SIGNATURES
from lifeboat.verify.contents.image import Image
from lifeboat.verify.contents.inspect import inspect
from tools.images.corruptions import inspect_sparse
from tools.images.make import IMAGES
from tools.images.sparse import load, names

INSIDE = {
    "gpt": ("gpt", ["xfs", "ext4", "ntfs", "empty"]),
    "mbr": ("mbr", ["ntfs", "ext2", "ext4", "empty"]),
    "lvm2": ("none", ["lvm2", "empty"]),
    "lvm2-wrapped": ("none", ["lvm2", "empty"]),
    "lvm2-two-areas": ("none", ["lvm2", "empty"]),
    "gpt-lvm2": ("gpt", ["lvm2", "ext4"]),
}
"""Images with more than one thing in them. The others are named after the file system that is all they hold."""

DIRTY = ("xfs-v5-crashed", "xfs-v5-wrapped-crashed", "xfs-v4-crashed", "ext3-crashed", "ext4-crashed")
NO_LOG = ("ext2", "lvm2", "empty")


def test_every_image_that_the_script_makes_is_stored():
    assert set(names()) == set(IMAGES)


@pytest.mark.parametrize("name", names())
def test_an_image_of_a_real_tool_is_recognised_and_has_no_problem(name):
    kind, types = INSIDE.get(name, ("none", [name.split("-")[0]]))
    found = inspect_sparse(load(name))
    assert (found.table.kind, [system.type for system in found.file_systems]) == (kind, types)
    assert found.problems == ()
    assert found.complete


@pytest.mark.parametrize("name", [name for name in names() if name.startswith(("xfs", "ext", "ntfs"))])
def test_the_log_is_dirty_only_where_the_file_system_was_cut_off(name):
    [system] = inspect_sparse(load(name)).file_systems
    if system.type in NO_LOG or name == "xfs-v5-external-log":
        assert system.log_dirty is None
    else:
        assert system.log_dirty is (name in DIRTY)
        assert any("is dirty, which is normal" in note for note in system.notes) is (name in DIRTY)


@pytest.mark.parametrize(
    ("name", "size"),
    [("xfs-v5-grown", 358_625_280), ("ext4-grown", 60 << 20), ("ntfs", 16 << 20), ("ext4-bigalloc", 60 << 20)],
)
def test_the_size_is_the_one_in_the_headers(name, size):
    [system] = inspect_sparse(load(name)).file_systems
    assert system.size == size


def test_partitions_have_their_number_place_and_name():
    found = inspect_sparse(load("gpt"))
    mib = 1 << 20
    assert [(part.number, part.offset, part.size, part.name) for part in found.table.partitions] == [
        (1, mib, 304 * mib, "data"),
        (2, 305 * mib, 40 * mib, "logs"),
        (3, 345 * mib, 16 * mib, ""),
        (9, 361 * mib, 8 * mib, ""),
    ]
    assert [(system.offset, system.name) for system in found.file_systems][:2] == [(mib, "data"), (305 * mib, "logs")]


def test_logical_partitions_are_found_in_the_extended_one():
    found = inspect_sparse(load("mbr"))
    assert [part.number for part in found.table.partitions] == [1, 5, 6, 7]


def test_a_logical_volume_in_one_piece_is_inspected_and_the_other_is_named():
    outer, inner = inspect_sparse(load("gpt-lvm2")).file_systems
    assert (inner.type, inner.name.split("/")[1], inner.offset) == ("ext4", "data", 6 << 20)
    assert [note.split("/")[1] for note in outer.notes] == ["logs is not in one piece here, so it was not read."]


@pytest.mark.parametrize(
    ("name", "blocks"), [("xfs-v5-100-gib", 10), ("ext4-100-gib", 20), ("xfs-v5-1000-groups", 150)]
)
def test_a_volume_of_100_gib_needs_few_blocks(name, blocks):
    found = inspect_sparse(load(name))
    assert found.blocks_fetched <= blocks
    assert found.complete


def test_of_many_allocation_groups_an_even_sample_is_read_and_the_note_says_how_many():
    [system] = inspect_sparse(load("xfs-v5-1000-groups")).file_systems
    assert system.notes == ("128 of 1000 allocation groups were read, an even sample.",)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, bytes(range(256)) * 4096], ids=["nothing", "zeros", "other bytes"])
def test_what_is_not_known_is_no_failure(data):
    written = {0} if data.strip(b"\0") else set()
    found = inspect(Image(1 << 30, written, lambda _: data.ljust(512 * 1024, b"\0"), 200))
    assert [system.type for system in found.file_systems] == ["unknown" if written else "empty"]
    assert found.problems == ()


@pytest.mark.parametrize(("name", "at", "signature"), SIGNATURES, ids=[f"{row[0]}-{row[1]}" for row in SIGNATURES])
def test_a_foreign_file_system_over_the_remains_of_xfs_is_named_and_no_failure(name, at, signature):
    image = load("xfs-v5").copy()
    image.write(0, b"\0" * 4)
    assert len(inspect_sparse(image).problems) == 1
    image.write(at, signature)
    [system] = inspect_sparse(image).file_systems
    assert (system.type, system.problems) == ("unknown", ())
    assert system.notes == (f"It is {name}, whose headers are not checked.",)


def test_an_inspection_that_reaches_the_bound_says_so_and_keeps_what_it_found():
    image = load("gpt")
    found = inspect(Image(image.size, image.blocks(), image.block, most_blocks=9))
    assert not found.complete
    assert found.notes == ("The inspection ended early: the parsers asked for more than 9 blocks.",)
    assert found.table.kind == "gpt"
    assert [system.type for system in found.file_systems] == ["xfs"]
