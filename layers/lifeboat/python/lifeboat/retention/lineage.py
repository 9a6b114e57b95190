"""The recovery points of one lineage, and which of them rules keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import floor
from operator import attrgetter

from lifeboat.domain.recovery_point import Condition, RecoveryPoint, newest_proven
from lifeboat.domain.tags import Tag
from lifeboat.retention.limits import Limits
from lifeboat.retention.policy import Policy, PolicyError

CLOCK_SKEW = timedelta(minutes=5)
"""How far a time of EC2 may lie ahead of ours without being in the future: its clock may be ahead, and it counts
milliseconds where ours counts seconds.
"""


_REMOVABLE = {Condition.FAILED, Condition.INCOMPLETE}


_NOT_GOOD = {
    Condition.PENDING: "its snapshots are not completed yet, so it may become a backup",
    Condition.ARCHIVED: "a snapshot of it is in the archive tier, and Lifeboat deletes none there",
    Condition.RECYCLED: "a snapshot of it is in the Recycle Bin, and Lifeboat deletes none there",
}


@dataclass(slots=True)
class Candidate:
    """A recovery point with the reasons to keep it. Without any reason it is deleted.

    `lineages` are those that decide about it. A recovery point of another stack or with a wrong date has none, and a
    reason to keep it. `counted` ones are good backups: the policy and the floor apply to them. `removable` ones are
    failed or incomplete. Any other candidate has a reason to keep it. `spared` are reasons by terms that were in force
    before a change. They apply when there is no other reason, and the candidate then `is_spared`.
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
    """The candidates of one lineage, oldest first."""

    name: str
    counted: list[Candidate] = field(default_factory=list)
    removable: list[Candidate] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)
    newest_instance: str = ""
    newest_of_volume: dict[str, Candidate] = field(default_factory=dict)  # counted ones
    verdict: tuple[str, ...] = ()  # why counted ones without a reason to keep are deleted

    @property
    def size(self) -> int:
        return len(self.counted) + len(self.removable)

    def allowance(self, limits: Limits) -> int:
        """How many of its recovery points one run may delete."""
        # The small addend undoes binary fractions: 0.29 * 100 is 28.999999999999996.
        return max(1, floor(limits.max_delete_share * self.size + 1e-9))


def classify(points: Iterable[RecoveryPoint], now: datetime, limits: Limits, stack: str) -> list[Candidate]:
    """Every recovery point, oldest first, with the reasons that do not depend on its lineages."""
    young, failed = time_before(now, limits.grace), time_before(now, limits.failed_after)
    # One tuple for all recovery points of a lineage: fewer objects for the garbage collector.
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    candidates = []
    for point in sorted(points, key=attrgetter("taken_at", "id")):
        candidate = Candidate(point)
        candidates.append(candidate)
        members = point.members
        # Most have one volume, and `point.lineages` for several takes a fifth of the plan's time.
        lineages = (members[0].metadata.lineage,) if len(members) == 1 else point.lineages
        reason = _outside(point, lineages, now, stack)
        if reason:
            candidate.reasons = (reason,)
            continue
        candidate.lineages = shared.setdefault(lineages, lineages)
        condition, blocked = point.condition, point.blocked_by
        candidate.counted = condition is Condition.GOOD and not blocked
        candidate.removable = condition in _REMOVABLE
        if point.held:
            candidate.reasons += (f"it is held by the tag {Tag.HOLD}",)
        if blocked:
            candidate.reasons += (f"it cannot be deleted and does not count as a backup: {', '.join(blocked)}",)
        if point.taken_at > young:
            candidate.reasons += (f"it is younger than the grace period of {span_in_words(limits.grace)}",)
        if candidate.removable and point.taken_at > failed:
            candidate.reasons += (
                f"it is {condition}, and is kept for inspection for {span_in_words(limits.failed_after)}",
            )
        if condition in _NOT_GOOD:
            candidate.reasons += (_NOT_GOOD[condition],)
    return candidates


def keep_in_use(candidates: Iterable[Candidate], in_use: Mapping[str, str]) -> None:
    for candidate in candidates if in_use else ():
        needed_by = {in_use[member.snapshot.id] for member in candidate.point.members if member.snapshot.id in in_use}
        candidate.reasons += tuple(f"{restore} is making volumes of it" for restore in sorted(needed_by))


def keep_while_suspect(candidates: Iterable[Candidate], points: Iterable[RecoveryPoint]) -> None:
    """Keep what is as old as a suspected recovery point of the lineage, or older: it may be all that is left."""
    suspects = newest_suspects(points)
    if suspects:
        for candidate in candidates:
            candidate.reasons += reasons_while_suspect(candidate.point, suspects)


def newest_suspects(points: Iterable[RecoveryPoint]) -> dict[str, RecoveryPoint]:
    """The newest recovery point with an open suspicion of each lineage that has one, whatever its stack or state."""
    found: dict[str, RecoveryPoint] = {}
    for point in points:
        for name in point.lineages if point.suspected else ():
            found[name] = max(found.get(name, point), point, key=attrgetter("taken_at", "id"))
    return found


def reasons_while_suspect(point: RecoveryPoint, suspects: Mapping[str, RecoveryPoint]) -> tuple[str, ...]:
    """Why open suspicions keep this recovery point, one sentence for each of its lineages."""
    return tuple(
        f"recovery point {suspect.id} is suspect: nothing of lineage {name} that is as old or older is deleted until a "
        "person closes the suspicion"
        for name in point.lineages
        if (suspect := suspects.get(name)) and point.taken_at <= suspect.taken_at
    )


