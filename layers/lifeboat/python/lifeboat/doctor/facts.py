"""What the check observes, before anything is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lifeboat.backup.overdue import Overdue
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.stack import (
    Alarm,
    Concurrency,
    FunctionState,
    Key,
    NotSeen,
    Stack,
    Subscription,
    Switch,
)
from lifeboat.status.protection import Selected

type Seen[Value] = Value | NotSeen
"""What AWS showed, or its words where it refused."""


@dataclass(frozen=True, slots=True)
class Machinery:
    """The parts of the stack. `table_protected`: whether the table has deletion protection."""

    stack: Stack
    functions: Seen[tuple[FunctionState, ...]]
    schedules: Seen[tuple[Switch, ...]]
    rules: Seen[tuple[Switch, ...]]
    mappings: Seen[tuple[Switch, ...]]
    subscriptions: Seen[tuple[Subscription, ...]]
    alarms: Seen[tuple[Alarm, ...]]
    failed_events: Seen[int]
    concurrency: Seen[Concurrency]
    table_protected: Seen[bool]


@dataclass(frozen=True, slots=True)
class Backups:
    """Whether the first backup was seen.

    `good` counts the volumes with a good recovery point of the last slot or later. `expected` is the last slot whose
    run had its time, `next_slot` the next one; None where none is known. `unshared` are good snapshots that the vault
    could have by now and may not copy, if there is a vault.
    """

    expected: datetime | None
    next_slot: datetime | None
    late: tuple[Overdue, ...]
    good: int
    unshared: Seen[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Protection:
    """What the stack protects, and what it needs of the account for that.

    `volumes` are the data volumes of the selected instances. `pending` counts, by volume, its pending snapshots, and
    how many of them are another one's. `copying` counts the copies in flight by region. `keys` are by what needs them.
    `default_key` is the key of new volumes.
    """

    selected: Seen[tuple[Selected, ...]]
    volumes: Mapping[str, Volume]
    backups: Seen[Backups]
    pending: Seen[Mapping[str, Pending]]
    copying: Mapping[str, Seen[int]]
    encrypts_by_default: Seen[bool]
    default_key: Seen[Key | None]
    keys: Mapping[tuple[str, str], Seen[Key]]


@dataclass(frozen=True, slots=True)
class Pending:
    """The pending snapshots of one volume, and how many of them another one than this stack requested."""

    all: int
    others: int


def count_pending(found: Iterable[tuple[str, bool]]) -> dict[str, Pending]:
    """By volume, from pairs of a pending snapshot's volume and whether it is this stack's."""
    every: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for volume_id, ours in found:
        every[volume_id] += 1
        others[volume_id] += not ours
    return {volume_id: Pending(number, others[volume_id]) for volume_id, number in every.items()}
