"""What retention will delete next of one instance, and when: the runs to come, rehearsed by the planner itself.

Each slot to come has a run. It is assumed that each slot gets a good recovery point, which is proven if the newest one
is, and that nothing else changes: no policy, hold, lock, share, image or suspicion. Retention decides anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.domain.recovery_point import Condition, Member, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.retention.limits import Limits
from lifeboat.retention.plan import RetentionPlan, plan
from lifeboat.retention.policy import Policy, PolicyError, parse_policy
from lifeboat.retention.policy_change import Memory, Remembered

RUNS = 40
"""How many runs are rehearsed."""

MOST = 2_000
"""Of an instance with more recovery points none is rehearsed: one plan of them takes a second."""

_SOON = timedelta(minutes=1)
_NOT_OF_THE_NEXT = {Tag.HOLD, Tag.SHARED, Tag.SUSPECT, Tag.LATE}


@dataclass(frozen=True, slots=True)
class Rules:
    """The terms that decide about an instance. `known` and `hold`: the former terms, which still keep for a time.

    `own_policy` is the text of the instance's tag, None without one.
    """

    stack: str
    policy: str
    own_policy: str | None
    time_zone: str
    limits: Limits
    known: Mapping[str, Remembered]
    hold: timedelta


@dataclass(frozen=True, slots=True)
class Going:
    """A recovery point that goes at the run of a slot, and why."""

    point_id: str
    at: datetime
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The policy in force, and what goes in the order of the runs. `problem`: the policy cannot be read, so all stays.

    `going` is None where nothing was rehearsed.
    """

    policy: str
    problem: str = ""
    going: tuple[Going, ...] | None = None


def forecast(instance_id: str, points: Sequence[RecoveryPoint], slots: Iterable[datetime], rules: Rules) -> Forecast:
    """What goes of the recovery points of an instance and its lineages at the runs of these slots."""
    text = rules.policy if rules.own_policy is None else rules.own_policy
    own = {} if rules.own_policy is None else {instance_id: _parsed(rules.own_policy, rules.time_zone)}
    policy = _parsed(rules.policy, rules.time_zone)
    for unread in (policy, *own.values()):
        if isinstance(unread, PolicyError):
            return Forecast(text, str(unread))
    if len(points) > MOST:
        return Forecast(text)
    part = instance_id[-1:] if any(key.endswith(f"/{instance_id[-1:]}") for key in rules.known) else ""
    good = [point for point in points if point.condition is Condition.GOOD and point.stack == rules.stack]
    newest = max(good, key=lambda point: (point.taken_at, point.id), default=None)
    left, known, going = list(points), dict(rules.known), list[Going]()
    for slot in slots:
        if newest:
            left.append(_next(newest, slot))
        decided = plan(
            left,
            now=slot + _SOON,
            policy=policy,
            overrides=own,
            limits=rules.limits,
            stack=rules.stack,
            existing_volumes=None,  # not known: what would stay in either case stays
            memory=Memory(known, rules.hold, part),
        )
        going += [Going(item.point.id, slot, item.reasons) for item in decided.verdicts if not item.keep]
        left, known = list(decided.kept), _after(decided, known)
    ids = {point.id for point in points}
    return Forecast(text, going=tuple(item for item in going if item.point_id in ids))


def _after(decided: RetentionPlan, known: Mapping[str, Remembered]) -> dict[str, Remembered]:
    return {key: item for key, item in {**known, **decided.remember}.items() if key not in decided.forget}


def _parsed(text: str, time_zone: str) -> Policy | PolicyError:
    try:
        return parse_policy(text, time_zone)
    except PolicyError as problem:
        return problem


def _next(newest: RecoveryPoint, slot: datetime) -> RecoveryPoint:
    """The recovery point that a slot to come will get."""
    members = tuple(
        Member(
            replace(
                member.snapshot,
                id=f"{member.snapshot.id} {slot}",
                started_at=slot,
                tags={key: value for key, value in member.snapshot.tags.items() if key not in _NOT_OF_THE_NEXT},
            ),
            member.metadata,
        )
        for member in newest.members
    )
    return replace(newest, id=f"{newest.id} {slot}", slot=slot, taken_at=slot, members=members, late=False)
