"""The due times of a schedule in every zone and season, and the ids that recovery points get of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.backup.cron import ScheduleError, cron_slots
from lifeboat.backup.schedule import Schedule, next_slot, parse_schedule, previous_slot
from lifeboat.domain.recovery_point_tags import recovery_point_id, slot_prefix
from tests.steps import steps

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

ONE = "i-00000000000000001"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots_after(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """A rate's slots one by one, a cron's in one walk, which is faster."""
    if schedule.cron is not None:
        yield from cron_slots(schedule.cron, ZoneInfo(schedule.time_zone), after)
        return
    slot = next_slot(schedule, after)
    while slot is not None:
        yield slot
        slot = next_slot(schedule, slot)


def slots_between(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The slots later than `after`, up to and including `until`, oldest first."""
    return list(takewhile(lambda slot: slot <= until, slots_after(schedule, after)))


def between(text: str, zone: str, after: str, until: str) -> list[str]:
    slots = slots_between(parse_schedule(text, zone), utc(after), utc(until))
    return [f"{slot:%Y-%m-%d %H:%M}" for slot in slots]


@pytest.mark.parametrize(
    ("text", "after", "until", "slots"),
    [
        pytest.param(
            "cron(0 2 * * ? *)",
            "2026-11-22T02:00",
            "2026-11-24T02:00",
            ["2026-11-23 02:00", "2026-11-24 02:00"],
            id="daily-open-at-the-start-closed-at-the-end",
        ),
        pytest.param(
            "cron(0/20 6 * * ? *)",
            "2026-11-22T00:00",
            "2026-11-22T23:59",
            ["2026-11-22 06:00", "2026-11-22 06:20", "2026-11-22 06:40"],
            id="step-from-a-start",
        ),
        pytest.param(
            "cron(5-15/5 6,8 1 * ? *)",
            "2026-11-01T00:00",
            "2026-11-01T23:59",
            [f"2026-11-01 {hour}:{minute}" for hour in ("06", "08") for minute in ("05", "10", "15")],
            id="range-with-step-with-list",
        ),
        pytest.param(
            "cron(0 22-2/2 1 1 ? 2027)",
            "2026-12-31T00:00",
            "2027-02-01T00:00",
            ["2027-01-01 00:00", "2027-01-01 02:00", "2027-01-01 22:00"],
            id="range-that-wraps",
        ),
        pytest.param(
            "cron(0 0 */10 2 ? 2027)",
            "2027-01-01T00:00",
            "2027-12-31T00:00",
            ["2027-02-01 00:00", "2027-02-11 00:00", "2027-02-21 00:00"],
            id="step-over-a-month",
        ),
        pytest.param(
            "cron(0 0 L * ? *)",
            "2027-12-31T00:00",
            "2028-04-30T00:00",
            ["2028-01-31 00:00", "2028-02-29 00:00", "2028-03-31 00:00", "2028-04-30 00:00"],
            id="last-day-of-the-month-in-a-leap-year",
        ),
        pytest.param(
            "cron(0 0 L-2,1 * ? *)",
            "2027-01-31T00:00",
            "2027-03-01T00:00",
            ["2027-02-01 00:00", "2027-02-26 00:00", "2027-03-01 00:00"],
            id="days-before-the-last-in-a-list",
        ),
        pytest.param(
            "cron(0 0 L-30 * ? 2027)",
            "2026-12-31T00:00",
            "2027-05-31T00:00",
            ["2027-01-01 00:00", "2027-03-01 00:00", "2027-05-01 00:00"],
            id="thirty-before-the-last-only-in-long-months",
        ),
        pytest.param(
            "cron(0 0 LW * ? 2026)",
            "2026-01-01T00:00",
            "2026-06-01T00:00",
            ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-31 00:00", "2026-04-30 00:00", "2026-05-29 00:00"],
            id="last-weekday-when-the-month-ends-on-a-saturday-and-a-sunday",
        ),
        pytest.param(
            "cron(0 0 15W 8,11 ? 2026)",
            "2026-01-01T00:00",
            "2026-12-31T00:00",
            ["2026-08-14 00:00", "2026-11-16 00:00"],
            id="nearest-weekday-back-from-saturday-on-from-sunday",
        ),
        pytest.param(
            "cron(0 0 1W 8 ? 2026)",
            "2026-01-01T00:00",
            "2026-12-31T00:00",
            ["2026-08-03 00:00"],
            id="nearest-weekday-of-saturday-the-first-stays-in-the-month",
        ),
        pytest.param(
            "cron(0 0 31W 5,6,12 ? 2026)",
            "2026-01-01T00:00",
            "2026-12-31T00:00",
            ["2026-05-29 00:00", "2026-12-31 00:00"],
            id="nearest-weekday-of-sunday-the-last-stays-and-a-short-month-has-none",
        ),
        pytest.param(
            "cron(0 0 31 * ? 2026)",
            "2026-01-31T00:00",
            "2026-08-01T00:00",
            ["2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00"],
            id="day-31-skips-short-months",
        ),
        pytest.param(
            "cron(0 0 29 2 ? *)",
            "2027-01-01T00:00",
            "2036-02-29T00:00",
            ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"],
            id="leap-day",
        ),
        pytest.param(
            "cron(0 0 29 FEB ? *)",
            "2096-02-29T00:00",
            "2104-12-31T00:00",
            ["2104-02-29 00:00"],
            id="leap-day-skips-the-year-2100",
        ),
        pytest.param(
            "cron(30 4 ? * tue#2 *)",
            "2026-10-31T00:00",
            "2026-12-31T00:00",
            ["2026-11-10 04:30", "2026-12-08 04:30"],
            id="second-tuesday-by-name",
        ),
        pytest.param(
            "cron(0 0 ? * 1#5 2026)",
            "2026-01-01T00:00",
            "2026-09-01T00:00",
            ["2026-03-29 00:00", "2026-05-31 00:00", "2026-08-30 00:00"],
            id="fifth-sunday-only-where-there-is-one",
        ),
        pytest.param(
            "cron(0 0 ? * 6L 2026)",
            "2026-01-01T00:00",
            "2026-04-01T00:00",
            ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-27 00:00"],
            id="last-friday",
        ),
        pytest.param(
            "cron(0 0 ? * SUNL,WED 2026)",
            "2026-02-15T00:00",
            "2026-02-28T00:00",
            ["2026-02-18 00:00", "2026-02-22 00:00", "2026-02-25 00:00"],
            id="last-sunday-in-a-list-with-every-wednesday",
        ),
        pytest.param(
            "cron(0 0 ? * L 2026)",
            "2026-02-01T00:00",
            "2026-02-15T00:00",
            ["2026-02-07 00:00", "2026-02-14 00:00"],
            id="last-day-of-the-week-is-saturday",
        ),
        pytest.param(
            "cron(0 0 ? * FRI-MON *)",
            "2026-11-18T00:00",
            "2026-11-25T00:00",
            ["2026-11-20 00:00", "2026-11-21 00:00", "2026-11-22 00:00", "2026-11-23 00:00"],
            id="weekdays-that-wrap-over-the-weekend",
        ),
        pytest.param(
            "cron(0 0 ? JAN-MAR/2 MON-FRI/4 2027)",
            "2026-12-31T00:00",
            "2027-03-06T00:00",
            [
                *(f"2027-01-{day} 00:00" for day in ("01", "04", "08", "11", "15", "18", "22", "25", "29")),
                *(f"2027-03-{day} 00:00" for day in ("01", "05")),
            ],
            id="names-with-steps",
        ),
        pytest.param(
            "cron(0 0 1 1 ? 2027,2030-2034/2)",
            "2026-01-01T00:00",
            "2040-01-01T00:00",
            ["2027-01-01 00:00", "2030-01-01 00:00", "2032-01-01 00:00", "2034-01-01 00:00"],
            id="list-of-years",
        ),
        pytest.param(
            "cron(0 0 1 1 ? 2026/80)",
            "2000-01-01T00:00",
            "2300-01-01T00:00",
            ["2026-01-01 00:00", "2106-01-01 00:00", "2186-01-01 00:00"],
            id="steps-of-years-end-in-2199",
        ),
        pytest.param(
            "cron(0  12  1   1 ? 2027)",
            "2026-01-01T00:00",
            "2028-01-01T00:00",
            ["2027-01-01 12:00"],
            id="white-space-of-any-width",
        ),
    ],
)
def test_cron_slots_in_utc(text: str, after: str, until: str, slots: list[str]) -> None:
    assert between(text, "UTC", after, until) == slots


