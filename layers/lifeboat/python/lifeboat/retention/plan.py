"""Decide which recovery points retention keeps and which it deletes, each with the reasons. When in doubt, it keeps.

It decides when all recovery points have been observed. For each lineage (a volume's data across its restored volumes):

* **Counted** are the good recovery points of this stack: complete, in the standard tier, not dated in the future, and
  not locked, shared or used by an image. The policy and the floor count only these. A held one counts, because it is
  good and exists.
* **The floor**: the newest `min_keep` counted ones are kept whatever the policy says, and so is the newest one of each
  volume that still exists. A restored volume and its original share a lineage. If both are still backed up, neither
  may displace the other's only recovery point.
* **The newest proven one** is kept as well, because those of the floor may all be unproven or damaged. So it is with
  `Verify` off, too: whoever turns it off while reads fail must not lose the last one that was read.
* **The policy** is that of the instance of the lineage's newest recovery point, or else the stack's. If the stack's
  cannot be read, everything is kept. If the policy of one of the lineage's instances cannot be read, the lineage is
  kept.
* **The cap**: one run deletes at most `max_delete_share` of a lineage, the oldest first, but may always delete one.
* **Former terms**: after a change, recovery points that the former terms keep are kept for a time, see `policy_change`.
* **A suspicion**: while one is open, everything of the lineage that is as old as the suspected recovery point or older
  is kept, whatever it is. A recovery point of another stack counts as well: it is the same data.

A recovery point of several volumes belongs to several lineages. It is deleted, as a whole, when none of them keeps it.

Failed and incomplete ones are no backups. They are deleted when they are older than `failed_after` and each of their
lineages has a later counted one. A deletion that was cut off leaves an incomplete recovery point, so a later run
completes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter

from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import name_first
from lifeboat.retention.limits import Limits, RetentionError
from lifeboat.retention.lineage import (
    Candidate,
    Lineage,
    apply_policy,
    classify,
    group_by_lineage,
    in_future,
    keep_in_use,
    keep_while_suspect,
    kept_by_rules,
    reasons_in_lineage,
    span_in_words,
    time_before,
)
from lifeboat.retention.policy import Policy, PolicyError, UnreadPolicyError, parse_policy
from lifeboat.retention.policy_change import Change, Former, Memory, Remembered, Terms, TermsComparison

__all__ = [
    "Limits",
    "Policy",
    "PolicyError",
    "RetentionError",
    "RetentionPlan",
    "Verdict",
    "parse_policy",
    "plan",
]


FUTURE_NAMED = 5
"""How many recovery points a notice names; it counts the others."""


USD_PER_GIB_MONTH = 0.05
"""The price of a GiB of snapshots in the standard tier for a month in us-east-1, in US dollars
(https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive-pricing.html)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one recovery point is kept, and the reasons: at least one, one sentence each."""

    point: RecoveryPoint
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A new change of terms, with its lineages and the newest instance of each.

    The new terms would delete `points`; they are kept until `until`, because the old terms keep them.
    """

    change: Change
    until: datetime
    lineages: tuple[str, ...]
    instance_ids: tuple[str, ...]
    points: tuple[RecoveryPoint, ...]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """A verdict for every recovery point, oldest first, and `notices` for a person.

    `changes` are new changes of terms. `remember` are records of terms to write to the table, `forget` those to delete.
    """

    verdicts: tuple[Verdict, ...]
    notices: tuple[str, ...] = ()
    changes: tuple[Changed, ...] = ()
    remember: Mapping[str, Remembered] = field(default_factory=dict)
    forget: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[RecoveryPoint, ...]:
        return tuple(verdict.point for verdict in self.verdicts if verdict.keep)

    @property
    def deletions(self) -> tuple[RecoveryPoint, ...]:
        """The recovery points to delete, oldest first. After an interruption a new plan has the remaining ones."""
        return tuple(verdict.point for verdict in self.verdicts if not verdict.keep)

    @property
    def saved_gib(self) -> int:
        """GiB of the volumes of the deleted recovery points: an upper bound.

        Snapshots are incremental, and deleting one frees only the blocks that no other one needs
        (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-deleting-snapshot.html).
        """
        return sum(point.size for point in self.deletions)


