"""Large runs: take_snapshots puts batches on the queue, works on them, and publishes one outcome."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench import _in_process
from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.backup import batch_workflow as batch
from lifeboat.backup import large_run
from lifeboat.backup.workflow import BackupIncomplete
from lifeboat.domain.bad_request import BadRequest
from tests.functions.conftest import TABLE, Context
from tests.functions.large_runs import LargeRun

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}
COUNT = 6


@pytest.fixture
def workers(world, monkeypatch):
    return LargeRun(world, monkeypatch)


def refuse(monkeypatch, refused: set[str], code: str = "SnapshotCreationPerVolumeRateExceeded") -> list[str]:
    """EC2 refuses CreateSnapshots of these for as long as they are in the set; everything that was asked."""
    real, asked = ec2_snapshots.create_snapshots, []

    def call(instance_id, description, tags):
        asked.append(instance_id)
        if instance_id in refused:
            raise AwsError(code, "as planted", answered=True)
        return real(instance_id, description, tags)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)
    return asked


def published(world):
    return [message["event"] for message in world.messages()]


def test_a_large_run_is_queued_worked_on_and_published_once(world, workers):
    instances = [world.launch() for _ in range(COUNT)]

    answer = world.invoke("take_snapshots", SLOT)

    assert answer["instances"] == COUNT
    assert world.snapshots() == [], "who plans begins nothing"
    assert world.messages() == []
    assert workers.work() == answer["batches"] == large_run.WORKERS
    assert len(world.snapshots()) == COUNT
    [started] = world.messages()
    assert started["event"] == "BackupStarted"
    assert (started["details"]["begun"], started["details"]["instances"]) == (COUNT, COUNT)
    assert {item["instance_id"] for item in started["details"]["recovery_points"]} == set(instances)


def test_the_same_slot_again_queues_nothing(world, workers):
    for _ in range(COUNT):
        world.launch()
    first = world.invoke("take_snapshots", SLOT)
    again = world.invoke("take_snapshots", SLOT)
    assert again == first
    assert workers.work() == first["batches"]
    assert world.invoke("take_snapshots", SLOT) == first
    assert workers.work() == 0
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]


def test_few_instances_are_taken_at_once_although_there_is_a_queue(world, workers):
    for _ in range(2):
        world.launch()
    assert len(world.invoke("take_snapshots", SLOT)["begun"]) == 2
    assert workers.work() == 0


def test_a_dry_run_of_a_large_run_shows_all_and_queues_nothing(world, workers):
    for _ in range(COUNT):
        world.launch()
    assert len(world.invoke("take_snapshots", {**SLOT, "dry_run": True})["begun"]) == COUNT
    assert workers.work() == 0


def test_a_batch_delivered_twice_makes_nothing_twice_and_publishes_once(world, workers):
    for _ in range(COUNT):
        world.launch()
    world.invoke("take_snapshots", SLOT)
    records = list(workers.messages())
    for record in [*records, *records]:
        assert workers.deliver(record)
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]


def test_one_refused_instance_stops_nobody_and_is_done_once_it_is_allowed(world, workers, monkeypatch):
    instances = sorted(world.launch() for _ in range(COUNT))
    refused = {instances[1]}
    refuse(monkeypatch, refused)
    world.invoke("take_snapshots", SLOT)
    for record in workers.messages():
        still = instances[1] in record["body"] and bool(refused)
        assert workers.deliver(record) is not still
        if still:
            assert published(world) == [], "nothing is published before it is known"
            refused.clear()
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]
    assert workers.held_back == [30]


def test_what_is_refused_in_all_attempts_is_named_in_the_one_outcome(world, workers, monkeypatch):
    instances = sorted(world.launch() for _ in range(COUNT))
    empty = world.launch(disks=0)
    refuse(monkeypatch, {instances[1]})
    world.invoke("take_snapshots", SLOT)
    workers.work()
    assert workers.held_back == [30, 60, 120, 240]
    assert len(world.snapshots()) == COUNT - 1
    [incomplete] = world.messages()
    assert incomplete["event"] == "BackupIncomplete"
    assert incomplete["details"]["begun"] == COUNT - 1
    reasons = {item["instance_id"]: item["reason"] for item in incomplete["details"]["failures"]}
    assert set(reasons) == {instances[1], empty}
    assert "SnapshotCreationPerVolumeRateExceeded" in reasons[instances[1]]
    assert "has no data volume" in reasons[empty]


def test_a_throttled_call_goes_out_again_in_the_same_invocation(world, workers, monkeypatch):
    for _ in range(COUNT):
        world.launch()
    world.invoke("take_snapshots", SLOT)
    refusals = [2]
    real = ec2_snapshots.create_snapshots

    def call(*arguments):
        if refusals[0]:
            refusals[0] -= 1
            raise AwsError("RequestLimitExceeded", "slow down", answered=True)
        return real(*arguments)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)
    waits: list[float] = []
    monkeypatch.setattr(clock, "wait", waits.append)
    assert workers.work() == large_run.WORKERS
    assert [seconds for seconds in waits if seconds > 0.1], "it waited"
    assert len(world.snapshots()) == COUNT


class Ending(Context):
    """An invocation that has no time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 19_000


