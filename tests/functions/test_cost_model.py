"""The cost model counts what the code does, and its arithmetic is what a hand gets."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifeboat import handler
from lifeboat.aws import clients, clock
from lifeboat.backup import large_run
from lifeboat.backup import overdue_workflow as overdue
from lifeboat.backup.schedule import parse_schedule, previous_slot
from lifeboat.domain.config import DEFAULT_SCHEDULE
from lifeboat.domain.text import iso
from lifeboat.verify import canary
from tests.functions.conftest import TABLE
from tests.functions.written_blocks import in_pages, write_blocks
from tools import cost_model
from tools.cost_model import BAR, DAYS, MINUTES, PRICES, Use, month
from tools.docs_template import read_template

__all__ = ["in_pages"]
WHOLE = read_template((Path(__file__).parents[2] / "template.yaml").read_text())
TEMPLATE = WHOLE["Resources"]
SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


@pytest.fixture
def calls(world):
    """What the handlers ask DynamoDB and SNS for, by action."""
    counted: Counter[str] = Counter()

    def count(model, params, **_) -> None:
        counted[model.name] += 1
        if model.service_model.service_name == "dynamodb":
            counted["write units"] += write_units(model.name, json.loads(params["body"]))

    for client in (clients.dynamodb(), clients.sns()):
        client.meta.events.register("before-call.*.*", count)
    return counted


def write_units(action: str, asked: dict) -> int:
    """Of items up to 1 kB; those of a transaction cost two each, refused ones as much as others
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html)."""
    if action == "TransactWriteItems":
        return 2 * len(asked["TransactItems"])
    if action == "BatchWriteItem":
        return sum(len(items) for items in asked["RequestItems"].values())
    return action in {"PutItem", "UpdateItem", "DeleteItem"}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the handlers log. Their logger keeps the stdout that it was made with, so capsys never sees a line of it."""
    stream, lines = handler.logger.registered_handler, io.StringIO()
    before = stream.setStream(lines)
    yield lines
    stream.setStream(before)


def emptied(calls: Counter[str], logged: io.StringIO) -> None:
    calls.clear()
    logged.seek(0)
    logged.truncate()


def completed(world) -> dict:
    """EC2's event about a snapshot of the recovery point."""
    arn = f"arn:aws:ec2::eu-west-1:snapshot/{world.snapshots()[0]['SnapshotId']}"
    return {
        "detail-type": "EBS Snapshot Notification",
        "source": "aws.ec2",
        "account": "123456789012",
        "time": "2026-11-23T02:00:00Z",
        "region": "eu-west-1",
        "resources": [arn],
        "detail": {"event": "createSnapshot", "result": "succeeded", "snapshot_id": arn},
    }


@pytest.mark.parametrize("function", ["confirm_snapshots", "attach_volume", "drill_restores"])
def test_an_idle_reconcile_run_reads_once_and_publishes_nothing(world, calls, logged, capsys, function):
    world.invoke(function, {"sweep": True})
    emptied(calls, logged)
    capsys.readouterr()
    world.invoke(function, {"sweep": True})
    assert +calls == {"Query": cost_model.IDLE_RECONCILE.reads}
    assert logged.getvalue() == capsys.readouterr().out == ""


def test_an_idle_reconcile_run_of_the_guard_reads_once(world, calls, logged, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_EVIDENCE_BUCKET", "cadoresponse-1")
    handler.forget()
    world.invoke("guard_evidence", {"sweep": True})
    assert +calls == {"GetItem": cost_model.IDLE_RECONCILE.reads}
    assert logged.getvalue() == ""


@pytest.mark.parametrize("instances", [1, 10])
def test_a_catch_up_with_nothing_to_do_reads_once_and_logs_the_metric_alone(world, calls, logged, capsys, instances):
    for _ in range(instances):
        world.launch()
    newest = previous_slot(parse_schedule(DEFAULT_SCHEDULE), clock.now())
    assert newest is not None
    world.invoke("take_snapshots", {"scheduled_time": iso(newest)})
    world.invoke("confirm_snapshots", {"sweep": True})
    world.invoke("take_snapshots", {"catch_up": True})
    emptied(calls, logged)
    capsys.readouterr()
    world.invoke("take_snapshots", {"catch_up": True})
    assert +calls == {"Query": cost_model.CATCH_UP.reads}
    assert logged.getvalue() == ""
    assert len(capsys.readouterr().out) == pytest.approx(cost_model.metric_line(instances), rel=0.15)


def test_who_is_selected_takes_as_many_bytes_as_is_counted(world):
    world.launch()
    world.invoke("take_snapshots", {"catch_up": True})
    [item] = clients.dynamodb().scan(
        TableName=TABLE, FilterExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "selected"}}
    )["Items"]
    size = sum(len(name) + len(value["S"]) for name, value in item.items())
    assert size == pytest.approx(cost_model.SELECTED_KB * 1000, rel=0.15)
    ten, twenty = (month(size).units["DynamoDB reads"] for size in (10, 20))
    by_backups = 10 * DAYS * (2 + 1 + cost_model.VERIFY_READS + cost_model.CANARY_READS)
    assert twenty - ten - by_backups == pytest.approx(MINUTES / 15 * 10 * cost_model.SELECTED_KB / 4)


