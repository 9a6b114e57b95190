"""A large backup run and its batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of a run that one invocation of a worker takes: `number` of `of`, counted from 1.

    `run` is the run's id, `at_once` how many calls the worker may make before it keeps to its share of EC2's rate.
    """

    run: str
    number: int
    of: int
    slot: datetime
    instance_ids: tuple[str, ...]
    late: bool = False
    at_once: int = 0


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of a portion in the end. `begun` have a recovery point of the slot, by this run or already.

    `skipped` owe nothing any more; `failed` are instance and reason.
    """

    begun: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A backup run that was handed out in portions; `done` are the numbers of those that have reported."""

    id: str
    slot: datetime
    late: bool
    planned_at: datetime
    instances: int
    batches: int
    done: frozenset[int] = frozenset()

    @property
    def complete(self) -> bool:
        return len(self.done) >= self.batches
