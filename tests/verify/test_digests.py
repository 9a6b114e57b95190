"""The manifest of a snapshot: it comes back as it was written, and anything else is refused with one sentence."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from lifeboat.verify import digests
from lifeboat.verify.digests import NAMED, Difference, Digests, ManifestError, decode, encode

ID = "snap-0123456789abcdef0"
GIB = 1
BLOCKS = 2048
indexes = some.sets(some.integers(0, BLOCKS - 1), max_size=50)


def digest(of: int) -> bytes:
    return digests.read_digest(bytes([of % 256]))


def made(of: dict[int, int] | set[int]) -> Digests:
    """Digests of blocks: of an equal content each, or of the content that is named."""
    contents = of if isinstance(of, dict) else dict.fromkeys(of, 1)
    return Digests().with_read({index: digest(content) for index, content in contents.items()})


def sealed(body: bytes) -> bytes:
    packed = b"lifeboat digests 1\n" + zlib.compress(body)
    return packed + digests.read_digest(packed)


def head(name: bytes = ID.encode(), gib: int = GIB, count: int = 0) -> bytes:
    return struct.pack(">24sII", name, gib, count)


@given(indexes)
@settings(max_examples=25)
def test_a_manifest_comes_back_as_it_was_written(known):
    before = made({index: index for index in known})
    after = decode(encode(ID, GIB, before), ID, GIB)
    assert list(after) == list(before) == [(index, digest(index)) for index in sorted(known)]


WHOLE = encode(ID, GIB, made({1, 5}))
ONE = struct.pack(">I", 1) + bytes(32)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "0 bytes are not a whole manifest", id="nothing"),
        pytest.param(WHOLE[:-1], "are not a whole manifest", id="cut off"),
        pytest.param(WHOLE[:40] + b"\xff" + WHOLE[41:], "are not a whole manifest", id="one byte changed"),
        pytest.param(b"lifeboat digests 1\nxxxx", "are not a whole manifest", id="not compressed"),
        pytest.param(sealed(b"short"), "has 5 bytes", id="no head"),
        pytest.param(sealed(head(b"snap-2")), "is of b'snap-2", id="another snapshot"),
        pytest.param(sealed(head(gib=2)), "with 2 GiB, expected", id="another size"),
        pytest.param(sealed(head(count=2**32 - 1)), "expected those of 4294967295 blocks", id="a count that lies"),
        pytest.param(sealed(head(count=1) + ONE + b"x"), "expected those of 1 blocks", id="more than the count"),
        pytest.param(sealed(head(count=2) + struct.pack(">II", 7, 7) + bytes(64)), "do not ascend", id="a block twice"),
        pytest.param(
            sealed(head(count=1) + struct.pack(">I", BLOCKS) + bytes(32)), "not below 2048", id="outside the volume"
        ),
    ],
)
def test_anything_else_is_refused_with_one_sentence(data, words):
    with pytest.raises(ManifestError, match=words) as refused:
        decode(data, ID, GIB)
    assert "\n" not in str(refused.value)


@given(some.binary(max_size=200), some.booleans())
@settings(max_examples=50)
def test_hostile_bytes_are_refused_and_nothing_else(data, well_sealed):
    with pytest.raises(ManifestError):
        decode(sealed(data) if well_sealed else data, ID, GIB)


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(digests, "MOST", 100)
    with pytest.raises(ManifestError, match=f"has {32 + 100 * 36 + 1} bytes"):
        decode(sealed(bytes(10**7)), ID, GIB)


def test_no_more_than_the_most_are_kept_and_the_lowest_stay(monkeypatch):
    monkeypatch.setattr(digests, "MOST", 3)
    assert list(made({1, 2, 3}).with_read({0: digest(1)}).indexes) == [0, 1, 2]


@given(indexes, indexes, some.integers(0, BLOCKS))
@settings(max_examples=25)
def test_what_has_changed_is_not_known_any_more(known, changed, end):
    assert set(made(known).without(changed).indexes) == known - changed
    assert set(made(known).below(end).indexes) == {index for index in known if index < end}
    assert all((index in made(known)) is (index in known) for index in {*known, *changed})


def test_what_was_read_counts_more_than_what_was_known():
    known = made({1: 1, 2: 2}).with_read({2: digest(9), 3: digest(3)})
    assert dict(known) == {1: digest(1), 2: digest(9), 3: digest(3)}


@pytest.mark.parametrize(
    ("compared", "differ", "said"),
    [
        (2, set(), ""),
        (0, set(), ""),
        (2, {1}, "1 of 2 compared blocks differs: 1"),
        (3, {0, 2}, "2 of 3 compared blocks differ: 0, 2"),
        (30, set(range(30)), "30 of 30 compared blocks differ: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more"),
    ],
)
def test_a_difference_is_named(compared, differ, said):
    found = Difference()
    for index in range(compared):
        found = found.with_block(index, equal=index not in differ)
    assert found.describe() == said


def test_a_difference_names_the_first_ones_and_counts_all():
    found = Difference()
    for index in range(NAMED + 5):
        found = found.with_block(index, equal=index == 3)
    assert (found.compared, found.count, len(found.indexes)) == (NAMED + 5, NAMED + 4, NAMED)
