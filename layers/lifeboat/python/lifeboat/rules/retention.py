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
from datetime import UTC, datetime, timedelta
from functools import partial
from math import floor
from operator import attrgetter

from lifeboat.model import Condition, RecoveryPoint, Tag
from lifeboat.rules.retention_policy import Policy, PolicyError, UnseenPolicyError, parse_policy
from lifeboat.rules.retention_terms import Book, Change, Former, Memory, Remembered, Terms

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

LISTED = 5
"""So many recovery points are named in one notice, the rest counted."""

CLOCK_SKEW = timedelta(minutes=5)
"""EC2's clock may be ahead of ours, and it counts milliseconds where ours counts seconds: so much is no future."""

USD_PER_GIB_MONTH = 0.05
"""What a GiB of snapshots in the standard tier costs for a month in us-east-1, in US dollars
(https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive-pricing.html)."""

_REMOVABLE = {Condition.FAILED, Condition.INCOMPLETE}

_NOT_GOOD = {
    Condition.PENDING: "its snapshots are not completed yet, so it is no backup, and it may become one",
    Condition.ARCHIVED: "a snapshot of it is in the archive tier; whoever put it there decides about it",
    Condition.RECYCLED: "a snapshot of it is in the Recycle Bin; whoever put it there decides about it",
}


class RetentionError(ValueError):
    """What the planner was given makes no sense: the sentence names the field, the value and what was expected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What retention never does, whatever the policy says.

    `min_keep`: the newest good recovery points of each chain that stay, from 1. `max_delete_share`: the part of a chain
    (above 0, up to 1) that may go in one run; one always may. `grace`: what is younger stays. `orphan_keep`: like
    `min_keep`, for a chain whose volume is gone (or not known to exist), if that is more; with None it is `min_keep`.
    Either way its last ones stay for ever. `failed_after`: how long failed and incomplete ones stay to be looked at.

    Raises RetentionError for a value out of range.
    """

    min_keep: int = 3
    max_delete_share: float = 0.5
    grace: timedelta = timedelta(days=1)
    orphan_keep: int | None = None
    failed_after: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        if self.min_keep < 1:
            raise RetentionError(f"min_keep is {self.min_keep}, expected at least 1")
        if not 0 < self.max_delete_share <= 1:
            raise RetentionError(f"max_delete_share is {self.max_delete_share}, expected more than 0 and at most 1")
        if self.orphan_keep is not None and self.orphan_keep < 1:
            raise RetentionError(f"orphan_keep is {self.orphan_keep}, expected at least 1, or None")
        for name, span in (("grace", self.grace), ("failed_after", self.failed_after)):
            if span < timedelta(0):
                raise RetentionError(f"{name} is {span}, expected a span of time that is not negative")


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
    cases = _cases(points, now, limits, stack)
    if in_use:
        _keep_in_use(cases, in_use)
    chains = _chains(cases)
    policy_of = partial(_policy_of, policy=policy, overrides=overrides)
    for chain in chains.values():
        _judge(chain, policy_of(chain), limits, living)
    book = Book(memory, _terms(policy, limits), now) if memory else None
    changes = _look_back(chains.values(), book, policy_of, limits, living) if book else {}
    for case in cases:
        case.is_spared = bool(case.spared) and not case.reasons
        case.reasons = case.reasons or case.spared
    notices = [
        *_policy_notices(policy, overrides),
        *_future_notice(cases, now, stack),
        *_postpone(cases, chains, limits),
    ]
    return RetentionPlan(
        tuple(_verdict(case, chains, limits) for case in cases),
        tuple(notices),
        changes=tuple(_changed(change, of, now + book.memory.hold) for change, of in changes.items()) if book else (),
        remember=book.remember if book else {},
        forget=book.forget if book else (),
    )


def dollars_per_month(gib: int) -> float:
    """US dollars a month, to the cent, that snapshots of volumes of so many GiB cost at most: see `saved_gib`."""
    return round(gib * USD_PER_GIB_MONTH, 2)


