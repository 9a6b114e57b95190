"""Inspects broken images: real ones with hostile values in the headers, and noise. `make fuzz` does 100,000.

Half of the broken headers get a right checksum again, so that the values behind it are parsed.
"""

from __future__ import annotations

import random
import resource
import sys
import zlib
from functools import cache

import google_crc32c

from lifeboat.verify.contents.found import MOST_PROBLEMS, Contents
from lifeboat.verify.contents.image import MOST_BYTES
from tools.images.corruptions import MOST_BLOCKS, inspect_sparse, ranges_read
from tools.images.sparse import SparseImage, load, names

SECTOR = 512
SEALS = {b"XFSB": 224, b"XAGF": 216, b"XAGI": 312, b"XAFL": 32}
"""The magic numbers of XFS, and where the CRC32C is."""

MAGICS = (b"XFSB", b"NTFS    ", b"EFI PART", b"LABELONE", b"FILE", b"\x55\xaa", b"\x53\xef", b" LVM2 x[5A%r0N*>")
BIG = ("xfs-v5-new-uuid", "xfs-v5-1000-groups")


@cache
def base(name: str) -> tuple[SparseImage, list[tuple[int, int]], int]:
    """A stored image, what is read of it, and the size of its sectors."""
    image = load(name)
    head = image.read(0, SECTOR)
    return image, ranges_read(image), int.from_bytes(head[102:104], "big") if head[:4] == b"XFSB" else SECTOR


def broken(seed: int) -> SparseImage:
    """A broken image, the same for the same seed."""
    chance = random.Random(seed)
    if chance.random() < 0.05:
        return noise(chance)
    image, ranges, sector = base(chance.choice([name for name in names() if name not in BIG]))
    image = image.copy()
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at, length = chance.choice(ranges)
        place = at + min(chance.randrange(length), chance.randrange(1, 700))
        image.write(min(place, image.size - 64), hostile(chance))
        if chance.random() < 0.6:
            seal(image, place, sector)
    if chance.random() < 0.05:
        image.size = chance.choice((0, 1, 511, 512, 1024, 4096, 65536, image.size // 2, image.size - 512, 1 << 46))
        image.pieces = {index: data for index, data in image.pieces.items() if index * 4096 < image.size}
    return image


def noise(chance: random.Random) -> SparseImage:
    """Random bytes with magic numbers in their places."""
    image = SparseImage(chance.choice((4096, 65536, 1 << 20, 1 << 30)), {})
    for index in range(chance.randrange(1, 12)):
        if (index + 1) * 4096 <= image.size:
            image.pieces[index] = chance.randbytes(4096)
    for place in (0, 3, 510, 512, 1080, 4096, 2048, 1024):
        if place + 16 <= image.size and chance.random() < 0.5:
            image.write(place, chance.choice(MAGICS))
    return image


def hostile(chance: random.Random) -> bytes:
    """The kind of value that breaks parsers."""
    length = chance.choice((1, 1, 2, 4, 8, 16, 64))
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(length)
    if kind == 1:
        return b"\xff" * length
    if kind == 2:
        return bytes(length)
    order = "big" if kind == 3 else "little"
    near = (1 << chance.randrange(8 * length)) + chance.choice((-1, 0, 1))
    return (near % (1 << 8 * length)).to_bytes(length, order)


def seal(image: SparseImage, place: int, sector: int) -> None:
    """Give the header around a place its checksum again."""
    start = place // sector * sector
    data = bytearray(image.read(start, sector))
    if bytes(data[:4]) in SEALS:
        at = SEALS[bytes(data[:4])]
        data[at : at + 4] = bytes(4)
        image.write(start + at, google_crc32c.value(bytes(data)).to_bytes(4, "little"))
    elif data[:8] == b"EFI PART":
        size = min(max(int.from_bytes(data[12:16], "little"), 20), SECTOR)
        data[16:20] = bytes(4)
        image.write(start + 16, zlib.crc32(bytes(data[:size])).to_bytes(4, "little"))
    elif data[:8] == b"LABELONE":
        image.write(start + 16, lvm2_crc(bytes(data[20:])).to_bytes(4, "little"))
    elif data[4:20] == b" LVM2 x[5A%r0N*>":
        image.write(start, lvm2_crc(bytes(data[4:])).to_bytes(4, "little"))
    elif 1024 <= place < 2048:
        super_block = image.read(1024, 1020)
        image.write(2044, (google_crc32c.value(super_block) ^ 0xFFFFFFFF).to_bytes(4, "little"))


def lvm2_crc(data: bytes) -> int:
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def check(image: SparseImage) -> Contents:
    """Inspect an image. Raises what inspecting raises, or AssertionError if a bound is not kept."""
    found = inspect_sparse(image)
    assert found.blocks_fetched <= MOST_BLOCKS
    assert found.bytes_read <= MOST_BYTES or not found.complete
    assert len(found.table.problems) <= MOST_PROBLEMS + 1
    assert all(len(system.problems) <= MOST_PROBLEMS + 1 for system in found.file_systems)
    assert all(len(text) < 500 for text in (*found.problems, *found.notes))
    return found


def main(count: int) -> None:
    """Inspect so many broken images, and print what it took."""
    most_bytes = most_blocks = recognised = 0
    for seed in range(count):
        try:
            found = check(broken(seed))
        except BaseException:
            print(f"seed {seed}")
            raise
        most_bytes, most_blocks = max(most_bytes, found.bytes_read), max(most_blocks, found.blocks_fetched)
        recognised += any(system.type not in ("unknown", "empty") for system in found.file_systems)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{count} broken images inspected, {recognised} of them recognised: at most {most_bytes:,} bytes"
        f" and {most_blocks} blocks read of one, {memory} MiB of memory"
    )
    assert memory < 256


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
