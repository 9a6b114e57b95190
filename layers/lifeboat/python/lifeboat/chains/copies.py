"""Copies: recovery points go to other regions, a bounded number at a time, each once, and what fails is told.

CopySnapshot has no idempotency token. A copy is asked for under a key of source, region and attempt (`once`), and is
looked for among the tags in the destination just before, so that neither a doubled wake-up nor a lost answer makes two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import clock, copies, ec2
from lifeboat.aws.errors import AwsError
from lifeboat.aws.once import UnderWay, once
from lifeboat.chains.inventory import LAST_CHARACTERS
from lifeboat.chains.settled import others_are_open
from lifeboat.chains.telling import tell_once
from lifeboat.config import Config
from lifeboat.model import CopyDestination, CopyRecord, CopyState, RecoveryPoint, Snapshot, Tag
from lifeboat.requests import CopyRequest
from lifeboat.rules.catalogue import iso, read_catalogue
from lifeboat.rules.copies import (
    IN_FLIGHT,
    VANISHED_AFTER,
    CopyEndedBadly,
    CopyFacts,
    CopyPlan,
    StartCopy,
    after_failure,
    plan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

TOO_MANY = "ResourceLimitExceeded"
"""EC2's word when a region makes as many copies as it will: somebody else has begun some since we looked."""

AT_ONCE = 10_000
"""How many snapshots here, and as many there, are held at once: some 50 MB of the function's memory."""

ALL_EVERY = timedelta(hours=1)
"""How often the sweep looks at all recovery points where they are more than AT_ONCE."""

OLDEST = 100
"""Of how many that wait it looks at the oldest meanwhile; EC2 makes 20 copies at a time."""


class CopyIncomplete(Exception):  # noqa: N818 - it says what is, and the next sweep goes on
    """A destination could not even be looked at. The others were served."""


