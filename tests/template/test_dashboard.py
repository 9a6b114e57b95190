"""The dashboard of the template: a valid body, the widget's function, and alarms and metrics that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from lifeboat.aws import metrics
from lifeboat.backup import overdue_workflow
from lifeboat.verify import canary_workflow, missed_workflow
from tools.docs_template import read_template

TEMPLATE = read_template((Path(__file__).parents[2] / "template.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
DASHBOARD = RESOURCES["StatusDashboard"]
CONDITIONAL = {"AllAlarms", "AlarmsOfCopies", "AlarmsOfDrills", "AlarmsOfTheGuard", "HasMetrics"}
COLUMNS = 24


def body(*, with_all: bool) -> dict[str, Any]:
    """The body as CloudFormation makes it. Each reference becomes its own words."""
    text, variables = DASHBOARD["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, value in variables.items():
        condition, chosen, other = value["Fn::If"]
        assert condition in CONDITIONAL
        alarms = re.findall(r"\$\{(\w+Alarm)\.", chosen["Fn::Sub"])
        assert {RESOURCES[alarm]["Condition"] for alarm in alarms} == ({condition} - {"HasMetrics"})
        text = text.replace(f"${{{name}}}", chosen["Fn::Sub"] if with_all else other)
    found: dict[str, Any] = json.loads(re.sub(r"\$\{([^}]+)\}", r"<\1>", text))
    return found


BODIES = [pytest.param(body(with_all=True), id="all"), pytest.param(body(with_all=False), id="plain")]


def widgets(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item["properties"] for item in found["widgets"] if item["type"] == kind]


def test_the_dashboard_is_made_unless_a_parameter_says_no():
    assert TEMPLATE["Parameters"]["Dashboard"]["Default"] == "true"
    assert TEMPLATE["Conditions"]["HasDashboard"] == {"Fn::Equals": [{"Ref": "Dashboard"}, "true"]}
    assert DASHBOARD["Condition"] == "HasDashboard"


def test_two_regions_do_not_take_each_others_dashboard():
    # "All dashboards in your account are global, not region-specific"
    # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Dashboards.html)
    assert DASHBOARD["Properties"]["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


@pytest.mark.parametrize("found", BODIES)
def test_the_widget_is_show_status_which_can_change_nothing(found):
    [custom] = widgets(found, "custom")
    assert custom["endpoint"] == "<ShowStatusFunction.Arn>"
    assert custom["params"] == {}
    assert custom["updateOn"]["timeRange"] is False


@pytest.mark.parametrize("found", BODIES)
def test_every_alarm_of_a_failure_is_shown_under_its_own_condition(found):
    [shown] = widgets(found, "alarm")
    alarms = {name: item for name, item in RESOURCES.items() if item["Type"] == "AWS::CloudWatch::Alarm"}
    everything = "CopySnapshotsErrorsAlarm" in str(shown["alarms"])
    failures = {name for name in alarms if not name.endswith("ReconcileAlarm")}
    expected = failures | {"AttachVolumeReconcileAlarm"} if everything else set()
    essential = {name for name, item in alarms.items() if "Condition" not in item}
    assert set(shown["alarms"]) == {f"<{name}.Arn>" for name in expected | essential}


@pytest.mark.parametrize("found", BODIES)
def test_the_graphs_are_of_metrics_that_are_published(found):
    names = {line[1] for item in widgets(found, "metric") for line in item["metrics"] if line[0] == metrics.NAMESPACE}
    everything = "CopySnapshotsErrorsAlarm" in str(widgets(found, "alarm"))
    assert names == ({overdue_workflow.METRIC, missed_workflow.METRIC, canary_workflow.METRIC} if everything else set())
    for item in widgets(found, "metric"):
        assert item["region"] == "<AWS::Region>"
    lines = sum(len(item["metrics"]) for item in widgets(found, "metric"))
    assert lines <= 50, "a dashboard is free with up to 50 metrics"


@pytest.mark.parametrize("found", BODIES)
def test_no_widget_covers_another(found):
    places = [
        (item["x"], item["y"], item["x"] + item["width"], item["y"] + item["height"]) for item in found["widgets"]
    ]
    assert all(right <= COLUMNS for _, _, right, _ in places)
    for one, other in combinations(places, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
