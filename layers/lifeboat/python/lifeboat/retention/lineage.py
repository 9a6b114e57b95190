"""The recovery points of one lineage, and which of them rules keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import floor
from operator import attrgetter

from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.retention.limits import Limits
from lifeboat.retention.policy import Policy, PolicyError

CLOCK_SKEW = timedelta(minutes=5)
"""EC2's clock may be ahead of ours, and it counts milliseconds where ours counts seconds: so much is no future."""


_REMOVABLE = {Condition.FAILED, Condition.INCOMPLETE}


_NOT_GOOD = {
    Condition.PENDING: "its snapshots are not completed yet, so it is no backup, and it may become one",
    Condition.ARCHIVED: "a snapshot of it is in the archive tier; whoever put it there decides about it",
    Condition.RECYCLED: "a snapshot of it is in the Recycle Bin; whoever put it there decides about it",
}


@dataclass(slots=True)
class Candidate:
    """A recovery point on trial: the reasons for which it stays pile up, and what has none in the end goes.

    `chains` are the ones with a say; what is not ours, or wrongly dated, has none, and a reason to stay instead.
    `counted` ones are backups that the policy and the floor are about, `removable` ones are what is left of failed
    ones. What is neither has a reason to stay, too. `spared` are reasons by terms that were in force before; they count
    when there is no other, and then it `is_spared`.
    """

    point: RecoveryPoint
    lineages: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    counted: bool = False
    removable: bool = False
    spared: tuple[str, ...] = ()
    is_spared: bool = False


@dataclass(slots=True)
class Lineage:
    """The cases of one chain, oldest first."""

    name: str
    counted: list[Candidate] = field(default_factory=list)
    removable: list[Candidate] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)
    newest_instance: str = ""
    newest_of_volume: dict[str, Candidate] = field(default_factory=dict)  # counted ones
    verdict: tuple[str, ...] = ()  # why the counted ones that nothing keeps go

    @property
    def size(self) -> int:
        return len(self.counted) + len(self.removable)

    def allowance(self, limits: Limits) -> int:
        """How many may go in one run."""
        # The small addend undoes binary fractions: 0.29 * 100 is 28.999999999999996.
        return max(1, floor(limits.max_delete_share * self.size + 1e-9))


def classify(points: Iterable[RecoveryPoint], now: datetime, limits: Limits, stack: str) -> list[Candidate]:
    """Every recovery point, oldest first, with the reasons that it has by itself, before any chain is asked."""
    young, failed = time_before(now, limits.grace), time_before(now, limits.failed_after)
    # One tuple for all recovery points of a chain: fewer objects for the garbage collector to walk.
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    cases = []
    for point in sorted(points, key=attrgetter("taken_at", "id")):
        case = Candidate(point)
        cases.append(case)
        members = point.members
        # Most have one volume, and what `point.chains` does for several takes a fifth of the plan's time.
        lineages = (members[0].metadata.lineage,) if len(members) == 1 else point.lineages
        reason = _outside(point, lineages, now, stack)
        if reason:
            case.reasons = (reason,)
            continue
        case.lineages = shared.setdefault(lineages, lineages)
        condition, blocked = point.condition, point.blocked_by
        case.counted = condition is Condition.GOOD and not blocked
        case.removable = condition in _REMOVABLE
        if point.held:
            case.reasons += (f"it is held by the tag {Tag.HOLD}",)
        if blocked:
            case.reasons += (f"it cannot be deleted, nor counted on: {', '.join(blocked)}",)
        if point.taken_at > young:
            case.reasons += (f"it is younger than the grace period of {span_in_words(limits.grace)}",)
        if case.removable and point.taken_at > failed:
            case.reasons += (
                f"it is {condition}, and such ones can be looked at for {span_in_words(limits.failed_after)}",
            )
        if condition in _NOT_GOOD:
            case.reasons += (_NOT_GOOD[condition],)
    return cases


def keep_in_use(cases: Iterable[Candidate], in_use: Mapping[str, str]) -> None:
    for case in cases:
        needed_by = {in_use[member.snapshot.id] for member in case.point.members if member.snapshot.id in in_use}
        case.reasons += tuple(f"{restore} is making volumes of it" for restore in sorted(needed_by))


