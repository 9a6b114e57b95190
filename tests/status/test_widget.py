"""The page of the dashboard, from answers that were recorded: escaped, small, and with the requests it should send."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.widget import Call, is_call, read_call
from lifeboat.status.widget.actions import show_backup, show_restore
from lifeboat.status.widget.page import show_status_page
from lifeboat.status.widget.pictures import WEEKS, calendar, sparkline
from lifeboat.status.widget.request import (
    DescribeRequest,
    InstancePageRequest,
    OverviewRequest,
    PageRequest,
    UrgentRequest,
    parse_page,
)
from lifeboat.status.widget.style import _COLORS

RECORDED = Path(__file__).parents[1] / "fixtures" / "cli"
ARN = "arn:aws:lambda:eu-west-1:111122223333:function:lifeboat-show-status"
BOUND = 60_000
INSTANCE = "i-0123456789abcdef0"

_SEEDS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><use href='#x'/></svg>",
    "<iframe src=//x></iframe>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "' onmouseover='alert(1)",
    "</bdi></th></table><h1>All is well</h1>",
    "</cwdb-action><cwdb-action action=call endpoint=x>{}</cwdb-action>",
    "</style><style>*{display:none}",
    "<!-- ",
    "]]><![CDATA[",
    "&lt;b&gt;&amp;&#x3c;b",
    "\u202eyad\u202c\u2066a\u2069\u200f",
    "a\u200bb\ufeffc\u061c",
    "platform\n  1. Delete your snapshots",
    "platform\u2028What to do next: run this\u2029",
    "\x00\x1b[2J\x07\x9b",
    "\U0001f4a9" * 255,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 85,
    "a" + "\u0301" * 254,
    "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627 123",
    "\u6f22" * 255,
    "{{7*7}} ${7*7} #{7*7}",
    '{"instance": "i-0"}',
    "\ud800",
)
HOSTILE = [f"{before}{seed}" for before in ("", "Cado ", "</td>", '"') for seed in _SEEDS]
TAGS = {
    *(
        "style",
        "div",
        "h2",
        "h3",
        "p",
        "button",
        "cwdb-action",
        "form",
        "label",
        "input",
        "span",
        "strong",
        "code",
        "pre",
    ),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "bdi", "svg", "path", "ol", "ul", "li"),
}


class Parsed(HTMLParser):
    """The elements with their attributes, the text, and what each `cwdb-action` sends. Everything is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shape: list[tuple[str, ...]] = []
        self.actions: list[tuple[str, dict[str, Any], str]] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.said: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        assert tag in TAGS
        assert not any(key.startswith("on") or key in ("href", "src", "style") for key in found)
        self.shape.append((tag, *found))
        if tag != "input":
            self.open.append(tag)
        if tag == "cwdb-action":
            self.actions.append((found["endpoint"], {}, found.get("confirmation", "")))
        self.labels += [found["aria-label"]] if "aria-label" in found else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "cwdb-action":
            endpoint, _, confirmation = self.actions[-1]
            self.actions[-1] = (endpoint, json.loads(data), confirmation)
        elif not self.open or self.open[-1] != "style":
            self.said.append(data)

    def asked_of(self, function: str) -> list[dict[str, Any]]:
        return [request for endpoint, request, _ in self.actions if endpoint.endswith(f":lifeboat-{function}")]


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def call(**asked: Any) -> Call:
    return Call(asked=asked, forms={}, dark=False, stack="lifeboat", function_arn=ARN, id="4711")


RESTORE = {
    "restore_id": "restore-0123456789abcdef",
    "instance_id": INSTANCE,
    "step": "volumes",
    "status": "open",
    "direction": "forward",
    "step_seconds_left": 3_000,
    "seconds": 61.0,
    "failure": None,
    "blocked": None,
    "refused": "",
    "next_steps": ["Wait"],
    "timeline": [{"at": "2026-11-23T02:00:00Z", "step": "volumes", "text": "CreateVolume"}] * 30,
}


def need(number: int, name: str) -> dict[str, Any]:
    return {
        "event": "BackupOverdue",
        "severity": "critical",
        "subject": {"instance_id": f"i-{number:017x}"},
        "name": name,
        "summary": "It is overdue. " * 40,
        "next_steps": ["Back it up: " + "x" * 500] * 8,
        "request": {"function": "TakeSnapshotsFunction", "event": {"instance_ids": [f"i-{number:017x}"]}},
        "command": "sam remote invoke",
    }


