"""The record of one verification: what is to be read of a recovery point, and how far that has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.proof import Level


class Phase(StrEnum):
    """What is done next with one snapshot."""

    LIST = "list"  # read the list of its blocks to the end
    INSPECT = "inspect"  # read the records of its file systems
    DATA = "data"  # read the blocks that the level asks for
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Reading:
    """One snapshot and its checkpoint.

    `next_block` is the block at which the list or the data goes on. `written` counts the blocks that were listed,
    `read` those that were read, `unchanged` those whose digest was known. `holds` says what is on the volume, `types`
    is its form for the tag. `notes` are sentences about what is normal, and `failure` the sentence that says what is
    wrong; with one, nothing more of the snapshot is read. `lost`: the failure is that a file system is gone, which a
    person may have intended.
    """

    snapshot_id: str
    device: str
    gib: int
    completed_at: datetime
    phase: Phase = Phase.LIST
    next_block: int = 0
    written: int = 0
    read: int = 0
    unchanged: int = 0
    holds: str = ""
    notes: tuple[str, ...] = ()
    failure: str = ""
    types: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """The table's record of one recovery point that is to be read back.

    `turn` is the twelfth that the level `sample` reads. `readings` are empty until the recovery point was observed.
    `attempts` counts the runs since the last progress that AWS refused, the first of them at `refused_since`. No run
    goes on before `not_before`. `by_hand`: a person asked for it. `expected`: and says that what is on it is intended.
    """

    point_id: str
    level: Level
    opened_at: datetime
    turn: int
    by_hand: bool = False
    readings: tuple[Reading, ...] = ()
    attempts: int = 0
    refused_since: datetime | None = None
    not_before: datetime | None = None
    reason: str = ""
    version: int = 1
    expected: bool = False

    @property
    def key(self) -> str:
        """What distinguishes this verification from an earlier one of the same recovery point."""
        return f"{self.point_id} {self.opened_at.isoformat()}"

    @property
    def read_to_the_end(self) -> bool:
        """Whether every snapshot was read, or has shown what is wrong with it."""
        return bool(self.readings) and all(item.phase is Phase.DONE for item in self.readings)