def plan(
    points: Sequence[RecoveryPoint],
    *,
    now: datetime,
    policy: Policy | PolicyError,
    overrides: Mapping[str, Policy | PolicyError],
    limits: Limits,
    stack: str,
    existing_volumes: Collection[str] | None,
    in_use: Mapping[str, str] | None = None,
    suspects: Iterable[RecoveryPoint] = (),
    memory: Memory | None = None,
) -> RetentionPlan:
    """Decide about every recovery point, at `now` (aware).

    `policy` is the stack's; `overrides` are those of instances, by instance id. A PolicyError stands for a policy that
    could not be read. `existing_volumes` are the ids of volumes and lineages that still exist. None means that this is
    not known: then a recovery point is kept if it would be kept in either case. `in_use` are ids of snapshots that a
    restore needs, each with the restore's id: they are kept. `suspects` are suspected recovery points beside `points`.
    `memory` has the terms in force at the last run. The order of `points` does not matter.

    Raises RetentionError for a time without a zone.
    """
    _require_zones(points, now)
    existing = None if existing_volumes is None else frozenset(existing_volumes)
    candidates = classify(points, now, limits, stack)
    keep_in_use(candidates, in_use or {})
    keep_while_suspect(candidates, (*points, *suspects))
    lineages = group_by_lineage(candidates)
    policy_of = partial(_policy_of, policy=policy, overrides=overrides)
    for lineage in lineages.values():
        apply_policy(lineage, policy_of(lineage), limits, existing)
    comparison = TermsComparison(memory, _terms(policy, limits), now) if memory else None
    changes = _compare_with_former_policy(lineages.values(), comparison, policy_of, limits, existing)
    until = now + memory.hold if memory else now
    for candidate in candidates:
        candidate.is_spared = bool(candidate.spared) and not candidate.reasons
        candidate.reasons = candidate.reasons or candidate.spared
    notices = [
        *_policy_notices(policy, overrides),
        *_future_notice(candidates, now, stack),
        *_postpone(candidates, lineages, limits),
    ]
    return RetentionPlan(
        tuple(_verdict(candidate, lineages, limits) for candidate in candidates),
        tuple(notices),
        changes=tuple(_changed(change, of, until) for change, of in changes.items()),
        remember=comparison.remember if comparison else {},
        forget=comparison.forget if comparison else (),
    )


def _require_zones(points: Iterable[RecoveryPoint], now: datetime) -> None:
    if now.tzinfo is None:
        raise RetentionError(f"now is {now.isoformat()}, expected a time with a zone")
    for point in points:
        if point.taken_at.tzinfo is None:
            raise RetentionError(
                f"recovery point {point.id} was taken at {point.taken_at.isoformat()}, expected a time with a zone"
            )


def dollars_per_month(gib: int) -> float:
    """The highest possible cost of snapshots of `gib` GiB of volumes, in US dollars a month, to the cent."""
    return round(gib * USD_PER_GIB_MONTH, 2)


def _compare_with_former_policy(
    lineages: Iterable[Lineage],
    comparison: TermsComparison | None,
    policy_of: Callable[[Lineage], Policy | PolicyError],
    limits: Limits,
    existing: frozenset[str] | None,
) -> dict[Change, list[Lineage]]:
    """Spare the recovery points that former terms keep. Returns the new changes of terms, each with its lineages."""
    changes: dict[Change, list[Lineage]] = {}
    if comparison is None:
        return changes
    for lineage in lineages:
        chosen = policy_of(lineage)
        if isinstance(chosen, UnreadPolicyError):
            comparison.keep_record(lineage.name)
            continue
        former, change = comparison.compare(lineage.name, _terms(chosen, limits))
        _spare(lineage, former, comparison.now, limits, existing)
        if change:
            changes.setdefault(change, []).append(lineage)
    return changes


def _spare(
    lineage: Lineage, former: Iterable[Former], now: datetime, limits: Limits, existing: frozenset[str] | None
) -> None:
    """Add a reason to the candidates that the terms before a change keep."""
    for item in former:
        until = f"{item.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        why = f"the former policy, {item.terms}, keeps it, and still applies until {until}"
        for candidate in _kept_before(lineage, item, now, limits, existing):
            [reason] = reasons_in_lineage(candidate, lineage, (why,))
            if reason not in candidate.spared:
                candidate.spared += (reason,)


def _kept_before(
    lineage: Lineage, former: Former, now: datetime, limits: Limits, existing: frozenset[str] | None
) -> Iterator[Candidate]:
    """The candidates of the lineage that its former terms keep."""
    terms = former.terms
    try:
        chosen: Policy | PolicyError = parse_policy(terms.policy or "", terms.time_zone)
    except PolicyError as problem:  # a policy that cannot be read keeps everything
        chosen = problem
    before = replace(limits, min_keep=terms.min_keep, orphan_keep=terms.orphan_keep or None, grace=terms.grace)
    for candidate, _ in kept_by_rules(lineage, chosen, before, existing):
        yield candidate
    young = time_before(now, terms.grace)
    for candidate in (*lineage.counted, *lineage.removable):
        if candidate.point.taken_at > young:
            yield candidate