def overview(name: str, instances: int = 20, lineages: int = 40) -> dict[str, Any]:
    """The first page with the most that it can have: each instance with 40 volumes, overdue, and two open restores."""
    answer = recorded("status")
    [one] = answer["instances"]
    [lineage] = one["lineages"]
    point = {**one["recovery_points"][0], "copies": {"eu-central-1": "copied", "us-east-1": "missing"}}
    many = []
    for number in range(instances):
        item = {**copy.deepcopy(one), "instance_id": f"i-{number:017x}", "name": name, "recovery_points": [point]}
        ages = [86_400 * day + 1_000 for day in range(14)]
        item["lineages"] = [{**lineage, "device": f"/dev/sd{disk}", "ages_seconds": ages} for disk in range(lineages)]
        many.append(item)
    return answer | {
        "instances": many,
        "not_protected": [{**item, "standing": "not_protected"} for item in many[:5]],
        "not_protected_not_listed": 9_000,
        "needs_a_person": [need(number, name) for number in range(50)],
        "needs_a_person_not_listed": 9_950,
        "restores": [{**RESTORE, "timeline": [{**item, "text": "x" * 500} for item in RESTORE["timeline"]]}] * 5,
        "ended_restores": [RESTORE | {"status": "completed"}] * 10,
        "next": "after:i-0123456789abcdef0",
        "unread": ["AWS did not show the locks: " + "x" * 2_000],
    }


def instance_page(name: str, **more: Any) -> dict[str, Any]:
    status = recorded("instance")
    status["recovery_points"] = [{**item, "name": name} for item in recorded("points")["recovery_points"]]
    status["instances"] = [{**item, "name": name, "problem": name} for item in status["instances"]]
    status["restores"] = [RESTORE]
    status["needs_a_person"] = [need(1, name)]
    return {
        "status": status,
        "targets": [{"instance_id": INSTANCE, "name": name}],
        "onto": None,
    } | more


PAGES = {"overview": lambda name: {"overview": overview(name, 1, 1)}, "instance": instance_page}


@pytest.mark.parametrize("page", PAGES)
def test_a_hundred_hostile_names_change_nothing_but_the_text(page):
    assert len(HOSTILE) == 100
    tame = Parsed(show_status_page(PAGES[page]("platform"), call()))
    for hostile in HOSTILE:
        shown = show_status_page(PAGES[page](hostile), call())
        found = Parsed(shown)
        assert found.shape == tame.shape, hostile
        assert found.actions == tame.actions, hostile
        assert "".join(found.said).isprintable(), hostile
        assert all(label.isprintable() for label in found.labels)
        shown.encode()


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=255))
def test_any_name_changes_nothing_but_the_text(name):
    tame, found = (Parsed(show_status_page({"overview": overview(item, 1, 1)}, call())) for item in ("platform", name))
    assert (found.shape, found.actions) == (tame.shape, tame.actions)
    assert "".join(found.said).isprintable()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["platform", "\U0001f4a9" * 255, "&" * 255, '"' * 255])
def test_the_first_page_has_at_most_60_kb_whatever_is_in_it(name, dark):
    asked = Call({}, {}, dark, "a" * 46, ARN.replace("lifeboat-show-status", "a" * 64))
    assert len(show_status_page({"overview": overview(name)}, asked).encode()) < BOUND


def test_what_is_most_urgent_comes_first():
    answer = overview("platform", 4, 1)
    for item, standing in zip(answer["instances"], ("on_time", "new", "overdue", "in_progress"), strict=True):
        item["standing"] = standing
    answer["instances"][0]["restore"] = "restore-0123456789abcdef"
    said = "".join(Parsed(show_status_page({"overview": answer}, call())).said)
    table = said[said.index("Protected instances") :]
    assert sorted((0, 1, 2, 3), key=lambda number: table.index(f"i-{number:017x}")) == [0, 2, 3, 1]


def test_the_first_of_what_needs_a_person_is_in_full_and_the_next_are_named():
    parsed = Parsed(show_status_page({"overview": overview("platform", 1, 1)}, call()))
    said = "".join(parsed.said)
    assert said.count("It is overdue. It is overdue.") > said.count("critical BackupOverdue") == 8
    assert "And 9988 more." in said
    assert {"urgent": True} in parsed.asked_of("show-status")
    opened = [item["instance"] for item in parsed.asked_of("show-status") if "instance" in item]
    assert {f"i-{number:017x}" for number in range(12)} <= set(opened)


