"""Decide whether a recovery point is suspect: much of its lineage's data has become far more random within one backup.

Mass encryption rewrites much of a volume with bytes that are as good as random. Neither sign is enough alone. The
compaction of a database rewrites as much, with data like the old. An upgrade brings packages, as random, but few.
So both are joined in one number, the **scrambled share**: the share of the written blocks that changed, times how much
more random the changed data is than four fifths of all that the lineage held before.

The number is held against the lineage's own last observations: their median, their spread and their largest. There is
no limit that holds for all lineages. Pure: `canary_workflow` reads the blocks.

What it cannot see: a lineage whose data is already as random as can be, an encryption in small steps over many
backups, and one that leaves most bytes of each file as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import log, log2
from statistics import median

BASELINE = 14
"""How many earlier observations of the lineage are the baseline."""

LEAST = 7
"""How many observations a verdict needs at least: with a backup a day, a week with its weekend."""

SAMPLED = 32
"""How many blocks of each kind are sampled: of those that changed, and of all."""

PIECE = 32 * 1024
"""Bytes of a piece. Random bytes of this length have an entropy of 7.994 +- 0.0005, deflate streams 7.991."""

PIECES = (128 * 1024, 384 * 1024)
"""Where the two pieces of a sampled block begin. Two, because a block of 512 KiB may hold several small files."""

HELD = 0.8
"""Changed data counts as scrambled as far as it is more random than this share of the lineage's data."""

SPREADS = 7
"""How many spreads above the median an observation must be to be suspect."""

LEAST_SPREAD = 0.01
"""The spread of a lineage that never varies, as a share of its blocks: the resolution of the sample."""

ABOVE_LARGEST = 1.25
"""How far above the baseline's largest it must be: a weekly dump differs that much from the last one."""

TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""

DIGITS = 5
"""Decimals of the numbers of an observation: fourteen observations have less than 4 kB in the table."""

