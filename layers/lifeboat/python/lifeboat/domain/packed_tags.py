"""Pack the volumes' own tags into the tags of a snapshot that are left, and unpack them.

If they fit, they are readable: `lifeboat:tags/<volume id>/<n>` holds whole pairs, `key=value&key=value`. Letters of any
script are not encoded, which would take nine times the room: EC2 counts characters, not bytes
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html). Otherwise the tags of all volumes are compressed
together in `lifeboat:packed-tags/<n>`: base64 of zlib of JSON, in which a pair that several volumes have is stored
once. Tags that do not fit even then are left out, the rarest and longest first and `Name` last. Their keys are recorded
as far as there is room.

The volume's main tag records how many tags it had (`recovery_point_tags`), so a tag lost later is noticed, too.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import batched
from typing import Any
from urllib.parse import parse_qsl, quote

from lifeboat.domain.tags import Tags

MAX_VALUE = 256
"""Characters of a tag's value (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html)."""

MAX_BYTES = 64 * 1024
"""Most bytes to pack or unpack: the tags may come from a compromised account."""

LEVEL = 9
"""zlib's level: room for one more tag is worth the milliseconds."""

READABLE = "lifeboat:tags/"
PACKED = "lifeboat:packed-tags/"

_RESERVED = "%&="


@dataclass(frozen=True, slots=True)
class OwnTags:
    """The own tags of one volume, and the known keys of those that are left out."""

    tags: Tags = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


NO_TAGS = OwnTags()


def length(text: str) -> int:
    """The length in UTF-16 code units, the strictest count: a character outside the basic plane counts twice."""
    return len(text.encode("utf-16-le")) // 2


def pack(wanted: Mapping[str, OwnTags], room: int) -> dict[str, str]:
    """The snapshot's tags, at most `room`, that record these volumes' own tags, by volume id."""
    readable = _readable(wanted)
    if readable is not None and len(readable) <= room:
        return readable
    return _packed(wanted, room)


def unpack(tags: Tags, volume_id: str) -> OwnTags:
    """The own tags of one volume that a snapshot's tags record. Unreadable ones are missing."""
    readable = tuple(value for _, value in _numbered(tags, f"{READABLE}{volume_id}/"))
    packed = "".join(value for _, value in _numbered(tags, PACKED))
    if readable:
        return OwnTags(_read(readable))
    return _unpacked(packed).get(volume_id, NO_TAGS) if packed else NO_TAGS


def encoded(text: str) -> str:
    """The text with reserved and invisible characters, and spaces at both ends, in percent-encoding."""
    inner = "".join(sign if sign.isprintable() and sign not in _RESERVED else quote(sign, safe="") for sign in text)
    bare = inner.strip(" ")
    if not bare:
        return "%20" * len(inner)
    leading, trailing = len(inner) - len(inner.lstrip(" ")), len(inner) - len(inner.rstrip(" "))
    return "%20" * leading + bare + "%20" * trailing


# --- readable


def _readable(wanted: Mapping[str, OwnTags]) -> dict[str, str] | None:
    """All tags as whole pairs; None if a pair is too long for a tag, or there are left-out keys to record."""
    found: dict[str, str] = {}
    for volume_id, own in wanted.items():
        if own.left_out:
            return None
        pieces: list[str] = []
        for key, value in sorted(own.tags.items()):
            pair = f"{encoded(key)}={encoded(value)}"
            if length(pair) > MAX_VALUE:
                return None
            if pieces and length(pieces[-1]) + 1 + length(pair) <= MAX_VALUE:
                pieces[-1] += "&" + pair
            else:
                pieces.append(pair)
        found |= {f"{READABLE}{volume_id}/{number}": piece for number, piece in enumerate(pieces, 1)}
    return found


@lru_cache(maxsize=20_000)
def _read(pieces: tuple[str, ...]) -> Tags:
    # parse_qsl would turn a plus into a space.
    pairs = (parse_qsl(piece.replace("+", "%2B"), keep_blank_values=True) for piece in pieces)
    return {key: value for piece in pairs for key, value in piece}


def _numbered(tags: Tags, prefix: str) -> list[tuple[int, str]]:
    found = ((key.removeprefix(prefix), value) for key, value in tags.items() if key.startswith(prefix))
    return sorted((int(number), value) for number, value in found if number.isascii() and number.isdecimal())


