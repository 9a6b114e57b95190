"""A large backup run and its batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from lifeboat.domain.bad_request import Expected, Fields
from lifeboat.domain.fields import BatchInstanceIds, Flag, Moment

_COUNT = Expected("a whole number from 1")


@dataclass(frozen=True, slots=True)
class Batch(Fields):
    """A part of a run that one invocation of a worker takes: `number` of `of`, counted from 1.

    `run` is the run's id. `at_once` is how many calls go out before the worker keeps to its share of EC2's rate.
    """

    run: Annotated[str, StringConstraints(min_length=1, max_length=128), Expected("a run's id of 1 to 128 characters")]
    number: Annotated[int, Field(strict=True, ge=1), _COUNT]
    of: Annotated[int, Field(strict=True, ge=1), _COUNT]
    slot: Moment
    instance_ids: BatchInstanceIds
    late: Flag
    at_once: Annotated[int, Field(strict=True, ge=0), Expected("a whole number from 0")]


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
