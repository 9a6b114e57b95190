"""While a suspicion is open, retention deletes nothing of the lineage that is as old as the suspected one or older."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.domain.suspicion import closed_suspicion, is_suspected, open_suspicion
from lifeboat.domain.tags import Tag
from lifeboat.retention.plan import parse_policy
from lifeboat.retention.policy_change import Memory
from tests.retention.builders import NOW, STACK, days, decide, gone, limits, names, point, reasons

OPEN = open_suspicion(at=NOW, changed=0.25, entropy=7.981)[Tag.SUSPECT]
CLOSED = closed_suspicion({Tag.SUSPECT: OPEN}, NOW)[Tag.SUSPECT]


def suspect(taken="-3.5d", *lineages, **facts):
    return point(taken, *lineages, **{"name": "suspect", "suspect": OPEN, **facts})


class TestTag:
    def test_the_tag_has_the_numbers_and_keeps_them_when_it_is_closed(self):
        assert OPEN == "state=open at=2026-11-23T03:00:00Z changed=25.0% entropy=7.981"
        assert f"{OPEN.replace('open', 'closed')} closed=2026-11-23T03:00:00Z" == CLOSED
        assert len(CLOSED) < 256

    @pytest.mark.parametrize(
        ("value", "suspected"),
        [(OPEN, True), (CLOSED, False), ("", True), ("closed", True), ("state=Closed", True), ("state=closed", False)],
    )
    def test_only_the_exact_state_closes_it(self, value, suspected):
        assert is_suspected({Tag.SUSPECT.value: value}) is suspected

    def test_without_the_tag_nothing_is_suspected(self):
        assert not is_suspected({})


class TestPlan:
    def test_it_and_all_that_is_older_is_kept_with_the_reason(self):
        decided = decide([*days(6), suspect()], "last=1")
        assert gone(decided) == ["day-3", "day-2"]
        because = (
            "recovery point suspect is suspect: nothing of lineage vol-1 that is as old or older is deleted until a "
            "person closes the suspicion"
        )
        assert reasons(decided, "day-6") == (because,)
        assert reasons(decided, "suspect") == (because,)

    def test_once_it_is_closed_the_policy_decides_again(self):
        assert gone(decide([*days(6), suspect(suspect=CLOSED)], "last=1")) == [
            *["day-6", "day-5", "day-4", "suspect", "day-3", "day-2"]
        ]

    @pytest.mark.parametrize(
        "facts",
        [
            pytest.param({"state": "error"}, id="failed"),
            pytest.param({"missing": 1}, id="incomplete"),
            pytest.param({"state": "pending"}, id="pending"),
            pytest.param({"tier": "archive"}, id="archived"),
            pytest.param({"blocked": ["locked"]}, id="locked"),
            pytest.param({"stack": "other"}, id="of another stack"),
        ],
    )
    def test_a_suspected_one_counts_whatever_it_is(self, facts):
        assert gone(decide([*days(6), suspect(**facts)], "last=1")) == ["day-3", "day-2"]

    @pytest.mark.parametrize("facts", [{"state": "error"}, {"missing": 1}])
    def test_older_failed_ones_are_kept_too(self, facts):
        broken = point("-30d", name="broken", **facts)
        assert "broken" in gone(decide([broken, *days(6)]))
        assert "broken" not in gone(decide([broken, *days(6), suspect()]))

    def test_other_lineages_go_on(self):
        decided = decide([*days(3, "a", prefix="a"), *days(3, "b", prefix="b"), suspect("-2.5d", "a")], "last=1")
        assert gone(decided) == ["b-3", "a-2", "b-2"]

    def test_all_lineages_of_the_suspected_recovery_point_are_kept(self):
        decided = decide([*days(3, "a", prefix="a"), *days(3, "b", prefix="b"), suspect("-2.5d", "a", "b")], "last=1")
        assert gone(decided) == ["a-2", "b-2"]

    def test_a_recovery_point_of_several_lineages_is_kept_for_one_of_them(self):
        both = point("-9d", "a", "b", name="both")
        assert gone(decide([both, *days(2, "b", prefix="b"), suspect("-2.5d", "a")], "last=1")) == ["b-2"]

    def test_of_two_suspicions_the_newer_one_decides(self):
        decided = decide([*days(6), suspect(), suspect("-1.5d", name="later")], "last=1")
        assert gone(decided) == []
        assert "recovery point later is suspect" in reasons(decided, "day-6")[0]

    def test_one_that_is_not_among_the_recovery_points_of_this_part_counts(self):
        assert gone(decide(days(6), "last=1", suspects=[suspect()])) == ["day-3", "day-2"]

    def test_they_do_not_use_up_what_one_run_may_delete(self):
        decided = decide([*days(6), suspect("-5.5d")], "last=1", limits=limits(max_delete_share=0.5))
        assert gone(decided) == ["day-5", "day-4", "day-3"]

    def test_two_sets_of_the_suspected_one_are_both_kept(self):
        twin = replace(suspect(suspect=""), id="suspect+2")
        assert gone(decide([*days(6), suspect(), twin], "last=1")) == ["day-3", "day-2"]

    def test_a_new_policy_does_not_delete_them_either(self):
        before = decide(days(6), "daily=9", memory=Memory({}, timedelta(days=1)))
        memory = Memory(before.remember, timedelta(days=1))
        later = decide([*days(6), suspect()], "last=1", memory=memory, now=NOW + timedelta(hours=1))
        assert [names(item.points) for item in later.changes] == [["day-3", "day-2"]]
        after = decide(
            [*days(6), suspect()],
            "last=1",
            memory=Memory({**before.remember, **later.remember}, timedelta(days=1)),
            now=NOW + timedelta(days=2),
        )
        assert gone(after) == ["day-3", "day-2"]

    def test_an_orphan_of_a_gone_volume_is_kept(self):
        decided = decide([*days(6), suspect()], parse_policy("last=1"), existing_volumes=(), stack=STACK)
        assert gone(decided) == ["day-3", "day-2"]