@pytest.mark.parametrize("name", ["platform", "\U0001f4a9" * 255, "&" * 255])
def test_all_that_is_urgent_is_named_on_a_page_of_its_own(name):
    answer = overview(name, 1, 1)
    page = show_status_page({"urgent": answer}, call())
    parsed = Parsed(page)
    opened = {item["instance"] for item in parsed.asked_of("show-status") if "instance" in item}
    assert opened == {f"i-{number:017x}" for number in range(50)}
    assert [item["status"] for item in parsed.asked_of("restore-volume")] == [RESTORE["restore_id"]] * 5
    assert "9950 more are in the messages only." in "".join(parsed.said)
    assert len(page.encode()) < BOUND


def test_what_is_said_of_a_lineage_and_its_points():
    said = "".join(Parsed(show_status_page({"overview": overview("platform", 1, 3)}, call())).said)
    assert "/dev/sd0: 16 min ago" in said
    assert "and 1 more volumes" in said
    assert "eu-central-1: copied, us-east-1: missing" in said


def test_every_action_has_a_button_before_it_and_every_table_its_headers():
    for answer in ({"overview": overview("platform", 2, 3)}, instance_page("platform")):
        shape = Parsed(show_status_page(answer, call())).shape
        for before, after in pairwise(shape):
            assert after[0] != "cwdb-action" or before[0] == "button"
            assert before[0] != "table" or after[0] == "caption"
        assert all("scope" in item for item in shape if item[0] == "th")
        assert all(after[0] == "input" for before, after in pairwise(shape) if before[0] == "label")
        assert all("aria-label" in item and "role" in item for item in shape if item[0] == "svg")


def test_the_plan_of_a_restore_is_asked_for_by_the_exact_recovery_point_and_changes_nothing():
    points = recorded("points")["recovery_points"]
    plans = Parsed(show_status_page(instance_page("platform"), call())).asked_of("restore-volume")
    plans = [item for item in plans if "cancel" not in item and "status" not in item]
    good = [item["id"] for item in points if item["condition"] == "good"]
    assert [item["recovery_point"] for item in plans] == good
    assert all(item["dry_run"] is True and item["instance_id"] == INSTANCE for item in plans)


def test_a_tag_that_is_no_recovery_point_has_no_plan_and_no_hold():
    answer = instance_page("platform")
    for item in answer["status"]["recovery_points"]:
        item["id"] = "rp-<b>"
    shown = Parsed(show_status_page(answer, call()))
    assert shown.asked_of("prune-snapshots") == []
    requests = shown.asked_of("restore-volume")
    assert not [item for item in requests if "dry_run" in item]


def test_each_lineage_of_an_instance_has_its_ages():
    answer = instance_page("platform")
    [instance] = answer["status"]["instances"]
    [lineage] = instance["lineages"]
    more = {**lineage, "lineage": "<b>", "newest": None, "age_seconds": None, "ages_seconds": [], "pending": "rp-1"}
    instance["lineages"] = [lineage, more]
    said = "|".join(Parsed(show_status_page(answer, call())).said)
    assert f"|{lineage['device']}|{lineage['volume_id']}|{lineage['lineage']}|{lineage['good']}|" in said
    assert "|<b>|1|in progress|" in said


@pytest.mark.parametrize(
    ("targets", "onto", "planned"),
    [
        ([], None, set()),
        ([INSTANCE], None, {INSTANCE}),
        ([INSTANCE, "i-1"], None, set()),
        ([INSTANCE, "i-1"], "i-1", {"i-1"}),
        ([INSTANCE, "i-1"], "i-2", set()),
    ],
    ids=["none", "one", "two", "two, one chosen", "one that does not consent"],
)
def test_plans_are_only_for_a_target_that_consents(targets, onto, planned):
    named = [{"instance_id": item, "name": ""} for item in targets]
    found = Parsed(show_status_page(instance_page("platform", targets=named, onto=onto), call()))
    assert {item["instance_id"] for item in found.asked_of("restore-volume") if "dry_run" in item} == planned
    offered = {item["onto"] for item in found.asked_of("show-status") if "onto" in item}
    assert offered == set(targets) - planned


PLAN_ASKED = {"instance_id": INSTANCE, "recovery_point": "rp-1", "dry_run": True, "requested_by": "a viewer"}


