"""The manifest of a snapshot: the SHA-256 of each block that was read, and what is still to be read.

A manifest saves reads: a block that has not changed since the last proven recovery point of the lineage is not read
twice. It also shows whether two snapshots have the same bytes. It is no backup: a lost or unreadable manifest costs
reads and nothing else. Pure: `digests_workflow` reads the blocks and keeps the manifests.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

BLOCK = 512 * 1024
"""Bytes of a block of the EBS direct APIs."""

SHA = 32
"""Bytes of a SHA-256."""

MOST = 1_000_000
"""The most blocks in a manifest: 488 GiB of written blocks, 36 MB, of which a function with 512 MB holds a few. Blocks
above are read each time in their turn."""

ZEROS = hashlib.sha256(bytes(BLOCK)).digest()
"""The digest of a block that was never written."""

NAMED = 10
"""So many indexes of differing blocks are named."""

_MAGIC = b"lifeboat digests 1\n"
_HEAD = struct.Struct(">24sII")
"""The snapshot's id, the volume's GiB, the count of blocks."""


class ManifestError(ValueError):
    """Bytes are not the manifest of this snapshot; the message says what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of some blocks of one snapshot. `indexes` ascend; `hashes` has SHA bytes for each of them."""

    indexes: array[int] = field(default_factory=lambda: array("I"))
    hashes: bytes = b""

    def __len__(self) -> int:
        return len(self.indexes)

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and self.get(index) is not None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Each index with its digest, ascending."""
        for place, index in enumerate(self.indexes):
            yield index, self.hashes[place * SHA : (place + 1) * SHA]

    def get(self, index: int) -> bytes | None:
        """The digest of a block, None if it is not known."""
        place = bisect_left(self.indexes, index)
        if place == len(self.indexes) or self.indexes[place] != index:
            return None
        return self.hashes[place * SHA : (place + 1) * SHA]

    def with_read(self, read: Mapping[int, bytes]) -> Digests:
        """These and the ones that were read, of which the new ones count. At most MOST, the lowest indexes first."""
        return self._spliced(read)

    def without(self, indexes: Iterable[int]) -> Digests:
        """These without some blocks: what is known of an unchanged snapshot after some have changed."""
        return self._spliced({index: b"" for index in indexes if index in self})

    def below(self, end: int) -> Digests:
        """These without the blocks from `end` on."""
        return self._first(bisect_left(self.indexes, end))

    def _first(self, count: int) -> Digests:
        return self if len(self) <= count else Digests(self.indexes[:count], self.hashes[: count * SHA])

    def _spliced(self, changes: Mapping[int, bytes]) -> Digests:
        """With some digests in their places, an empty one for none. What lies between them is not copied twice."""
        indexes, parts, start = array("I"), [], 0
        held = memoryview(self.hashes)
        for index in sorted(changes):
            place = bisect_left(self.indexes, index, start)
            indexes.extend(self.indexes[start:place])
            parts.append(held[start * SHA : place * SHA])
            if changes[index]:
                indexes.append(index)
                parts.append(memoryview(changes[index]))
            start = place + (place < len(self) and self.indexes[place] == index)
        indexes.extend(self.indexes[start:])
        parts.append(held[start * SHA :])
        return Digests(indexes, b"".join(parts))._first(MOST)


def read_digest(block: bytes) -> bytes:
    """The digest of a block's bytes."""
    return hashlib.sha256(block).digest()


def encode(snapshot_id: str, gib: int, digests: Digests) -> bytes:
    """The manifest of a snapshot, compressed. The SHA-256 at its end covers all before it."""
    indexes = array("I", digests.indexes)
    if sys.byteorder == "little":
        indexes.byteswap()
    packer, whole = zlib.compressobj(1), hashlib.sha256()
    head = _HEAD.pack(snapshot_id.encode(), gib, len(digests))
    parts = [_MAGIC, *map(packer.compress, (head, indexes.tobytes(), digests.hashes)), packer.flush()]
    for part in parts:
        whole.update(part)
    return b"".join((*parts, whole.digest()))


def decode(data: bytes, snapshot_id: str, gib: int) -> Digests:
    """The digests in a manifest. Raises ManifestError for anything but a whole manifest of this snapshot."""
    packed = memoryview(data)[:-SHA]
    if not data.startswith(_MAGIC) or hashlib.sha256(packed).digest() != data[-SHA:]:
        raise ManifestError(f"{len(data)} bytes are not a whole manifest of {snapshot_id}")
    most = _HEAD.size + MOST * (4 + SHA)
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed[len(_MAGIC) :], most + 1)
    except zlib.error as problem:
        raise ManifestError(f"the manifest of {snapshot_id} cannot be decompressed: {problem}") from problem
    if len(body) < _HEAD.size or len(body) > most or not unpacker.eof:
        raise ManifestError(f"the manifest of {snapshot_id} has {len(body)} bytes, expected {_HEAD.size} to {most}")
    name, size, count = _HEAD.unpack_from(body)
    if name.rstrip(b"\0") != snapshot_id.encode() or size != gib:
        raise ManifestError(f"the manifest is of {name!r} with {size} GiB, expected {snapshot_id} with {gib} GiB")
    if len(body) != _HEAD.size + count * (4 + SHA):
        raise ManifestError(f"the manifest of {snapshot_id} has {len(body)} bytes, expected those of {count} blocks")
    indexes = array("I", body[_HEAD.size : _HEAD.size + 4 * count])
    if sys.byteorder == "little":
        indexes.byteswap()
    blocks = gib * 2**30 // BLOCK
    if any(one >= two for one, two in pairwise(indexes)) or (count and indexes[-1] >= blocks):
        raise ManifestError(f"the blocks of {snapshot_id} do not ascend, or are not below {blocks}")
    return Digests(indexes, body[_HEAD.size + 4 * count :])


@dataclass(frozen=True, slots=True)
class Difference:
    """How two snapshots differ: `compared` blocks, `count` of which differ, the first of them `indexes`."""

    compared: int = 0
    count: int = 0
    indexes: tuple[int, ...] = ()

    def with_block(self, index: int, *, equal: bool) -> Difference:
        """With one more block that was compared."""
        if equal:
            return Difference(self.compared + 1, self.count, self.indexes)
        named = (*self.indexes, index) if len(self.indexes) < NAMED else self.indexes
        return Difference(self.compared + 1, self.count + 1, named)

    def describe(self) -> str:
        """`2 of 24 compared blocks differ: 3, 17`; empty if none differs."""
        if not self.count:
            return ""
        more = f" and {self.count - len(self.indexes)} more" if self.count > len(self.indexes) else ""
        verb = "differs" if self.count == 1 else "differ"
        return f"{self.count} of {self.compared} compared blocks {verb}: {', '.join(map(str, self.indexes))}{more}"
