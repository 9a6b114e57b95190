"""Which policy decides about a lineage, and what is kept when its volume is deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.retention.plan import parse_policy
from lifeboat.retention.policy import PolicyError
from tests.retention.builders import NOW, days, decide, gone, limits, point, reasons

BROKEN = PolicyError("retention policy 'dayly=3' has 'dayly=3', expected name=value")


class TestPolicies:
    def test_an_unreadable_policy_of_the_stack_keeps_everything(self):
        points = [*days(9), point("-90d", state="error", name="failed")]
        decided = decide(points, BROKEN, overrides={"i-1": parse_policy("last=1")})
        assert gone(decided) == []
        assert reasons(decided, "day-9") == (f"its retention policy cannot be read: {BROKEN}",)
        assert reasons(decided, "failed") == (f"its retention policy cannot be read: {BROKEN}",)
        assert decided.notices == (
            f"Everything is kept, because the stack's retention policy cannot be read: {BROKEN}.",
        )

    def test_an_instances_policy_overrides_the_stacks(self):
        points = [*days(5, "a", prefix="a", instance="i-a"), *days(5, "b", prefix="b", instance="i-b")]
        decided = decide(points, "last=1", overrides={"i-a": parse_policy("last=4")})
        assert gone(decided) == ["a-5", "b-5", "b-4", "b-3", "b-2"]

    def test_an_instances_policy_may_keep_less(self):
        assert len(gone(decide(days(5), "last=5", overrides={"i-1": parse_policy("last=2")}))) == 3

    def test_an_unreadable_policy_of_an_instance_keeps_its_lineages_only(self):
        points = [*days(3, "a", prefix="a", instance="i-a"), *days(3, "b", prefix="b", instance="i-b")]
        decided = decide(points, "last=1", overrides={"i-a": BROKEN})
        assert gone(decided) == ["b-3", "b-2"]
        assert decided.notices == (
            "All recovery points of instance i-a and its lineages are kept, because its tag lifeboat:retention cannot "
            f"be read: {BROKEN}.",
        )

    def test_the_policy_is_that_of_the_lineages_newest_instance(self):
        points = [
            *(point(f"-{age}d", name=f"old-{age}", instance="i-old") for age in (9, 8, 7)),
            *(point(f"-{age}d", name=f"new-{age}", instance="i-new") for age in (2, 1)),
        ]
        overrides = {"i-old": parse_policy("last=5"), "i-new": parse_policy("last=2")}
        assert gone(decide(points, "last=1", overrides=overrides)) == ["old-9", "old-8", "old-7"]
        assert gone(decide(points, "last=1", overrides={"i-old": parse_policy("last=5")})) == [
            *["old-9", "old-8", "old-7"],
            "new-2",
        ]

    def test_an_instance_counts_from_its_first_recovery_point(self):
        points = [*days(5, instance="i-old"), point("-0.1d", state="pending", instance="i-new")]
        assert gone(decide(points, "last=5", overrides={"i-new": parse_policy("last=1")})) == [
            f"day-{age}" for age in (5, 4, 3, 2)
        ]

    def test_an_unreadable_policy_of_an_earlier_instance_keeps_the_lineage(self):
        points = [*days(3, instance="i-old"), point("-0.1d", instance="i-new")]
        assert gone(decide(points, "last=1", overrides={"i-old": BROKEN})) == []

    def test_notices_are_sorted(self):
        decided = decide([], overrides={"i-2": BROKEN, "i-1": BROKEN, "i-3": parse_policy("last=1")})
        assert [notice.split()[5] for notice in decided.notices] == ["i-1", "i-2"]


class TestDeletedVolume:
    def test_retention_still_applies_to_its_lineage(self):
        decided = decide(days(5), "last=2", existing_volumes=())
        assert gone(decided) == ["day-5", "day-4", "day-3"]
        assert reasons(decided, "day-1") == (
            "it is the newest good one of a lineage whose volume is gone",
            "last=2 keeps it, number 1 of 2 from the newest",
        )

    @pytest.mark.parametrize(
        ("existing_volumes", "orphan_keep", "going"),
        [
            (set(), None, 8),
            (set(), 4, 6),
            (set(), 1, 8),
            ({"vol-1"}, 4, 8),
            ({"vol-2"}, 4, 8),
            ({"vol-3"}, 4, 6),
            (None, 4, 6),
        ],
        ids=[
            "gone, the floor",
            "gone, a longer floor",
            "gone, the floor is longer",
            "the lineage has the name of an existing volume",
            "a restored volume carries the lineage",
            "another volume lives",
            "not known: as if gone",
        ],
    )
    def test_floor(self, existing_volumes, orphan_keep, going):
        points = days(10, volumes={"vol-1": "vol-2"})
        decided = decide(points, existing_volumes=existing_volumes, limits=limits(min_keep=2, orphan_keep=orphan_keep))
        assert len(gone(decided)) == going

    def test_the_reason_says_that_it_is_not_known(self):
        decided = decide(days(3), existing_volumes=None, limits=limits(min_keep=2))
        assert reasons(decided, "day-2") == (
            "it is one of the 2 newest good ones of a lineage whose volume may be gone",
        )

    def test_time_alone_deletes_nothing(self):
        points = days(5)
        decided = decide(points, "daily=3", existing_volumes=(), now=NOW + timedelta(days=36500))
        assert gone(decided) == ["day-5", "day-4"]