RANDOM = 8 - 255 / (2 * PIECE * log(2))
"""Bits per byte of a piece of random bytes. It is less than 8, because 256 counts of few bytes are never equal
(the Miller-Madow correction: (m - 1) / 2N nats for m symbols and N bytes)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was read of one volume of a recovery point, and of what changed since the recovery point before.

    `changed_blocks` and `written_blocks` are counts of blocks in the snapshot. `changed` and `held` are the entropies
    of pieces in bits per byte: of blocks that changed, and of all written blocks.
    """

    point_id: str
    taken_at: datetime
    changed_blocks: int
    written_blocks: int
    changed: tuple[float, ...]
    held: tuple[float, ...]

    @property
    def changed_share(self) -> float:
        """The share of the written blocks that changed, 0 to 1."""
        return self.changed_blocks / self.written_blocks if self.written_blocks else 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """The numbers of one recovery point that the baseline keeps.

    `changed` is the changed share, `entropy` the mean bits per byte of the changed data, `scrambled` the scrambled
    share. `limit` is the entropy that HELD of the data does not exceed, `above` how much the rest exceeds it (0 to 1).
    A `suspected` one is no part of a baseline.
    """

    point_id: str
    taken_at: datetime
    changed: float
    entropy: float
    scrambled: float
    limit: float
    above: float
    suspected: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a recovery point is suspect, its numbers, and the reason in one sentence.

    `usual` is the baseline's median of each number; None where the history is too short for a verdict.
    """

    observation: Observation
    reason: str
    usual: Observation | None = None

    @property
    def suspect(self) -> bool:
        return self.observation.suspected


def spread_evenly[Item](items: Sequence[Item], most: int = SAMPLED) -> list[Item]:
    """At most so many of the items, spread evenly over them."""
    if len(items) <= most:
        return list(items)
    return [items[(2 * place + 1) * len(items) // (2 * most)] for place in range(most)]


def entropies(block: bytes) -> tuple[float, ...]:
    """The entropy of each piece of a block that is long enough to have it, in bits per byte."""
    pieces = (block[start : start + PIECE] for start in PIECES)
    return tuple(bits_per_byte(Counter(piece)) for piece in pieces if len(piece) == PIECE)


def bits_per_byte(counts: Mapping[int, int]) -> float:
    """The Shannon entropy of bytes, by how often each value occurs."""
    total = sum(counts.values())
    return log2(total) - sum(count * log2(count) for count in counts.values()) / total


def judge(sample: Sample, history: Iterable[Observation]) -> Verdict:
    """The verdict about a sample. `history` has earlier and later observations of the lineage, in any order."""
    baseline = _baseline(sample, history)
    observed = _observation(sample, baseline)
    if len(baseline) < LEAST:
        return Verdict(observed, f"no verdict: {len(baseline)} earlier observations, expected at least {LEAST}")
    usual = _medians(observed, baseline)
    if usual.limit >= RANDOM:
        return Verdict(observed, "no verdict: the lineage's data is as random as encrypted data", usual)
    values = [item.scrambled for item in baseline]
    most = max(usual.scrambled + SPREADS * _spread(values), ABOVE_LARGEST * max(values))
    suspect = observed.scrambled > most
    reason = (
        f"the scrambled share is {observed.scrambled:.1%}, {'more' if suspect else 'not more'} than the lineage's own "
        f"limit of {most:.1%}"
    )
    return Verdict(replace(observed, suspected=suspect), reason, usual)


def usual_before(observed: Observation, history: Iterable[Observation]) -> Observation | None:
    """The median of each number before an observation; None without an earlier one."""
    baseline = _baseline(observed, history)
    return _medians(observed, baseline) if baseline else None


def _baseline(of: Sample | Observation, history: Iterable[Observation]) -> list[Observation]:
    """The last observations before one, oldest first, without suspected ones."""
    earlier = (
        item for item in history if item.taken_at < of.taken_at and item.point_id != of.point_id and not item.suspected
    )
    return sorted(earlier, key=lambda item: item.taken_at)[-BASELINE:]


def _medians(of: Observation, baseline: Sequence[Observation]) -> Observation:
    return replace(
        of,
        point_id="",
        changed=median(item.changed for item in baseline),
        entropy=median(item.entropy for item in baseline),
        scrambled=median(item.scrambled for item in baseline),
        limit=median(item.limit for item in baseline),
        above=median(item.above for item in baseline),
        suspected=False,
    )


def _observation(sample: Sample, baseline: Sequence[Observation]) -> Observation:
    """The numbers of a sample. Without a baseline nothing is known to be scrambled."""
    limit, above = _held(sample.held)
    scrambled = 0.0
    if baseline:
        known = median(item.limit for item in baseline)
        gained = _gain(sample.changed, known) - median(item.above for item in baseline)
        scrambled = sample.changed_share * max(0.0, gained)
    return Observation(
        point_id=sample.point_id,
        taken_at=sample.taken_at,
        changed=round(sample.changed_share, DIGITS),
        entropy=round(_mean(sample.changed), DIGITS),
        scrambled=round(scrambled, DIGITS),
        limit=round(limit, DIGITS),
        above=round(above, DIGITS),
    )


def _held(entropies: Sequence[float]) -> tuple[float, float]:
    """The entropy that HELD of the data does not exceed, and how much the rest exceeds it."""
    if not entropies:
        return 0.0, 0.0
    limit = sorted(entropies)[min(len(entropies) - 1, int(HELD * len(entropies)))]
    return limit, _gain(entropies, limit)


def _gain(entropies: Sequence[float], limit: float) -> float:
    """How far the data is above the limit, on average: 0 at the limit and below it, 1 if it is random."""
    room = RANDOM - limit
    return _mean([min(1.0, max(0.0, (item - limit) / room)) for item in entropies]) if room > 0 else 0.0


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return max(LEAST_SPREAD, TO_SIGMA * median(abs(value - middle) for value in values))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
