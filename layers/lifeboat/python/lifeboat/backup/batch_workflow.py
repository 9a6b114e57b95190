"""A portion of a backup run: look, plan and begin for some instances, in few calls and at EC2's pace.

Once per slot: CreateSnapshots has no idempotency token, so the recovery point's id, made of slot and instance, is the
key. It is taken in the table, for many instances in one call, before EC2 is asked; and it is looked for among the
snapshots' tags before that, because the table can be lost and an answer can be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_images, ec2_instances, ec2_snapshots, ec2_volumes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime, PacedCalls
from lifeboat.backup import selection
from lifeboat.backup import store as backups
from lifeboat.domain import data_volumes
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Instance, Volume
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.recovery_point_tags import recovery_point_id
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore

type Entry = dict[str, Any]

CALLS_AT_ONCE = 6
"""How many calls of CreateSnapshots are under way at a time. EC2 takes half a second for one, and gives five a second:
one after the other would not use up what it gives."""

FRESH_SECONDS = 15.0
"""For how many seconds an instance that was seen is not looked at again."""

RETRY_AFTER_SECONDS = 16.0
"""Seconds after which EC2 is asked once more for what it refused because of other snapshots: `SnapshotCreation` of a
volume is refused for 15 (`rules.error_codes`)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """How things stood when the portion was begun."""

    instances: tuple[Instance, ...]
    gone: tuple[str, ...]
    volumes: Mapping[str, Volume]
    owners: Mapping[str, str]
    points: tuple[RecoveryPoint, ...]
    restores: Mapping[str, Restore]


@dataclass(slots=True)
class Taken:
    """What has come of the instances so far.

    `left` are those that nobody has tried: the time was up. `waiting` are those, among the `failed` ones, that EC2
    refused for a reason that passes. `under_way` are those, among the `already` ones, that
    another invocation is at just now, so that nobody knows yet whether it succeeds.
    """

    begun: list[Entry] = field(default_factory=list)
    already: list[Entry] = field(default_factory=list)
    skipped: list[Entry] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)

    @property
    def worth_retrying(self) -> bool:
        """Whether another attempt may bring more."""
        return bool(self.left) or any(item.get("retry") for item in self.failed)