@pytest.mark.parametrize(
    ("text", "zone", "after", "until", "slots"),
    [
        pytest.param(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T00:00",
            "2026-03-30T12:00",
            ["2026-03-28 01:30", "2026-03-30 00:30"],
            id="berlin-gap-skips-the-day",
        ),
        pytest.param(
            "cron(0 3 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T12:00",
            "2026-03-29T12:00",
            ["2026-03-29 01:00"],
            id="berlin-first-minute-after-the-gap-is-there",
        ),
        pytest.param(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-24T12:00",
            "2026-10-26T12:00",
            ["2026-10-25 00:30", "2026-10-26 01:30"],
            id="berlin-overlap-runs-once-in-the-first-pass",
        ),
        pytest.param(
            "cron(0/30 * * * ? *)",
            "Europe/Berlin",
            "2026-10-25T00:00",
            "2026-10-25T02:30",
            ["2026-10-25 00:30", "2026-10-25 02:00", "2026-10-25 02:30"],
            id="berlin-repeated-hour-is-silent",
        ),
        pytest.param(
            "cron(0 2 * * ? *)",
            "America/New_York",
            "2026-03-07T00:00",
            "2026-03-09T12:00",
            ["2026-03-07 07:00", "2026-03-09 06:00"],
            id="new-york-gap-skips-the-day",
        ),
        pytest.param(
            "cron(30 1 * * ? *)",
            "America/New_York",
            "2026-10-31T12:00",
            "2026-11-02T12:00",
            ["2026-11-01 05:30", "2026-11-02 06:30"],
            id="new-york-overlap-runs-once",
        ),
        pytest.param(
            "cron(15 2 * * ? *)",
            "Australia/Lord_Howe",
            "2026-10-02T12:00",
            "2026-10-04T20:00",
            ["2026-10-02 15:45", "2026-10-04 15:15"],
            id="lord-howe-half-an-hour-gap",
        ),
        pytest.param(
            "cron(0,30,45 1-2 * * ? *)",
            "Australia/Lord_Howe",
            "2026-04-04T13:00",
            "2026-04-04T16:30",
            [f"2026-04-04 {time}" for time in ("14:00", "14:30", "14:45", "15:30", "16:00", "16:15")],
            id="lord-howe-half-an-hour-overlap",
        ),
        pytest.param(
            "cron(0 12 * * ? *)",
            "Pacific/Apia",
            "2011-12-29T00:00",
            "2012-01-01T00:00",
            ["2011-12-29 22:00", "2011-12-30 22:00", "2011-12-31 22:00"],
            id="apia-has-no-30-december-2011",
        ),
        pytest.param(
            "cron(30 23 * * ? *)",
            "Asia/Beirut",
            "2026-10-23T00:00",
            "2026-10-26T00:00",
            ["2026-10-23 20:30", "2026-10-24 20:30", "2026-10-25 21:30"],
            id="beirut-overlap-at-midnight",
        ),
        pytest.param(
            "cron(0 0 L * ? *)",
            "Pacific/Kiritimati",
            "2026-01-01T00:00",
            "2026-02-28T00:00",
            ["2026-01-30 10:00", "2026-02-27 10:00"],
            id="month-ends-by-the-zones-own-calendar",
        ),
    ],
)
def test_cron_slots_where_clocks_change(text: str, zone: str, after: str, until: str, slots: list[str]) -> None:
    assert between(text, zone, after, until) == slots
    schedule = parse_schedule(text, zone)
    assert previous_slot(schedule, utc(until)) == utc(slots[-1].replace(" ", "T"))


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("rate(1 minute)", MINUTE),
        ("rate(15 minutes)", 15 * MINUTE),
        ("rate(1 hour)", HOUR),
        ("rate(1 hours)", HOUR),
        ("rate(5 days)", 5 * DAY),
        ("rate(3653 days)", 3653 * DAY),
    ],
)
def test_a_rate_counts_fixed_time_from_its_start(text: str, every: timedelta) -> None:
    start = utc("2026-03-22T18:59:43")
    schedule = parse_schedule(text, "Europe/Berlin").counted_from(start)
    assert list(islice(slots_after(schedule, start - DAY), 4)) == [start + n * every for n in range(4)]
    assert next_slot(schedule, start) == start + every
    assert previous_slot(schedule, start) == start
    assert previous_slot(schedule, start - MINUTE) is None
    assert previous_slot(schedule, start + 3 * every - MINUTE / 2) == start + 2 * every


