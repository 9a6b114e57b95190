"""The golden files of retention, the calendar, and the page of the docs that shows it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lifeboat.retention.calendar import render_text
from lifeboat.retention.plan import RetentionPlan, Verdict
from lifeboat.retention.policy import parse_policy
from tests.retention.builders import decide, point
from tests.retention.golden_calendar import (
    CALENDAR,
    ROOT,
    default_calendar,
    golden_files,
    question,
    render,
    taken,
)
from tools import docs_retention


@pytest.mark.parametrize("path", golden_files(), ids=lambda path: path.stem)
def test_plan_equals_the_golden_file(path):
    assert render(question(path)) == path.read_text()


def test_there_are_enough_golden_files_and_recovery_points():
    assert len(golden_files()) >= 25
    assert len(taken()) >= 100


def test_golden_policies_cover_every_rule():
    policies = [question(path)["policy"] for path in golden_files()]
    for rule in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        assert any(re.search(rf"(^| ){rule}=\d", policy) for policy in policies), rule
        assert any(re.search(rf"(^| ){rule}=unlimited", policy) for policy in policies), rule
    for rule in ("within", "within-hourly", "within-daily", "within-weekly", "within-monthly", "within-yearly"):
        assert any(re.search(rf"(^| ){rule}=", policy) for policy in policies), rule


def test_default_calendar_equals_the_golden_file():
    assert default_calendar() == CALENDAR.read_text()


def test_default_policy_is_the_templates():
    template = (ROOT / "template.yaml").read_text()
    default = re.search(r"\n  Retention:\n    Type: String\n    Default: (.+)\n", template).group(1)
    assert default_calendar().startswith(f"Policy `{parse_policy(default)}`,")
    assert question(CALENDAR.parent / "default.txt")["policy"] == str(parse_policy(default))


class TestDocs:
    def test_page_shows_the_golden_calendar(self):
        page = docs_retention.PATH.read_text()
        assert docs_retention.PAGE.written(page) == page
        assert CALENDAR.read_text() in page

    @pytest.mark.parametrize("page", ["", docs_retention.BEGIN, docs_retention.BEGIN * 2 + docs_retention.END])
    def test_page_without_its_markers_is_refused(self, page):
        with pytest.raises(ValueError, match="once each"):
            docs_retention.PAGE.written(page)


def verdict(taken_at, *lineages, keep=True, **facts):
    return Verdict(
        point(taken_at, *lineages, **facts), keep, ("it matters", "so it does") if keep else ("it does not",)
    )


class TestCalendar:
    PLAN = RetentionPlan(
        (
            *(verdict(f"2026-09-01T{hour:02}:00Z", "vol-a") for hour in range(10)),
            verdict("2026-09-02T01:00Z", "vol-a", "vol-b", keep=False),
            verdict("2026-09-02T02:00Z", "vol-a", keep=False),
            verdict("2026-09-03T01:00Z", "vol-a", keep=False),
            verdict("2026-09-03T02:00Z", "vol-a"),
            verdict("2026-09-03T03:00Z", "vol-a"),
            verdict("2026-11-30T23:30Z", "vol-b"),
        ),
        ("A notice.",),
    )

    def test_text(self):
        assert render_text(self.PLAN).split("\n") == [
            "A notice.",
            "",
            "1-9: number kept (+: more than nine)   x: all of the day deleted   .: none taken",
            "Days and times in UTC.",
            "",
            "Lineage vol-a",
            "15 recovery points: 12 kept, 3 deleted.",
            "                  1         2         3",
            "         1234567890123456789012345678901",
            "2026-09  +x2...........................",
            "  2026-09-03 03:00  it matters; so it does",
            "  2026-09-03 02:00  it matters; so it does",
            *(f"  2026-09-01 0{hour}:00  it matters; so it does" for hour in range(9, -1, -1)),
            "",
            "Lineage vol-b",
            "2 recovery points: 1 kept, 1 deleted.",
            "                  1         2         3",
            "         1234567890123456789012345678901",
            "2026-09  .x............................",
            "2026-11  .............................1",
            "  2026-11-30 23:30  it matters; so it does",
            "",
        ]

    def test_days_are_those_of_the_time_zone(self):
        text = render_text(self.PLAN, "Europe/Berlin")
        assert "Days and times in Europe/Berlin." in text
        assert "2026-12  1..............................\n  2026-12-01 00:30" in text

    def test_recovery_points_without_a_lineage_have_a_sheet(self):
        bare = replace(point("2026-09-01T01:00Z"), members=())
        text = render_text(decide([bare]))
        assert "\nWithout a known lineage\n1 recovery points: 1 kept, 0 deleted.\n" in text
        assert "2026-09  1............................." in text

    def test_no_recovery_points_give_an_empty_calendar(self):
        assert render_text(RetentionPlan(())).endswith("Days and times in UTC.\n")
