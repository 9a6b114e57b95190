"""Names what is known but not checked, so that the remains of an older file system are not taken for a damaged one.

Specification: the signatures of util-linux's libblkid/src/superblocks.
"""

from __future__ import annotations

from lifeboat.verify.contents.found import UNKNOWN, FileSystem
from lifeboat.verify.contents.image import Part

SIGNATURES = (
    ("LUKS", 0, b"LUKS\xba\xbe"),
    ("exFAT", 3, b"EXFAT   "),
    ("FAT", 54, b"FAT"),
    ("FAT", 82, b"FAT32"),
    ("swap", 4086, b"SWAPSPACE2"),
    ("Linux RAID", 4096, b"\xfc\x4e\x2b\xa9"),
    ("Btrfs", 65600, b"_BHRfS_M"),
    ("F2FS", 1024, b"\x10\x20\xf5\xf2"),
    ("ReFS", 3, b"ReFS\0\0\0\0"),
)
"""The name, the byte at which the signature lies, and the signature."""


def parse(part: Part) -> FileSystem | None:
    """Return what begins with one of the signatures, as an unknown file system with a note that names it."""
    for name, at, signature in SIGNATURES:
        if at + len(signature) <= part.size and part.read(at, len(signature)) == signature:
            return FileSystem(part.offset, part.size, UNKNOWN, notes=(f"It is {name}, whose headers are not checked.",))
    return None
