"""The demo's data: case files on the platform's volume, what an incident makes of them, and whether they came back."""

from __future__ import annotations

import hashlib

from local.actors import Demo
from local.contents import BLOCK_SIZE

GIB = 1024**3
VOLUME_GIB = 100
CASES = (b"Case 4711: evidence, taken by jo on Sunday night. ", b"Case 4712: memory image. ", b"Case 4713: closed. ")
PLACES = (
    20 * BLOCK_SIZE,
    40 * GIB - 3,  # across two blocks
    VOLUME_GIB * GIB - len(CASES[2]),  # the last bytes
)
"""In the free space of the file system, whose own records begin each of its four quarters."""


def save(demo: Demo, volume_id: str) -> None:
    """A person saves case files on the data volume."""
    for case, place in zip(CASES, PLACES, strict=True):
        demo.aws.control.write(volume_id, case, place, region=demo.region)
    demo.narration.add("person", f"saves {len(CASES)} case files on {volume_id}: {_digest(b''.join(CASES))}")


def encrypt(demo: Demo, volume_id: str) -> None:
    """An incident: all of them are overwritten where they lie."""
    for case, place in zip(CASES, PLACES, strict=True):
        garbage = bytes(byte ^ 0x5A for byte in case)
        demo.aws.control.write(volume_id, garbage, place, region=demo.region)
    demo.narration.add("aws", f"an intruder encrypts the case files on {volume_id}: {_digest(_read(demo, volume_id))}")


def check_came_back(demo: Demo, volume_id: str, name: str) -> None:
    """Whether a restored volume holds the very bytes that were saved."""
    read, saved = _read(demo, volume_id), b"".join(CASES)
    demo.narration.check(name, read == saved, _digest(read) if read == saved else f"{read!r}, expected {saved!r}")


def _read(demo: Demo, volume_id: str) -> bytes:
    control = demo.aws.control
    pieces = zip(CASES, PLACES, strict=True)
    return b"".join(control.read(volume_id, len(case), place, region=demo.region) for case, place in pieces)


def _digest(content: bytes) -> str:
    return f"SHA-256 {hashlib.sha256(content).hexdigest()[:16]}"
