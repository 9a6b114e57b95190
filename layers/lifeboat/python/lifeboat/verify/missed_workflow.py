"""Once an hour: open verifications of recovery points and comparisons of copies that no event announced, and publish
the age of the newest proven ones.

The reconcile run in the first minutes of each hour does it, so nothing is remembered. A lost run costs an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots, metrics
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.backup.overdue import slot_patterns
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.verify import copies_to_compare_workflow, plan
from lifeboat.verify import store as verifications
from lifeboat.verify.plan import ProvenAge

METRIC = "ProvenRecoveryPointAge"
"""Seconds: the age of the oldest of all lineages' newest proven recovery points."""

EVERY_MINUTES = 15
"""The interval of the reconcile run (template.yaml): one of them falls into the first minutes of each hour."""

MOST_SNAPSHOTS = 20_000
"""With more in plan.SEARCHED_BACK, only those of a day are read, in parts."""

OPENED_AT_ONCE = 1_000
"""The most verifications that one run opens. The next hour opens more."""

AGES_LOGGED = 100
"""How many lineages' ages a log line lists, the oldest first: CloudWatch truncates a log event at 256 kB."""


def open_missed(level: Level, invocation: Invocation) -> str:
    """Open what was missed and publish the metric, if this is the run of the hour. Why EC2 did not show it, if so."""
    if clock.now().minute >= EVERY_MINUTES:
        return ""
    try:
        _open_and_publish(level, invocation)
    except AwsError as problem:
        return f"the recovery points of the last days: {problem}"
    return ""


def _open_and_publish(level: Level, invocation: Invocation) -> None:
    """Raises AwsError."""
    ages: list[ProvenAge] = []
    left = OPENED_AT_ONCE
    compared = copies_to_compare_workflow.known(invocation)
    for points in _recent_points(invocation):
        left -= _open(points, level, left, invocation)
        copies_to_compare_workflow.open_missed(points, compared, invocation)
        ages += plan.proven_ages(_with_older(points, invocation), clock.now())
    worst_first = plan.merge_ages(ages)
    if worst_first:
        worst = worst_first[0].age.total_seconds()
        metrics.seconds(METRIC, worst, config=invocation.config, facts=_facts(worst_first))


def _recent_points(invocation: Invocation) -> Iterator[tuple[RecoveryPoint, ...]]:
    """In one part, or in several to bound memory. Raises AwsError."""
    try:
        found = _points_of(plan.SEARCHED_BACK, {}, MOST_SNAPSHOTS, invocation)
    except ec2_describe.TooMany:
        for character in ec2_describe.LAST_CHARACTERS:
            yield _points_of(timedelta(days=1), {f"tag:{Tag.INSTANCE}": [f"*{character}"]}, None, invocation)
    else:
        yield found


def _points_of(
    past: timedelta, filters: Mapping[str, Sequence[str]], most: int | None, invocation: Invocation
) -> tuple[RecoveryPoint, ...]:
    """This stack's recovery points of the slots of this time. Raises AwsError and TooMany."""
    now = clock.now()
    patterns = {f"tag:{Tag.SLOT}": slot_patterns(now - past, now)}
    found = ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, {**patterns, **filters}, most=most)
    return read_catalogue(found).points


def _open(points: Sequence[RecoveryPoint], level: Level, most: int, invocation: Invocation) -> int:
    """How many verifications were opened, at most so many."""
    table, now = invocation.config.table, clock.now()
    without = plan.missed(points, ())
    if not without or most <= 0:
        return 0
    under_way = {record.point_id for record in verifications.open_verifications(table)}
    candidates = [point.id for point in without if point.id not in under_way][:most]
    # One whose snapshots had no room for the tag was read, too.
    ended = verifications.ended_verifications(table, candidates)
    new = [plan.new_verification(point_id, level, now) for point_id in candidates if point_id not in ended]
    return sum(verifications.open_verification(table, record) for record in new)


def _with_older(points: Sequence[RecoveryPoint], invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    """The recovery points, and all older ones of some instances of which none is proven. Raises AwsError."""
    ages = plan.proven_ages(points, clock.now())
    unproven = sorted({item.instance_id for item in ages if not item.newest and item.instance_id})
    some = unproven[: ec2_describe.IDS_PER_CALL]
    if not some:
        return tuple(points)
    wanted = {f"tag:{Tag.INSTANCE}": some}
    try:
        older = ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, wanted, most=MOST_SNAPSHOTS)
    except ec2_describe.TooMany:  # the age is then that of the oldest recent one
        return tuple(points)
    return (*points, *read_catalogue(older).points)


def _facts(ages: Sequence[ProvenAge]) -> Mapping[str, Any]:
    first = [
        {
            "instance_id": item.instance_id,
            "lineage": item.lineage,
            "seconds": int(item.age.total_seconds()),
            "recovery_point": item.newest,
        }
        for item in ages[:AGES_LOGGED]
    ]
    return {"ages": first, "ages_not_listed": len(ages) - len(first)}
