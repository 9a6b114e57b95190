"""What holds of every plan, whatever the recovery points, the policies and the limits are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import floor

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lifeboat.domain.recovery_point import Condition, RecoveryPoint, newest_proven
from lifeboat.retention.limits import Limits
from lifeboat.retention.plan import RetentionPlan, parse_policy
from lifeboat.retention.policy import Policy, PolicyError
from tests.examples import examples
from tests.retention.builders import BARE, INSTANCE, NOW, STACK, decide, names, point

EXAMPLES = settings(max_examples=examples(200), deadline=None)
"""Twelve properties: 5,000 examples in a run of the tests."""

BROKEN = PolicyError("retention policy '' is empty")

# The states of a recovery point, by number: most are good, so that there is something to delete.
_KINDS = [
    *[{}] * 8,
    *[{"proof": "proven"}] * 3,
    {"proof": "failed"},
    {"held": True},
    {"suspect": "state=open"},
    {"suspect": "state=open", "proof": "proven"},
    {"suspect": "state=closed"},
    {"state": "pending"},
    {"state": "error"},
    {"missing": 1},
    {"state": "recoverable"},
    {"tier": "archive"},
    {"blocked": ("locked",)},
    {"blocked": ("used by an image",)},
    {"stack": "another"},
    {"stack": ""},
    {"state": "error", "held": True},
    {"instance": "i-2"},
    {"volumes": {"a": "vol-new"}},
    {"state": "error", "suspect": "state=open"},
    {"stack": "another", "suspect": "anything"},
]
_LINEAGES = [("a",), ("a",), ("a",), ("b",), ("a", "b"), ("a", "b", "c")]
# Hours before now: some in the future, many within days of one another, some years back.
_AGES = [-30, -1, 0, 1, 5, 23, 24, 25, *range(30, 400, 13), 800, 801, 5000, 9000, 9001, 20000, 60000]


def _point(number: int) -> RecoveryPoint:
    """A recovery point of one drawn number: quicker to draw, and to shrink, than an object of many parts."""
    number, age = divmod(number, len(_AGES))
    number, kind = divmod(number, len(_KINDS))
    return point(NOW - timedelta(hours=_AGES[age], minutes=number), *_LINEAGES[number % len(_LINEAGES)], **_KINDS[kind])


def _named(points: Sequence[RecoveryPoint]) -> list[RecoveryPoint]:
    return [replace(item, id=f"rp-{number:02}") for number, item in enumerate(points)]


POINTS = st.lists(
    st.integers(0, len(_AGES) * len(_KINDS) * len(_LINEAGES) * 2 - 1).map(_point), min_size=1, max_size=14
).map(_named)
RULES = [
    *["last=1", "last=3", "hourly=2", "daily=1", "daily=4", "daily=unlimited", "weekly=2", "monthly=2"],
    *["yearly=1", "yearly=unlimited", "within=1d", "within-hourly=2d", "within-daily=20d", "within-monthly=2y"],
]
POLICIES = st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique_by=lambda rule: rule.split("=")[0]).map(
    lambda rules: parse_policy(" ".join(rules), "Europe/Berlin")
)
_LIMITS = st.builds(
    Limits,
    min_keep=st.integers(1, 4),
    max_delete_share=st.sampled_from([0.01, 0.3, 0.5, 1.0]),
    grace=st.sampled_from([timedelta(0), timedelta(days=1), timedelta(days=9)]),
    orphan_keep=st.sampled_from([None, 1, 5]),
    failed_after=st.sampled_from([timedelta(0), timedelta(days=7)]),
)
_EXISTING = st.sampled_from([None, (), ("a",), ("vol-new",), ("a", "b", "c", "vol-new")])
_OVERRIDES = st.sampled_from(
    [{}, {}, {INSTANCE: parse_policy("last=2")}, {"i-2": parse_policy("yearly=2")}, {"i-2": BROKEN}]
)
KNOWN = st.fixed_dictionaries({"overrides": _OVERRIDES, "limits": _LIMITS, "existing_volumes": _EXISTING})
"""What is given to the planner beside the recovery points and the stack's policy."""


def is_good(item: RecoveryPoint) -> bool:
    return item.stack == STACK and item.condition is Condition.GOOD and not item.blocked_by and item.taken_at <= NOW


def good_by_lineage(points: Sequence[RecoveryPoint]) -> Counter[str]:
    return Counter(lineage for item in points if is_good(item) for lineage in item.lineages)


def facts(plan: RetentionPlan) -> list[tuple[str, bool, tuple[str, ...]]]:
    return [(verdict.point.id, verdict.keep, verdict.reasons) for verdict in plan.verdicts]


@given(POINTS, POLICIES, KNOWN)
@EXAMPLES
def test_every_verdict_has_a_reason(points, policy, known):
    decided = decide(points, policy, **known)
    assert sorted(names([*decided.kept, *decided.deletions])) == names(points)
    assert all(verdict.reasons and all(verdict.reasons) for verdict in decided.verdicts)
    ages = [(item.taken_at, item.id) for item in decided.deletions]
    assert ages == sorted(ages)


@given(POINTS, POLICIES, KNOWN)
@EXAMPLES
def test_never_keeps_fewer_good_ones_than_the_floor(points, policy, known):
    decided = decide(points, policy, **known)
    kept = good_by_lineage(decided.kept)
    for lineage, count in good_by_lineage(points).items():
        assert kept[lineage] >= min(known["limits"].min_keep, count)