def test_a_rate_ends_with_the_last_year() -> None:
    schedule = parse_schedule("rate(1 day)").counted_from(utc("2199-12-30T12:00:00"))
    assert (slots_between(schedule, utc("2199-12-30T00:00"), utc("2299-01-01T00:00"))) == [
        utc("2199-12-30T12:00"),
        utc("2199-12-31T12:00"),
    ]


def test_a_rate_without_a_start_has_no_known_slots() -> None:
    schedule = parse_schedule("rate(1 day)")
    for ask in (next_slot, previous_slot):
        with pytest.raises(ScheduleError, match=r"start of 'rate\(1 day\)' is not known"):
            ask(schedule, utc("2026-01-01T00:00"))
    assert next_slot(schedule.counted_from(utc("2026-01-01T13:37")), utc("2026-01-03T00:00")) == utc("2026-01-03T13:37")


@pytest.mark.parametrize("ask", [next_slot, previous_slot])
def test_the_slots_around_a_time_are_found_without_walking_a_day_of_minutes(
    ask: Callable[[Schedule, datetime], datetime | None],
) -> None:
    schedule = parse_schedule("cron(* * * * ? *)", "Europe/Berlin")
    assert steps(lambda: ask(schedule, utc("2150-06-15T12:30:30"))) < 1_000


