"""When the terms of a lineage change, what the old ones kept stays for a time, and what would go is known at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.retention.plan import RetentionPlan, parse_policy, plan
from lifeboat.retention.policy import Policy, PolicyError, UnreadPolicyError
from lifeboat.retention.policy_change import STACK as OF_STACK
from lifeboat.retention.policy_change import Change, Memory, Remembered, Terms, differences, undo_command
from tests.retention.builders import BARE, NOW, STACK, point

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def daily(count=30, *lineages, instance="i-1"):
    return [point(NOW - day * DAY - HOUR, *lineages, name=f"rp-{day}", instance=instance) for day in range(count)]


class Runs:
    """One retention run after another, each with what the one before remembered."""

    def __init__(self, hold=DAY, part=""):
        self.hold, self.part, self.known = hold, part, {}

    def run(self, points, policy="last=10", after=timedelta(0), limits=BARE, **facts) -> RetentionPlan:
        decided = plan(
            points,
            now=NOW + after,
            policy=policy if isinstance(policy, PolicyError) else parse_policy(policy),
            overrides={
                name: own if isinstance(own, PolicyError) else parse_policy(own)
                for name, own in facts.get("overrides", {}).items()
            },
            limits=limits,
            stack=STACK,
            existing_volumes={"vol-1", "vol-2"},
            memory=Memory(self.known, self.hold, self.part),
        )
        self.known = {key: item for key, item in self.known.items() if key not in decided.forget} | decided.remember
        return decided


def gone(decided):
    return {item.id for item in decided.deletions}


def names(*days):
    return {f"rp-{day}" for day in days}


def test_the_first_run_has_no_former_terms():
    decided = Runs().run(daily(5), "last=2")
    assert gone(decided) == names(2, 3, 4)
    assert decided.changes == ()


def test_a_policy_that_a_shell_cut_short_deletes_nothing_for_a_day():
    runs, points = Runs(), daily(20)
    assert gone(runs.run(points, "last=3 daily=14")) == names(*range(14, 20))
    cut = runs.run(points, "last=3", after=HOUR)
    assert gone(cut) == names(*range(14, 20)), "only what both policies delete"
    [change] = cut.changes
    assert {item.id for item in change.points} == names(*range(3, 14))
    assert sum(item.size for item in change.points) == 1100
    assert change.until == NOW + HOUR + DAY
    assert change.change.of_stack
    again = runs.run(points, "last=3", after=20 * HOUR)
    assert gone(again) == gone(cut)
    assert again.changes == (), "a change is reported once"
    assert 'the former policy, "last=3 daily=14", keeps it' in str(
        [verdict.reasons for verdict in again.verdicts if verdict.point.id == "rp-13"]
    )
    assert gone(runs.run(points, "last=3", after=HOUR + DAY)) == names(*range(3, 20))


def test_restoring_the_old_policy_within_a_day_loses_nothing():
    runs, points = Runs(), daily(14)
    runs.run(points, "daily=14")
    runs.run(points, "last=1", after=HOUR)
    assert gone(runs.run(points, "daily=14", after=2 * HOUR)) == set()
    assert gone(runs.run(points, "daily=14", after=3 * DAY)) == set()


def test_each_of_two_changes_within_a_day_is_held_for_a_day():
    runs, points = Runs(), daily(14)
    runs.run(points, "last=14")
    runs.run(points, "last=8", after=HOUR)
    assert gone(runs.run(points, "last=2", after=12 * HOUR)) == set()
    assert gone(runs.run(points, "last=2", after=26 * HOUR)) == names(*range(8, 14))
    assert gone(runs.run(points, "last=2", after=37 * HOUR)) == names(*range(2, 14))


def test_a_longer_policy_is_a_change_that_deletes_nothing():
    runs, points = Runs(), daily(5)
    runs.run(points, "last=5")
    [change] = runs.run(points, "last=9").changes
    assert change.points == ()


@pytest.mark.parametrize(
    ("limits", "stay"),
    [
        ({"min_keep": 6}, 6),
        ({"min_keep": 1, "grace": 5 * DAY}, 5),
    ],
)
def test_a_lowered_floor_is_a_change(limits, stay):
    runs, points = Runs(), daily(10)
    assert gone(runs.run(points, "last=2", limits=replace(BARE, **limits))) == names(*range(stay, 10))
    decided = runs.run(points, "last=2")
    assert gone(decided) == names(*range(stay, 10))
    assert {item.id for item in decided.changes[0].points} == names(*range(2, stay))


def test_a_policy_that_becomes_readable_deletes_nothing_at_first():
    runs, points = Runs(), daily(9)
    runs.run(points, PolicyError("dayly"))
    decided = runs.run(points, "last=2")
    assert gone(decided) == set()
    assert len(decided.changes[0].points) == 7
    assert undo_command(decided.changes[0].change, (), "lifeboat", "eu-west-1") is None
    assert len(gone(runs.run(points, "last=2", after=2 * DAY))) == 7


def test_a_tag_lost_with_its_instance_still_applies_for_a_day():
    runs, points = Runs(), daily(9)
    assert gone(runs.run(points, "last=2", overrides={"i-1": "last=7"})) == names(7, 8)
    decided = runs.run(points, "last=2", after=HOUR)
    assert gone(decided) == names(7, 8)
    [change] = decided.changes
    assert (change.lineages, change.instance_ids, change.change.of_stack) == (("vol-1",), ("i-1",), False)
    assert {item.id for item in change.points} == names(*range(2, 7))
    assert gone(runs.run(points, "last=2", after=2 * DAY)) == names(*range(2, 9))
    assert set(runs.known) == {OF_STACK}, "what goes by the stack's terms needs no record"


def test_an_instance_that_ec2_does_not_show_has_no_change():
    runs, points = Runs(), daily(9)
    unread = UnreadPolicyError("EC2 did not show the instance: InternalError: no")
    assert gone(runs.run(points, "last=2", overrides={"i-1": "last=7"})) == names(7, 8)
    for hours in (1, 2):
        decided = runs.run(points, "last=2", after=hours * HOUR, overrides={"i-1": unread})
        assert (gone(decided), decided.changes) == (set(), ())
    assert set(runs.known) == {OF_STACK, "vol-1"}, "what it carried stays remembered"
    decided = runs.run(points, "last=2", after=3 * HOUR, overrides={"i-1": "last=7"})
    assert (gone(decided), decided.changes) == (names(7, 8), ()), "nothing has changed, nothing is held"
    decided = runs.run(points, "last=2", after=4 * HOUR)
    assert gone(decided) == names(7, 8), "a tag lost meanwhile holds what it kept"
    assert {item.id for item in decided.changes[0].points} == names(*range(2, 7))


def test_after_a_new_tag_the_stacks_policy_still_applies_for_a_day():
    runs, points = Runs(), daily(9)
    runs.run(points, "last=7")
    decided = runs.run(points, "last=7", after=HOUR, overrides={"i-1": "last=2"})
    assert gone(decided) == names(7, 8)
    assert undo_command(decided.changes[0].change, ["i-1"], "lifeboat", "eu-west-1") == (
        "aws ec2 create-tags --region eu-west-1 --resources i-1 "
        '--tags \'[{"Key": "lifeboat:retention", "Value": "last=7"}]\''
    )


def test_after_a_move_to_an_instance_without_the_tag_the_old_policy_still_applies():
    runs, points = Runs(), daily(9)
    tagged = {"i-1": "last=9"}
    assert gone(runs.run(points, "last=2", overrides=tagged)) == set()
    moved = [point(NOW, name="rp-new", instance="i-2"), *points]
    assert gone(runs.run(moved, "last=2", overrides=tagged)) == {"rp-8"}
    assert gone(runs.run(moved, "last=2", overrides=tagged, after=2 * DAY)) == names(*range(1, 9))


def test_only_the_lineages_of_the_change_are_held():
    runs = Runs()
    points = [
        *daily(5, "vol-1"),
        *(point(NOW - day * DAY, "vol-2", name=f"b-{day}", instance="i-2") for day in range(5)),
    ]
    runs.run(points, "last=2", overrides={"i-1": "last=5"})
    decided = runs.run(points, "last=1", overrides={"i-1": "last=5"}, after=HOUR)
    assert gone(decided) == {"b-2", "b-3", "b-4"}
    assert [(item.lineages, item.change.of_stack) for item in decided.changes] == [(("vol-2",), True)]


def test_the_record_of_an_empty_lineage_is_deleted():
    runs = Runs()
    runs.run(daily(3), "last=3", overrides={"i-1": "last=9"})
    assert set(runs.known) == {OF_STACK, "vol-1"}
    runs.run([], "last=3")
    assert set(runs.known) == {OF_STACK}


def test_parts_of_an_inventory_have_records_of_their_own():
    one, other = Runs(part="1"), Runs(part="a")
    vault = "111122223333/vol-1"
    one.run([point("-1d", vault)], overrides={"i-1": "last=9"})
    assert set(one.known) == {OF_STACK, f"{vault}/1"}
    other.known = one.known
    other.run([point("-1d", vault, instance="i-a")])
    assert set(other.known) == {OF_STACK, f"{vault}/1"}, "the record of another part stays"
    one.run([])
    assert set(one.known) == {OF_STACK}


def test_without_a_hold_a_change_applies_at_once():
    runs, points = Runs(hold=timedelta(0)), daily(5)
    runs.run(points, "last=5")
    decided = runs.run(points, "last=1")
    assert len(gone(decided)) == 4
    assert decided.changes == ()


policies = st.lists(
    st.sampled_from(
        ["last=1", "last=5", "daily=3", "daily=9", "weekly=2", "within=4d", "monthly=unlimited", "hourly=7"]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda rule: rule.split("=")[0],
).map(" ".join)


@given(
    ages=st.lists(st.integers(1, 24 * 40), min_size=1, max_size=25, unique=True),
    former=st.lists(policies, min_size=1, max_size=3),
    new=policies,
)
def test_every_policy_of_the_last_day_applies_and_then_the_new_one_alone(ages, former, new):
    points = [point(NOW - age * HOUR, name=f"rp-{age}") for age in ages]
    runs = Runs()
    kept = set()
    for number, policy in enumerate(former):
        runs.run(points, policy, after=number * HOUR)
        kept |= {item.id for item in plan_of(points, policy).kept}
    decided = runs.run(points, new, after=len(former) * HOUR)
    assert kept <= {item.id for item in decided.kept}
    later = runs.run(points, new, after=len(former) * HOUR + DAY)
    assert gone(later) == gone(plan_of(points, new))


def plan_of(points, policy: str | Policy) -> RetentionPlan:
    return Runs(hold=timedelta(0)).run(points, policy)


def test_differences_are_named_by_template_parameters():
    old = Terms("last=3 daily=14", "UTC", 3, 0, DAY)
    new = replace(old, policy="last=3", min_keep=1)
    assert differences(old, new) == (
        {"Retention": "last=3 daily=14", "MinimumKept": "3"},
        {"Retention": "last=3", "MinimumKept": "1"},
    )
    change = Change(old, new, of_stack=True)
    command = undo_command(change, (), "lifeboat", "eu-west-1")
    assert command == "make deploy REGION=eu-west-1 Retention=last=3,daily=14 MinimumKept=3"
    assert (undo_command(change, (), "other", "eu-west-1") or "").startswith(
        "make deploy STACK=other REGION=eu-west-1 "
    )


def test_recording_equal_terms_again_changes_nothing():
    terms = Terms("last=3", "UTC", 3, 0, DAY)
    assert Remembered(terms).then(terms, NOW, DAY) == Remembered(terms)