def test_the_metrics_line_lists_no_more_ages_than_is_counted():
    assert cost_model.AGES_LOGGED == overdue.AGES_LOGGED
    assert cost_model.metric_line(10_000) == cost_model.metric_line(overdue.AGES_LOGGED)


@pytest.mark.parametrize("instances", [1, 10])
def test_a_slot_writes_publishes_and_logs_what_is_counted(world, calls, logged, instances):
    for _ in range(instances):
        world.launch()
    world.invoke("take_snapshots", SLOT)
    assert calls["write units"] == 2 + instances * cost_model.BEGUN_WRITES, "the slot, and the attempt at it"
    assert calls["Publish"] == 1
    assert len(logged.getvalue()) == pytest.approx(cost_model.slot_line(instances), rel=0.15)


def test_the_events_of_a_recovery_point_write_publish_and_log_what_is_counted(world, calls, logged):
    world.launch()
    world.invoke("take_snapshots", SLOT)
    emptied(calls, logged)
    world.invoke("confirm_snapshots", completed(world))
    assert calls["write units"] == cost_model.COMPLETED_WRITES
    assert (calls["GetItem"], calls["Query"], calls["Publish"]) == (1, 0, 1)
    assert len(logged.getvalue()) == pytest.approx(cost_model.EVENT_LINE, rel=0.15)
    emptied(calls, logged)
    world.invoke("confirm_snapshots", completed(world))
    assert calls["write units"] == cost_model.EVENT_WRITES
    assert (calls["GetItem"], calls["Query"], calls["Publish"]) == (1, 0, 0)
    assert len(logged.getvalue()) == pytest.approx(cost_model.EVENT_LINE, rel=0.15)


def test_a_verification_reads_writes_and_logs_what_is_counted(world, in_pages, calls, logged):
    world.launch()
    world.invoke("take_snapshots", SLOT)
    world.invoke("confirm_snapshots", completed(world))
    [made] = world.snapshots()
    write_blocks(made["SnapshotId"], {0: b"data"})
    tags = {tag["Key"]: tag["Value"] for tag in made["Tags"]}
    subject = {"recovery_point": tags["lifeboat:recovery-point"]}
    message = json.dumps({"event": "BackupCompleted", "subject": subject})
    emptied(calls, logged)
    world.invoke("verify_snapshots", {"Records": [{"Sns": {"Message": message}}]})
    assert calls["GetItem"] + calls["Query"] == cost_model.VERIFY_READS + 1, "the canary's history, of none yet"
    assert calls["write units"] == cost_model.VERIFY_WRITES + 2, "the list in one answer, and the inspection"
    assert calls["Publish"] == 0
    assert len(logged.getvalue()) < cost_model.OTHER_LINE


def test_an_idle_verification_reads_once(world, calls, logged, monkeypatch):
    now = clock.now() + timedelta(minutes=30)
    monkeypatch.setattr(clock, "now", lambda: now)
    world.invoke("verify_snapshots", {"sweep": True})
    assert +calls == {"Query": 1}
    assert logged.getvalue() == ""


def test_reading_one_volume_of_100_gib_a_day_costs_at_most_five_cents(show_figure):
    more_blocks = DAYS * (cost_model.READ_BAR - cost_model.READ) * PRICES["EBS blocks read"].dollars
    cents = 100 * (month(1).within_free - month(1, verify=False).within_free + more_blocks)
    show_figure(f"cost: verification at the level read of 100 GiB a day is {cents:.1f} cents a month")
    assert cents < 100 * BAR
    blocks = sum(PRICES[name].dollars * month(1).units[name] for name in ("EBS block lists", "EBS blocks read"))
    listed, read = cost_model.LISTED + cost_model.CANARY_LISTED, cost_model.READ + cost_model.CANARY_READ
    assert blocks == pytest.approx(DAYS * (listed * 0.0006 + read * 0.003) / 1000)
    assert cost_model.CANARY_READ == 2 * canary.SAMPLED


def test_a_large_runs_batches_are_as_large_as_is_counted():
    share = WHOLE["Parameters"]["ApiSharePercent"]["Default"]
    ids = [f"i-{number}" for number in range(10_000)]
    made = large_run.batches(ids, share=share, run="run", slot=datetime(2026, 11, 23, tzinfo=UTC))
    assert len(made) == pytest.approx(10_000 / cost_model.BATCH, rel=0.02)


