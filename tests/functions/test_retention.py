"""Retention, through its handler: prune_snapshots."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat import handler
from lifeboat.aws import clock, ec2_images, ec2_snapshots, ec2_volumes, topic
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import LEFT_FOR_RETURN
from lifeboat.retention import workflow as retention
from tests.functions.conftest import ACCOUNT, Context
from tests.functions.saved import saved_snapshot

DAYS = 30


@pytest.fixture
def history(world, monkeypatch):
    """One recovery point a day for 30 days, of a data volume that still exists; their snapshots' ids, newest first."""
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    instance = world.launch()
    volume_id = world.volume_of(instance)
    made = []
    for day in range(DAYS):
        slot = clock.now() - timedelta(days=day, minutes=5)
        made.append(
            saved_snapshot(world, volume_id, instance_id=instance, recovery_point_id=f"rp-{day}", taken_at=slot)
        )
    return made


def instance_of(world):
    [reservation] = world.ec2.describe_instances()["Reservations"]
    return reservation["Instances"][0]["InstanceId"]


def left(world):
    return {snapshot["SnapshotId"] for snapshot in world.snapshots()}


def completed(world):
    """What SNS delivers when a backup has completed."""
    message = json.dumps({"version": "1", "event": "BackupCompleted"})
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]}


def test_a_completed_backup_deletes_what_no_rule_keeps(world, history):
    # last=3 daily=14: the newest of each of 14 days stay, 16 may go, and the cap lets half of the lineage go at once.
    world.invoke("prune_snapshots", completed(world))
    world.invoke("prune_snapshots", completed(world))
    assert left(world) == set(history[:14])
    published = world.messages()
    assert {message["event"] for message in published} == {"SnapshotsPruned"}
    assert published[0]["details"]["deleted"]
    assert all(entry["reasons"] for entry in published[0]["details"]["kept"])


def test_a_second_run_deletes_nothing_more(world, history):
    for _ in range(3):
        world.invoke("prune_snapshots", {})
    before = left(world)
    world.messages()
    answer = world.invoke("prune_snapshots", {})
    assert answer["deleted"] == []
    assert left(world) == before
    assert world.messages() == [], "nothing happened, so nothing is published"


def test_a_dry_run_gives_the_plan_and_changes_nothing(world, history):
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert answer["dry_run"] is True
    assert answer["delete"]
    assert all(entry["reasons"] for entry in [*answer["delete"], *answer["kept"]])
    assert left(world) == set(history)
    assert world.messages() == []


def test_the_newest_proven_one_stays(world, history):
    proof = {"Key": "lifeboat:verified", "Value": "result=proven level=read at=2026-11-01T03:00:00Z"}
    world.ec2.create_tags(Resources=[history[20]], Tags=[proof])
    world.invoke("prune_snapshots", {})
    world.invoke("prune_snapshots", {})
    assert left(world) == {*history[:14], history[20]}


def test_a_held_snapshot_stays(world, history):
    world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:hold", "Value": "court order"}])
    world.invoke("prune_snapshots", {})
    world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)


def test_a_hold_that_comes_between_plan_and_deletion_is_seen(world, history, monkeypatch):
    real = ec2_snapshots.own_snapshots

    def held_meanwhile(ids):
        world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:hold", "Value": "now"}])
        return real(ids)

    monkeypatch.setattr(ec2_snapshots, "own_snapshots", held_meanwhile)
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert "is held by the tag" in str(answer["refused"])


def test_a_snapshot_that_changed_since_the_plan_stays(world, history, monkeypatch):
    real = ec2_snapshots.own_snapshots

    def retagged(ids):
        world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:stack", "Value": "other"}])
        return real(ids)

    monkeypatch.setattr(ec2_snapshots, "own_snapshots", retagged)
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert "has changed since the plan was made" in str(answer["refused"])


def test_a_locked_snapshot_and_one_of_an_image_stay(world, history, monkeypatch):
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", lambda: frozenset({history[-1]}))
    monkeypatch.setattr(ec2_images, "image_snapshot_ids", lambda: frozenset({history[-2]}))
    world.invoke("prune_snapshots", {})
    world.invoke("prune_snapshots", {})
    assert {history[-1], history[-2]} <= left(world)


