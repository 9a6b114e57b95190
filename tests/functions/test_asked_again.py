"""An impatient client: `sam remote invoke` waits 60 seconds and invokes again, while the first invocation goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import clock, ec2
from lifeboat.aws.asked import known_run, write_run
from lifeboat.aws.errors import AwsError
from lifeboat.chains import backup, retention
from lifeboat.rules.asked import WINDOW, Run, key_of_run
from tests.functions.conftest import TABLE, Context
from tests.functions.test_restore import ask, fresh_platform, restored, saved, time

__all__ = ["saved", "time"]  # fixtures

MINUTE = timedelta(minutes=1)


@pytest.fixture
def later(monkeypatch):
    """Let time pass: `later(seconds)`. What the functions wait passes likewise."""
    real, passed = clock.now, [0.0]
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(seconds=passed[0]))

    def wait(seconds):
        passed[0] += seconds

    monkeypatch.setattr(clock, "wait", wait)
    return wait


@pytest.fixture
def impatient(world, later, monkeypatch):
    """A client that asks again after 60 seconds, while the first attempt's look or call takes 90."""
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 300_000)

    def during(module, name, function, event):
        real, answers = getattr(module, name), []

        def slow(*args, **more):
            if not answers:
                answers.append(None)
                later(60)
                answers[:] = [world.invoke(function, event), world.invoke(function, event)]
                later(30)
            return real(*args, **more)

        monkeypatch.setattr(module, name, slow)
        first = world.invoke(function, event)
        return first, answers

    return during


def sets(world):
    return {
        tag["Value"] for item in world.snapshots() for tag in item["Tags"] if tag["Key"] == "lifeboat:recovery-point"
    }


def test_a_backup_by_hand_that_takes_90_seconds_makes_one_set(world, impatient):
    world.launch(disks=2)
    first, again = impatient(ec2, "create_snapshots", "take_snapshots", {})
    assert len(first["begun"]) == 1
    for answer in again:
        assert answer["under_way"] is True
        assert answer["request"] == first["request"]
        assert f'{{"request": "{first["request"]}"}}' in answer["next"]
    assert len(world.snapshots()) == 2
    assert len(sets(world)) == 1
    told = world.invoke("take_snapshots", {"request": first["request"]})
    assert told["begun"] == first["begun"]


def test_a_backup_asked_for_again_within_minutes_is_the_same_and_says_so(world, later):
    world.launch()
    first = world.invoke("take_snapshots", {})
    later(120)
    again = world.invoke("take_snapshots", {})
    assert (again["begun"], again["slot"]) == (first["begun"], first["slot"])
    assert "request_id" in again["next"]
    assert len(sets(world)) == 1


@pytest.mark.parametrize("otherwise", [{"request_id": "before the upgrade"}, {"dry_run": True}])
def test_what_says_otherwise_is_another_request(world, later, otherwise):
    world.launch()
    world.invoke("take_snapshots", {})
    later(1)
    assert len(world.invoke("take_snapshots", otherwise)["begun"]) == 1
    assert len(sets(world)) == (1 if "dry_run" in otherwise else 2)


def test_after_the_window_the_same_words_are_another_backup(world, later):
    world.launch()
    world.invoke("take_snapshots", {})
    later(WINDOW.total_seconds())
    world.invoke("take_snapshots", {})
    assert len(sets(world)) == 2


def test_a_backup_that_failed_in_part_goes_on_in_its_slot(world, later, monkeypatch):
    fine, refused = world.launch(), world.launch()
    real = ec2.create_snapshots

    def refuse_one(instance_id, *more):
        if instance_id == refused:
            raise AwsError("InternalError", "not now", answered=True)
        return real(instance_id, *more)

    monkeypatch.setattr(ec2, "create_snapshots", refuse_one)
    with pytest.raises(backup.BackupIncomplete):
        world.invoke("take_snapshots", {})
    monkeypatch.setattr(ec2, "create_snapshots", real)
    later(30)
    again = world.invoke("take_snapshots", {})
    assert [item["instance_id"] for item in again["already"]] == [fine]
    assert [item["instance_id"] for item in again["begun"]] == [refused]
    assert len({point.removesuffix(fine).removesuffix(refused) for point in sets(world)}) == 1, "one slot"