def test_a_cron_has_an_end() -> None:
    schedule = parse_schedule("cron(59 23 31 12 ? 2199)", "Etc/GMT+12")
    last = utc("2200-01-01T11:59")
    assert next_slot(schedule, utc("2026-01-01T00:00")) == last
    assert previous_slot(schedule, utc("2300-01-01T00:00")) == last
    assert next_slot(schedule, last) is None
    first = parse_schedule("cron(0 0 1 1 ? 1970)", "Pacific/Kiritimati")
    assert next_slot(first, utc("0002-01-01T00:00")) == previous_slot(first, utc("2026-01-01T00:00"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "schedule is '', expected rate(value unit) or cron(six fields)."),
        ("0 2 * * ? *", "schedule is '0 2 * * ? *', expected rate(value unit) or cron(six fields)."),
        ("at(2026-11-23T02:00:00)", "expected rate(value unit) or cron(six fields)."),
        ("rate(1 week)", "schedule is 'rate(1 week)', expected rate(value unit) or cron(six fields)."),
        ("rate(-1 days)", "schedule is 'rate(-1 days)'"),
        ("rate(0 days)", "expected a value of 1 or more and of ten years at most."),
        ("rate(3654 days)", "expected a value of 1 or more and of ten years at most."),
        ("rate(87673 hours)", "expected a value of 1 or more and of ten years at most."),
        (f"rate({'9' * 5000} days)", "expected rate(value unit) or cron(six fields)."),
        ("cron()", "schedule is 'cron()' with 0 fields, expected six: minutes, hours"),
        ("cron(0 2 * * *)", "schedule is 'cron(0 2 * * *)' with 5 fields, expected six"),
        ("cron(0 0 2 * * ? *)", "with 7 fields, expected six"),
        ("cron(0 2 * * * *)", "expected ? in exactly one of day of month (*) and day of week (*)."),
        ("cron(0 2 ? * ? *)", "expected ? in exactly one of day of month (?) and day of week (?)."),
        ("cron(60 2 * * ? *)", "minutes has '60', expected numbers from 0 to 59."),
        ("cron(0 24 * * ? *)", "hours has '24', expected numbers from 0 to 23."),
        ("cron(0 2 0 * ? *)", "day of month has '0', expected numbers from 1 to 31."),
        ("cron(0 2 32 * ? *)", "day of month has '32', expected numbers from 1 to 31."),
        ("cron(0 2 * 13 ? *)", "month has '13', expected numbers from 1 to 12 or JAN-DEC."),
        ("cron(0 2 * MAI ? *)", "month has 'MAI', expected numbers from 1 to 12 or JAN-DEC."),
        ("cron(0 2 ? * 0 *)", "day of week has '0', expected numbers from 1 to 7 or SUN-SAT."),
        ("cron(0 2 ? * 8L *)", "day of week has '8L', expected numbers from 1 to 7 or SUN-SAT."),
        ("cron(0 2 * * ? 1969)", "year has '1969', expected numbers from 1970 to 2199."),
        ("cron(0 2 * * ? 2200)", "year has '2200', expected numbers from 1970 to 2199."),
        ("cron(0 2 * * ? 2027-2026)", "year has '2027-2026', expected a range that begins with the earlier year."),
        ("cron(0,,5 2 * * ? *)", "minutes has '', expected numbers from 0 to 59."),
        ("cron(0- 2 * * ? *)", "minutes has '0-', expected numbers from 0 to 59."),
        ("cron(/5 2 * * ? *)", "minutes has '/5', expected numbers from 0 to 59."),
        ("cron(? 2 * * ? *)", "minutes has '?', expected numbers from 0 to 59."),
        ("cron(L 2 * * ? *)", "minutes has 'L', expected numbers from 0 to 59."),
        ("cron(\u0665 2 * * ? *)", "expected numbers from 0 to 59."),
        ("cron(0/0 2 * * ? *)", "minutes has '0/0', expected a step from 1 to 9999."),
        ("cron(0/12345 2 * * ? *)", "minutes has '0/12345', expected a step from 1 to 9999."),
        ("cron(0/ 2 * * ? *)", "minutes has '0/', expected a step from 1 to 9999."),
        ("cron(0 2 W * ? *)", "day of month has 'W', expected numbers from 1 to 31."),
        ("cron(0 2 32W * ? *)", "day of month has '32W', expected numbers from 1 to 31."),
        ("cron(0 2 L-31 * ? *)", "day of month has 'L-31', expected L-0 to L-30."),
        ("cron(0 2 ? * MON#6 *)", "day of week has 'MON#6', expected one weekday with its count in the month from 1"),
        ("cron(0 2 ? * 2#1,3#1 *)", "day of week has '2#1,3#1', expected one weekday with its count"),
        ("cron(0 2 ? * 9#1 *)", "day of week has '9#1', expected numbers from 1 to 7 or SUN-SAT."),
        ("cron(0 2 30 2 ? *)", "expected a cron that fires at least once, this one never does."),
        ("cron(0 2 31 4,6,9,11 ? *)", "expected a cron that fires at least once, this one never does."),
        ("cron(0 2 29 2 ? 2100)", "expected a cron that fires at least once, this one never does."),
        ("cron(0 2 L-29 2 ? *)", "expected a cron that fires at least once, this one never does."),
        ("cron(0 2 ? 2 MON#5 2027)", "expected a cron that fires at least once, this one never does."),
        ("cron(30 2 29 3 ? 2026)", "expected a cron that fires at least once, this one never does."),
    ],
)
def test_a_bad_schedule_is_refused_with_field_value_expectation(text: str, sentence: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse_schedule(text, "Europe/Berlin")
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "step",
    ["0/60 0 1 1 ? *", "0 0/24 1 1 ? *", "0 0 1/31 1 ? *", "0 0 1 1/12 ? *", "0/90 0/30 1 1 ? *", "*/75 0 1/40 1 ? *"],
)
def test_a_step_as_wide_as_its_field_or_wider_fires_once_in_it(step: str) -> None:
    assert between(f"cron({step})", "UTC", "2026-12-31T12:00", "2027-12-31T12:00") == ["2027-01-01 00:00"]


