"""Confirmation: EC2 has finished a recovery point, or has not, or never will: it is looked at, locked and told.

A fleet's open recovery points are looked at in portions, as many as there is time for: the next sweep goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.snapshot_locks import lock
from lifeboat.backup import messages as backup_messages
from lifeboat.backup import store as backups
from lifeboat.backup.confirm import Completed, Failed, best_of_each, confirm
from lifeboat.backup.request import ConfirmRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.message import Message, listed
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag

POINTS_LISTED = 100
"""How many recovery points of a kind an answer lists. CloudWatch cuts a log event at 256 kB, and bills every byte
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html)."""


class ConfirmationIncomplete(Exception):  # noqa: N818 - it says what is, and the next sweep goes on
    """Some open recovery points could not be looked at. All others were."""


def confirm_open(request: ConfirmRequest, invocation: Invocation) -> dict[str, Any]:
    """Look at the recovery points that an event speaks of, or at all open ones, and tell what is decided.

    Answers `left`, how many open ones there was no time for, if there were any.

    Raises ConfirmationIncomplete after all have been tried, when EC2 refused to show some.
    """
    if request.reconcile:
        begun = backups.open_backups(invocation.config.table)
        ids: Collection[str] = begun
    else:
        ids = _points_of(request.snapshot_ids, invocation)
        begun = backups.begun_at(invocation.config.table, ids)
    look = _Observation(begun, invocation)
    waiting = sorted(ids)
    while waiting and look.has_time():
        some, waiting = waiting[: ec2_describe.IDS_PER_CALL], waiting[ec2_describe.IDS_PER_CALL :]
        waiting = look.decide(some) + waiting
    if look.unread:
        raise ConfirmationIncomplete("; ".join(f"{ids}: {why}" for ids, why in look.unread))
    return {**_listed(look.answer), **({"left": len(waiting)} if waiting else {})}


def _listed(answer: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The answer as it is logged, every minute: of very many the first ones, the rest counted."""
    found: dict[str, Any] = {}
    for key, items in answer.items():
        found |= listed(items, key, most=POINTS_LISTED)
    return found


@dataclass(slots=True)
class _Observation:
    """What one invocation sees and tells."""

    begun: Mapping[str, datetime]
    invocation: Invocation
    answer: dict[str, Any] = field(default_factory=lambda: {"completed": [], "failed": [], "pending": []})
    unread: list[tuple[str, str]] = field(default_factory=list)

    def has_time(self) -> bool:
        """Whether another one can be told before the invocation ends."""
        return self.invocation.has_time()

    def decide(self, ids: Sequence[str]) -> list[str]:
        """Look at these together and tell them one by one; those that there was no time for.

        If EC2 refuses to show them, that is noted, and the other ones are looked at all the same.
        """
        wanted = {f"tag:{Tag.RECOVERY_POINT}": ids}
        try:
            observed = read_catalogue(ec2_snapshots.recovery_point_snapshots_of(self.invocation.config.stack, wanted))
        except AwsError as problem:
            self.unread.append(
                (f"{len(ids)} recovery points from {ids[0]} to {ids[-1]} were not looked at", str(problem))
            )
            return []
        found = best_of_each(observed.points)
        strangers: dict[str, list[Snapshot]] = {}
        for snapshot in observed.strangers():
            strangers.setdefault(snapshot.tags[Tag.RECOVERY_POINT], []).append(snapshot)
        for number, point_id in enumerate(ids):
            if not self.has_time():
                return list(ids[number:])
            self._decide(point_id, found.get(point_id), strangers.get(point_id, ()))
        return []

    def _decide(self, point_id: str, point: RecoveryPoint | None, strangers: Sequence[Snapshot]) -> None:
        begun_at, now = self.begun.get(point_id), clock.now()
        verdict = confirm(point_id, point, begun_at=begun_at, now=now, strangers=strangers)
        if isinstance(verdict, Completed):
            self._complete(point_id, verdict.point, strangers)
        elif isinstance(verdict, Failed):
            self._fail(point_id, verdict)
        else:
            self.answer["pending"].append({"recovery_point": point_id, "reason": verdict.reason})

    def _complete(self, point_id: str, point: RecoveryPoint, strangers: Sequence[Snapshot]) -> None:
        """Tell all that there is to tell of a good one. Until nothing is missing it stays open, for the next sweep."""
        stack, now = self.invocation.config.stack, clock.now()
        told = []
        if strangers:
            made = {item.id: item.volume_id for item in strangers}
            message = backup_messages.unplanned_snapshot_taken(stack=stack, at=now, point=point, made=made)
            told.append(self._publish_once("told-unplanned", point_id, message))
        if point_id in self.begun:  # noted before it is told: whom the last message wakes must find none left open
            backups.mark_decided(self.invocation.config.table, point_id)
        locking = lock(point, self.invocation)
        told.append(
            self._publish_once(
                "told", point.id, backup_messages.backup_completed(stack=stack, at=clock.now(), point=point)
            )
        )
        if locking.worth_publishing:
            problem = backup_messages.recovery_point_not_locked(
                stack=stack, at=clock.now(), point=point, reason=locking.problem
            )
            told.append(self._publish_once("told-not-locked", point.id, problem))
        if all(told) and not locking.again:
            backups.close_backup(self.invocation.config.table, point_id)
        self.answer["completed"].append(point.id)

    def _fail(self, point_id: str, verdict: Failed) -> None:
        point = verdict.point
        message = backup_messages.backup_failed(
            stack=self.invocation.config.stack,
            at=clock.now(),
            recovery_point_id=point_id,
            instance_id=point.instance_id if point else "",
            reason=verdict.reason,
            snapshot_ids=tuple(member.snapshot.id for member in point.members) if point else (),
        )
        if self._publish_once("told", point_id, message):
            backups.close_backup(self.invocation.config.table, point_id)
        self.answer["failed"].append({"recovery_point": point_id, "reason": verdict.reason})

    def _publish_once(self, kind: str, key: str, message: Message) -> bool:
        return self.invocation.publish_once(kind, key, message)


def _points_of(snapshot_ids: Sequence[str], invocation: Invocation) -> set[str]:
    """The recovery points of this stack that the snapshots belong to. EBS events carry no tags: they are looked up."""
    return {
        snapshot.tags[Tag.RECOVERY_POINT]
        for snapshot in (ec2_snapshots.own_snapshots(snapshot_ids).values() if snapshot_ids else ())
        if Tag.RECOVERY_POINT in snapshot.tags and snapshot.tags.get(Tag.STACK) == invocation.config.stack
    }
