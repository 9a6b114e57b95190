"""The golden files of retention, the calendar, and the page of the docs that shows it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lifeboat.retention.calendar import render_markdown, render_text
from lifeboat.retention.plan import RetentionPlan, Verdict
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
def test_answer_is_the_golden_one(path):
    assert render(question(path)) == path.read_text()


def test_enough_is_asked_of_enough():
    assert len(golden_files()) >= 25
    assert len(taken()) >= 100


def test_golden_policies_are_the_ones_that_matter():
    policies = [question(path)["policy"] for path in golden_files()]
    for rule in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        assert any(re.search(rf"(^| ){rule}=\d", policy) for policy in policies), rule
        assert any(re.search(rf"(^| ){rule}=unlimited", policy) for policy in policies), rule
    for rule in ("within", "within-hourly", "within-daily", "within-weekly", "within-monthly", "within-yearly"):
        assert any(re.search(rf"(^| ){rule}=", policy) for policy in policies), rule


def test_default_calendar_is_the_golden_one():
    assert default_calendar() == CALENDAR.read_text()


def test_default_is_the_template_s():
    template = (ROOT / "template.yaml").read_text()
    default = re.search(r"\n  Retention:\n    Type: String\n    Default: (.+)\n", template).group(1)
    assert default_calendar().startswith(f"Policy `{default}`,")
    assert question(CALENDAR.parent / "default.txt")["policy"] == default


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
        ("Something to tell.",),
    )

    def test_text(self):
        assert render_text(self.PLAN).split("\n") == [
            "Something to tell.",
            "",
            "1-9: so many stay (+: more than nine)   x: all of the day go   .: none was taken",
            "Days and times of UTC.",
            "",
            "Chain vol-a",
            "15 recovery points: 12 stay, 3 go.",
            "                  1         2         3",
            "         1234567890123456789012345678901",
            "2026-09  +x2...........................",
            "  2026-09-03 03:00  it matters; so it does",
            "  2026-09-03 02:00  it matters; so it does",
            *(f"  2026-09-01 0{hour}:00  it matters; so it does" for hour in range(9, -1, -1)),
            "",
            "Chain vol-b",
            "2 recovery points: 1 stay, 1 go.",
            "                  1         2         3",
            "         1234567890123456789012345678901",
            "2026-09  .x............................",
            "2026-11  .............................1",
            "  2026-11-30 23:30  it matters; so it does",
            "",
        ]

    def test_days_are_those_of_the_zone(self):
        text = render_text(self.PLAN, "Europe/Berlin")
        assert "Days and times of Europe/Berlin." in text
        assert "2026-12  1..............................\n  2026-12-01 00:30" in text

    def test_markdown(self):
        plan = RetentionPlan((verdict("2024-02-29T01:00Z"), verdict("2024-02-28T01:00Z", "vol-2", keep=False)))
        assert render_markdown(plan).split("\n") == [
            "`1-9: so many stay (+: more than nine)   x: all of the day go   .: none was taken`",
            "",
            "Days and times of UTC.",
            "",
            "#### Chain vol-1",
            "",
            "1 recovery points: 1 stay, 0 go.",
            "",
            "```text",
            "                  1         2         3",
            "         1234567890123456789012345678901",
            "2024-02  ............................1",
            "```",
            "",
            "| stays | because |",
            "|---|---|",
            "| 2024-02-29 01:00 | it matters<br>so it does |",
            "",
            "#### Chain vol-2",
            "",
            "1 recovery points: 0 stay, 1 go.",
            "",
            "```text",
            "                  1         2         3",
            "         1234567890123456789012345678901",
            "2024-02  ...........................x.",
            "```",
            "",
        ]

    def test_markdown_tells_notices_first(self):
        assert render_markdown(self.PLAN).startswith("* Something to tell.\n\n`1-9:")

    def test_reason_cannot_break_the_table(self):
        decided = decide([point("-1d", blocked=["shared with a|b"])])
        row = "| 2026-11-22 03:00 | it cannot be deleted, nor counted on: shared with a\\|b |"
        assert row in render_markdown(decided).split("\n")

    def test_what_is_of_no_chain_has_a_sheet_too(self):
        bare = replace(point("2026-09-01T01:00Z"), members=())
        text = render_text(decide([bare]))
        assert "\nOf no known chain\n1 recovery points: 1 stay, 0 go.\n" in text
        assert "2026-09  1............................." in text

    def test_no_recovery_points_are_a_calendar_too(self):
        assert render_text(RetentionPlan(())).endswith("Days and times of UTC.\n")