def test_a_dry_run_of_retention_that_takes_90_seconds_can_be_asked_for(world, impatient, monkeypatch):
    monkeypatch.setattr(ec2, "locked_snapshot_ids", frozenset)
    monkeypatch.setattr(ec2, "public_snapshot_ids", frozenset)
    world.launch()
    world.invoke("take_snapshots", {})
    first, again = impatient(retention, "inventories", "prune_snapshots", {"dry_run": True})
    assert [answer["under_way"] for answer in again] == [True, True]
    told = world.invoke("prune_snapshots", {"request": first["request"]})
    assert (told["kept"], told["calendar"]) == (first["kept"], first["calendar"])
    same = world.invoke("prune_snapshots", {"dry_run": True})
    assert same["request"] == first["request"], "the client has not heard it"


def test_a_quick_dry_run_is_made_anew_each_time(world, monkeypatch):
    monkeypatch.setattr(ec2, "locked_snapshot_ids", frozenset)
    monkeypatch.setattr(ec2, "public_snapshot_ids", frozenset)
    world.launch()
    assert world.invoke("prune_snapshots", {"dry_run": True})["kept"] == []
    world.invoke("take_snapshots", {})
    assert len(world.invoke("prune_snapshots", {"dry_run": True})["kept"]) == 1


def test_an_answer_too_long_for_the_table_is_kept_without_its_lists(world):
    begun = clock.now()
    run = Run("prune-0123456789abcdef-20261123T020000Z", begun, "lease", begun + MINUTE)
    assert write_run(TABLE, key_of_run(run.id), run, None)
    long = {"kept": [f"{number * 2654435761 % 2**64:x}" for number in range(100_000)], "saved_gib": 7}
    done = Run(run.id, begun, "lease", run.until, begun, long)
    assert write_run(TABLE, key_of_run(run.id), done, run)
    found = known_run(TABLE, key_of_run(run.id))
    assert found is not None
    assert found.answer == {"saved_gib": 7, "cut": "the lists were too long to be kept"}


def test_of_two_who_take_a_run_at_once_one_has_it(world):
    begun = clock.now()
    one, other = (Run("backup-0123456789abcdef-20261123T020000Z", begun, who, begun) for who in ("one", "other"))
    assert write_run(TABLE, "backup-0123456789abcdef", one, None)
    assert not write_run(TABLE, "backup-0123456789abcdef", other, None)
    assert not write_run(TABLE, "backup-0123456789abcdef", one, other)


def test_a_run_that_is_not_known_is_refused_in_one_sentence(world):
    answer = world.invoke("take_snapshots", {"request": "backup-0123456789abcdef-20261123T020000Z"})
    assert answer["refused"] == (
        "request is 'backup-0123456789abcdef-20261123T020000Z', expected the id that a request got within the last day"
    )


def unnamed(instance, **more):
    return {key: value for key, value in ask(instance, **more).items() if key != "request_id"}


def test_a_restore_without_a_name_is_not_refused_when_it_is_asked_for_again(world, saved, time):
    target = fresh_platform(world)
    first = world.invoke("restore_volume", unnamed(target))
    world.invoke("attach_volume", {"sweep": True})
    time.wait(60)
    again = world.invoke("restore_volume", unnamed(target))
    assert again["restore_id"] == first["restore_id"]
    assert "refused" not in again
    restored(world, time, first["restore_id"])
    done = world.invoke("restore_volume", unnamed(target))
    assert (done["restore_id"], done["status"]) == (first["restore_id"], "completed")


def test_a_restore_that_was_rolled_back_is_tried_again_when_it_is_asked_for_again(world, saved, time):
    target = fresh_platform(world)
    first = world.invoke("restore_volume", unnamed(target))["restore_id"]
    world.invoke("restore_volume", {"cancel": first})
    assert restored(world, time, first)["status"] == "rolled_back"
    time.wait(1)
    second = world.invoke("restore_volume", unnamed(target))["restore_id"]
    assert second != first
    assert world.invoke("restore_volume", unnamed(target))["restore_id"] == second