def _outside(point: RecoveryPoint, lineages: tuple[str, ...], now: datetime, stack: str) -> str:
    """Why this run must not decide about a recovery point, whatever its state; empty if it may."""
    if not point.stack:
        return f"it carries no tag {Tag.STACK}, so it belongs to no known stack"
    if point.stack != stack:
        return f"it belongs to the stack {point.stack}, not to {stack}"
    if not lineages:
        return "its snapshots name no lineage, so its volume is not known"
    if in_future(point, now):
        return f"its date {point.taken_at.isoformat()} is in the future and cannot be used"
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


def group_by_lineage(candidates: Iterable[Candidate]) -> dict[str, Lineage]:
    lineages: dict[str, Lineage] = {}
    for candidate in candidates:
        for name in candidate.lineages:
            lineage = lineages.get(name)
            if lineage is None:
                lineage = lineages[name] = Lineage(name)
            lineage.instances.add(candidate.point.instance_id)
            lineage.newest_instance = candidate.point.instance_id
            if candidate.removable:
                lineage.removable.append(candidate)
            elif candidate.counted:
                lineage.counted.append(candidate)
                for member in candidate.point.members:
                    if member.metadata.lineage == name:
                        lineage.newest_of_volume[member.metadata.volume_id] = candidate
    return lineages


def apply_policy(
    lineage: Lineage, chosen: Policy | PolicyError, limits: Limits, existing: frozenset[str] | None
) -> None:
    """Add the lineage's reasons to each of its candidates."""
    for candidate, reasons in kept_by_rules(lineage, chosen, limits, existing):
        candidate.reasons += reasons_in_lineage(candidate, lineage, reasons)
    floor = f"{_floor(lineage, limits, existing)[1]}, nor the newest proven one"
    lineage.verdict = (f'no rule of the policy "{chosen}" keeps it, nor is it {floor}',)


def kept_by_rules(
    lineage: Lineage, chosen: Policy | PolicyError, limits: Limits, existing: frozenset[str] | None
) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """The candidates that a policy and the floor keep, each with reasons. A candidate may be yielded several times.

    All sets of one recovery point are kept for the same reasons.
    """
    if isinstance(chosen, PolicyError):
        for candidate in (*lineage.counted, *lineage.removable):
            yield candidate, (f"its retention policy cannot be read: {chosen}",)
        return
    sets = _group_sets(lineage.counted)
    newest_first = [several[-1] for several in sets.values()][::-1]
    for kept, reasons in _kept_of(newest_first, lineage, chosen, limits, existing):
        for candidate in sets[kept.point.name_and_slot] if kept.counted else (kept,):
            yield candidate, reasons
    for candidate in _sets_of_newest_proven(sets):
        yield candidate, ("it is the newest proven one",)


def _sets_of_newest_proven(sets: dict[tuple[str, datetime], list[Candidate]]) -> list[Candidate]:
    """The sets of the newest recovery point of which one set is proven and not suspect, as "latest-proven" wants it."""
    for several in reversed(sets.values()):
        if newest_proven(item.point for item in several):
            return several
    return []


def _group_sets(counted: Iterable[Candidate]) -> dict[tuple[str, datetime], list[Candidate]]:
    """The sets of each recovery point, oldest first, in the order of their newest sets.

    Several sets of one recovery point are one backup: the floor and `last` must not count them as several.
    """
    sets: dict[tuple[str, datetime], list[Candidate]] = {}
    for candidate in counted:
        key = candidate.point.name_and_slot
        sets[key] = [*sets.pop(key, ()), candidate]
    return sets


def _kept_of(
    newest_first: list[Candidate], lineage: Lineage, chosen: Policy, limits: Limits, existing: frozenset[str] | None
) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    size, name = _floor(lineage, limits, existing)
    for candidate in newest_first[:size]:
        yield candidate, (f"it is {name}",)
    for volume, candidate in lineage.newest_of_volume.items():
        if existing is None or volume in existing:
            yield candidate, (f"it is the newest good one of volume {volume}",)
    for place, reasons in chosen.reasons([candidate.point.taken_at for candidate in newest_first]).items():
        yield newest_first[place], reasons
    for candidate in lineage.removable:
        if not newest_first or newest_first[0].point.taken_at <= candidate.point.taken_at:
            yield candidate, ("no later one is good yet",)


def _floor(lineage: Lineage, limits: Limits, existing: frozenset[str] | None) -> tuple[int, str]:
    """How many of its newest counted ones a lineage keeps whatever the policy says, and how a reason names them."""
    size = limits.min_keep
    gone = existing is None or existing.isdisjoint({lineage.name, *lineage.newest_of_volume})
    if gone:
        size = max(size, limits.orphan_keep or 0)
    name = "the newest good one" if size == 1 else f"one of the {size} newest good ones"
    if gone:
        name += f" of a lineage whose volume {'may be' if existing is None else 'is'} gone"
    return size, name


def reasons_in_lineage(candidate: Candidate, lineage: Lineage, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """The reasons; each names the lineage if the candidate belongs to several."""
    return tuple(f"lineage {lineage.name}: {reason}" for reason in reasons) if len(candidate.lineages) > 1 else reasons