def test_a_refusal_is_a_result_and_the_rest_goes_on(world, history, monkeypatch):
    real = ec2_snapshots.delete_snapshot

    def refuse(snapshot_id):
        if snapshot_id == history[-1]:
            raise AwsError("InvalidSnapshot.InUse", "in use by ami-1", answered=True)
        if snapshot_id in history[-3:-1]:  # another run was quicker; the right hangs on tags that are gone as well
            real(snapshot_id)
            code = "InvalidSnapshot.NotFound" if snapshot_id == history[-2] else "UnauthorizedOperation"
            raise AwsError(code, "gone", answered=True)
        real(snapshot_id)

    monkeypatch.setattr(ec2_snapshots, "delete_snapshot", refuse)
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert left(world).isdisjoint(history[-3:-1])
    assert len(answer["refused"]) == 1
    assert {"rp-27", "rp-28"}.isdisjoint(entry["recovery_point"] for entry in answer["deleted"])
    [published] = world.messages()
    assert published["severity"] == "warning"
    assert "InvalidSnapshot.InUse" in str(published["details"]["refused"])


def test_a_policy_in_error_keeps_everything_and_publishes_it(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_RETENTION", "dayly=14")
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history)
    [published] = world.messages()
    assert published["severity"] == "warning"
    assert "dayly" in str(published["details"]["notices"])


def test_an_instances_tag_overrides_the_policy(world, history):
    world.ec2.create_tags(Resources=[instance_of(world)], Tags=[{"Key": "lifeboat:retention", "Value": "daily=25"}])
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:25])


def test_snapshots_of_another_stack_and_of_nobody_stay(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_STACK", "another")
    world.ec2.create_snapshot(VolumeId=world.volume_of(world.launch()))
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history)


def test_unreadable_metadata_is_kept_and_published(world, history):
    world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:slot", "Value": "yesterday"}])
    answer = world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)
    assert any(history[-1] in notice for notice in answer["notices"])


def test_a_run_cut_off_is_published_and_resumed_by_the_next(world, history, monkeypatch):
    left_ms = iter([60_000] * 12 + [1000 * LEFT_FOR_RETURN - 1] * 100)
    with monkeypatch.context() as short:
        short.setattr(Context, "get_remaining_time_in_millis", lambda _: next(left_ms))
        answer = world.invoke("prune_snapshots", {})
    gone = len(answer["deleted"])
    assert 0 < gone < 15
    assert left(world) == set(history[: DAYS - gone]), "the oldest go first"
    waiting = f"{15 - gone} more recovery points wait for the next run"
    assert any(waiting in notice for notice in answer["notices"])
    [published] = world.messages()
    assert any(waiting in notice for notice in published["details"]["notices"])
    for _ in range(3):
        world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:14])


def test_what_was_deleted_is_published_even_if_the_run_breaks(world, history, monkeypatch):
    real, calls = ec2_snapshots.own_snapshots, []

    def breaks(ids):
        calls.append(ids)
        if len(calls) == 3:
            raise RuntimeError("EC2 is away")
        return real(ids)

    monkeypatch.setattr(ec2_snapshots, "own_snapshots", breaks)
    monkeypatch.setattr(retention, "RECHECKED", 2)
    assert world.invoke("prune_snapshots", {})["error"] == "EC2 is away"
    [published] = world.messages()
    assert len(published["details"]["deleted"]) == DAYS - len(left(world)) == 4


def test_what_another_run_deleted_meanwhile_is_published_by_that_run_only(world, history, monkeypatch):
    real = ec2_snapshots.own_snapshots

    def meanwhile(ids):
        for snapshot in history[-4:-2]:
            world.ec2.delete_snapshot(SnapshotId=snapshot)
        monkeypatch.setattr(ec2_snapshots, "own_snapshots", real)
        return real(ids)

    monkeypatch.setattr(ec2_snapshots, "own_snapshots", meanwhile)
    answer = world.invoke("prune_snapshots", {})
    assert answer["refused"] == []
    assert len(answer["deleted"]) == 13
    assert len(left(world)) == DAYS - 15, "what the other has deleted counts for the cap of this run"


# --- what forbids to delete


def test_a_public_snapshot_stays(world, history, monkeypatch):
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", lambda: frozenset({history[-1]}))
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert "public" in str(reasons_of(answer, "rp-29"))
    world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)


def test_a_snapshot_that_a_person_marked_as_shared_stays(world, history):
    world.ec2.create_tags(Resources=[history[-1]], Tags=[{"Key": "lifeboat:shared", "Value": "444455556666"}])
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert "lifeboat:shared" in str(reasons_of(answer, "rp-29"))
    world.invoke("prune_snapshots", {})
    assert history[-1] in left(world)


