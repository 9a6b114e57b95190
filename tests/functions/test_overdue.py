"""Overdue, through the handler of take_snapshots: published once for each spell, and the worst age goes to
CloudWatch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from moto.backends import get_backend

from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.backup import overdue as rule
from lifeboat.backup import overdue_workflow as workflow
from lifeboat.backup.workflow import BackupIncomplete
from tests.functions.conftest import ACCOUNT, TABLE, TODAY, Context
from tests.functions.large_runs import LargeRun

CATCH_UP = {"catch_up": True}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# moto attaches volumes in the present, and what is attached after a slot owes nothing for it.
SLOT = (TODAY + 2 * DAY).replace(hour=2)


class Sight:
    """The world as the observations see it, at any time."""

    def __init__(self, world, monkeypatch, capsys):
        self.world, self.capsys = world, capsys
        self.now = SLOT - HOUR
        self.refused: set[str] = set()
        self.metrics: list[dict] = []
        monkeypatch.setattr(clock, "now", lambda: self.now)
        real = ec2_snapshots.create_snapshots

        def create(instance_id, description, tags):
            if instance_id in self.refused:
                raise AwsError("UnauthorizedOperation", "as planted", answered=True)
            made = real(instance_id, description, tags)
            for snapshot_id in made.values():  # moto would say that it began today
                self.moto(snapshot_id).start_time = self.now.isoformat()
            return made

        monkeypatch.setattr(ec2_snapshots, "create_snapshots", create)

    def invoke(self, event, at):
        """One invocation, however it ends."""
        self.now = at
        try:
            return self.world.invoke("take_snapshots", event)
        except BackupIncomplete:
            return None
        finally:
            lines = [json.loads(line) for line in self.capsys.readouterr().out.splitlines() if line.startswith("{")]
            self.metrics += [line for line in lines if "RecoveryPointAge" in line]

    def catch_up(self, at):
        """Who was reported overdue by this observation, with the message of each."""
        self.world.messages()
        answer = self.invoke(CATCH_UP, at)
        published = [message for message in self.world.messages() if message["event"] == "BackupOverdue"]
        if answer is not None:
            assert {item["subject"]["instance_id"] for item in published} <= set(answer["overdue"])
        return {message["subject"]["instance_id"]: message for message in published}

    def take(self, at):
        return self.invoke({"scheduled_time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}, at)

    def moto(self, snapshot_id):
        return get_backend("ec2")[ACCOUNT]["eu-west-1"].snapshots[snapshot_id]

    def age(self):
        """The metric's newest value."""
        [value] = self.metrics[-1]["RecoveryPointAge"]
        return timedelta(seconds=value)


@pytest.fixture
def sight(world, monkeypatch, capsys):
    return Sight(world, monkeypatch, capsys)


def test_an_instance_that_ec2_always_refuses_is_published_once(world, sight):
    instance = world.launch()
    sight.refused.add(instance)
    assert sight.catch_up(SLOT - HOUR) == {}
    assert sight.catch_up(SLOT + 45 * MINUTE) == {}  # the catch-up was refused once; it has another check
    found = sight.catch_up(SLOT + 46 * MINUTE)[instance]
    assert found["severity"] == "critical"
    assert found["details"]["age"] == "1 h 46 min"
    assert found["details"]["last_good_recovery_point"] == "none"
    assert found["details"]["volumes"] == [world.volume_of(instance)]
    assert found["details"]["protected_since"] == f"{SLOT - HOUR:%Y-%m-%dT%H:%M:%SZ}"
    for days in range(4):
        assert sight.catch_up(SLOT + days * DAY + 2 * HOUR) == {}
    assert sight.age() == 3 * DAY + 3 * HOUR