@given(POINTS, POLICIES, KNOWN)
@EXAMPLES
def test_the_newest_proven_one_of_each_lineage_is_never_deleted(points, policy, known):
    deleted = {item.id for item in decide(points, policy, **known).deletions}
    for lineage in good_by_lineage(points):
        newest = newest_proven(item for item in points if is_good(item) and lineage in item.lineages)
        assert newest is None or newest.id not in deleted


@given(POINTS, POLICIES, KNOWN)
@EXAMPLES
def test_protected_ones_are_never_deleted(points, policy, known):
    limits = known["limits"]
    for item in decide(points, policy, **known).deletions:
        assert item.stack == STACK
        assert not item.held
        assert not item.blocked_by
        assert item.condition in {Condition.GOOD, Condition.FAILED, Condition.INCOMPLETE}
        assert item.taken_at <= NOW - limits.grace
        if item.condition is not Condition.GOOD:
            assert item.taken_at <= NOW - limits.failed_after
            for lineage in item.lineages:
                assert any(
                    is_good(other) and lineage in other.lineages and other.taken_at > item.taken_at for other in points
                )


@given(POINTS, POLICIES, KNOWN)
@EXAMPLES
def test_an_open_suspicion_keeps_all_of_its_lineages_that_is_not_newer(points, policy, known):
    for item in decide(points, policy, **known).deletions:
        for suspect in points:
            if suspect.suspected and set(suspect.lineages) & set(item.lineages):
                assert item.taken_at > suspect.taken_at


@given(POINTS, POLICIES, KNOWN)
@EXAMPLES
def test_never_deletes_more_than_the_share_of_a_lineage(points, policy, known):
    decided = decide(points, policy, **known)
    going = Counter(lineage for item in decided.deletions for lineage in item.lineages)
    for lineage, count in going.items():
        size = sum(lineage in item.lineages and item.stack == STACK and item.taken_at <= NOW for item in points)
        assert count <= max(1, floor(known["limits"].max_delete_share * size + 1e-9))


@given(POINTS, POLICIES, st.sampled_from(RULES), KNOWN)
@EXAMPLES
def test_one_more_rule_never_deletes_more(points, policy, rule, known):
    more = parse_policy(rule, policy.time_zone).rules[0]
    assume(all(str(more).split("=")[0] != str(one).split("=")[0] for one in policy.rules))
    known["limits"] = replace(known["limits"], max_delete_share=1)
    before = decide(points, policy, **known)
    after = decide(points, Policy((*policy.rules, more), policy.time_zone), **known)
    assert set(names(after.deletions)) <= set(names(before.deletions))


@given(POINTS, POLICIES, KNOWN, st.randoms(use_true_random=False))
@EXAMPLES
def test_order_of_the_input_does_not_matter(points, policy, known, random):
    shuffled = random.sample(points, len(points))
    before, after = decide(points, policy, **known), decide(shuffled, policy, **known)
    assert facts(before) == facts(after)
    assert before.notices == after.notices


@given(POINTS, POLICIES, KNOWN, st.integers(0, 2**14 - 1))
@EXAMPLES
def test_second_run_deletes_nothing_more(points, policy, known, cut):
    """Nor does a run that was cut off anywhere, or refused some, lead the next ones to delete what it would not."""
    at_once = {**known, "limits": replace(known["limits"], max_delete_share=1)}
    whole = set(names(decide(points, policy, **at_once).deletions))
    first = decide(points, policy, **known).deletions
    left = [item for item in points if item not in first or cut >> int(item.id[3:]) & 1]
    for _ in points:
        deletions = decide(left, policy, **known).deletions
        assert set(names(deletions)) <= whole
        left = [item for item in left if item not in deletions]
    assert decide(left, policy, **known).deletions == ()


@given(POINTS, POLICIES, KNOWN, st.lists(st.integers(1, 9000), min_size=1, max_size=4))
@EXAMPLES
def test_time_alone_never_empties_a_lineage(points, policy, known, waits):
    present = [item for item in points if item.taken_at <= NOW]
    floor_of = {lineage: min(known["limits"].min_keep, count) for lineage, count in good_by_lineage(present).items()}
    left, now = present, NOW
    for wait in waits:
        now += timedelta(days=wait)
        left = list(decide(left, policy, **known, now=now).kept)
    kept = good_by_lineage(left)
    assert all(kept[lineage] >= count for lineage, count in floor_of.items())


@given(POINTS, POLICIES, st.booleans(), KNOWN)
@EXAMPLES
def test_unreadable_policy_keeps_everything(points, policy, is_stack_s, known):
    if is_stack_s:
        policy = BROKEN
    else:
        known["overrides"] = {INSTANCE: BROKEN, "i-2": BROKEN}
    decided = decide(points, policy, **known)
    assert decided.deletions == ()
    assert any("cannot be read" in notice for notice in decided.notices)


@given(
    st.lists(st.integers(0, 20000), min_size=1, max_size=10, unique=True),
    st.lists(st.sampled_from([rule for rule in RULES if "within" not in rule]), min_size=1, max_size=2, unique=True),
)
@EXAMPLES
def test_deleting_after_each_backup_keeps_the_same_as_deleting_once(ages, rules):
    """A lineage that was always pruned keeps the same as one that is pruned for the first time."""
    assume(len({rule.split("=")[0] for rule in rules}) == len(rules))
    policy = parse_policy(" ".join(rules), "Europe/Berlin")
    points = _named([point(NOW - timedelta(hours=age)) for age in sorted(ages, reverse=True)])
    left: list[RecoveryPoint] = []
    for item in points:
        left = list(decide([*left, item], policy, limits=BARE, existing_volumes={"vol-1"}).kept)
    assert names(left) == names(decide(points, policy, limits=BARE, existing_volumes={"vol-1"}).kept)
