"""A schedule fails at deployment, or it can be read: never at every run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifeboat.backup.cron import ScheduleError
from lifeboat.backup.schedule import parse_schedule
from tools.docs_template import read_template

ROOT = Path(__file__).parents[2]
PATTERN = read_template((ROOT / "template.yaml").read_text())["Parameters"]["Schedule"]["AllowedPattern"]
EARLIER_YEAR = "a range that begins with the earlier year"
NEVER = "expected a cron that fires at least once, this one never does"
"""No pattern compares two numbers, nor knows the days of a month. The stack says so at each run."""


def passes(text: str) -> bool:
    return re.fullmatch(PATTERN, text) is not None


def refusal_of(text: str) -> str:
    try:
        parse_schedule(text, "Europe/Berlin")
    except ScheduleError as refusal:
        return str(refusal)
    return ""


@given(st.from_regex(PATTERN, fullmatch=True).map(lambda text: text.rstrip("\n")))
@example("cron(* * 31W 11 ? *)")
def test_what_the_template_takes_can_be_read(text):
    refusal = refusal_of(text)
    assert not refusal or EARLIER_YEAR in refusal or NEVER in refusal


@pytest.mark.parametrize(
    "text",
    [
        *("rate(1 day)", "rate(5 minutes)", "rate(12 hours)", "cron(0 2 * * ? *)", "cron(0/90 2 * * ? *)"),
        *("cron(15 10 ? * 6L 2022-2023)", "cron(0 10 ? * MON-FRI *)", "cron(0/15 * * * ? *)", "cron(0 8 1 * ? *)"),
        *("cron(0 18 ? * FRI#2 *)", "cron(0 0 LW * ? *)", "cron(0 0 L-3 * ? *)", "cron(30 4 15W jan,JUL ? *)"),
        *("cron(0 22,4 ? * fri-mon *)", "cron(0 2 ? * L *)", "cron(05 02 1-7/2 * ? 2026,2027)"),
    ],
)
def test_what_people_write_passes_and_can_be_read(text):
    assert passes(text)
    parse_schedule(text, "UTC")


@pytest.mark.parametrize(
    "text",
    [
        *("cron(0 2 * * * *)", "cron(0 2 ? * ? *)", "cron(0 2 * * ?)", "cron(60 2 * * ? *)", "cron(0 24 * * ? *)"),
        *("rate(0 days)", "rate(1 week)", "rate(99999 hours)", "at(2026-11-23T02:00:00)", "cron(0/0 2 * * ? *)"),
        *("cron(0 2 L-31 * ? *)", "cron(0 2 ? * FRI#6 *)", "cron(0 2 ? * FRI#2,MON *)", "cron()", "daily"),
        *("cron(0  2 * * ? *)", " rate(1 day)", "cron(0/99999 2 * * ? *)", "cron(@daily)"),
    ],
)
def test_what_cannot_be_read_for_sure_fails_at_deployment(text):
    assert not passes(text)


def test_a_list_as_long_as_a_person_writes_is_judged_at_once():
    minutes = ",".join(str(minute) for minute in range(60))
    assert passes(f"cron({minutes} 0-23 ? JAN,FEB,MAR MON,TUE,WED *)")
    assert not passes(f"cron({minutes},60 0-23 ? JAN,FEB,MAR MON,TUE,WED *)")
