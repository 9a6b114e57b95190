"""Retention: which recovery points stay and which go, each with the reason. Silence keeps.

All is seen before anything is decided, and what is not sure stays. For each chain (the line of data of one volume):

* **Counted** are the good recovery points of this stack: whole, completed, in the standard tier, not dated in the
  future, not locked, shared or used by an image. Only they fill the policy's places and the floor. A held one counts:
  it is good, and it is there.
* **The floor**: the newest `min_keep` counted ones stay whatever the policy says, and so does the newest one of each
  volume that still exists. The second matters where a restored volume and the one that it was copied from are both
  still backed up: they share a chain, and neither may push out the other's only copy.
* **The policy** is that of the instance that the chain's newest recovery point is of: its own, if it has one, else the
  stack's. If the stack's cannot be read, everything stays; if one of the chain's instances has one that cannot be
  read, the chain stays.
* **The cap**: at most `max_delete_share` of a chain goes in one run, the oldest first, but one always may.

* **What was in force before**: what the terms of a lineage before a change kept stays for a time, see
  `retention_terms`.

A recovery point of several volumes belongs to several chains. It goes, whole, when each of them lets it go.

Failed and incomplete ones are no backups: they go when they are older than `failed_after` and every chain of theirs
has a later counted one. A deletion that was cut off leaves an incomplete one, so the next run ends it in this way.
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
    kept_by_rules,
    reasons_in_lineage,
    span_in_words,
    time_before,
)
from lifeboat.retention.policy import Policy, PolicyError, UnreadPolicyError, parse_policy
from lifeboat.retention.policy_change import Book, Change, Former, Memory, Remembered, Terms

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
"""So many recovery points are named in one notice, the rest counted."""


USD_PER_GIB_MONTH = 0.05
"""What a GiB of snapshots in the standard tier costs for a month in us-east-1, in US dollars
(https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive-pricing.html)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one recovery point, and every reason for it: one sentence each, at least one."""

    point: RecoveryPoint
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of terms that is new, with the lineages it is about and the newest instance of each.

    `points` would go by the new terms and are spared until `until`, because the old ones keep them.
    """

    change: Change
    until: datetime
    lineages: tuple[str, ...]
    instance_ids: tuple[str, ...]
    points: tuple[RecoveryPoint, ...]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """A verdict for every recovery point, oldest first, and `notices`: what a person should be told.

    `changes` are those of the terms in force; `remember` and `forget` are what to write into the memory of them.
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
        """What goes, oldest first. Cut off anywhere, a new plan goes on with the rest."""
        return tuple(verdict.point for verdict in self.verdicts if not verdict.keep)

    @property
    def saved_gib(self) -> int:
        """GiB of the volumes of what goes: an upper bound.

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
    living_volumes: Collection[str] | None,
    in_use: Mapping[str, str] | None = None,
    memory: Memory | None = None,
) -> RetentionPlan:
    """Decide about every recovery point, at `now` (aware).

    `policy` is the stack's; `overrides` are those of instances, by instance id; a PolicyError in either place stands
    for one that could not be read. `living_volumes` are the ids of volumes, and of chains, that still exist; None means
    that it is not known, and then whatever either case would keep is kept. `in_use` are ids of snapshots that a restore
    needs, each with the restore's id: they stay, whatever else is decided. `memory` is of the terms that were in force
    at the last look; without it none were.

    The order of `points` does not matter. Raises RetentionError for a time without a zone.
    """
    if now.tzinfo is None:
        raise RetentionError(f"now is {now.isoformat()}, expected a time with a zone")
    for point in points:
        if point.taken_at.tzinfo is None:
            raise RetentionError(
                f"recovery point {point.id} was taken at {point.taken_at.isoformat()}, expected a time with a zone"
            )
    living = None if living_volumes is None else frozenset(living_volumes)
    cases = classify(points, now, limits, stack)
    if in_use:
        keep_in_use(cases, in_use)
    lineages = group_by_lineage(cases)
    policy_of = partial(_policy_of, policy=policy, overrides=overrides)
    for lineage in lineages.values():
        apply_policy(lineage, policy_of(lineage), limits, living)
    book = Book(memory, _terms(policy, limits), now) if memory else None
    changes = _compare_with_former_policy(lineages.values(), book, policy_of, limits, living) if book else {}
    for case in cases:
        case.is_spared = bool(case.spared) and not case.reasons
        case.reasons = case.reasons or case.spared
    notices = [
        *_policy_notices(policy, overrides),
        *_future_notice(cases, now, stack),
        *_postpone(cases, lineages, limits),
    ]
    return RetentionPlan(
        tuple(_verdict(case, lineages, limits) for case in cases),
        tuple(notices),
        changes=tuple(_changed(change, of, now + book.memory.hold) for change, of in changes.items()) if book else (),
        remember=book.remember if book else {},
        forget=book.forget if book else (),
    )


def dollars_per_month(gib: int) -> float:
    """US dollars a month, to the cent, that snapshots of volumes of so many GiB cost at most: see `saved_gib`."""
    return round(gib * USD_PER_GIB_MONTH, 2)


