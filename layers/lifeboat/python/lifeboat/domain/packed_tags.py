"""Packing: the volumes' own tags, written into as few tags of a snapshot as there is room for, and read back.

Readable where that fits: `lifeboat:tags/<volume id>/<n>` holds whole pairs, `key=value&key=value`. Letters of any
script stand for themselves: EC2 counts characters, not bytes
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html), so encoding each byte would cost nine times the
room. Else compressed, for all volumes together, in `lifeboat:packed-tags/<n>`: base64 of zlib of JSON, in which a pair
that several volumes have stands once. What does not fit even so is left out, the rarest and longest first and `Name`
last; as far as there is room the left-out keys are named.

The volume's main tag says how many tags it had (`rules.catalogue`), so whatever is lost later is noticed, too.
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
"""What is packed, and unpacked, at most: tags may come from an account in the hands of an enemy."""

LEVEL = 9
"""Of zlib: a tag more is worth the milliseconds."""

READABLE = "lifeboat:tags/"
PACKED = "lifeboat:packed-tags/"

_RESERVED = "%&="


@dataclass(frozen=True, slots=True)
class OwnTags:
    """The own tags of one volume: what there is of them, and the keys of those that are known to be left out."""

    tags: Tags = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


NO_TAGS = OwnTags()


def length(text: str) -> int:
    """Characters as the strictest count of them goes: one outside of Unicode's first plane counts twice."""
    return len(text.encode("utf-16-le")) // 2


def pack(wanted: Mapping[str, OwnTags], room: int) -> dict[str, str]:
    """The tags to write for the own tags of these volumes, by volume id: `room` of them at most."""
    readable = _readable(wanted)
    if readable is not None and len(readable) <= room:
        return readable
    return _packed(wanted, room)


def unpack(tags: Tags, volume_id: str) -> OwnTags:
    """What a snapshot's tags tell of the own tags of one volume. What cannot be read is not there."""
    readable = tuple(value for _, value in _numbered(tags, f"{READABLE}{volume_id}/"))
    packed = "".join(value for _, value in _numbered(tags, PACKED))
    if readable:
        return OwnTags(_read(readable))
    return _unpacked(packed).get(volume_id, NO_TAGS) if packed else NO_TAGS


def encoded(text: str) -> str:
    """The text with whatever has a meaning, cannot be seen or might be trimmed in percent-encoding."""
    inner = "".join(sign if sign.isprintable() and sign not in _RESERVED else quote(sign, safe="") for sign in text)
    bare = inner.strip(" ")
    if not bare:
        return "%20" * len(inner)
    leading, trailing = len(inner) - len(inner.lstrip(" ")), len(inner) - len(inner.rstrip(" "))
    return "%20" * leading + bare + "%20" * trailing


# --- readable


def _readable(wanted: Mapping[str, OwnTags]) -> dict[str, str] | None:
    """All of them in whole pairs; None if one is too long for that, or there are left-out keys to name."""
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
    # A plus is a plus: parse_qsl would make it a space.
    pairs = (parse_qsl(piece.replace("+", "%2B"), keep_blank_values=True) for piece in pieces)
    return {key: value for piece in pairs for key, value in piece}


def _numbered(tags: Tags, prefix: str) -> list[tuple[int, str]]:
    found = ((key.removeprefix(prefix), value) for key, value in tags.items() if key.startswith(prefix))
    return sorted((int(number), value) for number, value in found if number.isascii() and number.isdecimal())


# --- packed


@dataclass(frozen=True, slots=True)
class _Pair:
    """A tag, and the places of the volumes that have it."""

    key: str
    value: str
    places: tuple[int, ...]

    @property
    def worth(self) -> tuple[bool, int, int, str, str]:
        """The order in which pairs are kept."""
        return self.key != "Name", -len(self.places), len(self.key) + len(self.value), self.key, self.value


def _packed(wanted: Mapping[str, OwnTags], room: int) -> dict[str, str]:
    if room <= 0:
        return {}
    ids = sorted(wanted)
    pairs = _pairs([wanted[name] for name in ids])
    told = [(key, place) for place, name in enumerate(ids) for key in wanted[name].left_out]

    def with_names(count: int) -> str | None:
        rest = [(pair.key, place) for pair in pairs[count:] for place in pair.places]
        return _text(ids, pairs[:count], [*told, *rest], room)

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
    """What can be made of the first so many, as many as possible; None if it cannot be made of none at all."""
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
    """All of this in base64, if it fits into so many tags."""
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
    # A lower bound of the bytes, so that what can never fit is not compressed first.
    if sum(len(pair.key) + len(pair.value) for pair in pairs) + sum(map(len, names)) > MAX_BYTES:
        return None
    raw = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(raw) > MAX_BYTES:
        return None
    text = base64.b64encode(zlib.compress(raw, LEVEL)).decode()
    return text if len(text) <= room * MAX_VALUE else None


@lru_cache(maxsize=2_000)
def _unpacked(text: str) -> Mapping[str, OwnTags]:
    """By volume id. zlib's checksum tells a piece that is lost or changed; then nothing of it is believed."""
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
