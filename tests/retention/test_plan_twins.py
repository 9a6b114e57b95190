"""Two sets of one recovery point count once: a doubled CreateSnapshots, or a copy that two functions made at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.retention.builders import BARE, decide, gone, limits, point, reasons

TWINS = (
    point("-3d", name="rp-a"),
    point("-2d", name="rp-b"),
    point("-1d", name="rp-c"),
    point("-1d", name="rp-c+2"),
)


@pytest.mark.parametrize(
    ("policy", "bounds"),
    [
        pytest.param("last=1", limits(min_keep=2), id="the floor"),
        pytest.param("last=2", BARE, id="a rule of the policy"),
    ],
)
def test_two_sets_of_one_recovery_point_count_once(policy, bounds):
    decided = decide(TWINS, policy, limits=bounds)
    assert gone(decided) == ["rp-a"]
    assert reasons(decided, "rp-c+2") == reasons(decided, "rp-c")


def test_both_sets_are_deleted_when_no_rule_keeps_the_recovery_point():
    assert gone(decide((*TWINS, point("-0.5d", name="rp-d")), "last=1")) == ["rp-a", "rp-b", "rp-c", "rp-c+2"]


def test_a_second_set_counts_where_the_first_is_no_backup():
    points = (point("-2d", name="rp-b"), point("-1d", name="rp-c", blocked=["locked"]), point("-1d", name="rp-c+2"))
    assert gone(decide(points, "last=1")) == ["rp-b"]


def test_two_sets_of_a_slot_count_once_though_they_began_at_different_times():
    first = point("-1d", name="rp-c")
    second = replace(point("-0.9d", name="rp-c+2"), slot=first.slot)
    assert gone(decide((point("-2d", name="rp-b"), first, second), "last=2")) == []
    assert gone(decide((point("-3d", name="rp-a"), point("-2d", name="rp-b"), first, second), "last=2")) == ["rp-a"]
