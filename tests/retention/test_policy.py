"""The language of policies, and what each rule keeps of a list of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.retention.policy import MAX_NUMBER, Duration, KeepRule, Period, Policy, PolicyError, parse_policy
from tests.examples import examples

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("last=3", [KeepRule(Period.LAST, 3)]),
        ("hourly=24 daily=14", [KeepRule(Period.HOURLY, 24), KeepRule(Period.DAILY, 14)]),
        ("  weekly=8\n\tmonthly=12  ", [KeepRule(Period.WEEKLY, 8), KeepRule(Period.MONTHLY, 12)]),
        (
            "last=3,daily=14, weekly=8,",
            [KeepRule(Period.LAST, 3), KeepRule(Period.DAILY, 14), KeepRule(Period.WEEKLY, 8)],
        ),
        ("yearly=unlimited", [KeepRule(Period.YEARLY)]),
        (f"daily={MAX_NUMBER}", [KeepRule(Period.DAILY, 999_999)]),
        ("within=14d", [KeepRule(Period.LAST, within=Duration(days=14))]),
        ("within-daily=2y5m7d3h", [KeepRule(Period.DAILY, within=Duration(2, 5, 7, 3))]),
        ("within-hourly=0y36h", [KeepRule(Period.HOURLY, within=Duration(hours=36))]),
        ("within-weekly=1y within-monthly=5m", None),
        ("within-yearly=9999y", [KeepRule(Period.YEARLY, within=Duration(years=9999))]),
    ],
)
def test_a_policy_is_read(text, rules):
    policy = parse_policy(text, BERLIN)
    assert policy.time_zone == BERLIN
    if rules is not None:
        assert policy.rules == tuple(rules)
    assert parse_policy(str(policy), BERLIN) == policy


def test_a_policy_is_written_as_it_was_read():
    text = (
        "last=3 hourly=24 daily=14 weekly=8 monthly=12 yearly=unlimited within=1h within-hourly=1d within-daily=1d1h "
        "within-weekly=1m within-monthly=1y within-yearly=9y2m"
    )
    assert str(parse_policy(text)) == text
    assert parse_policy(text).time_zone == "UTC"


EXPECTED_COUNT = "expected a whole number from 1 to 999999, or unlimited (to keep none, leave the rule out)"
NAMES = (
    "one of the names last, hourly, daily, weekly, monthly, yearly, within, within-hourly, within-daily, "
    "within-weekly, within-monthly, within-yearly"
)
EXPECTED_SPAN = "expected a duration of years, months, days and hours in this order, such as 14d or 2y5m7d3h"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "retention policy is '', expected at least one rule such as daily=14"),
        (" \n", "retention policy is ' \\n', expected at least one rule such as daily=14"),
        ("daily=0", f"retention policy 'daily=0' has daily=0, {EXPECTED_COUNT}"),
        ("daily=-1", f"retention policy 'daily=-1' has daily=-1, {EXPECTED_COUNT}"),
        ("daily=", f"retention policy 'daily=' has daily=, {EXPECTED_COUNT}"),
        ("daily=14d", f"retention policy 'daily=14d' has daily=14d, {EXPECTED_COUNT}"),
        ("daily=1.5", f"retention policy 'daily=1.5' has daily=1.5, {EXPECTED_COUNT}"),
        ("daily=1000000", f"retention policy 'daily=1000000' has daily=1000000, {EXPECTED_COUNT}"),
        ("daily=٣", f"retention policy 'daily=٣' has daily=٣, {EXPECTED_COUNT}"),
        ("daily=7=8", f"retention policy 'daily=7=8' has daily=7=8, {EXPECTED_COUNT}"),
        (",", "retention policy is ',', expected at least one rule such as daily=14"),
        ("daily=1,4", f"retention policy 'daily=1,4' has '4', expected name=value with {NAMES}"),
        ("within=14", f"retention policy 'within=14' has within=14, {EXPECTED_SPAN}"),
        ("within=", f"retention policy 'within=' has within=, {EXPECTED_SPAN}"),
        ("within=0d", f"retention policy 'within=0d' has within=0d, {EXPECTED_SPAN}"),
        ("within=7d1m", f"retention policy 'within=7d1m' has within=7d1m, {EXPECTED_SPAN}"),
        ("within=2w", f"retention policy 'within=2w' has within=2w, {EXPECTED_SPAN}"),
        ("within=unlimited", f"retention policy 'within=unlimited' has within=unlimited, {EXPECTED_SPAN}"),
        (
            "daily=7 weekly=4 daily=8",
            "retention policy 'daily=7 weekly=4 daily=8' has daily twice, expected each rule at most once",
        ),
        (
            "keep_daily=7",
            "retention policy 'keep_daily=7' has 'keep_daily=7', expected name=value with the name daily",
        ),
        (
            "--keep-within-daily=7d",
            "retention policy '--keep-within-daily=7d' has '--keep-within-daily=7d', expected name=value with the name "
            "within-daily",
        ),
        ("Daily=7", "retention policy 'Daily=7' has 'Daily=7', expected name=value with the name daily"),
        ("daily", "retention policy 'daily' has 'daily', expected name=value with the name daily"),
        (
            "minutely=7",
            f"retention policy 'minutely=7' has 'minutely=7', expected name=value with {NAMES}",
        ),
    ],
)
def test_an_unreadable_policy_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "Europe", "../../etc/passwd", "/etc/localtime", "UTC\0"])
def test_an_unknown_time_zone_is_refused(zone):
    with pytest.raises(PolicyError, match="expected an IANA name such as UTC or Europe/Berlin"):
        parse_policy("last=3", zone)


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        policy = parse_policy(text)
    except PolicyError as refused:
        assert "expected" in str(refused)  # noqa: PT017 - either outcome is right, each has its own claim
    else:
        assert policy.rules


@pytest.mark.parametrize(
    ("span", "moment", "zone", "expected"),
    [
        ("14d", "2026-11-23T02:00Z", "UTC", "2026-11-09T02:00Z"),
        ("36h", "2026-11-23T02:00Z", "UTC", "2026-11-21T14:00Z"),
        ("1y", "2024-02-29T02:00Z", "UTC", "2023-02-28T02:00Z"),
        ("4y", "2024-02-29T02:00Z", "UTC", "2020-02-29T02:00Z"),
        ("1m", "2026-03-31T02:00Z", "UTC", "2026-02-28T02:00Z"),
        ("1m1d", "2026-03-31T02:00Z", "UTC", "2026-02-27T02:00Z"),
        ("13m", "2026-01-15T02:00Z", "UTC", "2024-12-15T02:00Z"),
        ("2y5m7d3h", "2026-11-23T02:00Z", "UTC", "2024-06-15T23:00Z"),
        # A day of the wall clock is 25 hours long where the clock is put back, and 23 where it is put forward.
        ("1d", "2025-10-26T12:00Z", BERLIN, "2025-10-25T11:00Z"),
        ("24h", "2025-10-26T12:00Z", BERLIN, "2025-10-25T12:00Z"),
        ("1d", "2026-03-29T10:00Z", BERLIN, "2026-03-28T11:00Z"),
        # A span of hours alone ignores the wall clock: two hours before the second 02:00.
        ("2h", "2025-10-26T01:00Z", BERLIN, "2025-10-25T23:00Z"),
        # 02:30 was twice the day before: the first of them, which keeps more.
        ("1d", "2025-10-27T01:30Z", BERLIN, "2025-10-26T00:30Z"),
        ("1d", "2025-10-26T01:30Z", BERLIN, "2025-10-25T00:30Z"),
        # 02:30 did not exist the day before.
        ("1d", "2026-03-30T00:30Z", BERLIN, "2026-03-29T01:30Z"),
        ("9999y", "2026-11-23T02:00Z", BERLIN, "0001-01-01T00:00Z"),
        ("2026y", "2026-11-23T02:00Z", BERLIN, "0001-01-01T00:00Z"),
        ("2025y", "2026-11-23T02:00Z", BERLIN, "0001-11-23T02:06:32Z"),
        ("999999d", "2026-11-23T02:00Z", BERLIN, "0001-01-01T00:00Z"),
        ("2025y10m22d23h", "2026-11-23T02:00Z", "Asia/Tokyo", "0001-01-01T00:00Z"),
    ],
)
def test_a_span_is_subtracted_on_the_wall_clock(span, moment, zone, expected):
    duration = parse_policy(f"within={span}").rules[0].within
    assert duration.before(datetime.fromisoformat(moment), ZoneInfo(zone)) == datetime.fromisoformat(expected)


def kept(policy, *times, zone="UTC"):
    """Which of these times stay, as they were written; in any order."""
    moments = {datetime.fromisoformat(time): time for time in times}
    newest_first = sorted(moments, reverse=True)
    return [moments[newest_first[place]] for place in sorted(parse_policy(policy, zone).reasons(newest_first))]


@pytest.mark.parametrize(
    ("case", "policy", "zone", "times", "expected"),
    [
        ("nothing", "daily=3", "UTC", "", ""),
        ("the newest of a day", "daily=1", "UTC", "2026-01-02T01:00Z 2026-01-02T23:00Z", "2026-01-02T23:00Z"),
        (
            "empty days do not count",
            "daily=2",
            "UTC",
            "2026-01-01T01:00Z 2026-01-02T01:00Z 2026-01-20T01:00Z",
            "2026-01-20T01:00Z 2026-01-02T01:00Z",
        ),
        (
            "the oldest while there is room",
            "daily=3",
            "UTC",
            "2026-01-01T01:00Z 2026-01-01T02:00Z 2026-01-01T03:00Z 2026-01-02T01:00Z",
            "2026-01-02T01:00Z 2026-01-01T03:00Z 2026-01-01T01:00Z",
        ),
        (
            "no room for the oldest",
            "daily=2",
            "UTC",
            "2026-01-01T01:00Z 2026-01-01T02:00Z 2026-01-01T03:00Z 2026-01-02T01:00Z",
            "2026-01-02T01:00Z 2026-01-01T03:00Z",
        ),
        (
            "the oldest of those within",
            "within-daily=2d",
            "UTC",
            "2026-01-01T01:00Z 2026-01-01T02:00Z 2026-01-02T01:00Z",
            "2026-01-02T01:00Z 2026-01-01T02:00Z 2026-01-01T01:00Z",
        ),
        (
            "the oldest is not within",
            "within-daily=1d",
            "UTC",
            "2026-01-01T01:00Z 2026-01-01T02:00Z 2026-01-02T01:30Z",
            "2026-01-02T01:30Z 2026-01-01T02:00Z",
        ),
        (
            "within ends just before its span",
            "within=1d",
            "UTC",
            "2026-01-01T01:00Z 2026-01-01T01:00:01Z 2026-01-02T01:00Z",
            "2026-01-02T01:00Z 2026-01-01T01:00:01Z",
        ),
        (
            "a day of the zone",
            "daily=2",
            NEW_YORK,
            "2026-01-01T04:00Z 2026-01-01T06:00Z 2026-01-02T04:00Z",
            "2026-01-02T04:00Z 2026-01-01T04:00Z",
        ),
        (
            "an hour that comes twice is two",
            "hourly=9",
            BERLIN,
            "2025-10-25T23:59Z 2025-10-26T00:10Z 2025-10-26T00:20Z 2025-10-26T01:10Z 2025-10-26T01:20Z",
            "2025-10-26T01:20Z 2025-10-26T00:20Z 2025-10-25T23:59Z",
        ),
        (
            "a day of 25 hours is one",
            "daily=9",
            BERLIN,
            "2025-10-25T21:59Z 2025-10-25T22:00Z 2025-10-26T22:59Z 2025-10-26T23:00Z",
            "2025-10-26T23:00Z 2025-10-26T22:59Z 2025-10-25T21:59Z",
        ),
        (
            "half an hour that comes twice",
            "hourly=9",
            LORD_HOWE,
            "2026-04-04T13:59Z 2026-04-04T14:10Z 2026-04-04T14:40Z 2026-04-04T15:10Z 2026-04-04T15:40Z",
            "2026-04-04T15:40Z 2026-04-04T15:10Z 2026-04-04T14:40Z 2026-04-04T13:59Z",
        ),
        (
            "week 1 begins in December",
            "weekly=9",
            "UTC",
            "2019-12-29T12:00Z 2019-12-30T12:00Z 2020-01-05T12:00Z",
            "2020-01-05T12:00Z 2019-12-29T12:00Z",
        ),
        (
            "week 53 ends in January",
            "weekly=9",
            "UTC",
            "2020-12-27T12:00Z 2020-12-31T12:00Z 2021-01-03T12:00Z 2021-01-04T12:00Z",
            "2021-01-04T12:00Z 2021-01-03T12:00Z 2020-12-27T12:00Z",
        ),
        (
            "same week number in two years",
            "weekly=9",
            "UTC",
            "2025-01-08T12:00Z 2026-01-08T12:00Z",
            "2026-01-08T12:00Z 2025-01-08T12:00Z",
        ),
        (
            "same month in two years",
            "monthly=9",
            "UTC",
            "2025-01-08T12:00Z 2026-01-07T12:00Z 2026-01-08T12:00Z",
            "2026-01-08T12:00Z 2025-01-08T12:00Z",
        ),
        (
            "leap day",
            "monthly=9",
            "UTC",
            "2024-02-28T12:00Z 2024-02-29T12:00Z 2024-03-01T12:00Z",
            "2024-03-01T12:00Z 2024-02-29T12:00Z 2024-02-28T12:00Z",
        ),
        (
            "New Year comes earlier in the east",
            "yearly=1",
            "Pacific/Auckland",
            "2025-12-31T10:59Z 2025-12-31T11:00Z",
            "2025-12-31T11:00Z",
        ),
        (
            "a rule more keeps more",
            "last=1 yearly=2",
            "UTC",
            "2024-05-01T12:00Z 2025-05-01T12:00Z 2026-05-01T12:00Z",
            "2026-05-01T12:00Z 2025-05-01T12:00Z",
        ),
    ],
)
def test_a_policy_keeps_the_expected_ones(case, policy, zone, times, expected):
    assert kept(policy, *times.split(), zone=zone) == expected.split(), case


def test_every_reason_is_given():
    times = [datetime(2026, 10, day, hour, tzinfo=UTC) for day, hour in ((25, 1), (25, 0), (24, 9), (24, 8))]
    policy = parse_policy(
        "last=2 hourly=2 daily=3 weekly=unlimited monthly=1 yearly=1 within=2h within-daily=9d", BERLIN
    )
    assert policy.reasons(times) == {
        0: (
            "last=2 keeps it, number 1 of 2 from the newest",
            "hourly=2 keeps it, the newest of 2026-10-25 02h, the repeated hour (1 of 2)",
            "daily=3 keeps it, the newest of 2026-10-25 (1 of 3)",
            "weekly=unlimited keeps it, the newest of week 2026-W43 (1)",
            "monthly=1 keeps it, the newest of 2026-10 (1 of 1)",
            "yearly=1 keeps it, the newest of 2026 (1 of 1)",
            "within=2h keeps it, taken after 2026-10-24 23:00 UTC",
            "within-daily=9d keeps it, the newest of 2026-10-25, taken after 2026-10-16 00:00 UTC",
        ),
        1: (
            "last=2 keeps it, number 2 of 2 from the newest",
            "hourly=2 keeps it, the newest of 2026-10-25 02h (2 of 2)",
            "within=2h keeps it, taken after 2026-10-24 23:00 UTC",
        ),
        2: (
            "daily=3 keeps it, the newest of 2026-10-24 (2 of 3)",
            "within-daily=9d keeps it, the newest of 2026-10-24, taken after 2026-10-16 00:00 UTC",
        ),
        3: (
            "daily=3 keeps it, the oldest one, as only 2 of 3 places are taken",
            "weekly=unlimited keeps it, the oldest one",
            "within-daily=9d keeps it, the oldest one, taken after 2026-10-16 00:00 UTC",
        ),
    }


# An oracle that says the same in another way: with sets of printed periods and no early end.
_FORMATS = {
    Period.HOURLY: "%Y-%m-%d %H %z",
    Period.DAILY: "%Y-%m-%d",
    Period.WEEKLY: "%G-%V",
    Period.MONTHLY: "%Y-%m",
    Period.YEARLY: "%Y",
}


def expected_places(policy: Policy, times: list[datetime]) -> set[int]:
    places = set()
    for rule in policy.rules:
        zone = ZoneInfo(policy.time_zone)
        after = rule.within.before(times[0], zone) if rule.within else datetime.min.replace(tzinfo=UTC)
        labels = [
            str(place) if rule.period is Period.LAST else f"{time.astimezone(zone):{_FORMATS[rule.period]}}"
            for place, time in enumerate(times)
        ]
        for place, time in enumerate(times):
            newer = set(labels[:place])
            is_first = labels[place] not in newer
            is_oldest = place == len(times) - 1
            has_room = rule.count is None or len(newer) < rule.count
            if time > after and has_room and (is_first or is_oldest):
                places.add(place)
    return places


COUNTS = st.one_of(st.just("unlimited"), st.integers(1, 6).map(str))
SPANS = st.sampled_from(["1h", "5h", "1d", "1d3h", "7d", "1m", "2m10d", "1y", "1y1m", "3y", "9999y"])
RULES = st.one_of(
    st.tuples(st.sampled_from([*Period]).map(str), COUNTS),
    st.tuples(st.sampled_from(["within", *(f"within-{period}" for period in [*Period][1:])]), SPANS),
)
POLICIES = st.lists(RULES, min_size=1, max_size=4, unique_by=lambda rule: rule[0]).map(
    lambda rules: " ".join(map("=".join, rules))
)
ZONES = st.sampled_from(["UTC", BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "Pacific/Auckland"])
# Minutes around days on which a clock changes, a year ends or leaps, so that a random list meets them.
_DAYS = [
    datetime(*day, tzinfo=UTC)
    for day in ((2024, 2, 29), (2025, 10, 26), (2025, 11, 2), (2025, 12, 31), (2026, 1, 4), (2026, 3, 29), (2026, 4, 4))
]
TIMES = st.integers(0, len(_DAYS) * 2880 - 1).map(
    lambda number: _DAYS[number % len(_DAYS)] + timedelta(minutes=number // len(_DAYS) - 720)
)


@given(POLICIES, ZONES, st.lists(TIMES, min_size=1, max_size=12))
@settings(max_examples=examples(200), deadline=None)
def test_policy_keeps_what_the_oracle_keeps(text, zone, times):
    times.sort(reverse=True)
    policy = parse_policy(text, zone)
    assert set(policy.reasons(times)) == expected_places(policy, times)


@pytest.mark.parametrize(("policy", "kept"), [("daily=14 monthly=6 yearly=1", 19), ("daily=14 monthly=7 yearly=2", 21)])
def test_borgs_documented_example_keeps_the_documented_ones(policy, kept):
    # https://borgbackup.readthedocs.io/en/stable/usage/prune.html: a backup on each day of 2015 but 19 December
    days = [datetime(2015, 12, 31, 2, tzinfo=UTC) - timedelta(days=day) for day in range(365)]
    times = [day for day in days if (day.month, day.day) != (12, 19)]
    found = parse_policy(policy).reasons(times)
    assert len(found) == kept
    oldest_stays = len(times) - 1 in found
    assert oldest_stays is (kept == 21), "as in borg, the oldest fills a place of the years that is left"


def test_the_repeated_hour_takes_one_of_the_numbered_places():
    # Berlin, 25 October 2026: 02h comes at 00:30 and at 01:30 UTC.
    times = [datetime(2026, 10, 25, 3, 30, tzinfo=UTC) - timedelta(hours=hour) for hour in range(6)]
    assert sorted(parse_policy("hourly=4", "Europe/Berlin").reasons(times)) == [0, 1, 2, 3]