def test_a_batch_that_ran_out_of_time_comes_again(world, workers):
    for _ in range(COUNT):
        world.launch()
    world.invoke("take_snapshots", SLOT)
    first = next(workers.messages())
    assert workers.deliver(first, Ending()) is False
    assert world.snapshots() == []
    workers.work()
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]


def test_out_of_time_in_every_attempt_is_named(world, workers):
    for _ in range(COUNT):
        world.launch()
    world.invoke("take_snapshots", SLOT)
    for record in workers.messages():
        workers.deliver(record, Ending())
    [incomplete] = world.messages()
    assert incomplete["details"]["failed"] == COUNT
    assert "too busy" in incomplete["details"]["failures"][0]["reason"]


def test_an_instance_that_another_invocation_is_at_is_not_taken_for_done(world, workers, monkeypatch):
    instances = sorted(world.launch() for _ in range(COUNT))
    world.invoke("take_snapshots", SLOT)
    real = ec2_snapshots.create_snapshots
    inner: list[bool] = []

    def call(instance_id, description, tags):
        if not inner:  # while EC2 is asked, the same batch is worked on elsewhere
            inner.append(workers.deliver({**record, "messageId": "doubled"}))
        return real(instance_id, description, tags)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)
    record = next(workers.messages())
    assert workers.deliver(record)
    assert inner == [False], "it cannot know yet what comes of it"
    assert len(world.snapshots()) == record["body"].count('"i-')
    assert instances


def test_an_instance_that_is_gone_when_its_batch_comes_is_left_out(world, workers):
    instances = sorted(world.launch() for _ in range(COUNT))
    world.invoke("take_snapshots", SLOT)
    world.ec2.terminate_instances(InstanceIds=instances[:1])
    world.ec2.delete_tags(Resources=[instances[1]], Tags=[{"Key": "lifeboat:backup"}])
    workers.work()
    assert len(world.snapshots()) == COUNT - 2
    [started] = world.messages()
    assert started["event"] == "BackupStarted"
    assert started["details"]["skipped"] == 2
    assert f"for {COUNT - 2} of {COUNT - 2} instances" in started["summary"]


def test_a_lost_table_costs_no_doubled_recovery_point_and_no_outcome(world, workers):
    for _ in range(COUNT):
        world.launch()
    world.invoke("take_snapshots", SLOT)
    records = list(workers.messages())
    workers.deliver(records[0])
    for item in clients.dynamodb().scan(TableName=TABLE)["Items"]:
        clients.dynamodb().delete_item(TableName=TABLE, Key={key: item[key] for key in ("pk", "sk")})
    for record in records:
        workers.deliver(record)
    assert len(world.snapshots()) == COUNT
    [started] = world.messages()
    assert started["details"]["begun"] == COUNT


def test_a_refusal_of_the_queue_reaches_the_caller_and_is_asked_again(world, workers, monkeypatch):
    for _ in range(COUNT):
        world.launch()
    real = clients.sqs().send_message_batch
    answers = [
        {"Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}], "Successful": []} for _ in range(3)
    ]

    def send(**asked: Any) -> Any:
        if not answers:
            return real(**asked)
        keep = [item for item in asked["Entries"] if item["Id"] != "1"]
        if keep:
            real(**{**asked, "Entries": keep})
        return answers.pop()

    monkeypatch.setattr(clients.sqs(), "send_message_batch", send)
    with pytest.raises(AwsError, match="InternalError"):
        world.invoke("take_snapshots", SLOT)
    world.invoke("take_snapshots", SLOT)
    workers.work()
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]


def test_by_hand_a_large_run_is_queued_once_for_the_same_request(world, workers):
    for _ in range(COUNT):
        world.launch()
    first, second = world.invoke("take_snapshots", {}), world.invoke("take_snapshots", {})
    assert first["run"] == second["run"]
    assert len(list(workers.messages())) == large_run.WORKERS
    assert world.invoke("take_snapshots", {"request_id": "one more"})["run"] != first["run"]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "expected a list of one record of SQS"),
        ([{"eventSource": "aws:sns", "body": "{}"}], "expected a list of one record of SQS"),
        (
            [{"eventSource": "aws:sqs", "body": "not JSON"}],
            "Records[0].body is 'not JSON', expected a text",
        ),
        ([{"eventSource": "aws:sqs", "body": "{}"}], "run is missing, expected a run's id"),
    ],
)
def test_a_message_that_nobody_understands_goes_to_the_failed_events(world, workers, records, said):
    with pytest.raises(BadRequest, match=re.escape(said)):
        world.invoke("take_snapshots", {"Records": records})


# --- the catch-up of a large run


@pytest.fixture
def calls(monkeypatch):
    """The clock: `time[0]` is the present. The catch-up waits for ten minutes."""
    monkeypatch.setenv("LIFEBOAT_CATCH_UP_GRACE_MINUTES", "10")
    handler.forget()
    made = [datetime(2026, 11, 23, 1, tzinfo=UTC)]
    monkeypatch.setattr(clock, "now", lambda: made[0])
    return made