def test_an_episode_ends_with_a_good_backup_and_the_next_episode_is_published_again(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    sight.refused.add(instance)
    assert sight.catch_up(SLOT + DAY + 31 * MINUTE) == {}
    found = sight.catch_up(SLOT + DAY + HOUR)[instance]
    assert found["details"]["last_good_recovery_point"] == f"rp-{SLOT:%Y%m%dT%H%M%SZ}-{instance}"
    assert found["details"]["age"] == "25 h 0 min"
    assert sight.catch_up(SLOT + 2 * DAY + HOUR) == {}

    sight.refused.clear()
    assert sight.catch_up(SLOT + 2 * DAY + 2 * HOUR) == {}  # it takes it late
    assert sight.age() == timedelta(0)
    sight.refused.add(instance)
    assert sight.catch_up(SLOT + 3 * DAY + HOUR)[instance]["details"]["age"] == "23 h 0 min"


def test_a_backup_by_hand_ends_it_too(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.refused.add(instance)
    assert set(sight.catch_up(SLOT + HOUR)) == {instance}
    sight.refused.clear()
    sight.invoke({"instance_ids": [instance]}, SLOT + 5 * HOUR)
    sight.refused.add(instance)
    sight.catch_up(SLOT + 6 * HOUR)
    assert sight.age() == HOUR


def test_what_the_catch_up_mends_is_not_published(world, sight):
    world.launch()
    sight.catch_up(SLOT - HOUR)
    assert sight.catch_up(SLOT + 5 * DAY + HOUR) == {}
    assert len(world.snapshots()) == 1
    assert sight.age() == timedelta(0)


def test_what_the_catch_up_mends_is_not_published_though_ec2_does_not_show_it_yet(world, sight, monkeypatch):
    world.launch()
    sight.catch_up(SLOT - HOUR)
    monkeypatch.setattr(ec2_snapshots, "recovery_point_snapshots_of", lambda *_: ())
    assert sight.catch_up(SLOT + 5 * DAY + HOUR) == {}


def test_what_ec2_is_making_waits_for_a_day(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    [snapshot] = world.snapshots()
    sight.moto(snapshot["SnapshotId"]).status = "pending"
    assert sight.catch_up(SLOT + 23 * HOUR) == {}
    assert sight.age() == DAY  # it is no backup before it is good
    assert set(sight.catch_up(SLOT + 24 * HOUR)) == {instance}


def test_a_recovery_point_that_a_person_deletes_counts_no_longer(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    assert sight.catch_up(SLOT + HOUR) == {}
    [snapshot] = world.snapshots()
    world.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    assert sight.catch_up(SLOT + 2 * HOUR)[instance]["details"]["last_good_recovery_point"] == "none"


def test_another_stacks_recovery_point_is_none_of_ours(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    [snapshot] = world.snapshots()
    world.ec2.create_tags(Resources=[snapshot["SnapshotId"]], Tags=[{"Key": "lifeboat:stack", "Value": "other"}])
    assert set(sight.catch_up(SLOT + HOUR)) == {instance}


@pytest.mark.parametrize("how", ["terminated", "deselected"])
def test_who_is_gone_is_forgotten_and_counts_anew_when_back(world, sight, how):
    tag = [{"Key": "lifeboat:backup", "Value": "true"}]
    gone, stays = world.launch(), world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    sight.refused.update((gone, stays))
    assert set(sight.catch_up(SLOT + DAY + HOUR)) == {gone, stays}
    if how == "terminated":
        world.ec2.terminate_instances(InstanceIds=[gone])
    else:
        world.ec2.delete_tags(Resources=[gone], Tags=tag)
    sight.refused.remove(stays)
    assert sight.catch_up(SLOT + DAY + 2 * HOUR) == {}
    assert sight.age() == timedelta(0)
    assert [item["instance_id"] for item in sight.metrics[-1]["ages"]] == [stays]
    if how == "deselected":
        world.ec2.create_tags(Resources=[gone], Tags=tag)
        sight.refused.add(stays)
        assert sight.catch_up(SLOT + DAY + 3 * HOUR) == {}
        assert sight.age() == HOUR  # `stays`: the one that is back is seen for the first time
        assert set(sight.catch_up(SLOT + 2 * DAY + HOUR)) == {gone, stays}


def test_a_stopped_instance_is_backed_up_and_may_be_overdue(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    world.ec2.stop_instances(InstanceIds=[instance])
    sight.refused.add(instance)
    assert set(sight.catch_up(SLOT + HOUR)) == {instance}


def test_an_instance_without_a_data_volume_is_overdue_as_a_whole(world, sight):
    instance = world.launch(disks=0, **{"lifeboat:backup": "true"})
    sight.catch_up(SLOT - HOUR)
    found = sight.catch_up(SLOT + HOUR)[instance]
    assert found["details"]["volumes"] == []


def test_the_metric_is_the_worst_of_all_and_its_line_has_each(world, sight):
    first, second = sorted((world.launch(), world.launch(disks=2, **{"lifeboat:backup": "true"})))
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    sight.refused.add(first)
    sight.take(SLOT + DAY)
    sight.catch_up(SLOT + DAY + 20 * MINUTE)
    line = sight.metrics[-1]
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Lifeboat",
            "Dimensions": [["stack"]],
            "Metrics": [{"Name": "RecoveryPointAge", "Unit": "Seconds"}],
        }
    ]
    assert (line["stack"], line["ages_not_listed"], line["not_queried"]) == ("lifeboat", 0, 0)
    # Nobody is expected to have the slot yet, but its recovery points count.
    ages = {(item["instance_id"], item["seconds"]) for item in line["ages"]}
    assert ages == {(first, 24 * 3600 + 1200), (second, 1200)}
    assert len(line["ages"]) == 3
    assert sight.age() == DAY + 20 * MINUTE


def test_nothing_is_expected_where_nothing_is_protected_or_no_slot_was_due(world, sight, monkeypatch):
    sight.catch_up(SLOT + HOUR)
    world.launch()
    monkeypatch.setenv("LIFEBOAT_SCHEDULE", "rate(1 day)")
    handler.forget()
    assert sight.catch_up(SLOT + 3 * DAY) == {}
    assert sight.metrics == []


def test_a_rate_that_is_refused_is_overdue_and_has_its_metric_at_any_time(world, sight, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_SCHEDULE", "rate(30 minutes)")
    handler.forget()
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    sight.catch_up(SLOT + 5 * MINUTE)
    assert sight.age() == 5 * MINUTE
    sight.refused.add(instance)
    for number in range(1, 5):
        sight.take(SLOT + number * HOUR / 2)
        found = sight.catch_up(SLOT + number * HOUR / 2 + 16 * MINUTE)
        assert set(found) == ({instance} if number == 2 else set())
        assert sight.age() == number * HOUR / 2 + 16 * MINUTE


def test_without_its_table_the_stack_counts_anew_and_makes_nothing_twice(world, sight):
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.take(SLOT)
    for item in clients.dynamodb().scan(TableName=TABLE)["Items"]:
        clients.dynamodb().delete_item(TableName=TABLE, Key={key: item[key] for key in ("pk", "sk")})
    sight.refused.add(instance)
    assert sight.catch_up(SLOT + HOUR) == {}
    assert sight.age() == HOUR  # EC2 still shows it
    assert len(world.snapshots()) == 1
    assert set(sight.catch_up(SLOT + DAY + HOUR)) == {instance}


def test_a_run_without_time_leaves_it_to_the_next(world, sight, monkeypatch):
    instance = world.launch()
    sight.refused.add(instance)
    sight.catch_up(SLOT - HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(Context, "get_remaining_time_in_millis", lambda _: 1000)
        assert sight.catch_up(SLOT + HOUR) == {}
    assert set(sight.catch_up(SLOT + 2 * HOUR)) == {instance}


def test_of_very_many_each_run_asks_about_some(world, sight, monkeypatch):
    monkeypatch.setattr(rule, "INSTANCES_QUERIED", 2)
    monkeypatch.setattr(workflow, "AGES_LOGGED", 1)
    instances = {world.launch() for _ in range(3)}
    sight.refused |= instances
    sight.catch_up(SLOT - HOUR)
    found = set(sight.catch_up(SLOT + HOUR))
    assert len(found) == 2
    assert (sight.metrics[-1]["not_queried"], sight.metrics[-1]["ages_not_listed"]) == (1, 1)
    assert (
        found | set(sight.catch_up(SLOT + HOUR + 15 * MINUTE)) | set(sight.catch_up(SLOT + HOUR + 30 * MINUTE))
        == instances
    )


def test_many_are_found_slot_by_slot_and_only_the_rest_one_by_one(world, sight, monkeypatch):
    monkeypatch.setattr(workflow.ec2_describe, "IDS_PER_CALL", 2)
    never, early, *late = (world.launch() for _ in range(5))
    sight.catch_up(SLOT - HOUR)
    sight.refused.add(never)
    sight.take(SLOT)
    sight.refused.add(early)
    sight.take(SLOT + DAY)
    sight.refused.update(late)
    real, asked = ec2_snapshots.recovery_point_snapshots_of, []

    def listing(stack, filters, **more):
        asked.append(dict(filters))
        return real(stack, filters, **more)

    monkeypatch.setattr(ec2_snapshots, "recovery_point_snapshots_of", listing)
    found = sight.catch_up(SLOT + 3 * DAY + HOUR)
    last = {instance: message["details"]["last_good_slot"] for instance, message in found.items()}
    assert last == {
        never: "none",
        early: f"{SLOT:%Y-%m-%dT%H:%M:%SZ}",
        **dict.fromkeys(late, f"{SLOT + DAY:%Y-%m-%dT%H:%M:%SZ}"),
    }
    observations = [filters for filters in asked if "tag:lifeboat:recovery-point" not in filters]
    assert [list(filters) for filters in observations] == [["tag:lifeboat:slot"]] * 3 + [["tag:lifeboat:instance"]]
    assert set(observations[-1]["tag:lifeboat:instance"]) == {never, early}


def test_what_is_known_of_one_volume_is_not_replaced_by_what_is_older(world, sight, monkeypatch):
    monkeypatch.setattr(workflow.ec2_describe, "IDS_PER_CALL", 1)
    instance, never = world.launch(disks=2, **{"lifeboat:backup": "true"}), world.launch()
    first, second = world.volume_of(instance), world.volume_of(instance, "/dev/sdi")
    sight.refused.add(never)
    sight.catch_up(SLOT - DAY - HOUR)
    sight.take(SLOT - DAY)
    world.ec2.detach_volume(InstanceId=instance, VolumeId=second)
    sight.take(SLOT)
    world.ec2.attach_volume(InstanceId=instance, VolumeId=second, Device="/dev/sdi")
    sight.refused.add(instance)
    assert set(sight.catch_up(SLOT + HOUR)) == {instance, never}  # two are searched for slot by slot
    ages = {item["volume_id"]: item["seconds"] for item in sight.metrics[-1]["ages"]}
    assert (ages[first], ages[second]) == (3600, 25 * 3600)


def test_what_is_being_made_of_an_earlier_time_of_the_same_hour_is_no_excuse(world, sight, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_SCHEDULE", "cron(30 2 * * ? *)")
    instance = world.launch()
    sight.catch_up(SLOT - HOUR)
    sight.invoke({"instance_ids": [instance]}, SLOT + 10 * MINUTE)
    [snapshot] = world.snapshots()
    sight.moto(snapshot["SnapshotId"]).status = "pending"
    sight.refused.add(instance)
    assert set(sight.catch_up(SLOT + 2 * HOUR)) == {instance}


def test_a_large_run_that_is_being_caught_up_is_published_only_when_that_has_failed(world, sight, monkeypatch):
    workers = LargeRun(world, monkeypatch)
    instances = {world.launch() for _ in range(3)}
    sight.refused |= instances
    sight.catch_up(SLOT - HOUR)
    assert sight.catch_up(SLOT + DAY + HOUR) == {}  # handed out
    assert sight.catch_up(SLOT + DAY + HOUR + 15 * MINUTE) == {}  # under way
    workers.work()
    assert set(sight.catch_up(SLOT + DAY + HOUR + 30 * MINUTE)) == instances


class TestDaylightSaving:
    """A schedule at 02:30 in Berlin, checked over the days when the clocks change: every quarter of an hour about the
    slots and the change, which are at 00:30, 01:00 and 01:30 UTC, and every hour else."""

    YEAR = SLOT.year + 1

    @pytest.fixture(autouse=True)
    def _berlin(self, monkeypatch):
        monkeypatch.setenv("LIFEBOAT_SCHEDULE", "cron(30 2 * * ? *)")
        monkeypatch.setenv("LIFEBOAT_TIME_ZONE", "Europe/Berlin")

    def slots(self, world, sight, first, days):
        """The slots that the catch-up alone takes."""
        world.launch()
        for number in range(days * 96):
            at = first + number * 15 * MINUTE
            if at.hour < 5 or not at.minute:
                assert sight.catch_up(at) == {}
        return sorted(
            tag["Value"] for item in world.snapshots() for tag in item["Tags"] if tag["Key"] == "lifeboat:slot"
        )

    def last_sunday(self, month):
        day = datetime(self.YEAR, month, 31, tzinfo=UTC)
        return day - timedelta(days=(day.weekday() + 1) % 7)

    def test_the_slot_that_spring_skips_is_neither_taken_nor_overdue(self, world, sight):
        sunday = self.last_sunday(3)
        taken = self.slots(world, sight, sunday - DAY, 3)
        assert taken == [f"{sunday - DAY:%Y-%m-%d}T01:30:00Z", f"{sunday + DAY:%Y-%m-%d}T00:30:00Z"]

    def test_the_slot_that_autumn_repeats_is_taken_once(self, world, sight):
        sunday = self.last_sunday(10)
        taken = self.slots(world, sight, sunday - DAY, 3)
        assert taken == [
            f"{sunday - DAY:%Y-%m-%d}T00:30:00Z",
            f"{sunday:%Y-%m-%d}T00:30:00Z",
            f"{sunday + DAY:%Y-%m-%d}T01:30:00Z",
        ]
