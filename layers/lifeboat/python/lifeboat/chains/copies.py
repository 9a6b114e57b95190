"""Copies: recovery points go to other regions, a bounded number at a time, each once, and what fails is told.

CopySnapshot has no idempotency token. A copy is asked for under a key of source, region and attempt (`once`), and is
looked for among the tags in the destination just before, so that neither a doubled wake-up nor a lost answer makes two.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import clock, copies, ec2
from lifeboat.aws.errors import AwsError
from lifeboat.aws.once import UnderWay, once
from lifeboat.chains.settled import others_are_open
from lifeboat.chains.telling import tell_once
from lifeboat.config import Config
from lifeboat.model import CopyDestination, CopyRecord, CopyState, RecoveryPoint, Snapshot, Tag
from lifeboat.requests import CopyRequest
from lifeboat.rules.catalogue import iso, read_catalogue
from lifeboat.rules.copies import (
    VANISHED_AFTER,
    CopyEndedBadly,
    CopyFacts,
    CopyPlan,
    StartCopy,
    after_failure,
    plan,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

TOO_MANY = "ResourceLimitExceeded"
"""EC2's word when a region makes as many copies as it will: somebody else has begun some since we looked."""


class CopyIncomplete(Exception):  # noqa: N818 - it says what is, and the next sweep goes on
    """A destination could not even be looked at. The others were served."""


def copy(request: CopyRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Look at every destination, and begin, tell and close what there is to. Answers what was done in each.

    Of a slot's completed backups the last one wakes a look; the sweep does not wait for it.

    Raises CopyIncomplete after all have been tried, when one of them could not be looked at.
    """
    if others_are_open(request.completed, config):
        return {"waits_for": "the other recovery points of the slot, or the sweep"}
    points = read_catalogue(ec2.recovery_point_snapshots({f"tag:{Tag.STACK}": [config.stack]})).points
    answer: dict[str, Any] = {}
    unreachable = []
    for destination in config.copy_to:
        try:
            answer[destination.region] = _Run(points, destination, config, context).carry_out(retry=request.retry)
        except AwsError as problem:
            unreachable.append(f"{destination.region}: {problem}")
    if unreachable:
        raise CopyIncomplete("; ".join(unreachable))
    return answer


class _Run:
    """One look at one destination, and what is done about it."""

    def __init__(
        self,
        points: Sequence[RecoveryPoint],
        destination: CopyDestination,
        config: Config,
        context: LambdaContext | None,
    ) -> None:
        self._points = points
        self._to = destination
        self._config = config
        self._context = context
        self._answer: dict[str, Any] = {"begun": [], "copied": [], "failed": [], "waiting": []}

    def carry_out(self, *, retry: bool) -> dict[str, Any]:
        records = copies.records(self._config.table, self._to.region)
        if retry:
            records = {name: self._reopened(record) for name, record in records.items()}
        decided = plan(
            CopyFacts(
                points=self._points,
                copies=self._copies_there(),
                records=records,
                in_flight=len(ec2.pending_copies_in(self._to.region)),
                destination=self._to,
                home=self._config.region,
                stack=self._config.stack,
                now=clock.now(),
                copy_existing=self._config.copy_existing,
            )
        )
        for record in decided.opened:
            copies.save(self._config.table, record, None)
        for record in decided.gone:
            copies.forget(self._config.table, record)
        self._tell(decided)
        records.update({record.point_id: record for record in decided.opened})
        self._start_all(decided.start, records)
        self._answer["waiting"] = [{"recovery_point": item.point_id, "reason": item.reason} for item in decided.waiting]
        return self._answer

    def _copies_there(self) -> tuple[Snapshot, ...]:
        return ec2.copies_in(self._to.region, {Tag.COPIED_FROM: self._config.region, Tag.STACK: self._config.stack})

    def _reopened(self, record: CopyRecord) -> CopyRecord:
        """A person has mended the cause: no pause, and what was given up is tried again."""
        if record.state is CopyState.COPIED or (record.state is CopyState.OPEN and not record.not_before):
            return record
        fresh = replace(record, state=CopyState.OPEN, not_before=None)
        copies.save(self._config.table, fresh, record)
        return fresh

    def _tell(self, decided: CopyPlan) -> None:
        for done in decided.copied:
            message = news.snapshots_copied(
                stack=self._config.stack,
                at=clock.now(),
                point=done.point,
                region=self._to.region,
                home=self._config.region,
            )
            if self._tell_once("told-copied", done.record.point_id, message):
                copies.save(self._config.table, replace(done.record, state=CopyState.COPIED), done.record)
            self._answer["copied"].append(done.record.point_id)
        for failure in decided.failed:
            self._fail(failure)

    def _fail(self, failure: CopyEndedBadly) -> None:
        """Told first, then counted: what is not counted is seen, and told, again."""
        after = after_failure(failure.record, clock.now())
        message = news.copy_failed(
            stack=self._config.stack,
            at=clock.now(),
            recovery_point_id=failure.record.point_id,
            region=self._to.region,
            reason=failure.reason,
            snapshot_ids=failure.copies,
            next_attempt=after.not_before,
        )
        if self._tell_once("told-not-copied", failure.record.point_id, message):
            copies.save(self._config.table, after, failure.record)
        self._answer["failed"].append({"recovery_point": failure.record.point_id, "reason": failure.reason})

    def _tell_once(self, kind: str, point_id: str, message: news.News) -> bool:
        return tell_once(kind, f"{self._to.region}/{point_id}", message, self._config, self._context)

    def _start_all(self, calls: Sequence[StartCopy], records: dict[str, CopyRecord]) -> None:
        """Begin the copies in their order. One that is refused fails its recovery point and stops no other."""
        failed: set[str] = set()
        for call in calls:
            if call.point_id in failed:
                continue
            try:
                cause = self._start(call)
            except UnderWay:
                continue
            except AwsError as problem:
                if problem.throttled or problem.code == TOO_MANY:
                    return  # the next sweep goes on
                if not problem.answered:
                    continue  # it may have begun all the same: the next sweep looks
                cause = f"CopySnapshot of {call.snapshot_id} was refused: {problem}"
            if cause:
                failed.add(call.point_id)
                self._fail(CopyEndedBadly(records[call.point_id], cause))

    def _start(self, call: StartCopy) -> str:
        """Begin one copy, once; why it counts as failed, if it does. Raises AwsError and UnderWay."""

        def begin() -> dict[str, Any]:
            seen = ec2.copies_in(self._to.region, {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id})
            copy_id = (
                seen[0].id
                if seen
                else ec2.copy_snapshot(
                    call.snapshot_id,
                    from_region=self._config.region,
                    to=self._to,
                    description=call.description,
                    tags=call.tags,
                )
            )
            return {"copy": copy_id, "at": iso(clock.now())}

        key = f"{self._to.region}/{call.snapshot_id}/{call.attempt}"
        made = once(self._config.table, "copy-begun", key, begin, self._context)
        if clock.now() - datetime.fromisoformat(made["at"]) > VANISHED_AFTER:
            return f"the copy {made['copy']} of {call.snapshot_id} has vanished, as it does when a key may not be used"
        self._answer["begun"].append({"snapshot": call.snapshot_id, "copy": made["copy"], "reason": call.reason})
        return ""