@dataclass(slots=True)
class _Case:
    """A recovery point on trial: the reasons for which it stays pile up, and what has none in the end goes.

    `chains` are the ones with a say; what is not ours, or wrongly dated, has none, and a reason to stay instead.
    `counted` ones are backups that the policy and the floor are about, `removable` ones are what is left of failed
    ones. What is neither has a reason to stay, too. `spared` are reasons by terms that were in force before; they count
    when there is no other, and then it `is_spared`.
    """

    point: RecoveryPoint
    chains: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    counted: bool = False
    removable: bool = False
    spared: tuple[str, ...] = ()
    is_spared: bool = False


@dataclass(slots=True)
class _Chain:
    """The cases of one chain, oldest first."""

    name: str
    counted: list[_Case] = field(default_factory=list)
    removable: list[_Case] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)
    newest_instance: str = ""
    newest_of_volume: dict[str, _Case] = field(default_factory=dict)  # counted ones
    verdict: tuple[str, ...] = ()  # why the counted ones that nothing keeps go

    @property
    def size(self) -> int:
        return len(self.counted) + len(self.removable)

    def allowance(self, limits: Limits) -> int:
        """How many may go in one run."""
        # The small addend undoes binary fractions: 0.29 * 100 is 28.999999999999996.
        return max(1, floor(limits.max_delete_share * self.size + 1e-9))


def _cases(points: Iterable[RecoveryPoint], now: datetime, limits: Limits, stack: str) -> list[_Case]:
    """Every recovery point, oldest first, with the reasons that it has by itself, before any chain is asked."""
    young, failed = _before(now, limits.grace), _before(now, limits.failed_after)
    # One tuple for all recovery points of a chain: fewer objects for the garbage collector to walk.
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    cases = []
    for point in sorted(points, key=attrgetter("taken_at", "id")):
        case = _Case(point)
        cases.append(case)
        members = point.members
        # Most have one volume, and what `point.chains` does for several takes a fifth of the plan's time.
        chains = (members[0].story.chain,) if len(members) == 1 else point.chains
        reason = _outside(point, chains, now, stack)
        if reason:
            case.reasons = (reason,)
            continue
        case.chains = shared.setdefault(chains, chains)
        condition, blocked = point.condition, point.blocked_by
        case.counted = condition is Condition.GOOD and not blocked
        case.removable = condition in _REMOVABLE
        if point.held:
            case.reasons += (f"it is held by the tag {Tag.HOLD}",)
        if blocked:
            case.reasons += (f"it cannot be deleted, nor counted on: {', '.join(blocked)}",)
        if point.taken_at > young:
            case.reasons += (f"it is younger than the grace period of {_span(limits.grace)}",)
        if case.removable and point.taken_at > failed:
            case.reasons += (f"it is {condition}, and such ones can be looked at for {_span(limits.failed_after)}",)
        if condition in _NOT_GOOD:
            case.reasons += (_NOT_GOOD[condition],)
    return cases


def _keep_in_use(cases: Iterable[_Case], in_use: Mapping[str, str]) -> None:
    for case in cases:
        needed_by = {in_use[member.snapshot.id] for member in case.point.members if member.snapshot.id in in_use}
        case.reasons += tuple(f"{restore} is making volumes of it" for restore in sorted(needed_by))


def _outside(point: RecoveryPoint, chains: tuple[str, ...], now: datetime, stack: str) -> str:
    """Why a recovery point is none of this run's business, whatever state it is in; empty if it is."""
    if not point.stack:
        return f"it carries no tag {Tag.STACK}, so it is not known to be ours"
    if point.stack != stack:
        return f"it belongs to the stack {point.stack}, not to {stack}"
    if not chains:
        return "its snapshots tell of no chain, so nothing is known of what it is a copy of"
    if _in_future(point, now):
        return f"it is dated {point.taken_at.isoformat()}, in the future, so its date means nothing"
    return ""


def _in_future(point: RecoveryPoint, now: datetime) -> bool:
    return point.taken_at - now > CLOCK_SKEW