def _outside(point: RecoveryPoint, lineages: tuple[str, ...], now: datetime, stack: str) -> str:
    """Why a recovery point is none of this run's business, whatever state it is in; empty if it is."""
    if not point.stack:
        return f"it carries no tag {Tag.STACK}, so it is not known to be ours"
    if point.stack != stack:
        return f"it belongs to the stack {point.stack}, not to {stack}"
    if not lineages:
        return "its snapshots tell of no chain, so nothing is known of what it is a copy of"
    if in_future(point, now):
        return f"it is dated {point.taken_at.isoformat()}, in the future, so its date means nothing"
    return ""


def in_future(point: RecoveryPoint, now: datetime) -> bool:
    return point.taken_at - now > CLOCK_SKEW


def time_before(now: datetime, span: timedelta) -> datetime:
    try:
        return now - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def span_in_words(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    number, unit = (hours, "hour") if hours % 24 else (hours / 24, "day")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def group_by_lineage(cases: Iterable[Candidate]) -> dict[str, Lineage]:
    lineages: dict[str, Lineage] = {}
    for case in cases:
        for name in case.lineages:
            lineage = lineages.get(name)
            if lineage is None:
                lineage = lineages[name] = Lineage(name)
            lineage.instances.add(case.point.instance_id)
            lineage.newest_instance = case.point.instance_id
            if case.removable:
                lineage.removable.append(case)
            elif case.counted:
                lineage.counted.append(case)
                for member in case.point.members:
                    if member.metadata.lineage == name:
                        lineage.newest_of_volume[member.metadata.volume_id] = case
    return lineages


def apply_policy(lineage: Lineage, chosen: Policy | PolicyError, limits: Limits, living: frozenset[str] | None) -> None:
    """Give every case of the chain the reasons for which the chain keeps it."""
    for case, reasons in kept_by_rules(lineage, chosen, limits, living):
        case.reasons += reasons_in_lineage(case, lineage, reasons)
    lineage.verdict = (f'no rule of the policy "{chosen}" keeps it, nor is it {_floor(lineage, limits, living)[1]}',)


def kept_by_rules(
    lineage: Lineage, chosen: Policy | PolicyError, limits: Limits, living: frozenset[str] | None
) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """What the chain keeps by a policy and the floor, each with reasons; one case may come several times."""
    if isinstance(chosen, PolicyError):
        for case in (*lineage.counted, *lineage.removable):
            yield case, (f"its retention policy cannot be read: {chosen}",)
        return
    newest_first = lineage.counted[::-1]
    size, name = _floor(lineage, limits, living)
    for case in newest_first[:size]:
        yield case, (f"it is {name}",)
    for volume, case in lineage.newest_of_volume.items():
        if living is None or volume in living:
            yield case, (f"it is the newest good one of volume {volume}",)
    for place, reasons in chosen.reasons([case.point.taken_at for case in newest_first]).items():
        yield newest_first[place], reasons
    for case in lineage.removable:
        if not newest_first or newest_first[0].point.taken_at <= case.point.taken_at:
            yield case, ("no later good one has come after it yet",)


def _floor(lineage: Lineage, limits: Limits, living: frozenset[str] | None) -> tuple[int, str]:
    """How many of its newest counted ones this chain keeps whatever the policy says, and what they are called."""
    size = limits.min_keep
    gone = living is None or living.isdisjoint({lineage.name, *lineage.newest_of_volume})
    if gone:
        size = max(size, limits.orphan_keep or 0)
    name = "the newest good one" if size == 1 else f"one of the {size} newest good ones"
    if gone:
        name += f" of a chain whose volume {'may be' if living is None else 'is'} gone"
    return size, name


def reasons_in_lineage(case: Candidate, lineage: Lineage, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """The reasons, with the chain that has them where the case is of several."""
    return tuple(f"chain {lineage.name}: {reason}" for reason in reasons) if len(case.lineages) > 1 else reasons
