"""The proof of a recovery point: what reading a snapshot back has shown, as its tag `lifeboat:verified` says it.

Every snapshot of a recovery point carries the tag by itself, because each is read by itself. It is the only tag of a
recovery point that Lifeboat writes after the creation. A copy does not get it: nothing has read the copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.tags import Tag, Tags
from lifeboat.domain.text import iso, read_time


class Level(StrEnum):
    """How much of a snapshot is read. Each level includes those before it."""

    READ = "read"  # the list of blocks to its end, and the file systems' own records
    SAMPLE = "sample"  # also a twelfth of the written blocks, another one each day
    FULL = "full"  # also every written block


LEVELS = tuple(Level)
"""From the least that is read to the most."""


class Result(StrEnum):
    """What a verification has shown."""

    PROVEN = "proven"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of the newest verification, and when it ended.

    `holds` names what was on a proven snapshot, as `lifeboat.verify.lost_contents` does; empty where that is not known.
    `unequal`: a comparison of this copy with its source has shown a difference. Reading the copy back cannot refute it.
    """

    result: Result
    level: Level
    at: datetime
    holds: str = ""
    unequal: bool = False

    @property
    def proven(self) -> bool:
        return self.result is Result.PROVEN


def write_proof(proof: Proof) -> dict[str, str]:
    """The tag that records a proof."""
    more = f" holds={proof.holds}" if proof.holds else ""
    more += " unequal=yes" if proof.unequal else ""
    return {Tag.VERIFIED.value: f"result={proof.result} level={proof.level} at={iso(proof.at)}{more}"}


def read_proof(tags: Tags) -> Proof | None:
    """The proof that a snapshot's tags record. None without a readable one: then nothing is proven."""
    facts = dict(part.split("=", 1) for part in tags.get(Tag.VERIFIED, "").split(" ") if "=" in part)
    at = read_time(facts.get("at", ""))
    if at is None:
        return None
    try:
        result, level = Result(facts.get("result", "")), Level(facts.get("level", ""))
    except ValueError:
        return None
    return Proof(result, level, at, facts.get("holds", ""), unequal=facts.get("unequal") == "yes")


def join_proofs(proofs: Sequence[Proof | None]) -> Proof | None:
    """What is shown of a set whose snapshots have these proofs: the worst result, the least level, the oldest time.

    A failed one decides alone. None if a snapshot has no proof.
    """
    failed = [item for item in proofs if item and not item.proven]
    known = failed or [item for item in proofs if item]
    if not known or (not failed and len(known) < len(proofs)):
        return None
    level = min((item.level for item in known), key=LEVELS.index)
    return Proof(known[0].result, level, min(item.at for item in known))
