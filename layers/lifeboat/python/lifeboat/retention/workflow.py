"""Retention: observe every recovery point, decide once, then delete those that no rule keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime, PacedCalls
from lifeboat.backup.slot_store import others_are_open
from lifeboat.by_hand.request import HandedOver, RunStatus
from lifeboat.by_hand.workflow import carry_out, continue_run, read_outcome
from lifeboat.domain import message
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.message import Message
from lifeboat.domain.rate_limit import DELETE_SNAPSHOT_REFILL, Pace
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import clip, iso
from lifeboat.domain.trigger import Trigger
from lifeboat.retention import messages as retention_messages
from lifeboat.retention.adoption_workflow import adopt
from lifeboat.retention.calendar import render_text
from lifeboat.retention.hold_workflow import hold
from lifeboat.retention.inventory_workflow import Inventory, inventories, suspected_points
from lifeboat.retention.lineage import newest_suspects, reasons_while_suspect
from lifeboat.retention.plan import Changed, RetentionPlan, Verdict, dollars_per_month
from lifeboat.retention.policy_change import Change, Remembered, undo_command
from lifeboat.retention.record import record_run
from lifeboat.retention.request import AdoptRequest, HoldRequest, PruneRequest
from lifeboat.retention.store import forget_terms, remember_run, remember_terms, remembered_terms

RECHECKED = ec2_describe.IDS_PER_CALL
"""How many snapshots one call observes again, just before they are deleted."""

VERDICTS_LISTED = 4_000
"""How many verdicts of a kind a dry run lists; it counts the others. Lambda answers with at most 6 MB
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

CALENDAR_LENGTH = 500_000
"""How many characters of the calendar a dry run shows, because of the same limit."""


def answer(
    request: PruneRequest | AdoptRequest | HoldRequest | RunStatus | HandedOver[PruneRequest | AdoptRequest],
    invocation: Invocation,
) -> dict[str, Any]:
    """Run a request of prune_snapshots: prune, adopt, hold, or read the outcome of a run.

    An equal request of a person belongs to the same run while it lasts, and until a client has received its answer.
    """
    if isinstance(request, RunStatus):
        return read_outcome(request.run_id, invocation)
    if isinstance(request, HoldRequest):
        return hold(request, invocation)
    if isinstance(request, HandedOver):
        ask = request.request
        return continue_run(request, lambda _: _work(ask, invocation), invocation)
    if isinstance(request, PruneRequest) and request.trigger is not Trigger.MANUAL:
        return prune(request, invocation)
    kind, original = _resendable(request)
    return carry_out(kind, original, lambda _: _work(request, invocation), invocation, once=False)


def _work(request: PruneRequest | AdoptRequest, invocation: Invocation) -> dict[str, Any]:
    return adopt(request, invocation) if isinstance(request, AdoptRequest) else prune(request, invocation)


def _resendable(request: PruneRequest | AdoptRequest) -> tuple[str, dict[str, Any]]:
    """The kind of a person's request, and the request as it can be sent again."""
    if isinstance(request, PruneRequest):
        return "prune", {"dry_run": request.dry_run, "request_id": request.request_id}
    tag = {"tag": {"key": request.tag[0], "value": request.tag[1]}} if request.tag else {}
    facts = {name: value for name, value in asdict(request.facts).items() if value is not None}
    return "adopt", {
        "adopt": tag or {"volume_id": request.volume_id},
        **({"volume": facts} if facts else {}),
        "confirm": request.confirm,
        "request_id": request.request_id,
    }


def prune(request: PruneRequest, invocation: Invocation) -> dict[str, Any]:
    """Delete what no rule keeps, or with `dry_run` only show the plan. The next run continues one that was cut off.

    Only the last BackupCompleted of a slot starts a run, one for all backups of the slot.
    """
    if others_are_open(request.completed, invocation):
        return {"waits_for": "the other recovery points of the slot"}
    if request.dry_run:
        return _preview(invocation)
    run = _Run(invocation)
    try:
        run.carry_out()
    finally:  # deletions are published, whatever failed after them
        run.publish()
    return run.answer()


# --- the preview


def _preview(invocation: Invocation) -> dict[str, Any]:
    """The plan as JSON, and as a calendar that a person can read."""
    kept, delete = _Listed(VERDICTS_LISTED), _Listed(VERDICTS_LISTED)
    notices: list[str] = []
    calendar = ""
    saved_gib = 0
    known = remembered_terms(invocation.config.table)
    for observed in inventories(invocation):
        decided = observed.plan(invocation.config, known=known)
        kept.add(verdict for verdict in decided.verdicts if verdict.keep)
        delete.add(verdict for verdict in decided.verdicts if not verdict.keep)
        notices += [*observed.notices(decided), *observed.remarks()]
        saved_gib += decided.saved_gib
        if len(calendar) <= CALENDAR_LENGTH:
            calendar += _calendar(decided, invocation.config.time_zone)
    if len(calendar) > CALENDAR_LENGTH:
        calendar = clip(calendar, CALENDAR_LENGTH)
    return {
        "dry_run": True,
        **kept.under("kept"),
        **delete.under("delete"),
        "notices": notices,
        **_saved(saved_gib),
        "calendar": calendar,
    }


