"""Every catch-up publishes the age of the newest good recovery points, and alerts on instances that are overdue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import batched
from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots, metrics
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.backup import messages, overdue
from lifeboat.backup.overdue import Age, Key, LastGood, Overdue, Protected
from lifeboat.backup.schedule import Schedule
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag

METRIC = "RecoveryPointAge"
"""Seconds: the age of the oldest of all protected volumes' newest good recovery points."""

AGES_LOGGED = 100
"""How many volumes' ages a log line lists, the oldest first: CloudWatch truncates a log event at 256 kB."""


class OverdueIncomplete(Exception):  # noqa: N818 - a fact; the next run tries again
    """EC2 refused to describe the recovery points of some instances. All others were checked and published."""


def publish_overdue(
    volumes: Sequence[Protected],
    schedule: Schedule,
    invocation: Invocation,
    *,
    retried: Collection[str] = (),
) -> dict[str, Any]:
    """Find the newest good recovery points of these volumes, publish their ages as a metric, and BackupOverdue.

    An instance is published once for each overdue episode. The next run publishes what this one has no time for, and
    the instances in `retried`, which get a recovery point now. Before the first expected slot this does nothing.

    Raises OverdueIncomplete at the end if EC2 refused some queries, AwsError if it refused the first one.
    """
    now = clock.now()
    expected = overdue.expected_slot(schedule, now=now, grace=invocation.config.catch_up_grace)
    if expected is None or not volumes:
        return {"overdue": []}
    points = [point for point in _points(expected, now, invocation) if point.slot >= expected]
    good, pending = overdue.newest_good(points), overdue.in_progress(points, now)
    owing, windows = overdue.protected_before(volumes, expected), overdue.slot_windows(schedule, expected)
    unknown, refused = _add_older(good, owing, windows, invocation)
    ages = overdue.ages((item for item in volumes if item.instance_id not in unknown), good, now)
    late = overdue.overdue(ages, expected=expected, pending=pending)
    if ages:
        metrics.seconds(METRIC, ages[0].age.total_seconds(), config=invocation.config, facts=_facts(ages, len(unknown)))
    published = [item for item in late if item.instance_id not in retried and _publish(item, invocation)]
    if refused:
        raise OverdueIncomplete("; ".join(refused))
    return {"overdue": [item.instance_id for item in published[:AGES_LOGGED]]}


def _points(first: datetime, last: datetime, invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    """This stack's recovery points of the slots from `first` to `last`, and maybe others of the same hours."""
    patterns = {f"tag:{Tag.SLOT}": overdue.slot_patterns(first, last)}
    return read_catalogue(ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, patterns)).points


def _add_older(
    good: dict[Key, LastGood],
    owing: Sequence[Protected],
    windows: Iterable[tuple[datetime, datetime]],
    invocation: Invocation,
) -> tuple[set[str], list[str]]:
    """Add older recovery points to `good` for the volumes without a recent one.

    Returns the instances that remain unknown, and EC2's refusals. Backups of many instances mostly stop at the same
    slot, so while many are missing the queries go slot by slot, then by instance.
    """
    missing = overdue.uncovered(owing, good)
    for first, last in windows:
        if len(missing) <= ec2_describe.IDS_PER_CALL or not invocation.has_time():
            break
        try:
            _add(good, _points(first, last, invocation))
        except AwsError:  # the queries by instance below report the refusal
            break
        missing = overdue.uncovered(owing, good)
    unknown = set(missing)
    refused: list[str] = []
    for some in batched(overdue.next_queried(missing, clock.now()), ec2_describe.IDS_PER_CALL, strict=False):
        if not invocation.has_time():
            break
        try:
            found = ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, {f"tag:{Tag.INSTANCE}": some})
        except AwsError as problem:
            refused.append(
                f"EC2 did not describe the recovery points of {len(some)} instances, {some[0]} and others: {problem}"
            )
            continue
        _add(good, read_catalogue(found).points)
        unknown.difference_update(some)
    return unknown, refused


def _add(good: dict[Key, LastGood], earlier: Iterable[RecoveryPoint]) -> None:
    for key, newest in overdue.newest_good(earlier).items():
        good.setdefault(key, newest)


def _facts(ages: Sequence[Age], unknown: int) -> Mapping[str, Any]:
    first = [
        {
            "instance_id": item.of.instance_id,
            "volume_id": item.of.volume_id,
            "seconds": int(item.age.total_seconds()),
            "recovery_point": item.newest.recovery_point_id if item.newest else "",
        }
        for item in ages[:AGES_LOGGED]
    ]
    return {"ages": first, "ages_not_listed": len(ages) - len(first), "not_queried": unknown}


def _publish(late: Overdue, invocation: Invocation) -> bool:
    """Whether it is published, now or before."""
    if not invocation.has_time():
        return False
    oldest = late.oldest
    message = messages.backup_overdue(
        **invocation.stamp(),
        instance_id=late.instance_id,
        name=oldest.newest.name if oldest.newest else "",
        age=oldest.age,
        expected=late.expected,
        since=oldest.of.since,
        newest=None if oldest.newest is None else (oldest.newest.recovery_point_id, oldest.newest.slot),
        volume_ids=[item.of.volume_id for item in late.volumes if item.of.volume_id],
    )
    return invocation.publish_once("published-overdue", late.episode, message)