@dataclass(frozen=True, slots=True)
class Taking:
    """Taking the recovery points of one slot, within one invocation.

    `seen`: all of its instances as whoever selected them saw them, at `seen_at` seconds of the monotonic clock, and
    `restores`, by instance, those that were open just before that.
    `patient`: whether to wait, once, for what EC2 refuses for a reason that passes. A portion comes again anyway.
    """

    slot: datetime
    late: bool
    dry_run: bool
    invocation: Invocation
    calls: PacedCalls
    observed: Mapping[str, Instance] = field(default_factory=dict)
    observed_at: float = 0.0
    restores: Mapping[str, Restore] = field(default_factory=dict)
    patient: bool = False
    taken: Taken = field(default_factory=Taken)

    def take(self, instance_ids: Sequence[str]) -> Taken:
        """Begin a recovery point for each of these that is due, as far as there is time."""
        for some in batched(instance_ids, ec2_describe.IDS_PER_CALL, strict=False):
            self._take_some(some)
        if self.patient and self.taken.waiting and self._has_time_to_wait():
            self._wait_out()
        return self.taken

    def _has_time_to_wait(self) -> bool:
        return self.invocation.has_time(RETRY_AFTER_SECONDS)

    def _wait_out(self) -> None:
        clock.wait(RETRY_AFTER_SECONDS)
        waiting = self.taken.waiting
        self.taken.waiting = []
        self.taken.failed = [item for item in self.taken.failed if item["instance_id"] not in waiting]
        for some in batched(waiting, ec2_describe.IDS_PER_CALL, strict=False):
            self._take_some(some)

    def _take_some(self, instance_ids: Sequence[str]) -> None:
        tried: set[str] = set()
        try:
            self.calls.check_time()
            observed = self._observe(instance_ids)
            for gone in observed.gone:
                self.taken.skipped.append({"instance_id": gone, "reason": f"{gone} is not selected any more"})
                tried.add(gone)
            plans = self._plans(observed)
            tried |= {instance.id for instance in observed.instances} - {plan.instance_id for plan in plans}
            tried |= self._begin_all(plans)
        except OutOfTime:
            pass
        except AwsError as problem:  # of the look: the other batches are looked at all the same
            unread = [item for item in instance_ids if item not in tried]
            self.taken.failed += [_unread(instance_id, problem) for instance_id in unread]
            self.taken.waiting += unread if problem.passes else []
            tried.update(unread)
        self.taken.left += [item for item in instance_ids if item not in tried]

    def _plans(self, observed: Observed) -> list[selection.CreateRecoveryPoint]:
        """What is to be asked of EC2; the rest is noted as what it is."""
        # One with snapshots missing is no backup: whether it may be made anew, the table knows.
        points = {point.id for point in observed.points if point.condition is not Condition.INCOMPLETE}
        plans = []
        for instance in observed.instances:
            plan = self._plan(instance, observed)
            exchanging = selection.exchange_problem(instance, observed.restores.get(instance.id))
            if exchanging and recovery_point_id(self.slot, instance.id) not in points:
                self.taken.failed.append(_postponed(instance.id, exchanging))
                self.taken.waiting.append(instance.id)
            elif isinstance(plan, selection.Skip):
                left_out = {"instance_id": plan.instance_id, "reason": plan.reason}
                (self.taken.failed if plan.failure else self.taken.skipped).append(left_out)
            elif plan.recovery_point_id in points:
                self.taken.already.append(_there(plan))
            elif self.dry_run:
                self.taken.begun.append(_planned(plan))
            else:
                plans.append(plan)
        return plans

    def _open(self, plans: Sequence[selection.CreateRecoveryPoint]) -> frozenset[str]:
        """Take these for this invocation, as long as it may last; those that nobody else has."""
        now = clock.now()
        until = self.invocation.ends
        ids = [plan.recovery_point_id for plan in plans]
        return backups.open_backups_for(self.invocation.config.table, ids, begun_at=now, until=until)

    def _observe(self, instance_ids: Sequence[str]) -> Observed:
        fresh = self.observed and clock.monotonic() - self.observed_at < FRESH_SECONDS
        # Before and after the look: whatever was open at that moment is in one of them.
        before = self.restores if fresh else restores.open_by_instance(self.invocation.config.table)
        found = {item: self.observed[item] for item in instance_ids} if fresh else ec2_instances.instances(instance_ids)
        open_restores = {**before, **restores.open_by_instance(self.invocation.config.table)}
        instances = selection.select(found.values(), self.invocation.config.selector)
        data = [item.volume_id for instance in instances for item in data_volumes.data_attachments(instance)]
        here = [instance.id for instance in instances]
        ids = [recovery_point_id(self.slot, instance_id) for instance_id in here]
        wanted = {f"tag:{Tag.RECOVERY_POINT}": ids}
        points = ec2_snapshots.recovery_point_snapshots_of(self.invocation.config.stack, wanted) if ids else ()
        return Observed(
            instances=instances,
            gone=tuple(sorted(set(instance_ids) - set(here))),
            volumes=ec2_volumes.volumes(data) if data else {},
            owners=_owners(here),
            points=read_catalogue(points).points,
            restores=open_restores,
        )

    def _plan(self, instance: Instance, observed: Observed) -> selection.CreateRecoveryPoint | selection.Skip:
        return selection.plan_recovery_point(
            instance,
            observed.volumes,
            recovery_point_id=recovery_point_id(self.slot, instance.id),
            # Lambda's retries carry the same request id, and what two calls make is never one set.
            set_id=f"{self.invocation.request_id or 'by-hand'} {iso(clock.now())}",
            stack=self.invocation.config.stack,
            slot=self.slot,
            ami_owner=observed.owners.get(instance.id, ""),
            late=self.late,
        )

    def _begin_all(self, plans: Sequence[selection.CreateRecoveryPoint]) -> set[str]:
        """Ask EC2 for these, a few at a time; the instances that were tried. One bad instance stops nobody: what goes
        wrong becomes an entry.
        """
        ours = self._open(plans)
        for plan in plans:
            if plan.recovery_point_id not in ours:
                self.taken.already.append(_there(plan))
                self.taken.under_way.append(plan.instance_id)
        to_ask = [plan for plan in plans if plan.recovery_point_id in ours]
        outcomes = self._ask_all(to_ask)
        left: set[str] = set()
        made: list[str] = []
        for plan, outcome in zip(to_ask, outcomes, strict=True):
            if isinstance(outcome, OutOfTime):
                left.add(plan.instance_id)
            elif isinstance(outcome, AwsError):
                self.taken.failed.append(_failure(plan, outcome))
                if outcome.passes and outcome.answered:
                    self.taken.waiting.append(plan.instance_id)
            elif reason := (differs := selection.compare_answer(plan, outcome)).reason:
                # Not remembered as made: the next attempt looks anew, and makes what is attached by then.
                backups.withdraw(self.invocation.config.table, plan.recovery_point_id)
                self.taken.failed.append({"instance_id": plan.instance_id, "reason": reason, "retry": True})
            else:
                made.append(plan.recovery_point_id)
                self.taken.begun.append(_begun(plan, outcome, differs.unplanned))
        backups.remember_made(self.invocation.config.table, made, clock.now())
        return {plan.instance_id for plan in plans} - left

    def _ask_all(
        self, plans: Sequence[selection.CreateRecoveryPoint]
    ) -> list[Mapping[str, str] | AwsError | OutOfTime]:
        """What came of each, in their order."""
        if CALLS_AT_ONCE == 1 or len(plans) < 2:
            return [self._ask(plan) for plan in plans]
        with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
            return list(threads.map(self._ask, plans))

    def _ask(self, plan: selection.CreateRecoveryPoint) -> Mapping[str, str] | AwsError | OutOfTime:
        """Ask EC2, until it has not throttled us."""
        try:
            return self.calls.make(
                lambda: ec2_snapshots.create_snapshots(plan.instance_id, plan.description, plan.tags)
            )
        except (AwsError, OutOfTime) as problem:
            if isinstance(problem, OutOfTime) or problem.answered:
                backups.withdraw(self.invocation.config.table, plan.recovery_point_id)
            else:
                backups.release(self.invocation.config.table, plan.recovery_point_id)
            return problem