def catch_up(world, calls, minutes):
    """The observation so many minutes after the slot."""
    calls[0] = datetime(2026, 11, 23, 2, tzinfo=UTC) + timedelta(minutes=minutes)
    return world.invoke("take_snapshots", {"catch_up": True})


def test_a_missed_slot_of_a_large_run_is_queued_late(world, workers, calls):
    for _ in range(COUNT):
        world.launch()
    catch_up(world, calls, -30)
    answer = catch_up(world, calls, 45)
    assert answer["instances"] == COUNT
    workers.work()
    late = [tag["Value"] for item in world.snapshots() for tag in item["Tags"] if tag["Key"] == "lifeboat:late"]
    assert late == ["true"] * COUNT
    [started] = world.messages()
    assert started["summary"].startswith("The missed backup of 2026-11-23T02:00:00Z has begun, late, for 6 of 6")


def test_the_catch_up_keeps_off_a_slot_whose_run_is_under_way(world, workers, calls):
    for _ in range(COUNT):
        world.launch()
    catch_up(world, calls, -30)
    calls[0] = datetime(2026, 11, 23, 2, tzinfo=UTC)
    run = world.invoke("take_snapshots", SLOT)["run"]
    assert catch_up(world, calls, 20) == {"caught_up": [], "under_way": run, "overdue": []}
    assert workers.work() == large_run.WORKERS
    assert catch_up(world, calls, 35) == {"caught_up": [], "overdue": []}
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]


def test_a_run_that_was_cut_off_is_published_as_far_as_it_came_and_the_rest_is_taken_late(world, workers, calls):
    for _ in range(COUNT):
        world.launch()
    catch_up(world, calls, -30)
    calls[0] = datetime(2026, 11, 23, 2, tzinfo=UTC)
    run = world.invoke("take_snapshots", SLOT)["run"]
    records = list(workers.messages())
    workers.deliver(records[0])  # and the others are never worked on
    done = len(world.snapshots())
    for record in records[1:]:
        workers.sqs.delete_message(QueueUrl=workers.queue, ReceiptHandle=record["receiptHandle"])
    assert catch_up(world, calls, 20)["under_way"] == run
    assert published(world) == []

    answer = catch_up(world, calls, 45)

    [incomplete] = world.messages()
    assert incomplete["event"] == "BackupIncomplete"
    assert incomplete["details"]["unreported_batches"] == large_run.WORKERS - 1
    assert incomplete["details"]["begun"] == done
    assert answer["instances"] == COUNT - done
    workers.work()
    assert len(world.snapshots()) == COUNT
    assert published(world) == ["BackupStarted"]


def test_a_run_by_hand_that_was_cut_off_is_published_once_by_a_later_run(world, workers, calls):
    instances = [world.launch() for _ in range(COUNT)]
    assert world.invoke("take_snapshots", {"instance_ids": instances})["batches"] == large_run.WORKERS
    for record in workers.messages():
        workers.sqs.delete_message(QueueUrl=workers.queue, ReceiptHandle=record["receiptHandle"])
    catch_up(world, calls, -60 + 15)
    assert world.messages() == []
    catch_up(world, calls, -60 + 45)
    catch_up(world, calls, -60 + 24 * 60)
    [incomplete] = [message for message in world.messages() if message["event"] == "BackupIncomplete"]
    assert incomplete["details"]["unreported_batches"] == large_run.WORKERS
    assert incomplete["subject"] == {"slot": "2026-11-23T01:00:00Z"}


# --- without the queue


def test_without_a_queue_a_run_ends_with_its_invocation_and_says_what_many_instances_need(world, monkeypatch):
    for _ in range(4):
        world.launch()
    monkeypatch.setattr(
        Context, "get_remaining_time_in_millis", lambda _self: 100_000 if len(world.snapshots()) < 2 else 19_000
    )
    monkeypatch.setattr(batch, "CALLS_AT_ONCE", 1)
    with pytest.raises(BackupIncomplete, match=r"more were not tried .* deploy with LargeRuns=true for so many"):
        world.invoke("take_snapshots", SLOT)
    assert len(world.snapshots()) == 2
    assert published(world) == ["BackupStarted"]


# --- the bench's run in one process


@pytest.mark.parametrize(("with_queue", "invocations"), [(False, 1), (True, 5)])
def test_the_bench_runs_a_whole_backup_in_one_process(world, monkeypatch, with_queue, invocations):
    for name in ("LIFEBOAT_TABLE", "LIFEBOAT_TOPIC", "LIFEBOAT_WORK_QUEUE", "POWERTOOLS_LOG_LEVEL"):
        monkeypatch.setenv(name, "")  # so that they are put back
    _in_process.prepare(large_run=with_queue)
    handler.forget()
    monkeypatch.setattr(large_run, "DIRECT_INSTANCES", 2)
    for _ in range(COUNT):
        world.launch()
    assert len(_in_process.back_up("2026-11-23T02:00:00Z")) == invocations
    assert len(world.snapshots()) == COUNT
    _in_process.back_up("2026-11-23T02:00:00Z")
    assert len(world.snapshots()) == COUNT