# --- packed


@dataclass(frozen=True, slots=True)
class _Pair:
    """A tag, and the indexes of the volumes that have it."""

    key: str
    value: str
    places: tuple[int, ...]

    @property
    def worth(self) -> tuple[bool, int, int, str, str]:
        """Sort key: the pairs to keep come first."""
        return self.key != "Name", -len(self.places), len(self.key) + len(self.value), self.key, self.value


def _packed(wanted: Mapping[str, OwnTags], room: int) -> dict[str, str]:
    if room <= 0:
        return {}
    ids = sorted(wanted)
    pairs = _pairs([wanted[name] for name in ids])
    known = [(key, place) for place, name in enumerate(ids) for key in wanted[name].left_out]

    def with_names(count: int) -> str | None:
        rest = [(pair.key, place) for pair in pairs[count:] for place in pair.places]
        return _text(ids, pairs[:count], [*known, *rest], room)

    def without_names(count: int) -> str | None:
        return _text(ids, pairs[:count], [], room)

    text = _most(with_names, len(pairs)) or _most(without_names, len(pairs)) or ""
    pieces = ("".join(piece) for piece in batched(text, MAX_VALUE, strict=False))
    return {f"{PACKED}{number}": piece for number, piece in enumerate(pieces, 1)}


def _pairs(all_own: Sequence[OwnTags]) -> list[_Pair]:
    places: dict[tuple[str, str], list[int]] = {}
    for place, own in enumerate(all_own):
        for pair in own.tags.items():
            places.setdefault(pair, []).append(place)
    return sorted((_Pair(key, value, tuple(of)) for (key, value), of in places.items()), key=lambda pair: pair.worth)


def _most(make: Callable[[int], str | None], most: int) -> str | None:
    """The result of `make` for the highest possible number up to `most`; None if it fails for 0."""
    if (whole := make(most)) is not None:
        return whole
    best = make(0)
    if best is None:
        return None
    fits, too_many = 0, most
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        text = make(middle)
        if text is None:
            too_many = middle
        else:
            fits, best = middle, text
    return best


def _text(ids: Sequence[str], pairs: Sequence[_Pair], left_out: Iterable[tuple[str, int]], room: int) -> str | None:
    """All of this compressed, in base64; None if it needs more than `room` tags."""
    everywhere = len(ids)

    def of(places: Sequence[int]) -> list[list[int]]:
        return [] if len(places) == everywhere else [list(places)]

    names: dict[str, list[int]] = {}
    for key, place in left_out:
        names.setdefault(key, []).append(place)
    document = {
        "volumes": ids,
        "tags": [[pair.key, pair.value, *of(pair.places)] for pair in pairs],
        "left_out": [[key, *of(sorted(set(places)))] for key, places in sorted(names.items())],
    }
    # A lower bound of the size, so that nothing is compressed that cannot fit.
    if sum(len(pair.key) + len(pair.value) for pair in pairs) + sum(map(len, names)) > MAX_BYTES:
        return None
    raw = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(raw) > MAX_BYTES:
        return None
    text = base64.b64encode(zlib.compress(raw, LEVEL)).decode()
    return text if len(text) <= room * MAX_VALUE else None


@lru_cache(maxsize=2_000)
def _unpacked(text: str) -> Mapping[str, OwnTags]:
    """The own tags by volume id; empty if zlib's checksum shows that a piece is lost or changed."""
    try:
        machine = zlib.decompressobj()
        raw = machine.decompress(base64.b64decode(text, validate=True), MAX_BYTES)
        if not machine.eof:
            return {}
        return _documented(json.loads(raw))
    except (binascii.Error, zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return {}


def _documented(document: Any) -> Mapping[str, OwnTags]:
    ids = [_string(name) for name in document["volumes"]]
    tags: list[dict[str, str]] = [{} for _ in ids]
    left_out: list[list[str]] = [[] for _ in ids]
    for key, value, *places in document["tags"]:
        for place in places[0] if places else range(len(ids)):
            tags[place][_string(key)] = _string(value)
    for key, *places in document["left_out"]:
        for place in places[0] if places else range(len(ids)):
            left_out[place].append(_string(key))
    return {name: OwnTags(own, tuple(names)) for name, own, names in zip(ids, tags, left_out, strict=True)}


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
