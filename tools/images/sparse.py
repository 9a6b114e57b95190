"""Disk images as sparse maps: only the 4-KiB pieces that hold something are kept.

A stored image is xz of: the size in bytes (8 bytes, little-endian), then for each piece its index (4 bytes,
little-endian) and its 4,096 bytes.
"""

from __future__ import annotations

import lzma
import os
import struct
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "images"
PIECE = 4096
BLOCK = 512 * 1024
PIECES = BLOCK // PIECE
_NOTHING = bytes(PIECE)


class SparseImage:
    """An image in memory. Copies share the pieces that neither changed."""

    def __init__(self, size: int, pieces: dict[int, bytes]) -> None:
        self.size = size
        self.pieces = pieces

    def copy(self) -> SparseImage:
        return SparseImage(self.size, dict(self.pieces))

    def blocks(self) -> set[int]:
        """The indexes of the 512-KiB blocks that hold something, as ListSnapshotBlocks lists them."""
        return {index // PIECES for index in self.pieces}

    def block(self, index: int) -> bytes:
        """One block of 512 KiB, as GetSnapshotBlock returns it."""
        first = index * PIECES
        return b"".join(self.pieces.get(piece, _NOTHING) for piece in range(first, first + PIECES))

    def read(self, offset: int, length: int) -> bytes:
        end = offset + length
        pieces = range(offset // PIECE, -(-end // PIECE))
        data = b"".join(self.pieces.get(piece, _NOTHING) for piece in pieces)
        start = offset - pieces.start * PIECE
        return data[start : start + length]

    def write(self, offset: int, data: bytes) -> None:
        while data:
            index, start = divmod(offset, PIECE)
            part = data[: PIECE - start]
            old = self.pieces.get(index, _NOTHING)
            self.pieces[index] = old[:start] + part + old[start + len(part) :]
            offset += len(part)
            data = data[len(part) :]


def names() -> list[str]:
    """The names of the stored images."""
    return sorted(path.stem for path in FOLDER.glob("*.xz"))


def load(name: str) -> SparseImage:
    """A stored image."""
    data = lzma.decompress((FOLDER / f"{name}.xz").read_bytes())
    [size] = struct.unpack_from("<Q", data)
    pieces = {}
    for at in range(8, len(data), 4 + PIECE):
        [index] = struct.unpack_from("<I", data, at)
        pieces[index] = data[at + 4 : at + 4 + PIECE]
    return SparseImage(size, pieces)


def store(name: str, path: Path) -> int:
    """Keep the image that a file holds; return the stored size in bytes."""
    size = path.stat().st_size
    parts = [struct.pack("<Q", size)]
    parts += [struct.pack("<I", index) + data for index, data in _pieces(path, size)]
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 24}]
    packed = lzma.compress(b"".join(parts), format=lzma.FORMAT_XZ, filters=filters)
    (FOLDER / f"{name}.xz").write_bytes(packed)
    return len(packed)


def write_out(image: SparseImage, path: Path) -> None:
    """Write an image into a sparse file, for the tools that need one."""
    with path.open("wb") as file:
        file.truncate(image.size)
        for index, data in sorted(image.pieces.items()):
            file.seek(index * PIECE)
            file.write(data)


def _pieces(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # no data behind this
                return
            at -= at % PIECE
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            file.seek(at)
            while at < end:
                data = file.read(PIECE).ljust(PIECE, b"\0")
                if data != _NOTHING:
                    yield at // PIECE, data
                at += PIECE