def test_the_templates_schedules_and_alarms_are_the_models():
    rates = Counter(
        event["Properties"]["ScheduleExpression"]
        for resource in TEMPLATE.values()
        if resource["Type"] == "AWS::Serverless::Function" and "Condition" not in resource
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "ScheduleV2" and isinstance(event["Properties"]["ScheduleExpression"], str)
    )
    assert rates == {"rate(15 minutes)": 5, "rate(1 day)": 3, "rate(7 days)": 1}
    alarms = [item.get("Condition", "") for item in TEMPLATE.values() if item["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms.count("") == cost_model.ESSENTIAL_ALARMS
    assert alarms.count("") + alarms.count("AllAlarms") == cost_model.ALARMS
    assert PRICES["alarms"].free >= cost_model.ALARMS


def test_an_idle_stack_meets_its_bars(show_figure):
    """Nothing is selected, and all schedules run. A function that starts every 15 minutes is cold each time."""
    idle = month(0)
    show_figure(
        f"cost: an idle stack has {idle.units['Lambda requests']:,.0f} invocations a month and costs "
        f"${idle.at_list_price:.3f}, ${idle.within_free:.4f} within what is free"
    )
    assert idle.units["Lambda requests"] <= 15_000
    assert idle.at_list_price <= 0.45
    assert idle.within_free <= 0.01
    whole = month(0, alarms=cost_model.ALARMS, metrics=True)
    assert whole.at_list_price - idle.at_list_price == pytest.approx(8 * 0.10 + 3 * 0.30)


def test_wakes_of_an_idle_stack_are_none_and_of_a_slot_do_not_grow_with_the_instances():
    none, one, many = (month(size).units["state transitions"] for size in (0, 1, 1_000))
    assert (none, one) == (0, pytest.approx(DAYS * (cost_model.OPEN_MINUTES + 1) * 3))
    assert many == one < PRICES["state transitions"].free


def test_lambdas_own_lines_are_switched_off():
    functions = [item["Properties"] for item in TEMPLATE.values() if item["Type"] == "AWS::Serverless::Function"]
    assert {item["LoggingConfig"]["SystemLogLevel"] for item in functions} == {"WARN"}


def test_the_arithmetic_by_hand():
    use = Use({"Lambda requests": 3e6, "metrics": 12, "DynamoDB reads": 2e6})
    assert use.within_free == pytest.approx(2 * 0.20 + 2 * 0.30 + 2 * 0.125)
    assert use.at_list_price == pytest.approx(3 * 0.20 + 12 * 0.30 + 2 * 0.125)


def test_reconcile_runs_are_nearly_all_of_one_instances_month():
    one = month(1).units
    runs = 5 * MINUTES / 15
    assert one["Lambda requests"] == pytest.approx(runs + DAYS * (cost_model.OPEN_MINUTES + 1), rel=0.02)
    assert one["Scheduler invocations"] == pytest.approx(runs, rel=0.02)


def test_a_drill_costs_less_than_a_cent():
    assert cost_model.drill(gib=100) == pytest.approx(100 * 0.08 * 5 / MINUTES)
    assert cost_model.drill(gib=100) < 0.01


def test_a_backup_is_counted_by_hand():
    """One instance and volume, a slot a day: each backup is two events, one pruning and one verification."""
    without, one, two = (month(size).units for size in (0, 1, 2))
    assert two["Lambda requests"] - one["Lambda requests"] == pytest.approx(DAYS * (2 + 1 + 1))
    assert one["DynamoDB writes"] - without["DynamoDB writes"] == pytest.approx(DAYS * (5 + 4 + 2 + 5 + 4 + 4))
    assert one["EBS block lists"] == pytest.approx(DAYS * (21 + 24))
    assert one["EBS blocks read"] == pytest.approx(DAYS * (cost_model.READ + 64))
    assert two["SNS publishes"] - one["SNS publishes"] == pytest.approx(DAYS)
    assert month(1, mailboxes=3).units["e-mails"] == pytest.approx(3 * one["SNS publishes"])
    assert one["KMS requests"] == pytest.approx(5 * MINUTES / 15 + DAYS * (cost_model.OPEN_MINUTES + 1) / 5)


def test_no_choice_of_alarms_meets_the_bar_where_nothing_is_free():
    units = {**month(1).units, "alarms": 0.0, "metrics": 0.0}
    assert Use(units).at_list_price > BAR


def test_one_instance_costs_less_than_the_bar_and_more_cost_more():
    totals = [month(size).at_list_price for size in (1, 10, 100, 1_000, 10_000)]
    assert totals == sorted(totals)
    assert month(1).within_free < BAR
    assert month(100, large_run=True).units["SQS requests"] > month(100).units["SQS requests"] == 0


@pytest.mark.parametrize("page", ["README.md", "docs/guide/compare.md"])
def test_a_page_that_names_a_price_has_it_from_the_model(page):
    text = (Path(__file__).parents[2] / page).read_text()
    one = month(1)
    assert f"{one.within_free:.3f} USD a month" in text
    assert f"{one.at_list_price:.2f} USD" in text