def _compare_with_former_policy(
    lineages: Iterable[Lineage],
    book: Book,
    policy_of: Callable[[Lineage], Policy | PolicyError],
    limits: Limits,
    living: frozenset[str] | None,
) -> dict[Change, list[Lineage]]:
    """Spare what former terms kept; answer the changes of terms that are new, each with its chains."""
    changes: dict[Change, list[Lineage]] = {}
    for lineage in lineages:
        chosen = policy_of(lineage)
        if isinstance(chosen, UnreadPolicyError):
            book.keep(lineage.name)
            continue
        former, change = book.look(lineage.name, _terms(chosen, limits))
        _spare(lineage, former, book.now, limits, living)
        if change:
            changes.setdefault(change, []).append(lineage)
    return changes


def _spare(
    lineage: Lineage, former: Iterable[Former], now: datetime, limits: Limits, living: frozenset[str] | None
) -> None:
    """Give what the terms before a change keep a reason of its own."""
    for item in former:
        until = f"{item.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        why = f"the policy that was in force before, {item.terms}, keeps it, and what that kept stays until {until}"
        for case in _kept_before(lineage, item, now, limits, living):
            [reason] = reasons_in_lineage(case, lineage, (why,))
            if reason not in case.spared:
                case.spared += (reason,)


def _kept_before(
    lineage: Lineage, former: Former, now: datetime, limits: Limits, living: frozenset[str] | None
) -> Iterator[Candidate]:
    """What the chain would keep by its former terms."""
    terms = former.terms
    try:
        chosen: Policy | PolicyError = parse_policy(terms.policy or "", terms.time_zone)
    except PolicyError as problem:  # in this case it kept everything then, too
        chosen = problem
    before = replace(limits, min_keep=terms.min_keep, orphan_keep=terms.orphan_keep or None, grace=terms.grace)
    for case, _ in kept_by_rules(lineage, chosen, before, living):
        yield case
    young = time_before(now, terms.grace)
    for case in (*lineage.counted, *lineage.removable):
        if case.point.taken_at > young:
            yield case


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
        case.point.id: case.point
        for lineage in lineages
        for case in (*lineage.removable, *lineage.counted)
        if case.is_spared
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
    """The chain's policy, or an error if any that could have a say has one: an error keeps."""
    if isinstance(policy, PolicyError):
        return policy
    for instance in sorted(lineage.instances.intersection(overrides)):
        own = overrides[instance]
        if isinstance(own, PolicyError):
            return own
    return overrides.get(lineage.newest_instance, policy)


def _postpone(cases: Iterable[Candidate], lineages: Mapping[str, Lineage], limits: Limits) -> Iterator[str]:
    """Keep for this run what is above the cap, the newest first, and tell how many of each chain that are."""
    left = {name: lineage.allowance(limits) for name, lineage in lineages.items()}
    waiting: Counter[str] = Counter()
    for case in cases:
        if case.reasons:
            continue
        full = [name for name in case.lineages if not left[name]]
        for name in full:
            waiting[name] += 1
            case.reasons += (f"it may go, but chain {name} loses no more in one run",)
        if not full:
            for name in case.lineages:
                left[name] -= 1
    for name, count in sorted(waiting.items()):
        lineage = lineages[name]
        yield (
            f"Chain {name}: {count} more recovery points may go and wait for the next run, because no more than "
            f"{lineage.allowance(limits)} of its {lineage.size} go in one ({limits.max_delete_share:.0%} at most)."
        )


def _policy_notices(policy: Policy | PolicyError, overrides: Mapping[str, Policy | PolicyError]) -> Iterator[str]:
    if isinstance(policy, PolicyError):
        yield f"Everything is kept, because the stack's retention policy cannot be read: {policy}."
    for instance, own in sorted(overrides.items()):
        if isinstance(own, PolicyError):
            yield (
                f"All recovery points of instance {instance} and its chains are kept, because its tag {Tag.RETENTION} "
                f"cannot be read: {own}."
            )


def _future_notice(cases: Iterable[Candidate], now: datetime, stack: str) -> Iterator[str]:
    future = [case.point.id for case in cases if in_future(case.point, now) and case.point.stack == stack]
    if future:
        yield f"Dated in the future, and kept without being counted on: {name_first(future, FUTURE_NAMED)}."


def _verdict(case: Candidate, lineages: Mapping[str, Lineage], limits: Limits) -> Verdict:
    if case.reasons:
        return Verdict(case.point, True, case.reasons)
    if case.removable:
        age = span_in_words(limits.failed_after)
        return Verdict(case.point, False, (f"it is {case.point.condition}, older than {age}, and a later one is good",))
    if len(case.lineages) == 1:
        return Verdict(case.point, False, lineages[case.lineages[0]].verdict)
    verdicts = tuple(f"chain {name}: {reason}" for name in case.lineages for reason in lineages[name].verdict)
    return Verdict(case.point, False, verdicts)