def test_only_a_possible_plan_has_a_confirmed_button_that_restores_exactly_it():
    plan = recorded("plan") | {"possible": True, "recovery_point": "rp-1"}
    shown = Parsed(show_restore(plan, call(**PLAN_ASKED)))
    [(request, confirmation)] = [(asked, said) for end, asked, said in shown.actions if "restore-volume" in end]
    assert request == {
        "instance_id": INSTANCE,
        "recovery_point": "rp-1",
        "requested_by": "a viewer",
        "request_id": "page-4711",
    }
    assert confirmation.startswith(f"Restore rp-1 onto {INSTANCE}?")
    said = "".join(Parsed(show_restore(recorded("plan"), call(**PLAN_ASKED))).said)
    assert "REFUSE no-consent: vol-" in said
    impossible = plan | {"possible": False, "recovery_point": None}
    assert Parsed(show_restore(impossible, call(**PLAN_ASKED))).asked_of("restore-volume") == []


STATED = {
    "restore_id": "restore-0123456789abcdef",
    "status": "open",
    "direction": "forward",
    "step": "volumes",
    "instance_id": INSTANCE,
    "recovery_point": "rp-1",
    "failure": None,
    "next_steps": ["Log in.", "aws ec2 create-tags " + "x" * 500],
    "timeline": ["2026-11-23T02:00:00Z volumes: CreateVolume"],
}


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({}, ["status", "cancel"]),
        ({"direction": "rollback", "failure": "EC2 refused"}, ["status"]),
        ({"status": "completed", "step": "done"}, []),
    ],
    ids=["open", "rolling back", "completed"],
)
def test_a_restore_can_be_followed_and_cancelled_while_it_goes_forward(change, asked):
    shown = Parsed(show_restore(STATED | change, call(status=STATED["restore_id"])))
    assert [next(iter(item)) for item in shown.asked_of("restore-volume")] == asked
    assert all(said for _, request, said in shown.actions if "cancel" in request)
    assert STATED["next_steps"][1] in shown.said, "a command pastes as it is"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"refused": "nothing was touched: <b>"}, "Refused: nothing was touched: <b>"),
        ({"request": "preflight-1", "under_way": True, "next": "..."}, "The plan is not ready yet."),
        ({"request": "preflight-1", "error": "it was cut off", "next": "..."}, "It failed: it was cut off"),
    ],
    ids=["refused", "under way", "failed"],
)
def test_an_answer_that_is_no_plan_is_said(answer, words):
    shown = Parsed(show_restore(answer, call(**PLAN_ASKED)))
    assert words in "".join(shown.said)
    assert shown.asked_of("restore-volume") == ([PLAN_ASKED] if "under_way" in answer else [])


def test_a_backup_says_what_has_begun():
    answer = recorded("backup")
    said = "".join(Parsed(show_backup(answer, call(instance_ids=[INSTANCE]))).said)
    assert f"{answer['begun'][0]['recovery_point']} has begun." in said
    assert "The large run run-1 takes 40 instances." in show_backup({"run": "run-1", "instances": 40}, call())


def test_a_hostile_instance_id_of_a_tag_sends_nothing():
    answer = overview("platform", 1, 1)
    answer["not_protected"][0]["instance_id"] = "</cwdb-action><b>"
    shown = Parsed(show_status_page({"overview": answer}, call()))
    assert not any("<" in json.dumps(request) for _, request, _ in shown.actions)


@pytest.mark.parametrize(
    ("ages", "drawn"),
    [([], False), ([0], False), ([100], True), ([10, 20, 40], True), (list(range(14)), True)],
    ids=["none", "just now", "one", "three", "fourteen"],
)
def test_a_sparkline(ages, drawn):
    assert ("<path" in sparkline(ages)) is drawn


def test_the_longest_gap_is_the_highest_tooth():
    assert 'd="M0 17L45 2V17L68 9V17L90 9V17"' in sparkline([40, 80, 160])
    assert "3 recovery points in 100 s, the longest gap 80 s" in sparkline([10, 20, 100])


def point(day: str, number: int = 0) -> dict[str, str]:
    return {"id": f"rp-{day}-{number}", "taken_at": f"{day}T02:00:00Z"}


def test_the_calendar_says_what_stays_and_until_when_the_others():
    points = [point("2026-11-23"), point("2026-11-23", 1), point("2026-11-29"), point("2026-11-01")]
    going = {"rp-2026-11-23-1": "2026-12-01T02:00:00Z", "rp-2026-11-29-0": "2026-12-02T02:00:00Z"}
    said = "|".join(Parsed(calendar(points, going)).said)
    assert "Week of|Monday" in said
    assert "23 Nov 2026|1 kept|, |1 until 01 Dec|-|-|-|-|-|1 until 02 Dec|26 Oct 2026" in said


