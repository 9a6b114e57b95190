"""Overdue: the look every quarter of an hour tells how old the newest good recovery points are, and whose too old."""

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
"""How many volumes' ages a log line lists, the oldest first: CloudWatch cuts a log event at 256 kB."""


class OverdueIncomplete(Exception):  # noqa: N818 - it says what is, and the next look tries again
    """Of some instances EC2 refused to show the recovery points. All others were looked at, and told."""


def publish_overdue(
    volumes: Sequence[Protected],
    schedule: Schedule,
    invocation: Invocation,
    *,
    mending: Collection[str] = (),
) -> dict[str, Any]:
    """Look for the newest good recovery points of these, give their ages to CloudWatch and tell whose are too old.

    Each spell is told once for its instance; what there is no time for is left to the next look, and so are the
    instances that are `mending`. Before any slot has been due nothing is expected, and nothing done.

    Raises OverdueIncomplete at the end, when EC2 refused to show some; AwsError, when it refused to show anything.
    """
    now = clock.now()
    expected = overdue.expected_slot(schedule, now=now, grace=invocation.config.catch_up_grace)
    if expected is None or not volumes:
        return {"overdue": []}
    points = [point for point in _points(expected, now, invocation) if point.slot >= expected]
    good, making = overdue.newest_good(points), overdue.being_made(points, now)
    owing, windows = overdue.owing(volumes, expected), overdue.windows(schedule, expected)
    unknown, refused = _complete(good, owing, windows, invocation)
    ages = overdue.ages((item for item in volumes if item.instance_id not in unknown), good, now)
    late = overdue.overdue(ages, expected=expected, making=making)
    if ages:
        metrics.seconds(
            METRIC, ages[0].age.total_seconds(), stack=invocation.config.stack, facts=_facts(ages, len(unknown))
        )
    told = [item for item in late if item.instance_id not in mending and _publish(item, invocation)]
    if refused:
        raise OverdueIncomplete("; ".join(refused))
    return {"overdue": [item.instance_id for item in told[:AGES_LOGGED]]}


def _points(first: datetime, last: datetime, invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    """This stack's recovery points of slots between the two, and perhaps of the same hours."""
    patterns = {f"tag:{Tag.SLOT}": overdue.slot_patterns(first, last)}
    return read_catalogue(ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, patterns)).points


def _complete(
    good: dict[Key, LastGood],
    owing: Sequence[Protected],
    windows: Iterable[tuple[datetime, datetime]],
    invocation: Invocation,
) -> tuple[set[str], list[str]]:
    """Add what those who owe a slot have of earlier ones, if they have not this one; of whom it was not found out, and
    what EC2 refused of it.

    Most of a fleet that has no backups has stopped having them at the same slot, so many are looked for slot by slot,
    the few that remain one by one.
    """
    missing = overdue.uncovered(owing, good)
    for first, last in windows:
        if len(missing) <= ec2_describe.IDS_PER_CALL or not invocation.has_time():
            break
        try:
            _add(good, _points(first, last, invocation))
        except AwsError:  # whoever is missing is looked for below, and that says why not
            break
        missing = overdue.uncovered(owing, good)
    unknown = set(missing)
    refused: list[str] = []
    for some in batched(overdue.turn(missing, clock.now()), ec2_describe.IDS_PER_CALL, strict=False):
        if not invocation.has_time():
            break
        try:
            found = ec2_snapshots.recovery_point_snapshots_of(invocation.config.stack, {f"tag:{Tag.INSTANCE}": some})
        except AwsError as problem:
            refused.append(
                f"the recovery points of {len(some)} instances, of {some[0]} first, were not seen: {problem}"
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
    return {"ages": first, "ages_not_listed": len(ages) - len(first), "not_looked_at": unknown}


def _publish(late: Overdue, invocation: Invocation) -> bool:
    """Whether it has been told, now or before."""
    if not invocation.has_time():
        return False
    oldest = late.oldest
    message = messages.backup_overdue(
        stack=invocation.config.stack,
        at=clock.now(),
        instance_id=late.instance_id,
        age=oldest.age,
        expected=late.expected,
        since=oldest.of.since,
        newest=None if oldest.newest is None else (oldest.newest.recovery_point_id, oldest.newest.slot),
        volume_ids=[item.of.volume_id for item in late.volumes if item.of.volume_id],
    )
    return invocation.publish_once("told-overdue", late.spell, message)