def _before(now: datetime, span: timedelta) -> datetime:
    try:
        return now - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    number, unit = (hours, "hour") if hours % 24 else (hours / 24, "day")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _chains(cases: Iterable[_Case]) -> dict[str, _Chain]:
    chains: dict[str, _Chain] = {}
    for case in cases:
        for name in case.chains:
            chain = chains.get(name)
            if chain is None:
                chain = chains[name] = _Chain(name)
            chain.instances.add(case.point.instance_id)
            chain.newest_instance = case.point.instance_id
            if case.removable:
                chain.removable.append(case)
            elif case.counted:
                chain.counted.append(case)
                for member in case.point.members:
                    if member.story.chain == name:
                        chain.newest_of_volume[member.story.volume_id] = case
    return chains


def _judge(chain: _Chain, chosen: Policy | PolicyError, limits: Limits, living: frozenset[str] | None) -> None:
    """Give every case of the chain the reasons for which the chain keeps it."""
    for case, reasons in _kept(chain, chosen, limits, living):
        case.reasons += _of_chain(case, chain, reasons)
    chain.verdict = (f'no rule of the policy "{chosen}" keeps it, nor is it {_floor(chain, limits, living)[1]}',)


def _kept(
    chain: _Chain, chosen: Policy | PolicyError, limits: Limits, living: frozenset[str] | None
) -> Iterator[tuple[_Case, tuple[str, ...]]]:
    """What the chain keeps by a policy and the floor, each with reasons; one case may come several times."""
    if isinstance(chosen, PolicyError):
        for case in (*chain.counted, *chain.removable):
            yield case, (f"its retention policy cannot be read: {chosen}",)
        return
    newest_first = chain.counted[::-1]
    size, name = _floor(chain, limits, living)
    for case in newest_first[:size]:
        yield case, (f"it is {name}",)
    for volume, case in chain.newest_of_volume.items():
        if living is None or volume in living:
            yield case, (f"it is the newest good one of volume {volume}",)
    for place, reasons in chosen.reasons([case.point.taken_at for case in newest_first]).items():
        yield newest_first[place], reasons
    for case in chain.removable:
        if not newest_first or newest_first[0].point.taken_at <= case.point.taken_at:
            yield case, ("no later good one has come after it yet",)


def _look_back(
    chains: Iterable[_Chain],
    book: Book,
    policy_of: Callable[[_Chain], Policy | PolicyError],
    limits: Limits,
    living: frozenset[str] | None,
) -> dict[Change, list[_Chain]]:
    """Spare what former terms kept; answer the changes of terms that are new, each with its chains."""
    changes: dict[Change, list[_Chain]] = {}
    for chain in chains:
        chosen = policy_of(chain)
        if isinstance(chosen, UnseenPolicyError):
            book.keep(chain.name)
            continue
        former, change = book.look(chain.name, _terms(chosen, limits))
        _spare(chain, former, book.now, limits, living)
        if change:
            changes.setdefault(change, []).append(chain)
    return changes


def _spare(
    chain: _Chain, former: Iterable[Former], now: datetime, limits: Limits, living: frozenset[str] | None
) -> None:
    """Give what the terms before a change keep a reason of its own."""
    for item in former:
        until = f"{item.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        why = f"the policy that was in force before, {item.terms}, keeps it, and what that kept stays until {until}"
        for case in _kept_before(chain, item, now, limits, living):
            [reason] = _of_chain(case, chain, (why,))
            if reason not in case.spared:
                case.spared += (reason,)


def _kept_before(
    chain: _Chain, former: Former, now: datetime, limits: Limits, living: frozenset[str] | None
) -> Iterator[_Case]:
    """What the chain would keep by its former terms."""
    terms = former.terms
    try:
        chosen: Policy | PolicyError = parse_policy(terms.policy or "", terms.time_zone)
    except PolicyError as problem:  # in this case it kept everything then, too
        chosen = problem
    before = replace(limits, min_keep=terms.min_keep, orphan_keep=terms.orphan_keep or None, grace=terms.grace)
    for case, _ in _kept(chain, chosen, before, living):
        yield case
    young = _before(now, terms.grace)
    for case in (*chain.counted, *chain.removable):
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


