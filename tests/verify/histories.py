"""Sixty days of a data volume, as the change canary observes them: a small model of files in blocks, with real bytes.

The model knows nothing of the rule. A volume has blocks of four units. Files of several kinds lie in its units, and a
unit's bytes are real ones of that kind: text, SQLite pages, deflate and LZMA streams. Each day rewrites, appends,
creates and deletes files as one of five uses of a volume does. The changed blocks and the bytes in them follow.
"""

from __future__ import annotations

import lzma
import sqlite3
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil, exp
from random import Random

from lifeboat.verify import canary

UNIT = 32 * 1024
"""Bytes of a unit that a sample of its block has: a quarter of the sample."""

UNITS = 4
"""Units of a block."""

VARIANTS = 2
"""Different contents of one kind."""

DAYS = 60

FIRST = datetime(2026, 9, 1, 2, 0, tzinfo=UTC)


# --- bytes


def _text(random: Random, size: int) -> bytes:
    words = ["GET", "POST", "/api/v1/", "orders", "user", "session", "INFO", "WARN", "timeout", "retry", "ok", "cache"]
    picked = random.choices(words, k=size // 5)
    lines = (
        f"2026-11-{at % 28 + 1:02} {' '.join(picked[at : at + 9])} {random.getrandbits(40):x}\n"
        for at in range(0, len(picked), 9)
    )
    return "".join(lines).encode()[:size]


def _database(random: Random, size: int) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table item (id integer primary key, name text, amount real, note blob)")
    rows = (
        (f"item {number * 7919 % 9999}", random.random(), random.randbytes(number % 40)) for number in range(size // 40)
    )
    connection.executemany("insert into item (name, amount, note) values (?, ?, ?)", rows)
    return connection.serialize()[4096 : 4096 + size]


def _skewed(random: Random, size: int, weights: list[float]) -> bytes:
    return bytes(random.choices(random.sample(range(256), len(weights)), weights, k=size))


def _program(random: Random, size: int) -> bytes:
    """Machine code has few common bytes and many rare ones."""
    return _skewed(random, size, [1 / (rank + 4) for rank in range(256)])


def _deflated(random: Random, size: int) -> bytes:
    return zlib.compress(_text(random, 5 * size), 6)[64 : 64 + size]


def _package(random: Random, size: int) -> bytes:
    return lzma.compress(_program(random, 5 * size // 4), preset=0)[64 : 64 + size]


def _media(random: Random, size: int) -> bytes:
    """A noisy signal, coded by Huffman alone as in a picture."""
    coder = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)
    signal = _skewed(random, 3 * size // 2, [exp(-(((rank - 40) / 18) ** 2)) for rank in range(80)])
    return (coder.compress(signal) + coder.flush())[64 : 64 + size].replace(b"\xff", b"\xff\x00")[:size]


def _index(random: Random, size: int) -> bytes:
    """Compressed lightly: literal text between coded parts, as LZ4 leaves it."""
    coded, plain = _deflated(random, size), _text(random, size)
    return b"".join(coded[at : at + 40] + plain[at : at + 30] for at in range(0, size, 70))[:size]


_MADE = {
    "text": _text,
    "database": _database,
    "program": _program,
    "deflated": _deflated,
    "package": _package,
    "media": _media,
    "index": _index,
    "encrypted": Random.randbytes,
}

PLACE = {kind: 1 + number * VARIANTS for number, kind in enumerate(_MADE)}
"""Where the contents of a kind begin in `contents`."""


@cache
def contents() -> tuple[Counter[int], ...]:
    """How often each byte occurs in each content: no bytes at first, which is a unit of zeros, then VARIANTS a kind."""
    random = Random("bytes")
    made = [Counter({0: UNIT})]
    for kind, make in _MADE.items():
        for _ in range(VARIANTS):
            data = make(random, UNIT)
            assert len(data) > UNIT * 0.9, kind
            made.append(Counter(data))
    return tuple(made)


@cache
def entropies() -> tuple[float, ...]:
    """The bits a byte of each content."""
    return tuple(canary.bits_per_byte(data) for data in contents())


# --- the volume


@dataclass(eq=False)
class File:
    """The kind of its content, and where it lies."""

    kind: str
    units: list[int]


@dataclass
class Volume:
    """Blocks of units. `dirty` are the blocks that were written since the last backup."""

    random: Random
    size: int
    content: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    dirty: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.content = [0] * self.size
        self.free = list(range(self.size))[::-1]

    def write(self, unit: int, kind: str) -> None:
        self.content[unit] = PLACE[kind] + self.random.getrandbits(1)
        self.dirty.add(unit // UNITS)

    def create(self, kind: str, size: int) -> File | None:
        if len(self.free) < size:
            return None
        file = File(kind, [self.free.pop() for _ in range(size)])
        for unit in file.units:
            self.write(unit, kind)
        self.files.append(file)
        return file

    def append(self, file: File, size: int) -> None:
        for _ in range(min(size, len(self.free))):
            file.units.append(self.free.pop())
            self.write(file.units[-1], file.kind)

    def rewrite(self, file: File, share: float = 1.0, kind: str = "") -> None:
        """Some units of a file, where they lie."""
        file.kind = kind or file.kind
        for unit in file.units if share >= 1 else self.random.sample(file.units, ceil(share * len(file.units))):
            self.write(unit, file.kind)

    def delete(self, file: File) -> None:
        """The bytes stay where they are, and the units are free."""
        self.files.remove(file)
        self.free += file.units[::-1]

    def replace(self, file: File, kind: str = "") -> None:
        """Write the file anew and then delete it: in free room, or where it lies if there is none."""
        if self.create(kind or file.kind, len(file.units)):
            self.delete(file)
        else:
            self.rewrite(file, kind=kind)

    def of(self, *kinds: str) -> list[File]:
        return [file for file in self.files if file.kind in kinds]


@dataclass(frozen=True)
class Use:
    """What a volume is used for.

    `files` are those at first, by kind: how many, and their usual size in units. `new` and `rewritten` are how many a
    day creates and rewrites on average, and `share` how much of a file is rewritten.
    """

    files: dict[str, tuple[int, int]]
    new: dict[str, float]
    rewritten: dict[str, float]
    share: float


USES = {
    "office": Use(
        {"deflated": (160, 3), "text": (200, 1), "media": (40, 5), "database": (2, 30)},
        {"deflated": 3, "text": 2, "media": 0.6},
        {"deflated": 4, "text": 3, "database": 1},
        0.2,
    ),
    "database": Use(
        {"database": (45, 20), "text": (20, 4), "deflated": (4, 12)},
        {"text": 1},
        {"database": 9, "text": 2},
        0.1,
    ),
    "media": Use(
        {"media": (180, 6), "database": (1, 40), "text": (30, 2)},
        {"media": 4, "text": 1},
        {"database": 1, "text": 2},
        0.3,
    ),
    "web": Use(
        {"program": (60, 3), "text": (150, 2), "deflated": (60, 2), "database": (1, 120), "media": (60, 2)},
        {"text": 3, "media": 1.5, "deflated": 0.5},
        {"text": 4, "database": 1},
        0.1,
    ),
    "search": Use(
        {"index": (60, 14), "package": (10, 12), "text": (40, 3), "program": (20, 4)},
        {"index": 1.5, "text": 2, "package": 0.2},
        {"index": 1, "text": 2},
        0.5,
    ),
}


class History:
    """A volume in use for DAYS days, drawn from a seed. `encrypted_on` is the day of the mass encryption, if any."""

    def __init__(self, seed: int | str, *, encrypted: bool, share: float = 0.2) -> None:
        self.random = Random(f"history {seed}")
        self.share = share
        self.use_name = self.random.choice(sorted(USES))
        self.use = USES[self.use_name]
        self.pace = self.random.lognormvariate(0, 0.4)
        self.weekend = self.random.choice([1.0, 0.5, 0.15])
        self.dump_share = self.random.choice([0, 0, 0, self.random.uniform(0.02, 0.08)])
        self.volume = Volume(self.random, 2400)
        self.encrypted_on = self.random.randint(16, DAYS - 1) if encrypted else None
        self.dumps: list[File] = []
        self.events: dict[int, list[str]] = {}
        for event in ("compaction", "upgrade", "busy day"):
            for _ in range(self.random.randint(1, 2)):
                self.events.setdefault(self.random.randint(1, DAYS - 1), []).append(event)
        for kind, (count, size) in self.use.files.items():
            for _ in range(count):
                self.volume.create(kind, max(1, round(size * self.random.lognormvariate(0, 0.5))))

    def days(self) -> list[canary.Sample]:
        found = []
        volume = self.volume
        volume.written = set(volume.dirty)
        for day in range(DAYS):
            volume.dirty.clear()
            self._live(day)
            if day == self.encrypted_on:
                self._encrypt()
            volume.written |= volume.dirty
            found.append(
                canary.Sample(
                    point_id=f"rp-{day}",
                    taken_at=FIRST + timedelta(days=day),
                    changed_blocks=len(volume.dirty),
                    written_blocks=len(volume.written),
                    changed=self._entropies(volume.dirty),
                    held=self._entropies(volume.written),
                )
            )
        return found

    def _entropies(self, blocks: set[int]) -> tuple[float, ...]:
        some, content = canary.spread_evenly(sorted(blocks)), self.volume.content
        return tuple(entropies()[content[block * UNITS + at]] for block in some for at in (0, 2))

    def _often(self, rate: float) -> int:
        """How often something happens that happens so often on average."""
        count, left = 0, self.random.expovariate(1)
        while left < rate:
            count, left = count + 1, left + self.random.expovariate(1)
        return count

    def _live(self, day: int) -> None:
        volume, events = self.volume, self.events.get(day, [])
        self._work(self.pace * (self.weekend if day % 7 in (5, 6) else 1) * (4 if "busy day" in events else 1))
        log = next(iter(volume.of("text")), None) or volume.create("text", 1)
        if log and day % 7 == 0:  # the log is rotated: compressed beside it, then begun again
            volume.create("deflated", max(1, len(log.units) // 6))
            volume.delete(log)
        if day % 7 == 2 and self.dump_share:
            self._dump()
        if len(volume.free) < 200:
            for file in self.random.sample(volume.files, min(12, len(volume.files))):
                if len(file.units) < 30 and file not in self.dumps:
                    volume.delete(file)
        if "compaction" in events:
            for file in volume.of("database", "index"):
                volume.replace(file)
        if "upgrade" in events:
            self._upgrade()

    def _work(self, pace: float) -> None:
        """The files that a day creates, appends to and rewrites."""
        volume, random = self.volume, self.random
        for kind, rate in self.use.new.items():
            size = self.use.files.get(kind, (0, 2))[1]
            for _ in range(self._often(rate * pace)):
                volume.create(kind, max(1, round(size * random.lognormvariate(0, 0.5))))
        for kind, rate in self.use.rewritten.items():
            files = volume.of(kind)
            for _ in range(self._often(rate * pace) if files else 0):
                volume.rewrite(random.choice(files), self.use.share)
        for log in volume.of("text")[:1]:
            volume.append(log, 1 + self._often(pace))

    def _dump(self) -> None:
        """A weekly dump of the data, compressed, in the place of the last but one."""
        size = round(self.dump_share * len(self.volume.written) * UNITS * self.random.uniform(0.9, 1.1))
        if len(self.dumps) > 1 and (oldest := self.dumps.pop(0)) in self.volume.files:
            self.volume.delete(oldest)
        if made := self.volume.create("deflated", size):
            self.dumps.append(made)

    def _upgrade(self) -> None:
        """2 to 6 percent of the room: packages, and the programs and texts that come out of them."""
        volume, random = self.volume, self.random
        left = round(random.uniform(0.02, 0.06) * len(volume.written) * UNITS)
        while left > 0:
            size = random.randint(1, 6)
            volume.create(random.choice(["package", "program", "program", "text"]), size)
            left -= size
        for file in random.sample(volume.of("program"), k=len(volume.of("program")) // 2):
            volume.replace(file)

    def _encrypt(self) -> None:
        """A share of the files, each where it lies or written anew; the attacker chooses one of the two."""
        volume, random = self.volume, self.random
        anew = random.random() < 0.5
        for file in random.sample(volume.files, round(self.share * len(volume.files))):
            if anew:
                volume.replace(file, "encrypted")
            else:
                volume.rewrite(file, kind="encrypted")
