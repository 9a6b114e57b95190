"""The image reads blocks on demand, counts them and keeps to its bounds."""

from __future__ import annotations

import pytest

from lifeboat.verify.contents.image import BLOCK, KEPT, Image, OutsideError, Part, WorkBoundError


def image_of(blocks: dict[int, bytes], *, size: int = 64 * BLOCK, most_blocks: int = 200, **bounds: int) -> Image:
    return Image(size, blocks, blocks.__getitem__, most_blocks, **bounds)


def filled(letter: bytes) -> bytes:
    return letter * BLOCK


def test_bytes_of_two_blocks_are_joined():
    image = image_of({0: filled(b"a"), 1: filled(b"b")})
    assert image.read(BLOCK - 2, 4) == b"aabb"
    assert (image.blocks_fetched, image.bytes_read) == (2, 4)


def test_a_block_that_is_not_listed_is_zeros_and_is_not_fetched():
    image = image_of({1: filled(b"b")})
    assert image.read(BLOCK - 2, 4) == b"\0\0bb"
    assert image.blocks_fetched == 1
    assert not image.is_written(0)
    assert image.is_written(BLOCK)


def test_a_block_is_fetched_once_while_it_is_kept():
    image = image_of({index: filled(b"x") for index in range(KEPT + 1)})
    for _ in range(2):
        image.read(0, 1)
    assert image.blocks_fetched == 1
    for index in range(1, KEPT + 1):
        image.read(index * BLOCK, 1)
    image.read(0, 1)
    assert image.blocks_fetched == KEPT + 2


def test_a_short_last_block_is_filled_up():
    image = image_of({0: b"end"}, size=4096)
    assert image.read(0, 5) == b"end\0\0"


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (64 * BLOCK, 1), (0, 64 * BLOCK + 1), (0, -1), (1 << 80, 1)])
def test_bytes_outside_are_refused(offset, length):
    with pytest.raises(OutsideError, match=f"{length} bytes at byte {offset} are outside the volume"):
        image_of({}).read(offset, length)


def test_a_part_is_read_from_its_own_start_and_to_its_own_end():
    part = Part(image_of({1: filled(b"b")}), BLOCK - 1, 2)
    assert part.read(0, 2) == b"\0b"
    with pytest.raises(OutsideError, match="outside the 2 bytes at byte 524287"):
        part.read(1, 2)


def test_the_bound_on_blocks_ends_the_work():
    image = image_of({0: filled(b"a"), 1: filled(b"b")}, most_blocks=1)
    image.read(0, 1)
    with pytest.raises(WorkBoundError, match="more than 1 blocks"):
        image.read(BLOCK, 1)
    assert image.blocks_fetched == 1


def test_the_bound_on_bytes_ends_the_work_even_where_nothing_is_written():
    image = image_of({}, most_bytes=100)
    image.read(0, 100)
    with pytest.raises(WorkBoundError, match="more than 100 bytes"):
        image.read(0, 1)


def test_what_reading_a_block_raises_goes_through():
    with pytest.raises(KeyError):
        Image(BLOCK, {0}, {}.__getitem__, 1).read(0, 1)