def _changed(change: Change, chains: Iterable[_Chain], until: datetime) -> Changed:
    chains = sorted(chains, key=attrgetter("name"))
    spared = {
        case.point.id: case.point for chain in chains for case in (*chain.removable, *chain.counted) if case.is_spared
    }
    return Changed(
        change=change,
        until=until,
        lineages=tuple(chain.name for chain in chains),
        instance_ids=tuple(sorted({chain.newest_instance for chain in chains} - {""})),
        points=tuple(sorted(spared.values(), key=attrgetter("taken_at", "id"))),
    )


def _policy_of(
    chain: _Chain, policy: Policy | PolicyError, overrides: Mapping[str, Policy | PolicyError]
) -> Policy | PolicyError:
    """The chain's policy, or an error if any that could have a say has one: an error keeps."""
    if isinstance(policy, PolicyError):
        return policy
    for instance in sorted(chain.instances.intersection(overrides)):
        own = overrides[instance]
        if isinstance(own, PolicyError):
            return own
    return overrides.get(chain.newest_instance, policy)


def _floor(chain: _Chain, limits: Limits, living: frozenset[str] | None) -> tuple[int, str]:
    """How many of its newest counted ones this chain keeps whatever the policy says, and what they are called."""
    size = limits.min_keep
    gone = living is None or living.isdisjoint({chain.name, *chain.newest_of_volume})
    if gone:
        size = max(size, limits.orphan_keep or 0)
    name = "the newest good one" if size == 1 else f"one of the {size} newest good ones"
    if gone:
        name += f" of a chain whose volume {'may be' if living is None else 'is'} gone"
    return size, name


def _of_chain(case: _Case, chain: _Chain, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """The reasons, with the chain that has them where the case is of several."""
    return tuple(f"chain {chain.name}: {reason}" for reason in reasons) if len(case.chains) > 1 else reasons


def _postpone(cases: Iterable[_Case], chains: Mapping[str, _Chain], limits: Limits) -> Iterator[str]:
    """Keep for this run what is above the cap, the newest first, and tell how many of each chain that are."""
    left = {name: chain.allowance(limits) for name, chain in chains.items()}
    waiting: Counter[str] = Counter()
    for case in cases:
        if case.reasons:
            continue
        full = [name for name in case.chains if not left[name]]
        for name in full:
            waiting[name] += 1
            case.reasons += (f"it may go, but chain {name} loses no more in one run",)
        if not full:
            for name in case.chains:
                left[name] -= 1
    for name, count in sorted(waiting.items()):
        chain = chains[name]
        yield (
            f"Chain {name}: {count} more recovery points may go and wait for the next run, because no more than "
            f"{chain.allowance(limits)} of its {chain.size} go in one ({limits.max_delete_share:.0%} at most)."
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


def _future_notice(cases: Iterable[_Case], now: datetime, stack: str) -> Iterator[str]:
    future = [case.point.id for case in cases if _in_future(case.point, now) and case.point.stack == stack]
    if future:
        names = ", ".join(future[:LISTED]) + (f" and {len(future) - LISTED} more" if len(future) > LISTED else "")
        yield f"Dated in the future, and kept without being counted on: {names}."


def _verdict(case: _Case, chains: Mapping[str, _Chain], limits: Limits) -> Verdict:
    if case.reasons:
        return Verdict(case.point, True, case.reasons)
    if case.removable:
        age = _span(limits.failed_after)
        return Verdict(case.point, False, (f"it is {case.point.condition}, older than {age}, and a later one is good",))
    if len(case.chains) == 1:
        return Verdict(case.point, False, chains[case.chains[0]].verdict)
    verdicts = tuple(f"chain {name}: {reason}" for name in case.chains for reason in chains[name].verdict)
    return Verdict(case.point, False, verdicts)
