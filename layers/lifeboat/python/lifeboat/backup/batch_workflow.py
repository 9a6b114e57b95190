"""Take the recovery points of some instances: observe, plan and call CreateSnapshots within EC2's rate.

Each slot is taken once: CreateSnapshots has no idempotency token, so the recovery point's id, made of slot and
instance, is the key. The table opens it, for many instances in one call, before EC2 is called. The snapshots' tags are
searched before that, because the table and an answer of EC2 can be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_images, ec2_instances, ec2_snapshots, ec2_volumes, wakes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime, PacedCalls
from lifeboat.backup import selection
from lifeboat.backup import store as backups
from lifeboat.domain import data_volumes
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Instance, Volume
from lifeboat.domain.image import LaunchImage
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.recovery_point_tags import recovery_point_id
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore

type Entry = dict[str, Any]

CONFIRMS = "confirm-snapshots"
"""The function that is woken."""

CALLS_AT_ONCE = 6
"""Concurrent calls of CreateSnapshots. EC2 allows five a second and needs half a second for each, so sequential calls
would not reach its rate."""

FRESH_SECONDS = 15.0
"""Seconds for which an observed instance is not described again."""

RETRY_AFTER_SECONDS = 16.0
"""Seconds after which a call is retried that EC2 refused because of other snapshots. EC2 refuses a second snapshot of
a volume for 15 seconds (`domain.error_codes.SNAPSHOT_LIMITS`)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What EC2 and the table showed when the batch was begun. `gone` are instances that are not selected any more."""

    instances: tuple[Instance, ...]
    gone: tuple[str, ...]
    volumes: Mapping[str, Volume]
    images: Mapping[str, LaunchImage]
    points: tuple[RecoveryPoint, ...]
    restores: Mapping[str, Restore]


@dataclass(slots=True)
class Taken:
    """The outcomes so far, by instance.

    `left` were not tried for lack of time. `waiting` are those of the `failed` ones that EC2 refused for a transient
    reason. `under_way` are those of the `already` ones that another invocation is taking, so the outcome is open.
    `names` are the Names of the instances, for messages.
    """

    begun: list[Entry] = field(default_factory=list)
    already: list[Entry] = field(default_factory=list)
    skipped: list[Entry] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def worth_retrying(self) -> bool:
        """Whether another attempt may bring more."""
        return bool(self.left) or any(item.get("retry") for item in self.failed)


@dataclass(frozen=True, slots=True)
class Taking:
    """Takes the recovery points of one slot, within one invocation.

    `observed` are the instances as the selection described them, at `observed_at` seconds of the monotonic clock.
    `restores` are the restores, by instance, that were open just before that. `waits`: whether to wait once and retry
    what EC2 refused for a transient reason. The queue redelivers a batch, so a batch does not wait.
    """

    slot: datetime
    late: bool
    dry_run: bool
    invocation: Invocation
    calls: PacedCalls
    observed: Mapping[str, Instance] = field(default_factory=dict)
    observed_at: float = 0.0
    restores: Mapping[str, Restore] = field(default_factory=dict)
    waits: bool = False
    taken: Taken = field(default_factory=Taken)

    def take(self, instance_ids: Sequence[str]) -> Taken:
        """Begin a recovery point for each of these instances that needs one, as far as there is time."""
        for some in batched(instance_ids, ec2_describe.IDS_PER_CALL, strict=False):
            self._take_some(some)
        if self.waits and self.taken.waiting and self._has_time_to_wait():
            self._retry_waiting()
        return self.taken

    def _has_time_to_wait(self) -> bool:
        return self.invocation.has_time(RETRY_AFTER_SECONDS)

    def _retry_waiting(self) -> None:
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
            self.taken.names.update((item.id, item.name) for item in observed.instances)
            for gone in observed.gone:
                self.taken.skipped.append({"instance_id": gone, "reason": f"{gone} is not selected any more"})
                tried.add(gone)
            plans = self._plans(observed)
            tried |= {instance.id for instance in observed.instances} - {plan.instance_id for plan in plans}
            tried |= self._begin_all(plans)
        except OutOfTime:
            pass
        except AwsError as problem:  # the observation failed: the other batches go on
            unread = [item for item in instance_ids if item not in tried]
            self.taken.failed += [_unread(instance_id, problem) for instance_id in unread]
            self.taken.waiting += unread if problem.passes else []
            tried.update(unread)
        self.taken.left += [item for item in instance_ids if item not in tried]

    def _plans(self, observed: Observed) -> list[selection.CreateRecoveryPoint]:
        """The recovery points to create. All other instances go to `taken`."""
        # An incomplete recovery point is no backup. The table decides whether it may be made again.
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
                self.taken.already.append(_existing(plan))
            elif self.dry_run:
                self.taken.begun.append(_planned(plan))
            else:
                plans.append(plan)
        return plans

    def _open(self, plans: Sequence[selection.CreateRecoveryPoint]) -> frozenset[str]:
        """Open these in the table until this invocation ends; returns those that no other invocation has open."""
        now = clock.now()
        until = self.invocation.ends
        ids = [plan.recovery_point_id for plan in plans]
        ours = backups.open_backups_for(self.invocation.config.table, ids, begun_at=now, until=until)
        if ids:  # also if none is ours: an invocation that was cut short may have asked for no wake
            wakes.wake_while_open(CONFIRMS, self.invocation)
        return ours

    def _observe(self, instance_ids: Sequence[str]) -> Observed:
        fresh = self.observed and clock.monotonic() - self.observed_at < FRESH_SECONDS
        # Read before and after the description of the instances: one of the two has every restore open at that time.
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
            images=_images(here),
            points=read_catalogue(points).points,
            restores=open_restores,
        )

    def _plan(self, instance: Instance, observed: Observed) -> selection.CreateRecoveryPoint | selection.Skip:
        return selection.plan_recovery_point(
            instance,
            observed.volumes,
            recovery_point_id=recovery_point_id(self.slot, instance.id),
            # Lambda's retries carry the same request id. The time keeps the snapshots of two calls in two sets.
            set_id=f"{self.invocation.request_id or 'by-hand'} {iso(clock.now())}",
            stack=self.invocation.config.stack,
            slot=self.slot,
            image=observed.images.get(instance.id, LaunchImage()),
            late=self.late,
        )

    def _begin_all(self, plans: Sequence[selection.CreateRecoveryPoint]) -> set[str]:
        """Call EC2 for these, a few at a time; returns the instances that were tried.

        A failure becomes an entry of `taken`, so that it does not stop the other instances.
        """
        ours = self._open(plans)
        for plan in plans:
            if plan.recovery_point_id not in ours:
                self.taken.already.append(_existing(plan))
                self.taken.under_way.append(plan.instance_id)
        to_create = [plan for plan in plans if plan.recovery_point_id in ours]
        outcomes = self._create_all(to_create)
        left: set[str] = set()
        made: list[str] = []
        for plan, outcome in zip(to_create, outcomes, strict=True):
            if isinstance(outcome, OutOfTime):
                left.add(plan.instance_id)
            elif isinstance(outcome, AwsError):
                self.taken.failed.append(_failure(plan, outcome))
                if outcome.passes and outcome.answered:
                    self.taken.waiting.append(plan.instance_id)
            elif reason := (differs := selection.compare_answer(plan, outcome)).reason:
                # Withdrawn, so that the next attempt observes again and saves the volumes attached by then.
                backups.withdraw(self.invocation.config.table, plan.recovery_point_id)
                self.taken.failed.append({"instance_id": plan.instance_id, "reason": reason, "retry": True})
            else:
                made.append(plan.recovery_point_id)
                self.taken.begun.append(_begun(plan, outcome, differs.unplanned))
        backups.remember_made(self.invocation.config.table, made, clock.now())
        return {plan.instance_id for plan in plans} - left

    def _create_all(
        self, plans: Sequence[selection.CreateRecoveryPoint]
    ) -> list[Mapping[str, str] | AwsError | OutOfTime]:
        """The outcome of each plan, in the same order."""
        if CALLS_AT_ONCE == 1 or len(plans) < 2:
            return [self._create(plan) for plan in plans]
        with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
            return list(threads.map(self._create, plans))

    def _create(self, plan: selection.CreateRecoveryPoint) -> Mapping[str, str] | AwsError | OutOfTime:
        """Call CreateSnapshots, again while EC2 throttles it."""
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
        reason += " (EC2 may still have begun it; the next attempt checks first)"
    return {"instance_id": plan.instance_id, "reason": reason, "retry": True, "passes": problem.passes}


def _unread(instance_id: str, problem: AwsError) -> Entry:
    reason = f"{instance_id} could not be described: {problem}"
    return {"instance_id": instance_id, "reason": reason, "retry": True, "passes": problem.passes}


def _postponed(instance_id: str, reason: str) -> Entry:
    return {"instance_id": instance_id, "reason": reason, "retry": True, "passes": True}


def _images(instance_ids: Sequence[str]) -> Mapping[str, LaunchImage]:
    # The AMI's owner and name go into the tags, but no backup fails for lack of them.
    try:
        return ec2_images.launch_images(instance_ids) if instance_ids else {}
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


def _existing(plan: selection.CreateRecoveryPoint) -> Entry:
    return {"instance_id": plan.instance_id, "recovery_point": plan.recovery_point_id}
