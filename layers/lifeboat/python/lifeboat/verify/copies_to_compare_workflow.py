"""Which copies are to be compared with their sources: those that an event announces, those missed, those asked for.

A stack compares what it copied to other regions. A vault compares its own copies with what the source account shares:
the EBS direct APIs read a shared snapshot for the account that it is shared with, and its key's policy decides. Both
are recorded from live accounts (tests/fixtures/captures/ebs_direct_shared.json).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import batched, islice

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.verify import comparison, plan
from lifeboat.verify import comparison_store as comparisons
from lifeboat.verify.comparison import Comparison

OPENED_AT_ONCE = 200
"""The most comparisons that one run opens for what was missed in each region. The next hour opens more."""


def open_announced(point_id: str, region: str, invocation: Invocation) -> None:
    """Open the comparison with a copy that is complete in `region`: one that this stack made there, or a vault's own.

    Nothing is opened where no blocks are read.
    """
    config, level = invocation.config, _level(invocation)
    if level and region in {config.region, *(destination.region for destination in config.copy_to)}:
        comparisons.open_comparison(config.table, _new(point_id, region, level))


def open_by_hand(point: RecoveryPoint, level: Level, invocation: Invocation) -> None:
    """Open the comparisons of a recovery point that a person asks for, also of one that was compared before."""
    config = invocation.config
    if not _level(invocation) or level is Level.READ:
        return
    for region in _regions_of(point, invocation):
        comparisons.open_again(config.table, _new(point.id, region, level))


def known(invocation: Invocation) -> frozenset[str]:
    """The comparisons that need not be opened, for `open_missed`."""
    return comparisons.known_comparisons(invocation.config.table) if _level(invocation) else frozenset()


def open_missed(points: Sequence[RecoveryPoint], known_ones: Collection[str], invocation: Invocation) -> None:
    """Open the comparison of each complete copy of these that none was opened for. Raises AwsError."""
    config, level = invocation.config, _level(invocation)
    if not level:
        return
    newest_first = sorted(points, key=lambda point: (point.taken_at, point.id), reverse=True)
    for region in (config.region, *(destination.region for destination in config.copy_to)):
        uncompared = [
            point
            for point in newest_first
            if point.condition is Condition.GOOD
            and region in _regions_of(point, invocation)
            and comparison.key_of(point.id, region) not in known_ones
        ]
        complete = uncompared if region == config.region else _copied(uncompared, region, invocation)
        for point in islice(complete, OPENED_AT_ONCE):
            comparisons.open_comparison(config.table, _new(point.id, region, level))


def _level(invocation: Invocation) -> Level | None:
    """The level at which blocks are compared; None where none are."""
    config = invocation.config
    return config.verify if config.verify is not Level.READ and config.manifest_bucket else None


def _regions_of(point: RecoveryPoint, invocation: Invocation) -> tuple[str, ...]:
    """Where a copy is compared with its source: here for a vault's copy, and where this stack copies its own to."""
    if comparison.source_account(point):
        return (invocation.config.region,)
    if any(Tag.COPIED_FROM in member.snapshot.tags for member in point.members):
        return ()  # a copy from another region: the stack there compares it
    return tuple(destination.region for destination in invocation.config.copy_to)


def _copied(points: Sequence[RecoveryPoint], region: str, invocation: Invocation) -> Iterator[RecoveryPoint]:
    """Those of which each snapshot has a complete copy in the region. Raises AwsError."""
    for some in batched(points, ec2_describe.IDS_PER_CALL, strict=False):
        wanted = tuple(sorted({point.name_and_slot[0] for point in some}))
        found = ec2_snapshots.copies_in(region, {Tag.STACK: invocation.config.stack, Tag.RECOVERY_POINT: wanted})
        yield from (point for point in some if not isinstance(comparison.find_pairs(point, found), str))


def _new(point_id: str, region: str, level: Level) -> Comparison:
    now = clock.now()
    return Comparison(point_id, region, level, now, plan.turn_of(now.date()))
