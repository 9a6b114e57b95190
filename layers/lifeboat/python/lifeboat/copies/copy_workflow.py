"""Copying: what copies to other regions and copies into the vault share, from the plan to the message.

CopySnapshot has no idempotency token. Lifeboat requests each copy under a key of its label, source and attempt
(`once`), and first searches the tags in the destination for it. So neither a repeated event nor a lost answer makes a
second copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.once import UnderWay
from lifeboat.copies import messages as copies_messages
from lifeboat.copies import store as copies
from lifeboat.copies.plan import VANISHED_AFTER, Copied, CopyEndedBadly, CopyFacts, StartCopy, after_failure, plan
from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.copy_limits import TOO_MANY
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.error_codes import SNAPSHOT_LIMITS
from lifeboat.domain.message import Message
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def refuses_every_copy(problem: AwsError) -> bool:
    """Whether EC2 refuses every further copy for now, not only this one."""
    return problem.throttled or problem.code in {TOO_MANY, *SNAPSHOT_LIMITS}


class Copying(ABC):
    """One run for one destination or source: observe, decide, act, publish.

    `label` names its records in the table and begins all its keys. `to` is where the copies are made, `home` where they
    come from, as a message says it. `completion_minutes` is the most that a copy may take; 0 sets no limit.
    """

    def __init__(
        self,
        invocation: Invocation,
        *,
        label: str,
        to: CopyDestination,
        home: str,
        completion_minutes: int = 0,
    ) -> None:
        self._invocation = invocation
        self._label = label
        self._to = to
        self._home = home
        self._completion_minutes = completion_minutes
        self._answer: dict[str, Any] = {"begun": [], "copied": [], "failed": [], "waiting": []}

    @abstractmethod
    def _handle_complete(self, done: Copied) -> bool:
        """Act on a recovery point that is complete in the destination. Returns whether to record it as copied."""

    @abstractmethod
    def _start(self, call: StartCopy) -> str:
        """Begin one copy, once. Returns why it counts as failed, or an empty text. Raises AwsError and UnderWay."""

    def _records(self, *, retry: bool) -> dict[str, CopyRecord]:
        found = copies.records(self._invocation.config.table, self._label)
        return {name: self._reopened(record) for name, record in found.items()} if retry else found

    def _reopened(self, record: CopyRecord) -> CopyRecord:
        """The record after a person has asked for a retry: no pause, and open again if it was given up."""
        if record.state is CopyState.COPIED or (record.state is CopyState.OPEN and not record.not_before):
            return record
        fresh = replace(record, state=CopyState.OPEN, not_before=None)
        copies.save(self._invocation.config.table, fresh, record)
        return fresh

    def _decide(
        self,
        points: Sequence[RecoveryPoint],
        there: Sequence[Snapshot],
        records: Mapping[str, CopyRecord],
        *,
        in_flight: int | None = None,
        forget: bool = False,
    ) -> None:
        """Decide on these recovery points and act. `forget`: delete records whose recovery point was not found."""
        decided = plan(
            CopyFacts(
                points=points,
                copies=there,
                records=records,
                in_flight=len(ec2_snapshots.pending_copies_in(self._to.region)) if in_flight is None else in_flight,
                destination=replace(self._to, region=self._label),
                home=self._invocation.config.region,
                stack=self._invocation.config.stack,
                now=clock.now(),
                copy_existing=self._invocation.config.copy_existing,
                completion_minutes=self._completion_minutes,
            )
        )
        for record in decided.opened:
            copies.save(self._invocation.config.table, record, None)
        for record in decided.gone if forget else ():
            copies.forget(self._invocation.config.table, record)
        for done in decided.copied:
            if self._handle_complete(done):
                copies.save(self._invocation.config.table, replace(done.record, state=CopyState.COPIED), done.record)
            self._answer["copied"].append(done.record.point_id)
        for failure in decided.failed:
            self._fail(failure)
        self._start_all(decided.start, {**records, **{record.point_id: record for record in decided.opened}})
        self._answer["waiting"] = [{"recovery_point": item.point_id, "reason": item.reason} for item in decided.waiting]

    def _publish_copied(self, done: Copied) -> bool:
        message = copies_messages.snapshots_copied(
            **self._invocation.stamp(),
            point=done.point,
            region=self._to.region,
            home=self._home,
        )
        return self._publish_once("published-copied", done.record.point_id, message)

    def _fail(self, failure: CopyEndedBadly) -> None:
        """Publish the failure, then count it. A failure that is not counted is observed and published again."""
        after = after_failure(failure.record, clock.now())
        message = copies_messages.copy_failed(
            **self._invocation.stamp(),
            recovery_point_id=failure.record.point_id,
            region=self._to.region,
            reason=failure.reason,
            snapshot_ids=failure.copies,
            next_attempt=after.not_before,
        )
        if self._publish_once("published-not-copied", failure.record.point_id, message):
            copies.save(self._invocation.config.table, after, failure.record)
        self._answer["failed"].append({"recovery_point": failure.record.point_id, "reason": failure.reason})

    def _publish_once(self, kind: str, key: str, message: Message) -> bool:
        return self._invocation.publish_once(kind, f"{self._label}/{key}", message)

    def _start_all(self, calls: Sequence[StartCopy], records: Mapping[str, CopyRecord]) -> None:
        """Begin the copies in order. A refused copy fails its own recovery point and stops no other."""
        failed: set[str] = set()
        for call in calls:
            if call.point_id in failed:
                continue
            try:
                cause = self._start(call)
            except UnderWay:
                continue
            except AwsError as problem:
                if refuses_every_copy(problem):
                    return  # the next reconcile run continues
                if not problem.answered:
                    continue  # the copy may have begun: the next reconcile run finds out
                cause = f"CopySnapshot of {call.snapshot_id} was refused: {problem}"
            if cause:
                failed.add(call.point_id)
                self._fail(CopyEndedBadly(records[call.point_id], cause))

    def _begin_once(
        self, snapshot_id: str, attempt: int | str, tags: Mapping[str, str], request_copy: Callable[[], str]
    ) -> dict[str, Any]:
        """The copy of this attempt, and when it was begun.

        Calls `request_copy` unless the destination already has a copy with these tags.

        Raises AwsError and UnderWay.
        """

        def begin() -> dict[str, Any]:
            try:
                observed = ec2_snapshots.copies_in(self._to.region, tags)
            except AwsError as problem:  # no copy was requested yet, so no attempt has failed
                words = f"{problem.message} (searching for the copy in {self._to.region})"
                raise AwsError(problem.code, words, answered=False) from problem
            return {"copy": observed[0].id if observed else request_copy(), "at": iso(clock.now())}

        key = f"{self._label}/{snapshot_id}/{attempt}"
        return self._invocation.once("copy-begun", key, begin)

    def _copy(self, snapshot_id: str, description: str, tags: Mapping[str, str], within: int = 0) -> str:
        """Request a copy from EC2. Returns its id. Raises AwsError."""
        return ec2_snapshots.copy_snapshot(
            snapshot_id,
            from_region=self._invocation.config.region,
            to=self._to,
            description=description,
            tags=tags,
            within=within,
        )


def vanished(made: Mapping[str, str], snapshot_id: str) -> str:
    """Why a copy counts as failed that EC2 had begun: the destination does not have it. Empty while it is too early."""
    if clock.now() - datetime.fromisoformat(made["at"]) > VANISHED_AFTER:
        return f"the copy {made['copy']} of {snapshot_id} has vanished, as copies do when EC2 may not use a key"
    return ""