def _terms(chosen: Policy | PolicyError, limits: Limits) -> Terms:
    readable = None if isinstance(chosen, PolicyError) else chosen
    return Terms(
        policy=str(readable) if readable else None,
        time_zone=readable.time_zone if readable else "",
        min_keep=limits.min_keep,
        orphan_keep=limits.orphan_keep or 0,
        grace=limits.grace,
    )


def _changed(change: Change, lineages: Iterable[Lineage], until: datetime) -> Changed:
    lineages = sorted(lineages, key=attrgetter("name"))
    spared = {
        candidate.point.id: candidate.point
        for lineage in lineages
        for candidate in (*lineage.removable, *lineage.counted)
        if candidate.is_spared
    }
    return Changed(
        change=change,
        until=until,
        lineages=tuple(lineage.name for lineage in lineages),
        instance_ids=tuple(sorted({lineage.newest_instance for lineage in lineages} - {""})),
        points=tuple(sorted(spared.values(), key=attrgetter("taken_at", "id"))),
    )


def _policy_of(
    lineage: Lineage, policy: Policy | PolicyError, overrides: Mapping[str, Policy | PolicyError]
) -> Policy | PolicyError:
    """The lineage's policy, or the error if the stack's or that of one of its instances cannot be read."""
    if isinstance(policy, PolicyError):
        return policy
    for instance in sorted(lineage.instances.intersection(overrides)):
        own = overrides[instance]
        if isinstance(own, PolicyError):
            return own
    return overrides.get(lineage.newest_instance, policy)


def _postpone(candidates: Iterable[Candidate], lineages: Mapping[str, Lineage], limits: Limits) -> Iterator[str]:
    """Keep the candidates beyond the cap for this run, the newest first. Yields a notice for each such lineage."""
    left = {name: lineage.allowance(limits) for name, lineage in lineages.items()}
    waiting: Counter[str] = Counter()
    for candidate in candidates:
        if candidate.reasons:
            continue
        full = [name for name in candidate.lineages if not left[name]]
        for name in full:
            waiting[name] += 1
            candidate.reasons += (f"no rule keeps it, but one run deletes no more of lineage {name}",)
        if not full:
            for name in candidate.lineages:
                left[name] -= 1
    for name, count in sorted(waiting.items()):
        lineage = lineages[name]
        yield (
            f"Lineage {name}: {count} more recovery points wait for the next run, because one run deletes at most "
            f"{lineage.allowance(limits)} of its {lineage.size} ({limits.max_delete_share:.0%})."
        )


def _policy_notices(policy: Policy | PolicyError, overrides: Mapping[str, Policy | PolicyError]) -> Iterator[str]:
    if isinstance(policy, PolicyError):
        yield f"Everything is kept, because the stack's retention policy cannot be read: {policy}."
    for instance, own in sorted(overrides.items()):
        if isinstance(own, PolicyError):
            yield (
                f"All recovery points of instance {instance} and its lineages are kept, because its tag "
                f"{Tag.RETENTION} cannot be read: {own}."
            )


def _future_notice(candidates: Iterable[Candidate], now: datetime, stack: str) -> Iterator[str]:
    future = [
        candidate.point.id
        for candidate in candidates
        if in_future(candidate.point, now) and candidate.point.stack == stack
    ]
    if future:
        yield f"Dated in the future, so kept and not counted: {name_first(future, FUTURE_NAMED)}."


def _verdict(candidate: Candidate, lineages: Mapping[str, Lineage], limits: Limits) -> Verdict:
    if candidate.reasons:
        return Verdict(candidate.point, True, candidate.reasons)
    if candidate.removable:
        age = span_in_words(limits.failed_after)
        return Verdict(
            candidate.point, False, (f"it is {candidate.point.condition}, older than {age}, and a later one is good",)
        )
    if len(candidate.lineages) == 1:
        return Verdict(candidate.point, False, lineages[candidate.lineages[0]].verdict)
    verdicts = tuple(f"lineage {name}: {reason}" for name in candidate.lineages for reason in lineages[name].verdict)
    return Verdict(candidate.point, False, verdicts)