@pytest.mark.parametrize("zone", ["Europe/Bonn", "", "Europe", "/etc/localtime", "../UTC", "CEST"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ScheduleError, match="expected a name of the IANA time zone database such as Europe/Berlin"):
        parse_schedule("rate(1 day)", zone)


def test_times_without_a_zone_are_refused() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that it has no zone is the point
    schedule = parse_schedule("cron(0 2 * * ? *)")
    asks: list[tuple[str, Callable[[], object]]] = [
        ("start", lambda: schedule.counted_from(naive)),
        ("after", lambda: next_slot(schedule, naive)),
        ("at", lambda: previous_slot(schedule, naive)),
        ("slot", lambda: recovery_point_id(naive, ONE)),
    ]
    for field, ask in asks:
        with pytest.raises(ValueError, match=f"^{field} is 2026-01-01T00:00:00 without a time zone"):
            ask()


# --- the slot as a key ---


def test_the_recovery_point_id_is_the_same_for_the_same_slot_and_instance() -> None:
    berlin = datetime(2026, 11, 23, 3, tzinfo=ZoneInfo("Europe/Berlin"))
    assert recovery_point_id(berlin, ONE) == "rp-20261123T020000Z-i-00000000000000001"
    assert recovery_point_id(utc("2026-11-23T02:00"), ONE) == recovery_point_id(berlin, ONE)
    assert recovery_point_id(berlin, "i-0123abcd") == "rp-20261123T020000Z-i-0123abcd"


def test_the_prefix_of_a_slot_is_that_of_its_recovery_points_and_of_no_others() -> None:
    prefix = slot_prefix(recovery_point_id(utc("2026-11-23T02:00"), ONE))
    assert prefix == "rp-20261123T020000Z-"
    assert recovery_point_id(utc("2026-11-23T02:00"), "i-0123abcd").startswith(prefix)
    assert not recovery_point_id(utc("2026-11-23T02:01"), ONE).startswith(prefix)
    assert [slot_prefix(other) for other in ("rp-7", "", "rp-20261123T020000Z", "adopted-1")] == [None] * 4


@pytest.mark.parametrize(
    "instance_id", ["", "i-", "i-0123", "i-0123456789ABCDEF0", "vol-0123456789abcdef0", f"{ONE}\n"]
)
def test_no_recovery_point_id_of_what_is_no_instance(instance_id: str) -> None:
    with pytest.raises(ValueError, match="expected an id such as i-0123456789abcdef0"):
        recovery_point_id(utc("2026-11-23T02:00"), instance_id)


# --- against a slow second opinion: every minute, asked whether the expression names it ---

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Beirut")
NAMES_OF_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class Drawn:
    """A field as it is written, and what it means, put down beside each other by hand."""

    text: str
    names: Callable[[datetime], bool]


def weekday(at: datetime) -> int:
    return at.isoweekday() % 7 + 1


def days_in_month(at: datetime) -> int:
    day = at.replace(day=28)
    while (day + DAY).month == at.month:
        day += DAY
    return day.day


def nearest_weekday(at: datetime, day: int) -> int:
    in_month = [n for n in range(1, days_in_month(at) + 1) if at.replace(day=n).isoweekday() < 6]
    return min(in_month, key=lambda n: (abs(n - day), n))


def numbers(low: int, high: int, of: Callable[[datetime], int]) -> st.SearchStrategy[Drawn]:
    """Lists of `*`, `n`, `n-m`, `n/s`, `n-m/s` and `*/s`; ranges may wrap."""
    number = st.integers(low, high)
    step = st.integers(1, high - low + 1)

    def walked(first: int, last: int, step: int) -> set[int]:
        found, at = set(), first
        for count in range(high - low + 1):
            if count % step == 0:
                found.add(at)
            if at == last:
                break
            at = low if at == high else at + 1
        return found

    part = st.one_of(
        number.map(lambda n: (str(n), {n})),
        st.tuples(number, number).map(lambda p: (f"{p[0]}-{p[1]}", walked(p[0], p[1], 1))),
        st.tuples(number, step).map(lambda p: (f"{p[0]}/{p[1]}", walked(p[0], high, p[1]))),
        st.tuples(number, number, step).map(lambda p: (f"{p[0]}-{p[1]}/{p[2]}", walked(*p))),
        step.map(lambda s: (f"*/{s}", walked(low, high, s))),
        st.just(("*", walked(low, high, 1))),
    )

    def joined(parts: list[tuple[str, set[int]]]) -> Drawn:
        named = set().union(*(found for _, found in parts))
        return Drawn(",".join(text for text, _ in parts), lambda at: of(at) in named)

    return st.lists(part, min_size=1, max_size=3).map(joined)


def special_days_of_month() -> st.SearchStrategy[Drawn]:
    return st.one_of(
        st.just(Drawn("L", lambda at: at.day == days_in_month(at))),
        st.just(Drawn("LW", lambda at: at.day == nearest_weekday(at, days_in_month(at)))),
        st.integers(0, 27).map(lambda n: Drawn(f"L-{n}", lambda at: at.day == days_in_month(at) - n)),
        st.integers(1, 31).map(
            lambda n: Drawn(f"{n}W", lambda at: n <= days_in_month(at) and at.day == nearest_weekday(at, n))
        ),
    )


def special_days_of_week() -> st.SearchStrategy[Drawn]:
    day = st.integers(1, 7)
    return st.one_of(
        day.map(lambda n: Drawn(f"{n}L", lambda at: weekday(at) == n and (at + 7 * DAY).month != at.month)),
        day.map(lambda n: Drawn(NAMES_OF_WEEKDAYS[n - 1], lambda at: weekday(at) == n)),
        st.tuples(day, st.integers(1, 5)).map(
            lambda p: Drawn(f"{p[0]}#{p[1]}", lambda at: weekday(at) == p[0] and (at.day + 6) // 7 == p[1])
        ),
    )


DAYS = st.one_of(
    st.one_of(numbers(1, 31, lambda at: at.day), special_days_of_month()).map(lambda day: (day, Drawn("?", bool))),
    st.one_of(numbers(1, 7, weekday), special_days_of_week()).map(lambda day: (Drawn("?", bool), day)),
)
MINUTES = numbers(0, 59, lambda at: at.minute)
HOURS = numbers(0, 23, lambda at: at.hour)
MONTHS = numbers(1, 12, lambda at: at.month)

# A day before clocks change somewhere, the end of February with and without a leap day, the end of a year.
STARTS = [
    "2026-03-28",
    "2026-10-24",
    "2026-03-07",
    "2026-10-31",
    "2026-04-03",
    "2026-10-02",
    "2028-02-27",
    "2026-02-27",
    "2027-12-30",
]


def named_minutes(fields: tuple[Drawn, ...], zone: str, after: datetime, minutes: int) -> list[datetime]:
    found, shown = [], set()
    # What the clock shows for the second time is no slot, so the walk begins before the window.
    for minute in range(-180, minutes + 1):
        at = after + minute * MINUTE
        local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if local not in shown and minute > 0 and all(field.names(local) for field in fields):
            found.append(at)
        shown.add(local)
    return found


def read(text: str, zone: str = "UTC", start: datetime | None = None) -> Schedule | None:
    """The schedule, or None when it never fires; what is drawn here is refused for nothing else."""
    try:
        schedule = parse_schedule(text, zone)
        return schedule.counted_from(start) if start else schedule
    except ScheduleError as problem:
        if "never does" not in str(problem):
            raise
        return None


EXPRESSIONS = st.builds(
    lambda minute, hour, days, month: (minute, hour, days[0], month, days[1]), MINUTES, HOURS, DAYS, MONTHS
)
AFTERS = st.builds(lambda start, offset: utc(start) + offset * MINUTE, st.sampled_from(STARTS), st.integers(0, 1439))


@settings(max_examples=120, deadline=None)
@given(EXPRESSIONS, st.sampled_from(ZONES), AFTERS)
def test_slots_are_the_minutes_that_the_expression_names(fields: tuple[Drawn, ...], zone: str, after: datetime) -> None:
    schedule = read(f"cron({' '.join(field.text for field in fields)} *)", zone)
    found = [] if schedule is None else (slots_between(schedule, after, after + 2 * DAY))
    assert found == named_minutes(fields, zone, after, 2880)


@settings(max_examples=150, deadline=None)
@given(DAYS, MONTHS, st.integers(1971, 2190))
def test_days_are_the_days_that_the_expression_names(days: tuple[Drawn, Drawn], month: Drawn, year: int) -> None:
    fields = (days[0], month, days[1])
    text = f"cron(0 12 {' '.join(field.text for field in fields)} {year}-{year + 3})"
    days_in_four_years = (datetime(year + 4, 1, 1, tzinfo=UTC) - datetime(year, 1, 1, tzinfo=UTC)).days
    noons = [datetime(year, 1, 1, 12, tzinfo=UTC) + n * DAY for n in range(days_in_four_years)]
    expected = [noon for noon in noons if all(field.names(noon) for field in fields)]
    schedule = read(text)
    assert ([] if schedule is None else (slots_between(schedule, noons[0] - DAY, noons[-1]))) == expected


CRONS = EXPRESSIONS.map(lambda fields: f"cron({' '.join(field.text for field in fields)} *)")
RATES = st.builds(
    lambda value, unit: f"rate({value} {unit})", st.integers(1, 400), st.sampled_from(["minutes", "hours", "days"])
)
TIMES = st.datetimes(datetime(1975, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - see timezones


@settings(max_examples=150, deadline=None)
@given(st.one_of(CRONS, RATES), st.sampled_from(ZONES), TIMES)
def test_next_and_previous_are_inverse_and_slots_only_grow(text: str, zone: str, at: datetime) -> None:
    schedule = read(text, zone, utc("1974-05-06T07:08:09"))
    if schedule is None:
        return
    slots = list(islice(slots_after(schedule, at), 20))
    assert all(earlier < later for earlier, later in pairwise(slots))
    before = previous_slot(schedule, at)
    assert before is None or before <= at
    if before is not None and slots:
        assert next_slot(schedule, before) == slots[0]
    for earlier, later in pairwise(slots):
        assert next_slot(schedule, earlier) == later
        assert previous_slot(schedule, later) == later
        assert previous_slot(schedule, later - timedelta(microseconds=1)) == earlier


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="cronrate()0123456789 *?/,-LW#MONday", max_size=40), st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str, zone: str) -> None:
    refusals = []
    for schedule, time_zone in ((text, "UTC"), (f"cron({text})", "UTC"), ("rate(1 day)", zone)):
        try:
            parsed = parse_schedule(schedule, time_zone)
        except ScheduleError as problem:
            refusals.append(str(problem))
        else:
            assert (parsed.cron is None) != (parsed.every is None)
    assert all(", expected" in refusal for refusal in refusals)
