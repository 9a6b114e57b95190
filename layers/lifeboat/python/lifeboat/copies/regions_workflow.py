"""Copies: recovery points go to other regions, a bounded number at a time, each once, and what fails is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.ec2_describe import LAST_CHARACTERS
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.backup.slot_store import others_are_open
from lifeboat.copies import store as copies
from lifeboat.copies.copy_workflow import Copying, vanished, wants_no_more
from lifeboat.copies.plan import IN_FLIGHT, Copied, StartCopy
from lifeboat.copies.request import CopyRequest
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence


SNAPSHOTS_LISTED = 10_000
"""How many snapshots here, and as many there, are held at once: some 50 MB of the function's memory."""

ALL_EVERY = timedelta(hours=1)
"""How often the sweep looks at all recovery points where they are more than SNAPSHOTS_LISTED."""

OLDEST = 100
"""Of how many that wait it looks at the oldest meanwhile; EC2 makes 20 copies at a time."""


class CopyIncomplete(Exception):  # noqa: N818 - it says what is, and the next sweep goes on
    """A destination, or what is to be copied, could not even be looked at. The others were served."""


def copy(request: CopyRequest, invocation: Invocation) -> dict[str, Any]:
    """Look at every destination, and begin, tell and close what there is to. Answers what was done in each.

    Of a slot's completed backups the last one wakes a look, and of copies that end this stack's; the sweep waits for
    neither.

    Raises CopyIncomplete after all have been tried, when one of them could not be looked at.
    """
    if others_are_open(request.completed, invocation):
        return {"waits_for": "the other recovery points of the slot, or the sweep"}
    if request.ended and not _any_is_ours(request.ended, invocation):
        return {"waits_for": "the sweep: none of our copies has ended"}
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


def _any_is_ours(ended: Sequence[str], invocation: Invocation) -> bool:
    """Whether one of these copies is this stack's; the account may have thousands of others, and events say no tags.

    A destination that cannot be looked at says nothing: the sweep finds out, and tells.
    """
    for destination in invocation.config.copy_to:
        try:
            if ec2_snapshots.copies_in(destination.region, _marks(invocation), ids=ended):
                return True
        except AwsError:
            continue
    return False


def _marks(invocation: Invocation) -> dict[str, str]:
    """The tags that all of this stack's copies have."""
    return {Tag.COPIED_FROM: invocation.config.region, Tag.STACK: invocation.config.stack}


@dataclass(frozen=True, slots=True)
class _Home:
    """The recovery points here. `points` is None where they are very many: then `all` says whether they are to be
    looked at in parts, or only those that are still to be copied.
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
    """One look at one destination, and what is done about it."""

    def __init__(self, destination: CopyDestination, invocation: Invocation) -> None:
        super().__init__(
            invocation,
            label=destination.region,
            to=destination,
            home=invocation.config.region,
            completion_minutes=invocation.config.copy_completion_minutes,
        )
        self._ours = _marks(invocation)

    def carry_out(self, home: _Home, *, retry: bool) -> dict[str, Any]:
        if home.points is not None:
            there = ec2_snapshots.copies_in(self._to.region, self._ours)
            self._decide(home.points, there, self._records(retry=retry), forget=True)
        else:
            try:
                if home.all:
                    self._observe_in_parts(retry=retry)
            finally:  # what is known to wait need not wait for the rest
                self._observe_oldest()
        return self._answer

    def _observe_in_parts(self, *, retry: bool) -> None:
        """Look at everything, one part of the instances after the other: what is new, what is there, what is gone.
        Nothing is begun: the oldest of all parts come first.

        Raises AwsError after all parts have been tried, when EC2 refused to show one.
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
        if refused:  # whose records are of nothing any more is not known, so none is forgotten
            raise refused[0]
        for record in records.values():
            copies.forget(self._invocation.config.table, record)
        self._answer["waiting"] = []  # of all parts; those that come next say why they wait

    def _observe_oldest(self) -> None:
        """Go on with what has waited longest, without a look at anything else."""
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

    def _complete_action(self, done: Copied) -> bool:
        return self._publish_copied(done)

    def _start(self, call: StartCopy) -> str:
        marks: dict[str, str] = {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id}
        made = self._begun_once(call.snapshot_id, call.attempt, marks, lambda: self._ask(call))
        if cause := vanished(made, call.snapshot_id):
            return cause
        self._answer["begun"].append({"snapshot": call.snapshot_id, "copy": made["copy"], "reason": call.reason})
        return ""

    def _ask(self, call: StartCopy) -> str:
        """Ask EC2 for the copy; its id. One that it does not make in time it makes without a time: late is not never.

        How it refuses a time is not documented; a refusal that has another reason comes again. Raises AwsError.
        """
        if call.completion_minutes:
            try:
                return self._copy(call.snapshot_id, call.description, call.tags, within=call.completion_minutes)
            except AwsError as problem:
                if wants_no_more(problem) or not problem.answered:
                    raise
        return self._copy(call.snapshot_id, call.description, call.tags)
