"""Tokens of blocks and of pages: what they stand for, until when, and a mark that nobody else can make."""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from local.emulator.clock import CLOCK

BLOCK_SECONDS = 585_000.0
"""How long a block's token is said to be valid at the least, in recordings; documented are seven days."""
PAGE_SECONDS = 3_600.0
_KEY = b"the local AWS"
_FORM = struct.Struct(">3sIQ")
_MARK = 16
_KINDS = {"block": b"\x02S\x01", "ListSnapshotBlocks": b"\x02S\x02", "ListChangedBlocks": b"\x02S\x03"}


@dataclass(frozen=True)
class Subject:
    """What a token is about.

    Attributes:
        kind: `block`, or the operation whose next page it stands for.
        snapshot_ids: the snapshot, or the two that are compared.
    """

    kind: str
    snapshot_ids: tuple[str, ...]


def made(subject: Subject, index: int, expires: float) -> str:
    """A token.

    Args:
        subject: what it is about.
        index: of the block, or of the first block of the page.
        expires: seconds since 1970.
    """
    body = _FORM.pack(_KINDS[subject.kind], index, int(expires * 1000))
    return base64.urlsafe_b64encode(body + _mark(subject, body)).decode().rstrip("=")


def index_of(subject: Subject, token: str) -> int | None:
    """The index that a token stands for; none if it is not valid, or not for this."""
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    body, mark = content[: _FORM.size], content[_FORM.size :]
    if len(body) != _FORM.size or not hmac.compare_digest(mark, _mark(subject, body)):
        return None
    kind, index, expires = _FORM.unpack(body)
    if kind != _KINDS[subject.kind] or CLOCK.now() * 1000 >= expires:
        return None
    return int(index)


def _mark(subject: Subject, body: bytes) -> bytes:
    said = "\0".join((subject.kind, *subject.snapshot_ids)).encode()
    return hmac.digest(_KEY, body + said, hashlib.sha256)[:_MARK]
