"""Single corruptions of an image, in the bytes that inspecting it reads.

What `inspect` reads is found by recording it. So the corruptions cover exactly that, and no more.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from lifeboat.verify.contents.image import Image
from lifeboat.verify.contents.inspect import Contents, inspect
from tools.images.sparse import BLOCK, PIECES, SparseImage

MOST_BLOCKS = 200
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Corruption:
    """`kind` is byte (write `data` at `at`), zero (`length` zeros at `at`), swap (`length` bytes at `at` with those at
    `other`), or cut (no block from the one of `at` is listed)."""

    image: str
    kind: str
    at: int
    length: int = 0
    other: int = 0
    data: str = ""

    def apply(self, image: SparseImage) -> SparseImage:
        """A corrupted copy of the image."""
        copy = image.copy()
        if self.kind == "cut":
            first = self.at // BLOCK * PIECES
            copy.pieces = {index: data for index, data in copy.pieces.items() if index < first}
        elif self.kind == "swap":
            one, two = image.read(self.at, self.length), image.read(self.other, self.length)
            copy.write(self.at, two)
            copy.write(self.other, one)
        else:
            copy.write(self.at, bytes.fromhex(self.data) if self.kind == "byte" else bytes(self.length))
        return copy


def inspect_sparse(image: SparseImage) -> Contents:
    """What `inspect` finds in an image whose list of blocks is what it holds."""
    return inspect(Image(image.size, image.blocks(), image.block, MOST_BLOCKS))


def ranges_read(image: SparseImage) -> list[tuple[int, int]]:
    """The places and lengths that `inspect` reads, those in unwritten blocks left out."""
    found: set[tuple[int, int]] = set()

    class Recording(Image):
        def read(self, offset: int, length: int) -> bytes:
            found.add((offset, length))
            return super().read(offset, length)

    inspect(Recording(image.size, image.blocks(), image.block, MOST_BLOCKS))
    return sorted((at, length) for at, length in found if length and any(image.read(at, length)))


def draw(name: str, image: SparseImage, count: int, seed: int) -> Iterator[Corruption]:
    """So many different corruptions of an image, the same for the same seed."""
    chance = random.Random(f"{name} {seed}")
    ranges = ranges_read(image)
    seen: set[Corruption] = set()
    while len(seen) < count:
        one = _draw_one(name, image, ranges, chance)
        if one and one not in seen and one.apply(image).pieces != image.pieces:
            seen.add(one)
            yield one


def _draw_one(name: str, image: SparseImage, ranges: list[tuple[int, int]], chance: random.Random) -> Corruption | None:
    kind = chance.choices(("byte", "zero", "swap", "cut"), (12, 3, 3, 1))[0]
    at, length = chance.choice(ranges)
    if kind == "byte":
        place = at + chance.randrange(length)
        data = image.read(at, length)
        used = [index for index, value in enumerate(data) if value]
        if used and chance.random() < 0.7:
            place = at + chance.choice(used)
        [old] = image.read(place, 1)
        new = old ^ (1 << chance.randrange(8)) if chance.random() < 0.5 else chance.randrange(256)
        return None if new == old else Corruption(name, kind, place, data=f"{new:02x}")
    sector = (at + chance.randrange(length)) // SECTOR * SECTOR
    if kind == "zero":
        return Corruption(name, kind, sector, length=SECTOR)
    if kind == "cut":
        return Corruption(name, kind, at)
    other, span = chance.choice(ranges)
    place = (other + chance.randrange(span)) // SECTOR * SECTOR
    return None if place == sector else Corruption(name, kind, min(sector, place), SECTOR, max(sector, place))
