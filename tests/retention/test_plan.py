"""What the planner does with recovery points: which count, what the limits keep, and the notices."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lifeboat.domain.recovery_point import Condition
from lifeboat.retention.limits import Limits, RetentionError
from lifeboat.retention.lineage import CLOCK_SKEW
from lifeboat.retention.policy import PolicyError
from tests.retention.builders import BARE, NOW, days, decide, gone, limits, names, point, reasons

BROKEN = PolicyError("retention policy 'dayly=3' has 'dayly=3', expected name=value")


class TestDeletedOnes:
    def test_are_deleted_oldest_first_with_the_reason(self):
        decided = decide(days(3), "last=1")
        assert gone(decided) == ["day-3", "day-2"]
        assert names(decided.kept) == ["day-1"]
        assert reasons(decided, "day-3") == (
            'no rule of the policy "last=1" keeps it, nor is it the newest good one, nor the newest proven one',
        )
        assert decided.notices == ()

    def test_are_summed_up_in_gib(self):
        decided = decide([point("-3d", size=500), point("-2d", "a", "b", size=30), point("-1d", "vol-1", "a", "b")])
        assert decided.saved_gib == 560

    def test_without_recovery_points_the_plan_is_empty(self):
        decided = decide([])
        assert (decided.verdicts, decided.notices, decided.saved_gib) == ((), (), 0)

    def test_verdicts_are_sorted_whatever_the_order_of_input(self):
        points = days(3)
        assert names([verdict.point for verdict in decide(points[::-1]).verdicts]) == ["day-3", "day-2", "day-1"]

    def test_a_plan_is_immutable(self):
        decided = decide(days(1))
        with pytest.raises(FrozenInstanceError):
            decided.verdicts[0].keep = False


class TestFloor:
    def test_newest_good_ones_are_kept(self):
        decided = decide(days(5), "last=1", limits=limits(min_keep=3))
        assert gone(decided) == ["day-5", "day-4"]
        assert reasons(decided, "day-3") == ("it is one of the 3 newest good ones",)

    @pytest.mark.parametrize(
        ("facts", "because"),
        [
            ({"state": "pending"}, "its snapshots are not completed yet, so it may become a backup"),
            ({"state": "error"}, "it is failed, and is kept for inspection for 7 days"),
            ({"missing": 1}, "it is incomplete, and is kept for inspection for 7 days"),
            (
                {"state": "recoverable"},
                "a snapshot of it is in the Recycle Bin, and Lifeboat deletes none there",
            ),
            ({"state": "recovering"}, "a snapshot of it is in the Recycle Bin, and Lifeboat deletes none there"),
            (
                {"tier": "archive"},
                "a snapshot of it is in the archive tier, and Lifeboat deletes none there",
            ),
            ({"blocked": ["locked"]}, "it cannot be deleted and does not count as a backup: locked"),
            (
                {"blocked": ["used by an image", "locked"]},
                "it cannot be deleted and does not count as a backup: locked, used by an image",
            ),
            ({"stack": "other"}, "it belongs to the stack other, not to lifeboat"),
            ({"stack": ""}, "it carries no tag lifeboat:stack, so it belongs to no known stack"),
        ],
    )
    def test_one_that_is_not_good_or_not_ours_is_kept_and_not_counted(self, facts, because):
        odd = point("-0.5d", name="odd", **facts)
        decided = decide([*days(4), odd], "daily=2", limits=limits(min_keep=2))
        assert gone(decided) == ["day-4", "day-3"]
        assert because in reasons(decided, "odd")

    def test_a_held_one_is_kept_and_counted(self):
        held = point("-0.5d", name="held", held=True)
        decided = decide([*days(4), held], "daily=1", limits=limits(min_keep=2))
        assert gone(decided) == ["day-4", "day-3", "day-2"]
        assert reasons(decided, "held")[0] == "it is held by the tag lifeboat:hold"

    def test_a_held_one_that_no_rule_keeps_is_kept(self):
        decided = decide([point("-9d", name="held", held=True), *days(3)], "last=1")
        assert gone(decided) == ["day-3", "day-2"]
        assert reasons(decided, "held") == ("it is held by the tag lifeboat:hold",)

    def test_every_lineage_has_its_own_floor(self):
        decided = decide([*days(2, "a", prefix="a"), *days(2, "b", prefix="b")], "last=1")
        assert sorted(gone(decided)) == ["a-2", "b-2"]

    def test_two_volumes_that_share_a_lineage_keep_one_each(self):
        """A restored volume and the one that it was copied from, both still backed up."""
        lost = point("-9d", "vol-1", name="old", volumes={"vol-1": "vol-1"})
        newer = [point(f"-{age}d", "vol-1", name=f"new-{age}", volumes={"vol-1": "vol-2"}) for age in (3, 2, 1)]
        decided = decide([lost, *newer], "last=1", existing_volumes={"vol-1", "vol-2"})
        assert gone(decided) == ["new-3", "new-2"]
        assert reasons(decided, "old") == ("it is the newest good one of volume vol-1",)
        assert gone(decide([lost, *newer], "last=1", existing_volumes={"vol-2"})) == ["old", "new-3", "new-2"]
        assert gone(decide([lost, *newer], "last=1", existing_volumes=None)) == ["new-3", "new-2"]

    def test_another_lineage_of_the_same_recovery_point_does_not_count_for_a_volume(self):
        """Volume vol-b exists and was once in the same recovery points as lineage a. It keeps nothing of lineage a."""
        both = [point(f"-{age}d", "a", "b", name=f"both-{age}", volumes={"b": "vol-b"}) for age in (9, 8)]
        decided = decide([*both, *days(2, "a", prefix="a"), *days(2, "b", prefix="b")], existing_volumes={"vol-b"})
        assert gone(decided) == ["both-9", "a-2", "b-2"]
        assert reasons(decided, "both-8") == ("lineage b: it is the newest good one of volume vol-b",)


class TestGrace:
    def test_younger_ones_are_kept(self):
        points = [point(NOW - timedelta(hours=hours), name=f"h-{hours}") for hours in (49, 48, 47, 1)]
        decided = decide(points, "last=1", limits=limits(grace=timedelta(hours=48)))
        assert gone(decided) == ["h-49", "h-48"]
        assert reasons(decided, "h-47") == ("it is younger than the grace period of 2 days",)

    def test_a_grace_of_hours_is_named_in_hours(self):
        decided = decide([point("-0.1d", name="young"), point("-0.05d")], limits=limits(grace=timedelta(hours=36)))
        assert reasons(decided, "young") == ("it is younger than the grace period of 36 hours",)

    def test_a_grace_of_one_day_is_named_as_one_day(self):
        decided = decide([point("-0.1d", name="young"), point("-0.05d")], limits=limits(grace=timedelta(hours=24)))
        assert reasons(decided, "young") == ("it is younger than the grace period of 1 day",)

    def test_a_grace_longer_than_the_calendar_keeps_all(self):
        assert gone(decide(days(5), limits=limits(grace=timedelta.max))) == []


class TestFuture:
    def test_is_kept_with_a_notice_and_not_counted(self):
        future = [point(NOW + timedelta(days=age), name=f"future-{age}") for age in range(1, 8)]
        decided = decide([*days(3), *future], "last=2 daily=1")
        assert gone(decided) == ["day-3"]
        assert reasons(decided, "future-1") == (
            "its date 2026-11-24T03:00:00+00:00 is in the future and cannot be used",
        )
        assert decided.notices == (
            "Dated in the future, so kept and not counted: future-1, future-2, future-3, future-4, future-5 "
            "and 2 more.",
        )

    def test_now_is_not_the_future(self):
        decided = decide([*days(1), point(NOW, name="now")], "last=1")
        assert (gone(decided), decided.notices) == (["day-1"], ())

    @pytest.mark.parametrize(("ahead", "future"), [(CLOCK_SKEW, False), (CLOCK_SKEW + timedelta(milliseconds=1), True)])
    def test_a_small_clock_skew_is_not_the_future(self, ahead, future):
        decided = decide([*days(1), point(NOW + ahead, name="ahead")], "last=1")
        assert (gone(decided) == ["day-1"]) is not future
        assert bool(decided.notices) is future

    def test_another_stacks_has_no_notice(self):
        decided = decide([point(NOW + timedelta(days=1), stack="other"), *days(1)])
        assert decided.notices == ()

    def test_a_failed_one_is_kept(self):
        decided = decide([point(NOW + timedelta(days=1), state="error", name="odd"), *days(1)])
        assert gone(decided) == []


class TestFailed:
    @pytest.mark.parametrize("facts", [{"state": "error"}, {"missing": 2}], ids=["failed", "incomplete"])
    def test_is_deleted_when_old_enough_and_a_later_one_is_good(self, facts):
        odd = point("-7d", name="odd", **facts)
        decided = decide([odd, *days(1)], "last=unlimited")
        assert gone(decided) == ["odd"]
        assert reasons(decided, "odd") == (f"it is {odd.condition}, older than 7 days, and a later one is good",)

    def test_a_failed_copy_without_a_size_is_deleted(self):
        """EC2 begins the copy of a snapshot that is not there, and leaves it in error with size 0 for ever."""
        odd = point("-8d", name="odd", state="error", size=0)
        decided = decide([odd, *days(1)], "last=unlimited")
        assert (gone(decided), decided.saved_gib) == (["odd"], 0)

    def test_is_kept_for_inspection(self):
        odd = point("-6.9d", name="odd", state="error")
        assert gone(decide([odd, *days(1)])) == []

    @pytest.mark.parametrize(
        ("case", "others"),
        [
            ("none at all", []),
            ("an earlier one", [point("-20d")]),
            ("one at the same instant", [point("-9d", name="other")]),
            ("one of another lineage", [point("-1d", "b")]),
            ("a pending one", [point("-1d", state="pending")]),
            ("a locked one", [point("-1d", blocked=["locked"])]),
            ("one of another stack", [point("-1d", stack="other")]),
            ("one dated in the future", [point(NOW + timedelta(days=1))]),
        ],
    )
    def test_is_kept_without_a_later_good_one(self, case, others):
        odd = point("-9d", name="odd", state="error")
        decided = decide([odd, *others])
        assert "odd" not in gone(decided), case
        assert reasons(decided, "odd") == ("no later one is good yet",)

    def test_needs_a_later_good_one_in_each_lineage(self):
        odd = point("-9d", "a", "b", name="odd", state="error")
        decided = decide([odd, *days(1, "a", prefix="a")])
        assert reasons(decided, "odd") == ("lineage b: no later one is good yet",)
        assert gone(decide([odd, *days(1, "a", prefix="a"), *days(1, "b", prefix="b")])) == ["odd"]

    @pytest.mark.parametrize("facts", [{"held": True}, {"blocked": ["locked"]}], ids=["held", "locked"])
    def test_is_kept_when_held_or_blocked(self, facts):
        assert gone(decide([point("-9d", state="error", **facts), *days(1)])) == []

    def test_grace_applies(self):
        odd = point("-2d", state="error")
        assert gone(decide([odd, *days(1)], limits=limits(failed_after=timedelta(0)))) == [odd.id]
        assert gone(decide([odd, *days(1)], limits=limits(failed_after=timedelta(0), grace=timedelta(days=3)))) == []

    def test_a_deletion_that_was_cut_off_is_completed_by_the_next_run(self):
        whole = point("-9d", "a", "b", name="half")
        others = [*days(1, "a", prefix="a"), *days(1, "b", prefix="b")]
        assert gone(decide([whole, *others])) == ["half"]
        half = replace(whole, members=whole.members[1:])
        assert gone(decide([half, *others])) == ["half"]

    def test_one_without_snapshots_is_kept(self):
        empty = replace(point("-9d", name="empty"), members=())
        assert empty.condition is Condition.INCOMPLETE
        decided = decide([empty, *days(1)])
        assert reasons(decided, "empty") == ("its snapshots name no lineage, so its volume is not known",)


class TestSeveralVolumes:
    def test_is_deleted_only_when_no_lineage_keeps_it(self):
        points = [
            point("-4d", "a", "b", name="both-4"),
            point("-3d", "a", "b", name="both-3"),
            point("-2d", "a", name="a-2"),
            point("-1d", "a", name="a-1"),
        ]
        decided = decide(points, "last=1")
        assert gone(decided) == ["both-4", "a-2"]
        assert reasons(decided, "both-3") == (
            "lineage b: it is the newest good one",
            "lineage b: it is the newest good one of volume b",
            "lineage b: last=1 keeps it, number 1 of 1 from the newest",
        )
        said = 'no rule of the policy "last=1" keeps it, nor is it the newest good one, nor the newest proven one'
        assert reasons(decided, "both-4") == (f"lineage a: {said}", f"lineage b: {said}")

    def test_one_bad_snapshot_makes_the_recovery_point_bad(self):
        spoilt = point("-1d", "a", "b", name="spoilt", state="error")
        decided = decide([*days(2, "a", prefix="a"), *days(2, "b", prefix="b"), spoilt], "last=1")
        assert sorted(gone(decided)) == ["a-2", "b-2"]

    def test_the_cap_of_any_lineage_postpones_it(self):
        both = [point(f"-{age}d", "a", "b", name=f"both-{age}") for age in (9, 8)]
        points = [*both, *days(6, "a", prefix="a"), *days(1, "b", prefix="b")]
        decided = decide(points, "last=1", limits=limits(max_delete_share=0.5))
        assert gone(decided) == ["both-9", "a-6", "a-5", "a-4"]
        assert reasons(decided, "both-8") == ("no rule keeps it, but one run deletes no more of lineage b",)


class TestCap:
    @pytest.mark.parametrize(
        ("count", "share", "going"),
        [(10, 0.5, 5), (11, 0.5, 5), (10, 0.01, 1), (2, 0.5, 1), (3, 0.1, 1), (100, 0.29, 29), (10, 1, 9), (1, 1, 0)],
    )
    def test_a_run_deletes_no_more_than_its_share(self, count, share, going):
        assert len(gone(decide(days(count), limits=limits(max_delete_share=share)))) == going

    def test_the_oldest_are_deleted_first_and_a_notice_counts_the_rest(self):
        decided = decide(days(10), limits=limits(max_delete_share=0.5))
        assert gone(decided) == [f"day-{age}" for age in (10, 9, 8, 7, 6)]
        assert reasons(decided, "day-5") == ("no rule keeps it, but one run deletes no more of lineage vol-1",)
        assert decided.notices == (
            "Lineage vol-1: 4 more recovery points wait for the next run, because one run deletes at most 5 of its 10 "
            "(50%).",
        )

    def test_the_next_run_continues(self):
        left, runs = days(20), 0
        while deletions := decide(left, limits=limits(max_delete_share=0.5)).deletions:
            left = [item for item in left if item not in deletions]
            runs += 1
        assert names(left) == ["day-1"]
        assert runs == 5

    def test_failed_ones_count_in_the_size_of_a_lineage(self):
        failed = [point(f"-{age}d", state="error", name=f"failed-{age}") for age in (13, 12, 11)]
        decided = decide([*failed, *days(1)], limits=limits(max_delete_share=0.5))
        assert gone(decided) == ["failed-13", "failed-12"]

    def test_the_cap_never_overrides_the_floor(self):
        assert gone(decide(days(3), limits=limits(min_keep=3))) == []


class TestOddInput:
    def test_several_of_one_slot_and_time(self):
        points = [point("-1d", name=f"rp-{number}") for number in (3, 1, 2)]
        assert gone(decide(points, "daily=1")) == ["rp-1", "rp-2"]

    def test_same_id_twice(self):
        points = [point("-2d", name="rp"), point("-1d", name="rp")]
        assert gone(decide(points, "daily=1")) == ["rp"]

    def test_times_of_any_zone(self):
        tokyo = timezone(timedelta(hours=9))
        points = [point(datetime(2026, 11, 1, 8, tzinfo=tokyo), name="tokyo"), point("2026-10-31T23:30Z", name="utc")]
        assert gone(decide(points, now=NOW.astimezone(tokyo))) == ["tokyo"]

    def test_now_without_a_time_zone_is_refused(self):
        with pytest.raises(RetentionError, match="now is 2026-11-23T03:00:00, expected a time with a zone"):
            decide([], now=NOW.replace(tzinfo=None))

    def test_a_recovery_point_without_a_time_zone_is_refused(self):
        naive = point(datetime(2026, 11, 1, 2), name="rp-naive")  # noqa: DTZ001 - that is the case
        with pytest.raises(RetentionError) as refused:
            decide([naive])
        assert str(refused.value) == (
            "recovery point rp-naive was taken at 2026-11-01T02:00:00, expected a time with a zone"
        )

    def test_early_in_the_calendar(self):
        early = point(datetime(1, 1, 1, tzinfo=UTC))
        assert gone(decide([early, *days(1)], "last=1", now=NOW)) == [early.id]


class TestLimits:
    def test_defaults(self):
        assert Limits() == Limits(
            min_keep=3,
            max_delete_share=0.5,
            grace=timedelta(days=1),
            orphan_keep=None,
            failed_after=timedelta(days=7),
        )
        assert Limits().max_delete_share != BARE.max_delete_share

    @pytest.mark.parametrize(
        ("facts", "sentence"),
        [
            ({"min_keep": 0}, "min_keep is 0, expected at least 1"),
            ({"max_delete_share": 0}, "max_delete_share is 0, expected more than 0 and at most 1"),
            ({"max_delete_share": 1.01}, "max_delete_share is 1.01, expected more than 0 and at most 1"),
            ({"max_delete_share": float("nan")}, "max_delete_share is nan, expected more than 0 and at most 1"),
            ({"orphan_keep": 0}, "orphan_keep is 0, expected at least 1, or None"),
            ({"grace": timedelta(-1)}, "grace is -1 day, 0:00:00, expected a span of time that is not negative"),
            (
                {"failed_after": timedelta(seconds=-1)},
                "failed_after is -1 day, 23:59:59, expected a span of time that is not negative",
            ),
        ],
    )
    def test_out_of_range_is_refused(self, facts, sentence):
        with pytest.raises(RetentionError) as refused:
            Limits(**facts)
        assert str(refused.value) == sentence
