"""Copy recovery points to other regions: each once, a bounded number at a time. Publish every success and failure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.ec2_describe import LAST_CHARACTERS
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.copies import store as copies
from lifeboat.copies.copy_workflow import Copying, refuses_every_copy, vanished
from lifeboat.copies.plan import IN_FLIGHT, Copied, StartCopy
from lifeboat.copies.request import CopyRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence


SNAPSHOTS_LISTED = 10_000
"""How many snapshots are held in memory at once, here and in the destination: some 50 MB each."""

ALL_EVERY = timedelta(hours=1)
"""How often a reconcile run observes all recovery points where there are more than SNAPSHOTS_LISTED."""

OLDEST = 100
"""How many of the oldest waiting recovery points the other runs observe; EC2 makes 20 copies at a time."""


class CopyIncomplete(Exception):  # noqa: N818 - no error: the next reconcile run continues
    """EC2 did not show a destination, or the recovery points here. The other destinations were served."""


def copy(request: CopyRequest, invocation: Invocation) -> dict[str, Any]:
    """Observe every destination; begin, publish and close copies. Returns what was done in each.

    The end of a copy is acted on when the copy is this stack's.

    Raises CopyIncomplete, after all destinations were tried, when EC2 did not show one of them.
    """
    if request.ended and not _any_is_of_this_stack(request.ended, invocation):
        return {"waits_for": "the reconcile run: none of this stack's copies has ended"}
    try:
        home = _home(request, invocation)
    except AwsError as problem:
        raise CopyIncomplete(f"the snapshots here: {problem}") from problem
    answer: dict[str, Any] = {}
    unreachable = []
    for destination in invocation.config.copy_to:
        try:
            answer[destination.region] = _Run(destination, invocation).carry_out(home, retry=request.retry)
        except AwsError as problem:
            unreachable.append(f"{destination.region}: {problem}")
    if unreachable:
        raise CopyIncomplete("; ".join(unreachable))
    if home.points is None and home.all:
        copies.remember_many(invocation.config.table, home.at)
    return answer


def _any_is_of_this_stack(ended: Sequence[str], invocation: Invocation) -> bool:
    """Whether one of these copies is this stack's. An event has no tags, and the account may make many other copies.

    A destination that EC2 does not show counts as no: the reconcile run finds out, and reports it.
    """
    for destination in invocation.config.copy_to:
        try:
            if ec2_snapshots.copies_in(destination.region, _tags_of_our_copies(invocation), ids=ended):
                return True
        except AwsError:
            continue
    return False


def _tags_of_our_copies(invocation: Invocation) -> dict[str, str]:
    """The tags that all of this stack's copies carry."""
    return {Tag.COPIED_FROM: invocation.config.region, Tag.STACK: invocation.config.stack}


@dataclass(frozen=True, slots=True)
class _Home:
    """The recovery points here. `points` is None where there are more than SNAPSHOTS_LISTED.

    `all` then says whether to observe all of them in parts, or only the oldest ones that wait.
    """

    at: datetime
    points: tuple[RecoveryPoint, ...] | None
    all: bool = True


def _home(request: CopyRequest, invocation: Invocation) -> _Home:
    now = clock.now()
    many_observed_at = copies.many_observed_at(invocation.config.table)
    may_wait = not (request.completed or request.retry)
    if many_observed_at and may_wait and now - many_observed_at < ALL_EVERY:
        return _Home(now, None, all=False)
    try:
        found = ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, {}, most=SNAPSHOTS_LISTED)
    except ec2_describe.TooMany:
        return _Home(now, None)
    if many_observed_at:
        copies.forget_many(invocation.config.table)
    return _Home(now, read_catalogue(found).points)


class _Run(Copying):
    """One run for one destination: observe, decide, act, publish."""

    def __init__(self, destination: CopyDestination, invocation: Invocation) -> None:
        super().__init__(
            invocation,
            label=destination.region,
            to=destination,
            home=invocation.config.region,
            completion_minutes=invocation.config.copy_completion_minutes,
        )
        self._ours = _tags_of_our_copies(invocation)

    def carry_out(self, home: _Home, *, retry: bool) -> dict[str, Any]:
        if home.points is not None:
            there = ec2_snapshots.copies_in(self._to.region, self._ours)
            self._decide(home.points, there, self._records(retry=retry), forget=True)
        else:
            try:
                if home.all:
                    self._observe_in_parts(retry=retry)
            finally:  # recovery points that wait proceed even if EC2 refused to show the rest
                self._observe_oldest()
        return self._answer

    def _observe_in_parts(self, *, retry: bool) -> None:
        """Observe everything, one part of the instances after the other, and update the records.

        It begins no copy, because the oldest recovery points of all parts come first.

        Raises AwsError, after all parts were tried, when EC2 refused to show one.
        """
        records = self._records(retry=retry)
        refused: list[AwsError] = []
        for ending in LAST_CHARACTERS:
            part = {f"tag:{Tag.INSTANCE}": [f"*{ending}"]}
            try:
                points = read_catalogue(
                    ec2_snapshots.recovery_point_snapshots_of(self._invocation.config.stack, part)
                ).points
                there = ec2_snapshots.copies_of_instances_in(self._to.region, self._ours, ending=ending)
            except AwsError as problem:
                refused.append(problem)
                continue
            known = {point.id: records.pop(point.id) for point in points if point.id in records}
            self._decide(points, there, known, in_flight=IN_FLIGHT)
        if refused:  # a record left over may belong to the part that was not shown, so none is deleted
            raise refused[0]
        for record in records.values():
            copies.forget(self._invocation.config.table, record)
        self._answer["waiting"] = []  # `_observe_oldest` lists what waits, and why

    def _observe_oldest(self) -> None:
        """Continue with the recovery points that have waited longest, and observe only these."""
        waiting = copies.open_records(self._invocation.config.table, self._label)
        now = clock.now()
        due = [record for record in waiting.values() if not record.not_before or record.not_before <= now]
        oldest = sorted(due, key=lambda record: (record.taken_at, record.point_id))[:OLDEST]
        if not oldest:
            return
        some = {record.point_id: record for record in oldest}
        named = {f"tag:{Tag.RECOVERY_POINT}": list(some)}
        points = read_catalogue(ec2_snapshots.recovery_point_snapshots_of(self._invocation.config.stack, named)).points
        there = ec2_snapshots.copies_in(self._to.region, {**self._ours, Tag.RECOVERY_POINT: tuple(some)})
        self._decide(points, there, some, forget=True)
        if more := len(waiting) - len(some):
            self._answer["more_waiting"] = more

    def _handle_complete(self, done: Copied) -> bool:
        return self._publish_copied(done)

    def _start(self, call: StartCopy) -> str:
        tags: dict[str, str] = {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id}
        made = self._begin_once(call.snapshot_id, call.attempt, tags, lambda: self._request_copy(call))
        if cause := vanished(made, call.snapshot_id):
            return cause
        self._answer["begun"].append({"snapshot": call.snapshot_id, "copy": made["copy"], "reason": call.reason})
        return ""

    def _request_copy(self, call: StartCopy) -> str:
        """Request the copy from EC2. Returns its id. If EC2 refuses the time limit, request it without one.

        AWS does not document how EC2 refuses a time limit. A refusal for another reason occurs again. Raises AwsError.
        """
        if call.completion_minutes:
            try:
                return self._copy(call.snapshot_id, call.description, call.tags, within=call.completion_minutes)
            except AwsError as problem:
                if refuses_every_copy(problem) or not problem.answered:
                    raise
        return self._copy(call.snapshot_id, call.description, call.tags)