def test_the_calendar_ends_after_its_weeks():
    points = [point(f"20{year:02}-06-15") for year in range(10, 10 + WEEKS + 3)]
    assert "3 older weeks are not shown" in calendar(points, {})


def test_the_guide_has_every_button():
    guide = (RECORDED.parents[2] / "docs" / "guide" / "page.md").read_text()
    pages = [
        show_status_page({"overview": overview("platform", 2, 1)}, call()),
        show_status_page(instance_page("platform"), call()),
        show_restore(recorded("plan") | {"possible": True, "recovery_point": "rp-1"}, call(**PLAN_ASKED)),
        show_restore(STATED, call()),
    ]
    labels = {label for page in pages for label in re.findall(r"<button[^>]*>([^<]*)</button>", page)}
    assert {"Restore", "Hold", "Find", "Next page"} <= labels
    rows = [line.split("|")[1] for line in guide.splitlines() if line.startswith("|")]
    assert [label for label in labels if not any(label in row for row in rows)] == []


# --- the contract


@pytest.mark.parametrize(
    ("asked", "forms", "request_"),
    [
        ({}, {}, OverviewRequest()),
        ({"instance": "Cado"}, {}, InstancePageRequest("Cado")),
        ({"instance": "Cado", "onto": INSTANCE}, {}, InstancePageRequest("Cado", INSTANCE)),
        ({"find": True}, {"instance": " Cado "}, InstancePageRequest("Cado")),
        ({"find": True}, {"instance": " "}, OverviewRequest()),
        ({"find": True}, {}, OverviewRequest()),
        ({"urgent": True}, {}, UrgentRequest(urgent=True)),
        ({"describe": True, "anything": 1}, {}, DescribeRequest()),
    ],
    ids=["first", "instance", "onto", "typed", "blank", "no form", "urgent", "describe"],
)
def test_a_request_of_the_page(asked: dict[str, Any], forms: dict[str, str], request_: PageRequest):
    assert parse_page(Call(asked, forms, dark=False, stack="lifeboat")) == request_


@pytest.mark.parametrize(
    "asked",
    [
        {"next": "before:2026-11-23T02:00:00Z/snap-0123456789abcdef0"},
        {"next": "x"},
        {"find": False},
        {"urgent": 1},
        {"x": 1},
    ],
    ids=["next of points", "no next", "find is false", "urgent is no flag", "unknown"],
)
def test_a_bad_request_of_the_page(asked):
    with pytest.raises(BadRequest):
        parse_page(Call(asked, {}, dark=False, stack="lifeboat"))


def contexts() -> Iterator[tuple[Any, bool]]:
    yield {"theme": "dark", "forms": {"all": {"instance": "x", "number": 1}}}, True
    yield {"theme": "<b>"}, False
    yield None, False
    yield {"forms": []}, False


@pytest.mark.parametrize(("context", "dark"), list(contexts()), ids=["whole", "theme", "none", "forms"])
def test_the_context_is_read_with_care(context, dark):
    event = {"instance": "Cado", "widgetContext": context}
    assert is_call(event)
    found = read_call(event, stack="lifeboat", function_arn=ARN)
    assert (found.asked, found.dark) == ({"instance": "Cado"}, dark)
    assert found.forms in ({}, {"instance": "x"})
    assert found.endpoint("restore-volume").endswith(":111122223333:function:lifeboat-restore-volume")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(["instance", "onto", "find", "next", "urgent", "describe", "x"])


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=3), JSON, st.dictionaries(st.sampled_from(["instance", "x"]), JSON))
def test_whatever_is_sent_is_a_request_or_is_refused_in_a_sentence(asked, context, typed):
    for sent in (context, {"forms": {"all": typed}, "theme": context}):
        found = read_call({**asked, "widgetContext": sent}, stack="lifeboat", function_arn=ARN)
        try:
            parse_page(found)
        except BadRequest as refusal:
            page = show_status_page({"refused": str(refusal)}, found)
            assert "".join(Parsed(page).said).isprintable()


def test_a_version_of_the_function_is_no_part_of_the_endpoints():
    found = read_call({}, stack="lifeboat", function_arn=f"{ARN}:7")
    assert found.endpoint("show-status") == ARN


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", _COLORS)
def test_text_has_the_contrast_that_wcag_asks_for(theme):
    colors = dict(item.split(":") for item in _COLORS[theme].split(";"))
    paper = luminance(colors["--paper"])
    for name in ("--ink", "--faint", "--bad", "--warn", "--good"):
        high, low = sorted((luminance(colors[name]), paper), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, name
