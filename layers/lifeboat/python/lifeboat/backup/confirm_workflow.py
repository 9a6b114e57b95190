"""Confirmation: observe open recovery points, decide whether they are good, lock them, publish the outcome.

Many open recovery points are described in several calls, as many as there is time for. The next reconcile run goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lifeboat.ami.remedy import remedy_of_backup
from lifeboat.aws import clock, ec2_describe, ec2_snapshots, wakes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.snapshot_locks import lock
from lifeboat.backup import messages as backup_messages
from lifeboat.backup import store as backups
from lifeboat.backup.confirm import Completed, Failed, best_of_each, confirm
from lifeboat.backup.request import ConfirmRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.message import listed
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag

POINTS_LISTED = 100
"""How many recovery points of each kind an answer lists. CloudWatch truncates a log event at 256 kB and bills each byte
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html)."""


class ConfirmationIncomplete(Exception):  # noqa: N818 - a fact; the next reconcile run goes on
    """EC2 refused to describe some open recovery points. All others were decided."""


def confirm_open(request: ConfirmRequest, invocation: Invocation) -> dict[str, Any]:
    """Decide the recovery points of an event, or all open ones, and publish the outcomes.

    The answer's `left` is how many open ones there was no time for, if any.

    Raises ConfirmationIncomplete after all have been tried, if EC2 refused to describe some.
    """
    if request.reconcile:
        begun = backups.open_backups(invocation.config.table)
        ids: Collection[str] = begun
        if begun:  # before the work, so that a run that is cut short is followed by another
            wakes.wake_while_open("confirm-snapshots", invocation)
    else:
        ids = _points_of(request.snapshot_ids, invocation)
        begun = backups.begun_at(invocation.config.table, ids)
    confirmation = _Confirmation(begun, invocation)
    waiting = sorted(ids)
    while waiting and confirmation.has_time():
        some, waiting = waiting[: ec2_describe.IDS_PER_CALL], waiting[ec2_describe.IDS_PER_CALL :]
        waiting = confirmation.decide(some) + waiting
    if confirmation.unread:
        raise ConfirmationIncomplete("; ".join(f"{ids}: {why}" for ids, why in confirmation.unread))
    return {**_listed(confirmation.answer), **({"left": len(waiting)} if waiting else {})}


def _listed(answer: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The answer, which a run each minute may log: the first entries of each list, the rest counted."""
    found: dict[str, Any] = {}
    for key, items in answer.items():
        found |= listed(items, key, most=POINTS_LISTED)
    return found


@dataclass(slots=True)
class _Confirmation:
    """The decisions of one invocation."""

    begun: Mapping[str, datetime]
    invocation: Invocation
    answer: dict[str, Any] = field(default_factory=lambda: {"completed": [], "failed": [], "pending": []})
    unread: list[tuple[str, str]] = field(default_factory=list)

    def has_time(self) -> bool:
        """Whether there is time to publish another outcome."""
        return self.invocation.has_time()

    def decide(self, ids: Sequence[str]) -> list[str]:
        """Describe these in one call and decide them one by one; returns those that there was no time for.

        A refusal by EC2 is recorded in `unread`, so that the others are still decided.
        """
        wanted = {f"tag:{Tag.RECOVERY_POINT}": ids}
        try:
            observed = read_catalogue(ec2_snapshots.recovery_point_snapshots_of(self.invocation.config.stack, wanted))
        except AwsError as problem:
            self.unread.append(
                (f"{len(ids)} recovery points from {ids[0]} to {ids[-1]} could not be described", str(problem))
            )
            return []
        found = best_of_each(observed.points)
        unrecorded: dict[str, list[Snapshot]] = {}
        for snapshot in observed.of_unrecorded_volumes():
            unrecorded.setdefault(snapshot.tags[Tag.RECOVERY_POINT], []).append(snapshot)
        for number, point_id in enumerate(ids):
            if not self.has_time():
                return list(ids[number:])
            self._decide(point_id, found.get(point_id), unrecorded.get(point_id, ()))
        return []

    def _decide(self, point_id: str, point: RecoveryPoint | None, unrecorded: Sequence[Snapshot]) -> None:
        begun_at, now = self.begun.get(point_id), clock.now()
        verdict = confirm(point_id, point, begun_at=begun_at, now=now, unrecorded=unrecorded)
        if isinstance(verdict, Completed):
            self._complete(point_id, verdict.point, unrecorded)
        elif isinstance(verdict, Failed):
            self._fail(point_id, verdict)
        else:
            self.answer["pending"].append({"recovery_point": point_id, "reason": verdict.reason})

    def _complete(self, point_id: str, point: RecoveryPoint, unrecorded: Sequence[Snapshot]) -> None:
        """Publish all messages about a good one. It stays open for the next reconcile run until all are published."""
        published = []
        if unrecorded:
            made = {item.id: item.volume_id for item in unrecorded}
            message = backup_messages.unplanned_snapshot_taken(**self.invocation.stamp(), point=point, made=made)
            published.append(self.invocation.publish_once("published-unplanned", point_id, message))
        if point_id in self.begun:
            # Before publishing: the subscriber of the slot's last message must find none undecided.
            backups.mark_decided(self.invocation.config.table, point_id)
        locking = lock(point, self.invocation)
        config = self.invocation.config
        trust = remedy_of_backup(
            owner=point.ami_owner,
            image_id=point.ami_id,
            account=config.account,
            owners=config.trusted_owners,
            images=config.allowed_images,
        )
        completed = backup_messages.backup_completed(**self.invocation.stamp(), point=point, trust=trust)
        published.append(self.invocation.publish_once("published-outcome", point.id, completed))
        if locking.worth_publishing:
            problem = backup_messages.recovery_point_not_locked(
                **self.invocation.stamp(), point=point, reason=locking.problem
            )
            published.append(self.invocation.publish_once("published-not-locked", point.id, problem))
        if all(published) and not locking.again:
            backups.close_backup(self.invocation.config.table, point_id)
        self.answer["completed"].append(point.id)

    def _fail(self, point_id: str, verdict: Failed) -> None:
        point = verdict.point
        message = backup_messages.backup_failed(
            **self.invocation.stamp(),
            recovery_point_id=point_id,
            instance_id=point.instance_id if point else "",
            name=point.instance_name if point else "",
            reason=verdict.reason,
            snapshot_ids=tuple(member.snapshot.id for member in point.members) if point else (),
        )
        if self.invocation.publish_once("published-outcome", point_id, message):
            backups.close_backup(self.invocation.config.table, point_id)
        self.answer["failed"].append({"recovery_point": point_id, "reason": verdict.reason})


def _points_of(snapshot_ids: Sequence[str], invocation: Invocation) -> set[str]:
    """This stack's recovery points that the snapshots belong to. EBS events carry no tags, so EC2 is asked for them."""
    return {
        snapshot.tags[Tag.RECOVERY_POINT]
        for snapshot in (ec2_snapshots.own_snapshots(snapshot_ids).values() if snapshot_ids else ())
        if Tag.RECOVERY_POINT in snapshot.tags and snapshot.tags.get(Tag.STACK) == invocation.config.stack
    }
