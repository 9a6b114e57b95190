"""The cost model counts what the code does, and its arithmetic is what a hand gets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lifeboat.aws import clients
from tools import cost_model
from tools.cost_model import BAR, MINUTES, PRICES, Use, month
from tools.docs_template import read_template

TEMPLATE = read_template((Path(__file__).parents[2] / "template.yaml").read_text())["Resources"]


@pytest.fixture
def calls(world):
    """What the doors ask DynamoDB and SNS for, by action."""
    counted: Counter[str] = Counter()
    for client in (clients.dynamodb(), clients.sns()):
        client.meta.events.register("before-call.*.*", lambda model, **_: counted.update([model.name]))
    return counted


@pytest.mark.parametrize("door", ["confirm_snapshots", "attach_volume"])
def test_an_idle_sweep_reads_once_and_says_nothing(world, calls, capsys, door):
    world.invoke(door, {"sweep": True})
    capsys.readouterr()
    calls.clear()
    world.invoke(door, {"sweep": True})
    assert calls == {"Query": cost_model.IDLE_SWEEP.reads}
    assert capsys.readouterr().out == ""


def test_a_catch_up_with_nothing_to_do_reads_no_more_than_is_counted(world, calls):
    world.launch()
    world.invoke("take_snapshots", {"catch_up": True})
    calls.clear()
    world.invoke("take_snapshots", {"catch_up": True})
    assert sum(calls.values()) <= cost_model.CATCH_UP.reads
    assert set(calls) <= {"Query", "GetItem"}


def test_a_backup_of_one_instance_writes_and_tells_no_more_than_is_counted(world, calls):
    world.launch()
    world.invoke("take_snapshots", {"scheduled_time": "2026-11-23T02:00:00Z"})
    world.invoke("confirm_snapshots", {"sweep": True})
    assert calls["Publish"] == 2
    # A transaction's two actions cost two writes each.
    writes = 4 * calls["TransactWriteItems"] + sum(
        calls[name] for name in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    )
    assert writes <= 2 + 5 + 4


def test_the_templates_schedules_and_alarms_are_the_models():
    rates = Counter(
        event["Properties"]["ScheduleExpression"]
        for resource in TEMPLATE.values()
        if resource["Type"] == "AWS::Serverless::Function" and "Condition" not in resource
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "ScheduleV2" and isinstance(event["Properties"]["ScheduleExpression"], str)
    )
    assert rates == {"rate(1 minute)": 2, "rate(15 minutes)": 1, "rate(1 day)": 2}
    alarms = [item for item in TEMPLATE.values() if item["Type"] == "AWS::CloudWatch::Alarm"]
    assert sum("Condition" not in item for item in alarms) == cost_model.ALARMS
    assert PRICES["alarms"].free >= cost_model.ALARMS


def test_lambdas_own_lines_are_switched_off():
    functions = [item["Properties"] for item in TEMPLATE.values() if item["Type"] == "AWS::Serverless::Function"]
    assert {item["LoggingConfig"]["SystemLogLevel"] for item in functions} == {"WARN"}


def test_the_arithmetic_by_hand():
    use = Use({"Lambda requests": 3e6, "metrics": 12, "DynamoDB reads": 2e6})
    assert use.within_free == pytest.approx(2 * 0.20 + 2 * 0.30 + 2 * 0.125)
    assert use.at_list_price == pytest.approx(3 * 0.20 + 12 * 0.30 + 2 * 0.125)


def test_the_sweeps_are_nearly_all_of_one_instances_month():
    one = month(1).units
    assert one["Lambda requests"] == pytest.approx(2 * MINUTES + MINUTES / 15, rel=0.01)
    assert one["Scheduler invocations"] == pytest.approx(2 * MINUTES + MINUTES / 15, rel=0.01)


def test_one_instance_costs_less_than_the_bar_and_more_cost_more():
    totals = [month(size).at_list_price for size in (1, 10, 100, 1_000, 10_000)]
    assert totals == sorted(totals)
    assert month(1).within_free < BAR
    assert month(100, fleet=True).units["SQS requests"] > month(100).units["SQS requests"] == 0