@dataclass(slots=True)
class _Listed:
    """The first `most` verdicts, and the number of all."""

    most: int
    first: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            self.count += 1
            if len(self.first) < self.most:
                self.first.append(_verdict(verdict))

    def under(self, key: str) -> dict[str, Any]:
        """The fields of an answer."""
        return {f"{key}_count": self.count, **message.listed(self.first, key, self.count, most=self.most)}


def _calendar(decided: RetentionPlan, time_zone: str) -> str:
    try:
        return render_text(decided, time_zone)
    except (KeyError, ValueError):  # no such zone: the plan keeps everything and has a notice
        return render_text(decided)


def _verdict(item: Verdict) -> dict[str, Any]:
    return {
        "recovery_point": item.point.id,
        "taken_at": iso(item.point.taken_at),
        "gib": item.point.size,
        "reasons": list(item.reasons),
    }


def _saved(gib: int) -> dict[str, Any]:
    """The most that the deletions free; snapshots are incremental."""
    return {"saved_gib": gib, "saved_usd_per_month": dollars_per_month(gib)}


# --- the run


@dataclass(slots=True)
class _Changes:
    """One change of terms, in all parts of a run, without what the old terms would delete as well."""

    observed: list[Changed] = field(default_factory=list)
    instance_ids: set[str] = field(default_factory=set)

    def add(self, item: Changed, observed: Inventory) -> None:
        self.observed.append(item)
        self.instance_ids |= observed.instance_ids.intersection(item.instance_ids)

    def message(self, invocation: Invocation) -> Message:
        change = self.observed[0].change
        return retention_messages.retention_changed(
            **invocation.stamp(),
            change=change,
            until=max(item.until for item in self.observed),
            lineages=[name for item in self.observed for name in item.lineages],
            points=[point for item in self.observed for point in item.points],
            command=undo_command(change, self.instance_ids, invocation.config.stack, invocation.config.region),
            region=invocation.config.region,
        )


@dataclass(slots=True)
class _NewTerms:
    """The changes of terms that the parts of a run observed, and the records to write and delete."""

    changes: dict[Change, _Changes] = field(default_factory=dict)
    remember: dict[str, Remembered] = field(default_factory=dict)
    forget: list[str] = field(default_factory=list)

    def add(self, decided: RetentionPlan, observed: Inventory) -> None:
        for item in decided.changes:
            if item.points:
                self.changes.setdefault(item.change, _Changes()).add(item, observed)
        self.remember.update(decided.remember)
        self.forget += decided.forget