def test_the_last_ones_of_a_volume_that_is_gone_stay(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_RETENTION", "last=1")
    monkeypatch.setenv("LIFEBOAT_MIN_KEEP", "2")
    monkeypatch.setenv("LIFEBOAT_MAX_DELETE_PERCENT", "100")
    monkeypatch.setenv("LIFEBOAT_ORPHAN_KEEP", "5")
    monkeypatch.setattr(ec2_volumes, "all_volume_ids", frozenset)
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:5])


# --- refusals


def refusing(monkeypatch, *unwilling, code="InvalidSnapshot.InUse", answered=True):
    """DeleteSnapshot refuses these for ever; what was asked of it, in its order."""
    real, asked = ec2_snapshots.delete_snapshot, []

    def delete(snapshot_id):
        asked.append(snapshot_id)
        if snapshot_id in unwilling:
            raise AwsError(code, "no", answered=answered)
        real(snapshot_id)

    monkeypatch.setattr(ec2_snapshots, "delete_snapshot", delete)
    return asked


def test_what_never_goes_does_not_use_up_what_may_go(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_MAX_DELETE_PERCENT", "10")  # three of thirty
    asked = refusing(monkeypatch, *history[-3:])
    answer = world.invoke("prune_snapshots", {})
    assert len(answer["refused"]) == 3
    # The three are planned around: of the other 27 two may go, instead of none for ever.
    assert left(world) == set(history) - set(history[-5:-3])
    assert len(asked) == len(set(asked)), "nothing is tried twice in one run"
    assert "deleting it was refused" in str(world.messages()[0]["details"]["kept"])
    for _ in range(20):
        world.invoke("prune_snapshots", {})
    assert left(world) == {*history[:14], *history[-3:]}


def test_not_more_than_the_cap_goes_when_something_refuses(world, history, monkeypatch):
    refusing(monkeypatch, history[-1], history[-4])
    answer = world.invoke("prune_snapshots", {})
    assert len(answer["deleted"]) <= 15
    assert len(answer["deleted"]) == DAYS - len(left(world))


def test_a_deletion_whose_answer_was_lost_is_checked(world, history, monkeypatch):
    real = ec2_snapshots.delete_snapshot

    def lost(snapshot_id):
        if snapshot_id == history[-1]:
            real(snapshot_id)
        if snapshot_id in history[-2:]:
            raise AwsError("ReadTimeoutError", "no answer", answered=False)
        real(snapshot_id)

    monkeypatch.setattr(ec2_snapshots, "delete_snapshot", lost)
    answer = world.invoke("prune_snapshots", {})
    assert [entry["recovery_point"] for entry in answer["refused"]] == ["rp-28"]
    assert answer["deleted"][0]["recovery_point"] == "rp-29"
    assert len(answer["deleted"]) == 14, "it may be gone after all, so nothing goes in its stead"


def test_a_throttled_deletion_goes_out_again_and_is_never_refused(world, history, monkeypatch):
    real, asked, now = ec2_snapshots.delete_snapshot, [], [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(clock, "wait", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def throttled(snapshot_id):
        asked.append(snapshot_id)
        if len(asked) in {3, 4, 7}:
            raise AwsError("RequestLimitExceeded", "slow down", answered=True)
        real(snapshot_id)

    monkeypatch.setattr(ec2_snapshots, "delete_snapshot", throttled)
    answer = world.invoke("prune_snapshots", {})
    assert answer["refused"] == []
    assert len(answer["deleted"]) == 15
    assert asked[2] == asked[3] == asked[4]
    assert now[0] > 103, "it has waited after each"


def test_throttling_without_end_ends_with_the_invocation(world, history, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(clock, "wait", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 900_000 - now[0] * 1000)
    refusing(monkeypatch, *history, code="RequestLimitExceeded")
    answer = world.invoke("prune_snapshots", {})
    assert (answer["deleted"], answer["refused"]) == ([], [])
    assert any("15 more recovery points wait" in notice for notice in answer["notices"])
    assert left(world) == set(history)


# --- what is shown


def reasons_of(answer, point):
    [entry] = [entry for entry in answer["kept"] if entry["recovery_point"] == point]
    return entry["reasons"]


def test_what_it_saves_is_an_upper_bound_in_gib_and_dollars(world, history):
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert (answer["saved_gib"], answer["saved_usd_per_month"]) == (15 * 20, 15.0)
    answer = world.invoke("prune_snapshots", {})
    assert (answer["saved_gib"], answer["saved_usd_per_month"]) == (15 * 20, 15.0)
    details = world.messages()[0]["details"]
    assert (details["saved_gib_at_most"], details["saved_usd_per_month_at_most"]) == (300, 15.0)


def test_a_dry_run_draws_the_calendar(world, history):
    calendar = world.invoke("prune_snapshots", {"dry_run": True})["calendar"]
    assert f"Lineage {world.volume_of(instance_of(world))}" in calendar
    assert "30 recovery points: 15 kept, 15 deleted." in calendar


def test_a_dry_run_with_a_wrong_time_zone_still_answers(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_TIME_ZONE", "Mars/Olympus")
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert "30 recovery points: 30 kept, 0 deleted." in answer["calendar"]
    assert any("Mars/Olympus" in notice for notice in answer["notices"])


def test_a_long_dry_run_is_cut_and_counted(world, history, monkeypatch):
    monkeypatch.setattr(retention, "VERDICTS_LISTED", 4)
    monkeypatch.setattr(retention, "CALENDAR_LENGTH", 100)
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert (len(answer["delete"]), answer["delete_not_listed"]) == (4, 11)
    assert (len(answer["kept"]), answer["kept_not_listed"]) == (4, 11)
    assert len(answer["calendar"]) <= 104


def shorten_the_policy(world, monkeypatch, text="last=1"):
    """After a run under the policy of the fixture has deleted what that does not keep."""
    for _ in range(2):
        world.invoke("prune_snapshots", {})
    world.messages()
    monkeypatch.setenv("LIFEBOAT_RETENTION", text)
    handler.forget()


def test_a_shortened_policy_deletes_nothing_for_a_day_and_is_published_at_once(world, history, monkeypatch):
    shorten_the_policy(world, monkeypatch)
    before = left(world)
    assert len(before) == 14
    assert world.invoke("prune_snapshots", {"dry_run": True})["delete"] == []
    assert world.messages() == []
    answers = [world.invoke("prune_snapshots", {}) for _ in range(3)]
    assert [answer["deleted"] for answer in answers] == [[], [], []]
    assert left(world) == before
    [published] = world.messages()
    assert (published["event"], published["severity"]) == ("RetentionChanged", "warning")
    assert published["details"]["would_delete_count"] == 11, "MinimumKept keeps 3"
    assert published["details"]["gib"] == 220
    assert published["details"]["old"] == {"Retention": "last=3 daily=14"}
    assert published["details"]["new"] == {"Retention": "last=1"}
    assert "make deploy REGION=eu-west-1 Retention=last=3,daily=14" in published["next_steps"][0]

    later = clock.now() + timedelta(hours=25)
    monkeypatch.setattr(clock, "now", lambda: later)
    for _ in range(4):
        world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:3])


def test_a_hold_of_no_hours_lets_a_change_count_at_once(world, history, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_RETENTION_CHANGE_HOURS", "0")
    shorten_the_policy(world, monkeypatch)
    assert world.invoke("prune_snapshots", {})["deleted"]
    assert {message["event"] for message in world.messages()} == {"SnapshotsPruned"}


def test_a_tag_lost_with_its_instance_is_published_with_a_way_to_keep(world, history, monkeypatch):
    world.ec2.create_tags(Resources=[instance_of(world)], Tags=[{"Key": "lifeboat:retention", "Value": "daily=25"}])
    for _ in range(2):
        world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:25])
    world.messages()
    ec2_backends[ACCOUNT]["eu-west-1"].reservations.clear()  # EC2 shows it and its tags for an hour more
    world.invoke("prune_snapshots", {})
    assert left(world) == set(history[:25])
    [published] = world.messages()
    assert published["details"]["would_delete_count"] == 11
    assert published["details"]["lineages"] == [world.snapshots()[0]["VolumeId"]]
    assert not any("make deploy" in step or "lifeboat:retention" in step for step in published["next_steps"])
    assert "lifeboat:hold" in published["next_steps"][0]
    assert history[24] in published["next_steps"][0]


def test_a_change_that_could_not_be_published_is_published_by_the_next_run(world, history, monkeypatch):
    shorten_the_policy(world, monkeypatch)
    real = topic.publish

    def lost(arn, message):
        raise AwsError("Throttled", "later", answered=False)

    monkeypatch.setattr(topic, "publish", lost)
    assert world.invoke("prune_snapshots", {})["error"] == "Throttled: later"
    monkeypatch.setattr(topic, "publish", real)
    world.invoke("prune_snapshots", {})
    assert [message["event"] for message in world.messages()] == ["RetentionChanged"]
    assert len(left(world)) == 14
