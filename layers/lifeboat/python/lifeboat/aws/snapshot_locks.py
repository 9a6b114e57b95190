"""Lock the snapshots of a good recovery point, if the stack is configured to.

A snapshot that carries or carried a lock is skipped, so a repetition changes nothing. A failed lock does not delay
BackupCompleted: the recovery point is good, and a reconcile run retries for TRIED_FOR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.locks import NoLock, lock_for
from lifeboat.domain.recovery_point import RecoveryPoint

TRIED_FOR = timedelta(hours=26)
"""How long after a snapshot or copy began the lock is retried: longer than a large first snapshot takes."""


@dataclass(frozen=True, slots=True)
class Locking:
    """The outcome: why a wanted lock is missing, and whether to try `again`.

    A problem that `passes` (a throttled call, a lost answer, a state that changes) needs no message while it is
    retried.
    """

    problem: str = ""
    again: bool = False
    passes: bool = False

    @property
    def worth_publishing(self) -> bool:
        """Whether a person must know."""
        return bool(self.problem) and not (self.again and self.passes)


def lock(point: RecoveryPoint, invocation: Invocation) -> Locking:
    """Lock every snapshot of a good recovery point that never had a lock."""
    # The data of a copy may be older than the copy: the lock counts from the data, the attempts from the copy.
    begun_at = max(member.snapshot.started_at for member in point.members)
    return lock_all([member.snapshot.id for member in point.members], point.taken_at, invocation, begun_at=begun_at)


def lock_all(ids: Sequence[str], taken_at: datetime, invocation: Invocation, *, begun_at: datetime) -> Locking:
    """Lock each of these completed snapshots that never had a lock.

    `taken_at` is when their data was taken, `begun_at` when EC2 began the last of them.
    """
    decided = lock_for(invocation.config.locks, taken_at=taken_at, grace=invocation.config.grace, now=clock.now())
    if isinstance(decided, NoLock):
        return Locking(decided.reason if decided.wanted else "")
    problems: dict[str, AwsError] = {}
    try:
        had = ec2_snapshots.ever_locked(ids)
    except AwsError as problem:
        problems, had = {"DescribeLockedSnapshots": problem}, frozenset(ids)
    for snapshot_id in ids:
        if snapshot_id not in had:
            try:
                ec2_snapshots.lock_snapshot(snapshot_id, decided)
            except AwsError as problem:
                problems[snapshot_id] = problem
    return Locking(
        "; ".join(f"{where}: {problem}" for where, problem in problems.items()),
        again=bool(problems) and clock.now() - begun_at < TRIED_FOR,
        passes=all(problem.passes for problem in problems.values()),
    )
