"""Retention: see every recovery point, decide once, then let go what no rule keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import clock, ec2, topic
from lifeboat.aws.errors import AwsError
from lifeboat.config import Config
from lifeboat.model import Member, RecoveryPoint, Snapshot, Tag
from lifeboat.requests import PruneRequest
from lifeboat.rules.calendar import render_text
from lifeboat.rules.catalogue import Catalogue, iso, read_catalogue
from lifeboat.rules.pace import DELETE_SNAPSHOT_REFILL, Pace
from lifeboat.rules.retention import Limits, RetentionPlan, Verdict, dollars_per_month, plan
from lifeboat.rules.retention_policy import Policy, PolicyError, parse_policy

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RECHECKED = 200
"""How many snapshots are looked at again in one call, just before they go."""

LEFT_FOR_RETURN = 20_000
"""Milliseconds of the invocation that are kept to tell what was done; what is left goes next time."""

LISTED = 4_000
"""How many verdicts of a kind a dry run lists, the rest counted: Lambda answers with 6 MB at most
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

CALENDAR_LENGTH = 500_000
"""How many characters of the calendar a dry run shows, for the same reason."""


def prune(request: PruneRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Delete what the plan lets go, or with `dry_run` only show the plan. A cut-off run is resumed by the next one."""
    seen = _look(config)
    if request.dry_run:
        return _preview(seen, seen.plan(config), config)
    run = _Run(seen, config, context)
    try:
        run.carry_out()
    finally:  # what is gone is told, whatever went wrong then
        run.tell()
    return run.answer()


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that a run decides on, looked up once."""

    found: Catalogue
    overrides: Mapping[str, Policy | PolicyError]
    living_volumes: Collection[str] | None

    def plan(self, config: Config, unwilling: Mapping[str, str] | None = None) -> RetentionPlan:
        """The plan; `unwilling` are recovery points that could not be deleted just now, by id, each with the cause.

        Those are planned around as if they were locked: they neither count as backups nor use up what may go in one
        run, so that one that never goes does not keep the others from going.
        """
        unwilling = unwilling or {}
        return plan(
            [_blocked(point, unwilling[point.id]) if point.id in unwilling else point for point in self.found.points],
            now=clock.now(),
            policy=_policy(config.retention, config.time_zone),
            overrides=self.overrides,
            limits=Limits(
                min_keep=config.min_keep,
                max_delete_share=config.max_delete_share,
                grace=config.grace,
                orphan_keep=config.orphan_keep or None,
                failed_after=config.failed_after,
            ),
            stack=config.stack,
            living_volumes=self.living_volumes,
        )

    def notices(self, decided: RetentionPlan) -> list[str]:
        unreadable = (f"{snapshot.id} is kept: {reason}" for snapshot, reason in self.found.unreadable)
        return [*decided.notices, *unreadable]


def _look(config: Config) -> _Seen:
    """Every recovery point, with what forbids to delete its snapshots, and what the plan needs beside them."""
    blocks = (
        (ec2.locked_snapshot_ids(), "locked"),
        (ec2.image_snapshot_ids(), "used by an image"),
        (ec2.public_snapshot_ids(), "shared with everybody"),
    )

    def marked(snapshot: Snapshot) -> Snapshot:
        reasons = [reason for ids, reason in blocks if snapshot.id in ids]
        if Tag.SHARED in snapshot.tags:
            reasons.append(f"shared, as its tag {Tag.SHARED} says")
        return replace(snapshot, blocked_by=tuple(reasons)) if reasons else snapshot

    found = read_catalogue(marked(item) for item in ec2.recovery_point_snapshots())
    instance_ids = sorted({point.instance_id for point in found.points if point.instance_id})
    overrides = {
        instance.id: _policy(instance.tags[Tag.RETENTION], config.time_zone)
        for instance in ec2.instances(instance_ids).values()
        if Tag.RETENTION in instance.tags
    }
    return _Seen(found, overrides, ec2.all_volume_ids() if found.points else None)


def _policy(text: str, time_zone: str) -> Policy | PolicyError:
    try:
        return parse_policy(text, time_zone)
    except PolicyError as problem:
        return problem


def _blocked(point: RecoveryPoint, cause: str) -> RecoveryPoint:
    first, *others = point.members
    marked = replace(first.snapshot, blocked_by=(*first.snapshot.blocked_by, f"deleting it was refused: {cause}"))
    return replace(point, members=(Member(marked, first.story), *others))


# --- the preview


def _preview(seen: _Seen, decided: RetentionPlan, config: Config) -> dict[str, Any]:
    """The plan as JSON, and as a calendar that a person can read."""
    answer: dict[str, Any] = {"dry_run": True}
    for key, keep in (("kept", True), ("delete", False)):
        verdicts = [verdict for verdict in decided.verdicts if verdict.keep is keep]
        answer[key] = [_verdict(verdict) for verdict in verdicts[:LISTED]]
        if len(verdicts) > LISTED:
            answer[f"{key}_not_listed"] = len(verdicts) - LISTED
    return {
        **answer,
        "notices": seen.notices(decided),
        **_saved(decided.saved_gib),
        "calendar": _calendar(decided, config.time_zone),
    }


def _calendar(decided: RetentionPlan, time_zone: str) -> str:
    try:
        text = render_text(decided, time_zone)
    except (KeyError, ValueError):  # no such zone, which the plan tells of: then everything stays
        text = render_text(decided)
    return text if len(text) <= CALENDAR_LENGTH else text[:CALENDAR_LENGTH] + "...\n"


def _verdict(item: Verdict) -> dict[str, Any]:
    return {
        "recovery_point": item.point.id,
        "taken_at": iso(item.point.taken_at),
        "gib": item.point.size,
        "reasons": list(item.reasons),
    }


def _saved(gib: int) -> dict[str, Any]:
    """What deleting frees at most, as snapshots are incremental."""
    return {"saved_gib": gib, "saved_usd_per_month": dollars_per_month(gib)}


# --- the run


class _OutOfTime(Exception):  # noqa: N818 - no error: the next run goes on
    """The invocation ends soon."""


@dataclass(slots=True)
class _Run:
    """One run: the plan, and what has come of it so far."""

    seen: _Seen
    config: Config
    context: LambdaContext | None
    plan: RetentionPlan = field(init=False)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    unwilling: dict[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=lambda: Pace(DELETE_SNAPSHOT_REFILL))

    def __post_init__(self) -> None:
        self.plan = self.seen.plan(self.config)

    @property
    def left(self) -> list[RecoveryPoint]:
        """What the plan lets go and nobody has tried yet, oldest first."""
        return [point for point in self.plan.deletions if point.id not in self.tried]

    @property
    def notices(self) -> list[str]:
        found = self.seen.notices(self.plan)
        if left := len(self.left):
            found.append(f"{left} more may go and wait for the next run: this one was cut off.")
        return found

    def carry_out(self) -> None:
        """Let go, oldest first. What cannot go is planned around: the next in line goes in its stead."""
        known = -1
        try:
            while len(self.unwilling) > known:
                known = len(self.unwilling)
                for some in _portions(self.left):
                    self._let_go(some)
                if len(self.unwilling) > known:
                    self.plan = self.seen.plan(self.config, self.unwilling)
        except _OutOfTime:
            return

    def _let_go(self, points: Sequence[RecoveryPoint]) -> None:
        """Each snapshot is looked at again just before; a refusal is a result, not a crash."""
        self._check_time()
        now = ec2.snapshots(member.snapshot.id for point in points for member in point.members)
        for point in points:
            self._check_time()
            entry = {"recovery_point": point.id, "instance_id": point.instance_id, "gib": point.size}
            try:
                cause, final = _changed(point, now), True
                if not cause:
                    self._delete(point, now)
            except AwsError as problem:
                cause, final = str(problem), problem.answered
            self.tried.add(point.id)
            if not cause:
                self.deleted.append(entry)
                continue
            self.refused.append({**entry, "cause": cause})
            if final:  # without an answer it may be gone after all, and then nothing may go in its stead
                self.unwilling[point.id] = cause

    def _delete(self, point: RecoveryPoint, now: Mapping[str, Snapshot]) -> None:
        """Delete the recovery point's snapshots that are still there. Raises AwsError, which names the snapshot."""
        for member in point.members:
            if member.snapshot.id not in now:
                continue
            try:
                self._delete_snapshot(member.snapshot.id)
            except AwsError as problem:
                if problem.code == "InvalidSnapshot.NotFound":
                    continue
                if not problem.answered and member.snapshot.id not in ec2.snapshots([member.snapshot.id]):
                    continue  # the answer was lost, the snapshot is gone
                message = f"{problem.message} ({member.snapshot.id})"
                raise AwsError(problem.code, message, answered=problem.answered) from problem

    def _delete_snapshot(self, snapshot_id: str) -> None:
        """Delete at the pace that EC2 allows: a throttled call was not carried out, so it goes out again."""
        while True:
            clock.wait(self.pace.delay(clock.monotonic()))
            self._check_time()
            at = clock.monotonic()
            try:
                ec2.delete_snapshot(snapshot_id)
            except AwsError as problem:
                if not problem.throttled:
                    self.pace.granted(at)
                    raise
                self.pace.throttled(clock.monotonic())
            else:
                self.pace.granted(at)
                return

    def _check_time(self) -> None:
        if self.context is not None and self.context.get_remaining_time_in_millis() < LEFT_FOR_RETURN:
            raise _OutOfTime

    @property
    def _saved_gib(self) -> int:
        return sum(entry["gib"] for entry in self.deleted)

    def tell(self) -> None:
        """Publish what was done. A run in which nothing happened is silent."""
        if not (self.deleted or self.refused or self.notices):
            return
        topic.publish(
            self.config.topic_arn,
            news.snapshots_pruned(
                stack=self.config.stack,
                at=clock.now(),
                deleted=self.deleted,
                kept=[_verdict(verdict) for verdict in self.plan.verdicts if verdict.keep],
                refused=self.refused,
                notices=self.notices,
                saved_gib=self._saved_gib,
            ),
        )

    def answer(self) -> dict[str, Any]:
        return {
            "kept": len(self.plan.kept),
            "delete": len(self.plan.deletions),
            "deleted": self.deleted,
            "refused": self.refused,
            "notices": self.notices,
            **_saved(self._saved_gib),
        }


def _portions(points: Sequence[RecoveryPoint]) -> list[list[RecoveryPoint]]:
    """The recovery points in their order, in portions of at most RECHECKED snapshots each, unless one has more."""
    portions: list[list[RecoveryPoint]] = []
    room = 0
    for point in points:
        if not portions or len(point.members) > room:
            portions.append([])
            room = RECHECKED
        portions[-1].append(point)
        room -= len(point.members)
    return portions


def _changed(point: RecoveryPoint, now: Mapping[str, Snapshot]) -> str:
    """Why a recovery point must not be deleted after all: it is not what the plan was made of any more."""
    for member in point.members:
        current = now.get(member.snapshot.id)
        if current is None:
            continue  # gone already, by an earlier run that was cut off
        if Tag.HOLD in current.tags:
            return f"{current.id} is held by the tag {Tag.HOLD}"
        if current.tags != member.snapshot.tags or current.state != member.snapshot.state:
            return f"{current.id} has changed since the plan was made"
    return ""