@dataclass(slots=True)
class _Run:
    """One run: its results so far, and the plan of the part that is under way."""

    invocation: Invocation
    deleted: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    kept: _Listed = field(default_factory=lambda: _Listed(message.LIST_ENTRIES))
    planned: int = 0
    plan: RetentionPlan | None = None
    tried: set[str] = field(default_factory=set)
    undeletable: dict[str, str] = field(default_factory=dict)
    known: Mapping[str, Remembered] = field(default_factory=dict)
    terms: _NewTerms = field(default_factory=_NewTerms)
    calls: PacedCalls = field(init=False)

    def __post_init__(self) -> None:
        self.calls = PacedCalls(Pace(DELETE_SNAPSHOT_REFILL), self.invocation)

    @property
    def remaining(self) -> list[RecoveryPoint]:
        """The planned deletions that were not tried yet, oldest first."""
        return [point for point in self.plan.deletions if point.id not in self.tried] if self.plan else []

    def carry_out(self) -> None:
        """Delete what no rule keeps, part after part. When time runs out, the rest waits for the next run."""
        self.known = remembered_terms(self.invocation.config.table)
        for observed in inventories(self.invocation):
            self.plan = observed.plan(self.invocation.config, self.undeletable, self.known)
            self.terms.add(self.plan, observed)
            try:
                self._delete_planned(observed)
            except OutOfTime:
                return
            finally:
                if left := len(self.remaining):
                    self.notices.append(f"{left} more recovery points wait for the next run: this one was cut off.")
                self.kept.add(verdict for verdict in self.plan.verdicts if verdict.keep)
                self.planned += len(self.plan.deletions)
                self.notices += observed.notices(self.plan)
                self.remarks += observed.remarks()
                self.plan = None

    def _delete_planned(self, observed: Inventory) -> None:
        """Delete, oldest first. After a refusal, plan again: another recovery point may be deleted instead."""
        known = -1
        while len(self.undeletable) > known:
            known = len(self.undeletable)
            for some in _batches(self.remaining):
                self._delete_batch(some)
            if len(self.undeletable) > known:
                self.plan = observed.plan(self.invocation.config, self.undeletable, self.known)

    def _delete_batch(self, points: Sequence[RecoveryPoint]) -> None:
        """Observe each snapshot again, then delete it. A refusal is recorded; it does not end the run."""
        self.calls.check_time()
        try:
            now = ec2_snapshots.own_snapshots(member.snapshot.id for point in points for member in point.members)
            suspects = newest_suspects(suspected_points())
        except AwsError as problem:
            self._refuse(points, f"EC2 did not show it again: {problem}")
            return
        for point in points:
            self.calls.check_time()
            entry = _entry(point)
            cause, final, deleted = _changed(point, now), True, False
            if reasons := reasons_while_suspect(point, suspects):  # found since the plan: nothing goes in its place
                cause, final = reasons[0], False
            try:
                deleted = not cause and self._delete(point, now)
            except AwsError as problem:
                cause, final = str(problem), problem.answered
            self.tried.add(point.id)
            if not cause:
                if deleted:  # if not, another run deleted it, and publishes it
                    self.deleted.append(entry)
                continue
            self.refused.append({**entry, "cause": cause})
            if final:  # without an answer it may be deleted, and then no other may be deleted instead
                self.undeletable[point.id] = cause

    def _refuse(self, points: Sequence[RecoveryPoint], cause: str) -> None:
        """Keep these for now. No other recovery point is deleted instead."""
        for point in points:
            self.tried.add(point.id)
            self.refused.append({**_entry(point), "cause": cause})

    def _delete(self, point: RecoveryPoint, now: Mapping[str, Snapshot]) -> bool:
        """Delete the recovery point's snapshots that still exist. Returns whether there was any.

        Raises AwsError, which names the snapshot.
        """
        deleted = False
        for member in point.members:
            if member.snapshot.id not in now:
                continue
            try:
                self.calls.make(partial(ec2_snapshots.delete_snapshot, member.snapshot.id))
            except AwsError as problem:
                message = f"{problem.message} ({member.snapshot.id})"
                try:
                    still_there = member.snapshot.id in ec2_snapshots.own_snapshots([member.snapshot.id])
                except AwsError as unread:
                    message += f", and EC2 did not show whether it is deleted: {unread}"
                    raise AwsError(problem.code, message, answered=False) from problem
                if still_there:
                    raise AwsError(problem.code, message, answered=problem.answered) from problem
                # It is deleted. EC2 says so, or refuses the permission, because the snapshot's tags are gone with it.
                if problem.answered:
                    continue  # another run has deleted it
            deleted = True  # also when only EC2's answer was lost
        return deleted

    @property
    def _saved_gib(self) -> int:
        return sum(entry["gib"] for entry in self.deleted)

    def publish(self) -> None:
        """Publish what was done. A run without results publishes nothing.

        A change of terms is recorded after it was published. If the run is cut off in between, the next one publishes
        it again.
        """
        for change in self.terms.changes.values():
            self.invocation.publish(change.message(self.invocation))
        remember_terms(self.invocation.config.table, self.terms.remember)
        forget_terms(self.invocation.config.table, self.terms.forget)
        remember_run(self.invocation.config.table, record_run(clock.now(), self.answer()))
        if not (self.deleted or self.refused or self.notices):
            return
        self.invocation.publish(
            retention_messages.snapshots_pruned(
                **self.invocation.stamp(),
                deleted=self.deleted,
                kept=self.kept.first,
                kept_count=self.kept.count,
                refused=self.refused,
                notices=self.notices,
                remarks=self.remarks,
                saved_gib=self._saved_gib,
            ),
        )

    def answer(self) -> dict[str, Any]:
        return {
            "kept_count": self.kept.count,
            "delete_count": self.planned,
            "deleted": self.deleted,
            "refused": self.refused,
            "notices": [*self.notices, *self.remarks],
            **_saved(self._saved_gib),
        }


def _entry(point: RecoveryPoint) -> dict[str, Any]:
    return {"recovery_point": point.id, "instance_id": point.instance_id, "gib": point.size}


def _batches(points: Sequence[RecoveryPoint]) -> list[list[RecoveryPoint]]:
    """The recovery points in order, in batches of at most RECHECKED snapshots, unless one of them has more."""
    batches: list[list[RecoveryPoint]] = []
    room = 0
    for point in points:
        if not batches or len(point.members) > room:
            batches.append([])
            room = RECHECKED
        batches[-1].append(point)
        room -= len(point.members)
    return batches


def _changed(point: RecoveryPoint, now: Mapping[str, Snapshot]) -> str:
    """Why a recovery point must not be deleted: it has changed since the plan was made. Empty if it has not."""
    for member in point.members:
        current = now.get(member.snapshot.id)
        if current is None:
            continue  # an earlier run that was cut off deleted it
        if Tag.HOLD in current.tags:
            return f"{current.id} is held by the tag {Tag.HOLD}"
        if current.tags != member.snapshot.tags or current.state != member.snapshot.state:
            return f"{current.id} has changed since the plan was made"
    return ""
