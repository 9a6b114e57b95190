"""A large backup run and its batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """The part of a large run that one invocation takes: number `number` of `of`, counted from 1.

    `run` is the run's id. `at_once` is how many calls go out before the worker keeps to its share of EC2's rate.
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
    """The outcome of a batch. `begun` have a recovery point of the slot, from this run or an earlier one.

    `skipped` need none any more; `failed` are pairs of instance and reason.
    """

    begun: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A backup run that was queued in batches; `done` are the numbers of the batches that have reported."""

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
