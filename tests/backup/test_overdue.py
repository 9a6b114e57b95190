"""Overdue: ages count from when a recovery point was taken, alerts follow slots, pending snapshots suppress them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.backup import overdue
from lifeboat.backup.overdue import Age, LastGood, Protected
from lifeboat.backup.schedule import parse_schedule
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.text import iso
from tests.builders import DATA, PLATFORM, attachment, instance, point_tags, snapshot, volume

SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GRACE = 30 * MINUTE
LONG_AGO = SLOT - 300 * DAY
DAILY = parse_schedule("cron(0 2 * * ? *)")
EVERY_6_HOURS = parse_schedule("rate(6 hours)")
WEEKDAYS = parse_schedule("cron(0 2 ? * MON-FRI *)")
OTHER = "vol-0aaaaaaaaaaaaaa12"
KEY = (PLATFORM, DATA)


def point(slot=SLOT, taken_at=None, **facts):
    """A recovery point of the platform's data volume; `facts` are its snapshot's."""
    taken_at = taken_at or slot
    tags = point_tags(slot=slot, recovery_point_id=f"rp-{slot:%d%H}", set_id=f"set-{slot:%d%H}")
    return read_catalogue([snapshot(started_at=taken_at, tags=tags, **facts)]).points[0]


def judged(schedule, now, *points, since=LONG_AGO, volumes=None):
    """The overdue instances, computed as the workflow does."""
    expected = overdue.expected_slot(schedule, now=now, grace=GRACE)
    if expected is None:
        return None
    newer = [item for item in points if item.slot >= expected]
    pending = overdue.in_progress(newer, now)
    volumes = volumes or (Protected(PLATFORM, DATA, since),)
    ages = overdue.ages(volumes, overdue.newest_good(points), now)
    return overdue.overdue(ages, expected=expected, pending=pending)


class TestExpectedSlot:
    @pytest.mark.parametrize(
        ("schedule", "now", "expected"),
        [
            (DAILY, SLOT + 45 * MINUTE, SLOT - DAY),
            (DAILY, SLOT + 45 * MINUTE + timedelta(seconds=1), SLOT),
            (WEEKDAYS, SLOT + HOUR, SLOT),
            (WEEKDAYS, SLOT - HOUR, SLOT - 3 * DAY),
            (parse_schedule("rate(1 day)"), SLOT + HOUR, None),
            (
                EVERY_6_HOURS.counted_from(SLOT + 5 * MINUTE),
                SLOT + 7 * HOUR,
                SLOT + 6 * HOUR + 5 * MINUTE,
            ),
            (EVERY_6_HOURS.counted_from(SLOT), SLOT + HOUR / 2, SLOT - 6 * HOUR),
            (parse_schedule("rate(10 minutes)").counted_from(SLOT), SLOT + 5 * MINUTE, SLOT - 50 * MINUTE),
            (parse_schedule("cron(0 2 1 1 ? 2027)"), SLOT, None),
            (parse_schedule("cron(0 2 * * ? *)", "Europe/Berlin"), SLOT, SLOT - HOUR),
        ],
    )
    def test_it_has_had_the_grace_and_one_catch_up(self, schedule, now, expected):
        assert overdue.expected_slot(schedule, now=now, grace=GRACE) == expected

    def test_what_spring_skips_is_not_expected_and_what_autumn_repeats_is_expected_once(self):
        berlin = parse_schedule("cron(30 2 * * ? *)", "Europe/Berlin")
        skipped = datetime(2026, 3, 29, 12, tzinfo=UTC)  # 02:30 does not exist on that day
        assert overdue.expected_slot(berlin, now=skipped, grace=GRACE) == datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
        between = datetime(2026, 10, 25, 2, 30, tzinfo=UTC)  # two hours after the first 02:30, one after the second
        assert overdue.expected_slot(berlin, now=between, grace=GRACE) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


class TestOverdue:
    @pytest.mark.parametrize(
        ("schedule", "now", "points", "late"),
        [
            pytest.param(DAILY, SLOT + 45 * MINUTE, [point(SLOT - DAY)], False, id="the-catch-up-may-still-take-it"),
            pytest.param(DAILY, SLOT + 46 * MINUTE, [point(SLOT - DAY)], True, id="the-catch-up-has-not-taken-it"),
            pytest.param(DAILY, SLOT + 10 * MINUTE, [point(SLOT - 3 * DAY)], True, id="days-ago-in-a-grace"),
            pytest.param(WEEKDAYS, SLOT + 20 * MINUTE, [point(SLOT - 3 * DAY)], False, id="after-the-weekend"),
            pytest.param(WEEKDAYS, SLOT + HOUR, [point(SLOT - 3 * DAY)], True, id="after-the-weekend-no-monday"),
            pytest.param(DAILY, SLOT + DAY, [point()], False, id="the-newest-slot-is-there"),
            pytest.param(DAILY, SLOT + 12 * HOUR, [point(SLOT - DAY), point(SLOT + HOUR)], False, id="by-hand"),
            pytest.param(DAILY, SLOT + 12 * HOUR, [point(SLOT - HOUR)], True, id="by-hand-before-the-slot"),
            pytest.param(DAILY, SLOT + DAY, [point(taken_at=SLOT + 9 * HOUR)], False, id="taken-late-for-its-slot"),
            pytest.param(DAILY, SLOT + HOUR, [point(state="pending")], False, id="pending"),
            pytest.param(DAILY, SLOT + 23 * HOUR, [point(state="pending")], False, id="pending-for-hours"),
            pytest.param(DAILY, SLOT + DAY, [point(state="pending")], True, id="pending-for-too-long"),
            pytest.param(DAILY, SLOT + HOUR, [point(state="error")], True, id="failed"),
            pytest.param(DAILY, SLOT + HOUR, [point(tier="archive")], True, id="archived"),
            pytest.param(DAILY, SLOT + HOUR, [point(SLOT - DAY, state="pending")], True, id="making-an-earlier-slot"),
            pytest.param(DAILY, SLOT + HOUR, [], True, id="never-saved"),
            pytest.param(
                parse_schedule("cron(0 0 1 1 ? 2020)"),
                SLOT,
                [point(datetime(2020, 1, 1, tzinfo=UTC))],
                False,
                id="the-schedule-has-ended",
            ),
        ],
    )
    def test_overdue(self, schedule, now, points, late):
        found = judged(schedule, now, *points)
        assert [item.instance_id for item in found] == ([PLATFORM] if late else [])

    @pytest.mark.parametrize(("since", "late"), [(SLOT - MINUTE, True), (SLOT, False), (SLOT + MINUTE, False)])
    def test_what_was_protected_too_late_for_the_slot_owes_nothing(self, since, late):
        assert bool(judged(DAILY, SLOT + HOUR, since=since)) is late
        assert bool(judged(DAILY, SLOT + HOUR, point(SLOT - 30 * DAY), since=since)) is late

    def test_it_names_what_was_expected_and_the_volume_that_is_oldest(self):
        volumes = (Protected(PLATFORM, DATA, LONG_AGO), Protected(PLATFORM, OTHER, SLOT - HOUR))
        [found] = judged(DAILY, SLOT + HOUR, point(SLOT - DAY), volumes=volumes)
        assert (found.expected, found.oldest.of.volume_id, found.oldest.age) == (SLOT, DATA, 25 * HOUR)
        assert [item.of.volume_id for item in found.volumes] == [DATA, OTHER]

    def test_one_volume_that_was_never_saved_is_enough(self):
        volumes = (Protected(PLATFORM, DATA, LONG_AGO), Protected(PLATFORM, OTHER, SLOT - HOUR))
        [found] = judged(DAILY, SLOT + HOUR, point(), volumes=volumes)
        assert [(item.of.volume_id, item.newest, item.age) for item in found.volumes] == [(OTHER, None, 2 * HOUR)]

    def test_a_spell_lasts_until_there_is_a_newer_good_one(self):
        def episode(now, *points, since=LONG_AGO):
            [found] = judged(DAILY, now, *points, since=since)
            return found.episode

        old, newer = point(SLOT - DAY), point(SLOT + 5 * DAY)
        first = episode(SLOT + HOUR, old)
        assert first == f"{PLATFORM}/2026-11-22T02:00:00Z"
        assert episode(SLOT + 3 * DAY, old, point(SLOT + DAY, state="error")) == first
        assert episode(SLOT + 7 * DAY, old, newer) != first
        assert episode(SLOT + 7 * DAY, old, since=SLOT + 5 * DAY) != first  # selected again
        assert episode(SLOT + HOUR) != first

    def test_the_oldest_come_first(self):
        volumes = [Protected(f"i-{days}", DATA, SLOT - days * DAY) for days in (2, 5, 3)]
        assert [item.instance_id for item in judged(DAILY, SLOT + HOUR, volumes=volumes)] == ["i-5", "i-3", "i-2"]


class TestAges:
    def test_it_counts_from_when_it_was_taken_not_from_its_end_or_its_slot(self):
        taken = point(SLOT, taken_at=SLOT + HOUR, completed_at=SLOT + 5 * HOUR)
        [found] = overdue.ages([Protected(*KEY, LONG_AGO)], overdue.newest_good([taken]), SLOT + 6 * HOUR)
        assert found.age == 5 * HOUR
        assert found.newest == LastGood("rp-2302", SLOT, SLOT + HOUR, "CadoResponse")

    def test_without_any_it_counts_from_when_it_was_first_protected(self):
        [found] = overdue.ages([Protected(*KEY, SLOT)], {}, SLOT + HOUR)
        assert found == Age(Protected(*KEY, SLOT), None, HOUR)

    def test_the_newest_good_one_counts(self):
        bad = point(SLOT + DAY, state="error")
        found = overdue.newest_good([point(SLOT - DAY), point(), point(SLOT - 2 * DAY), bad])
        assert {key: item.slot for key, item in found.items()} == {KEY: SLOT, (PLATFORM, ""): SLOT}

    def test_a_set_that_is_not_whole_is_no_backup(self):
        second = volume(id=OTHER, attachments=(attachment(OTHER, "/dev/sdi"),))
        tags = point_tags(volume(), second)
        whole = [snapshot(tags=tags), snapshot(id="snap-0aaaaaaaaaaaaaa02", volume_id=OTHER, tags=tags)]
        assert set(overdue.newest_good(read_catalogue(whole).points)) == {KEY, (PLATFORM, OTHER), (PLATFORM, "")}
        assert overdue.newest_good(read_catalogue(whole[:1]).points) == {}


class TestProtected:
    def test_the_root_volume_is_not(self):
        assert overdue.protected(instance(), SLOT) == (Protected(PLATFORM, DATA, SLOT),)

    def test_a_volume_that_came_later_counts_from_then(self):
        root, data = instance().attachments
        for attached_at, since in ((SLOT - DAY, SLOT), (SLOT + DAY, SLOT + DAY)):
            on = instance(attachments=(root, replace(data, attached_at=attached_at)))
            assert overdue.protected(on, SLOT) == (Protected(PLATFORM, DATA, since),)

    def test_an_instance_without_a_data_volume_is_judged_as_a_whole(self):
        bare = instance(attachments=instance().attachments[:1])
        volumes = overdue.protected(bare, LONG_AGO)
        assert volumes == (Protected(PLATFORM, "", LONG_AGO),)
        assert judged(DAILY, SLOT + HOUR, point(), volumes=volumes) == ()
        assert len(judged(DAILY, SLOT + HOUR, volumes=volumes)) == 1


class TestWhomToAskAbout:
    def test_only_who_owes_the_slot_and_has_nothing_since(self):
        a, b, c = (
            Protected(f"i-{name}", "vol-1", since) for name, since in (("a", LONG_AGO), ("b", LONG_AGO), ("c", SLOT))
        )
        second = replace(b, volume_id="vol-2")
        owing = overdue.protected_before([c, second, b, a], SLOT)
        assert set(owing) == {a, b, second}
        assert overdue.uncovered(owing, {a.key, b.key}) == ("i-b",)
        assert overdue.uncovered(owing, ()) == ("i-a", "i-b")

    def test_many_are_queried_from_slot_to_slot(self):
        first, second, *more = overdue.slot_windows(WEEKDAYS, SLOT)
        assert first == (SLOT - 3 * DAY, SLOT - timedelta(seconds=1))
        assert second == (SLOT - 4 * DAY, SLOT - 3 * DAY - timedelta(seconds=1))
        assert len(more) == overdue.SLOT_WINDOWS - 2
        rate = EVERY_6_HOURS.counted_from(SLOT + DAY)
        assert next(overdue.slot_windows(rate, SLOT)) == (SLOT - 6 * HOUR, SLOT - timedelta(seconds=1))
        assert list(overdue.slot_windows(parse_schedule("cron(0 2 23 11 ? 2026)"), SLOT)) == []

    @pytest.mark.parametrize("count", [0, 1, 1999, 2000, 2001, 4001, 10_000])
    def test_consecutive_runs_query_every_instance(self, count):
        ids = tuple(f"i-{number:05}" for number in range(count))
        turns = [
            overdue.next_queried(ids, SLOT + number * overdue.CATCH_UP_EVERY) for number in range(count // 1000 + 1)
        ]
        assert set().union(*(queried[:1000] for queried in turns)) == set(ids), "though there is time for half of each"
        assert all(len(queried) == len(set(queried)) == min(count, overdue.INSTANCES_QUERIED) for queried in turns)


class TestSlotPatterns:
    @pytest.mark.parametrize(
        ("first", "last", "patterns"),
        [
            ("2026-11-23T02:00", "2026-11-23T03:30", ("2026-11-23T02:*", "2026-11-23T03:*")),
            ("2026-11-22T23:40", "2026-11-24T00:10", ("2026-11-22T23:*", "2026-11-23T*", "2026-11-24T00:*")),
            ("2026-11-30T00:00", "2027-01-01T00:00", ("2026-11-30T*", "2026-12-*", "2027-01-01T00:*")),
            ("2024-12-31T23:00", "2026-01-01T00:00", ("2024-12-31T23:*", "2025-*", "2026-01-01T00:*")),
        ],
    )
    def test_whole_hours_days_months_years(self, first, last, patterns):
        assert overdue.slot_patterns(*(datetime.fromisoformat(text + "+00:00") for text in (first, last))) == patterns

    @given(
        first=st.timedeltas(timedelta(0), timedelta(days=36_000)).map(lambda age: LONG_AGO - age / 2 + age),
        length=st.timedeltas(timedelta(0), timedelta(days=9000)),
        share=st.floats(0, 1),
    )
    def test_every_slot_between_is_covered_few_others_are_and_a_filter_holds_them(self, first, length, share):
        last = first + length
        patterns = overdue.slot_patterns(first, last)
        assert len(patterns) <= 200  # the most values of a filter

        def covered(slot):
            return any(fnmatchcase(iso(slot), pattern) for pattern in patterns)

        assert covered(first)
        assert covered(last)
        assert covered(first + length * share)
        assert not covered(first - HOUR)
        assert not covered(last + HOUR)