def _failure(plan: selection.CreateRecoveryPoint, problem: AwsError) -> Entry:
    reason = str(problem)
    if not problem.answered:
        reason += " (EC2 may have begun it all the same; the next attempt looks first)"
    return {"instance_id": plan.instance_id, "reason": reason, "retry": True, "passes": problem.passes}


def _unread(instance_id: str, problem: AwsError) -> Entry:
    reason = f"{instance_id} could not be looked at: {problem}"
    return {"instance_id": instance_id, "reason": reason, "retry": True, "passes": problem.passes}


def _postponed(instance_id: str, reason: str) -> Entry:
    return {"instance_id": instance_id, "reason": reason, "retry": True, "passes": True}


def _owners(instance_ids: Sequence[str]) -> Mapping[str, str]:
    # The AMI's owner goes into the story, but no backup is missed for it.
    try:
        return ec2_images.image_owners(instance_ids) if instance_ids else {}
    except AwsError:
        return {}


def _begun(plan: selection.CreateRecoveryPoint, made: Mapping[str, str], unplanned: Mapping[str, str]) -> Entry:
    snapshots = {volume_id: snapshot for volume_id, snapshot in made.items() if volume_id not in unplanned}
    entry = {**_planned(plan), "snapshots": snapshots}
    return {**entry, "unplanned": dict(unplanned)} if unplanned else entry


def _planned(plan: selection.CreateRecoveryPoint) -> Entry:
    entry: Entry = {
        "instance_id": plan.instance_id,
        "recovery_point": plan.recovery_point_id,
        "volumes": list(plan.volume_ids),
        "reason": plan.reason,
    }
    if plan.left_out:
        entry["tags_left_out"] = {volume_id: list(keys) for volume_id, keys in plan.left_out.items()}
    return entry


def _there(plan: selection.CreateRecoveryPoint) -> Entry:
    return {"instance_id": plan.instance_id, "recovery_point": plan.recovery_point_id}