def copy(request: CopyRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Look at every destination, and begin, tell and close what there is to. Answers what was done in each.

    Of a slot's completed backups the last one wakes a look, and of copies that end this stack's; the sweep waits for
    neither.

    Raises CopyIncomplete after all have been tried, when one of them could not be looked at.
    """
    if others_are_open(request.completed, config):
        return {"waits_for": "the other recovery points of the slot, or the sweep"}
    if request.ended and not _any_is_ours(request.ended, config):
        return {"waits_for": "the sweep: none of our copies has ended"}
    home = _home(request, config)
    answer: dict[str, Any] = {}
    unreachable = []
    for destination in config.copy_to:
        try:
            answer[destination.region] = _Run(destination, config, context).carry_out(home, retry=request.retry)
        except AwsError as problem:
            unreachable.append(f"{destination.region}: {problem}")
    if unreachable:
        raise CopyIncomplete("; ".join(unreachable))
    if home.points is None and home.all:
        copies.remember_many(config.table, home.at)
    return answer


def _any_is_ours(ended: Sequence[str], config: Config) -> bool:
    """Whether one of these copies is this stack's; the account may have thousands of others, and events say no tags.

    A destination that cannot be looked at says nothing: the sweep finds out, and tells.
    """
    for destination in config.copy_to:
        try:
            if ec2.copies_in(destination.region, _marks(config), ids=ended):
                return True
        except AwsError:
            continue
    return False


def _marks(config: Config) -> dict[str, str]:
    """The tags that all of this stack's copies have."""
    return {Tag.COPIED_FROM: config.region, Tag.STACK: config.stack}


@dataclass(frozen=True, slots=True)
class _Home:
    """The recovery points here. `points` is None where they are very many: then `all` says whether they are to be
    looked at in parts, or only those that are still to be copied.
    """

    at: datetime
    points: tuple[RecoveryPoint, ...] | None
    all: bool = True


def _home(request: CopyRequest, config: Config) -> _Home:
    now = clock.now()
    many_seen_at = copies.many_seen_at(config.table)
    may_wait = not (request.completed or request.retry)
    if many_seen_at and may_wait and now - many_seen_at < ALL_EVERY:
        return _Home(now, None, all=False)
    try:
        found = ec2.recovery_point_snapshots_of(config.stack, {}, most=AT_ONCE)
    except ec2.TooMany:
        return _Home(now, None)
    if many_seen_at:
        copies.forget_many(config.table)
    return _Home(now, read_catalogue(found).points)


class _Run:
    """One look at one destination, and what is done about it."""

    def __init__(self, destination: CopyDestination, config: Config, context: LambdaContext | None) -> None:
        self._to = destination
        self._config = config
        self._context = context
        self._answer: dict[str, Any] = {"begun": [], "copied": [], "failed": [], "waiting": []}
        self._ours = _marks(config)

    def carry_out(self, home: _Home, *, retry: bool) -> dict[str, Any]:
        if home.points is not None:
            there = ec2.copies_in(self._to.region, self._ours)
            self._decide(home.points, there, self._records(retry=retry), forget=True)
        else:
            if home.all:
                self._look_at_parts(retry=retry)
            self._look_at_oldest()
        return self._answer

    def _records(self, *, retry: bool) -> dict[str, CopyRecord]:
        found = copies.records(self._config.table, self._to.region)
        return {name: self._reopened(record) for name, record in found.items()} if retry else found

    def _look_at_parts(self, *, retry: bool) -> None:
        """Look at everything, one part of the instances after the other: what is new, what is there, what is gone.
        Nothing is begun: the oldest of all parts come first.
        """
        records = self._records(retry=retry)
        for ending in LAST_CHARACTERS:
            part = {f"tag:{Tag.INSTANCE}": [f"*{ending}"]}
            points = read_catalogue(ec2.recovery_point_snapshots_of(self._config.stack, part)).points
            there = ec2.copies_of_instances_in(self._to.region, self._ours, ending=ending)
            known = {point.id: records.pop(point.id) for point in points if point.id in records}
            self._decide(points, there, known, in_flight=IN_FLIGHT)
        for record in records.values():
            copies.forget(self._config.table, record)
        self._answer["waiting"] = []  # of all parts; those that come next say why they wait

    def _look_at_oldest(self) -> None:
        """Go on with what has waited longest, without a look at anything else."""
        waiting = copies.open_records(self._config.table, self._to.region)
        now = clock.now()
        due = [record for record in waiting.values() if not record.not_before or record.not_before <= now]
        oldest = sorted(due, key=lambda record: (record.taken_at, record.point_id))[:OLDEST]
        if not oldest:
            return
        some = {record.point_id: record for record in oldest}
        named = {f"tag:{Tag.RECOVERY_POINT}": list(some)}
        points = read_catalogue(ec2.recovery_point_snapshots_of(self._config.stack, named)).points
        there = ec2.copies_in(self._to.region, {**self._ours, Tag.RECOVERY_POINT: tuple(some)})
        self._decide(points, there, some, forget=True)
        if more := len(waiting) - len(some):
            self._answer["more_waiting"] = more

    def _decide(
        self,
        points: Sequence[RecoveryPoint],
        there: Sequence[Snapshot],
        records: Mapping[str, CopyRecord],
        *,
        in_flight: int | None = None,
        forget: bool = False,
    ) -> None:
        """Decide on these, and do it. `forget`: the points of all the records were looked for, here."""
        decided = plan(
            CopyFacts(
                points=points,
                copies=there,
                records=records,
                in_flight=len(ec2.pending_copies_in(self._to.region)) if in_flight is None else in_flight,
                destination=self._to,
                home=self._config.region,
                stack=self._config.stack,
                now=clock.now(),
                copy_existing=self._config.copy_existing,
                completion_minutes=self._config.copy_completion_minutes,
            )
        )
        for record in decided.opened:
            copies.save(self._config.table, record, None)
        for record in decided.gone if forget else ():
            copies.forget(self._config.table, record)
        self._tell(decided)
        self._start_all(decided.start, {**records, **{record.point_id: record for record in decided.opened}})
        self._answer["waiting"] = [{"recovery_point": item.point_id, "reason": item.reason} for item in decided.waiting]

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

    def _start_all(self, calls: Sequence[StartCopy], records: Mapping[str, CopyRecord]) -> None:
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

    def _ask(self, call: StartCopy) -> str:
        """Ask EC2 for the copy; its id. One that it does not make in time it makes without a time: late is not never.

        How it refuses a time is not documented; a refusal that has another reason comes again. Raises AwsError.
        """
        if call.completion_minutes:
            try:
                return self._copy(call, within=call.completion_minutes)
            except AwsError as problem:
                if problem.throttled or problem.code == TOO_MANY or not problem.answered:
                    raise
        return self._copy(call)

    def _copy(self, call: StartCopy, within: int = 0) -> str:
        return ec2.copy_snapshot(
            call.snapshot_id,
            from_region=self._config.region,
            to=self._to,
            description=call.description,
            tags=call.tags,
            within=within,
        )

    def _start(self, call: StartCopy) -> str:
        """Begin one copy, once; why it counts as failed, if it does. Raises AwsError and UnderWay."""

        def begin() -> dict[str, Any]:
            seen = ec2.copies_in(self._to.region, {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id})
            return {"copy": seen[0].id if seen else self._ask(call), "at": iso(clock.now())}

        key = f"{self._to.region}/{call.snapshot_id}/{call.attempt}"
        made = once(self._config.table, "copy-begun", key, begin, self._context)
        if clock.now() - datetime.fromisoformat(made["at"]) > VANISHED_AFTER:
            return f"the copy {made['copy']} of {call.snapshot_id} has vanished, as it does when a key may not be used"
        self._answer["begun"].append({"snapshot": call.snapshot_id, "copy": made["copy"], "reason": call.reason})
        return ""
