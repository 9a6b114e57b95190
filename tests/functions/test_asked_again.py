"""An impatient client: `sam remote invoke` waits 60 seconds and invokes again, while the first invocation goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import clock, ec2_instances, ec2_snapshots, functions
from lifeboat.aws.errors import AwsError
from lifeboat.by_hand.plan import WINDOW, Run, key_of_run
from lifeboat.by_hand.store import ROOM, known_run, write_run
from lifeboat.restore.request import parse_restore
from lifeboat.retention import workflow as retention
from lifeboat.retention.request import parse_prune
from tests.functions.conftest import TABLE, Context, client
from tests.functions.restores import ask, fresh_platform, restored, saved, time

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
    """A client that asks again after 60 seconds, while an observation or call takes 90: what it is answered each
    time."""
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 300_000)

    def during(module, name, function, event):
        world.functions.busy = True
        begun = clock.now()
        answers = [world.invoke(function, event)]
        assert clock.now() - begun < timedelta(seconds=10), "a client waits for no longer"
        real = getattr(module, name)

        def slow(*args, **more):
            if len(answers) == 1:
                later(60 - 8)
                answers.append(None)
                answers[1:] = [world.invoke(function, event), world.invoke(function, event)]
                later(30)
            return real(*args, **more)

        monkeypatch.setattr(module, name, slow)
        assert not isinstance(world.functions.run(), Exception)
        return answers

    return during


def sets(world):
    return {
        tag["Value"] for item in world.snapshots() for tag in item["Tags"] if tag["Key"] == "lifeboat:recovery-point"
    }


def test_a_backup_by_hand_that_takes_90_seconds_makes_one_set_and_answers_within_seconds(world, impatient):
    world.launch(disks=2)
    answers = impatient(ec2_snapshots, "create_snapshots", "take_snapshots", {})
    for answer in answers:
        assert answer["under_way"] is True
        assert answer["request"] == answers[0]["request"]
        assert f'{{"request": "{answer["request"]}"}}' in answer["next"]
    assert len(world.functions.handed) == 1
    assert len(world.snapshots()) == 2
    assert len(sets(world)) == 1
    published = world.invoke("take_snapshots", {"request": answers[0]["request"]})
    assert len(published["begun"]) == 1


def test_a_client_that_asks_again_before_anything_was_begun_has_it_begun_once(world, later):
    world.launch()
    world.functions.busy = True
    first, again = world.invoke("take_snapshots", {}), world.invoke("take_snapshots", {})
    assert first["request"] == again["request"]
    assert len(world.functions.handed) == 1
    world.functions.run()
    assert world.functions.run() == {"request": first["request"], "nothing_to_do": True}, "Lambda delivers it twice"
    assert len(sets(world)) == 1


def test_what_waited_in_lambdas_queue_for_too_long_is_taken_over_and_finds_nothing_to_do(world, later):
    world.launch()
    world.functions.busy = True
    first = world.invoke("take_snapshots", {})
    later(300)
    again = world.invoke("take_snapshots", {})
    assert (again["request"], again["under_way"]) == (first["request"], True)
    [late, newer] = world.functions.handed
    world.functions.handed.reverse()
    assert world.functions.run() == {"request": first["request"], "nothing_to_do": True}, "another one has it"
    assert world.snapshots() == []
    world.functions.handed.append(newer)
    assert len(world.functions.run()["begun"]) == 1
    world.functions.handed.append(late)
    assert world.functions.run() == {"request": first["request"], "nothing_to_do": True}
    assert len(sets(world)) == 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "TooManyRequestsException"])
def test_where_lambda_takes_nothing_over_the_work_is_done_at_once(world, code):
    world.launch()
    world.functions.refuses = code
    first = world.invoke("take_snapshots", {})
    assert len(first["begun"]) == 1
    assert "next" not in first
    assert world.invoke("take_snapshots", {})["slot"] == first["slot"]
    assert len(sets(world)) == 1


def test_what_lambda_took_over_although_its_answer_was_lost_finds_nothing_to_do(world, monkeypatch):
    world.launch()
    world.functions.busy = True
    real = functions.invoke_later

    def lost(arn, event):
        real(arn, event)
        raise AwsError("ReadTimeoutError", "no answer", answered=False)

    monkeypatch.setattr(functions, "invoke_later", lost)
    answer = world.invoke("take_snapshots", {})
    assert len(answer["begun"]) == 1
    assert world.functions.run() == {"request": answer["request"], "nothing_to_do": True}
    assert len(sets(world)) == 1


@pytest.mark.parametrize(
    "ask",
    [
        {},
        {"dry_run": True, "request_id": "why not"},
        {"adopt": {"volume_id": "vol-0123456789abcdef0"}, "volume": {"device": "/dev/sdh", "iops": 3000}},
        {"adopt": {"tag": {"key": "CreatedBy", "value": "nightly"}}, "confirm": True, "request_id": "once"},
    ],
)
def test_what_is_handed_over_is_what_was_asked_for(world, later, ask):
    world.functions.busy = True
    first = world.invoke("prune_snapshots", ask)
    [(_, handed, _)] = world.functions.handed
    assert (handed["carry_out"], parse_prune(handed).request) == (first["request"], parse_prune(ask))


VOLUME = {"type": "io2", "size": 200, "iops": 3000, "encrypted": False, "kms_key_id": "alias/backup"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"start": False, "requested_by": "operator", "reason": "INC-17", "request_id": "why not", "device": "/dev/sdh"},
        {"volume": VOLUME, "ami_override": {"reason": "INC-17"}},
        {"recovery_point": "rp-20261123T020000Z-i-0123456789abcdef0"},
        {"recovery_point": ["snap-0123456789abcdef0", "snap-0123456789abcdef1"]},
        {"recovery_point": {"lineage": "vol-0123456789abcdef0", "before": "2026-11-23T02:00:00Z"}},
        {"recovery_point": {"instance_id": "111122223333/i-0123456789abcdef0"}},
    ],
)
def test_a_dry_run_of_a_restore_is_handed_over_as_it_was_sent(world, later, more):
    world.functions.busy = True
    sent = {"instance_id": "i-0123456789abcdef0", "recovery_point": "latest", "dry_run": True, **more}
    first = world.invoke("restore_volume", sent)
    assert first["under_way"] is True
    [(_, handed, _)] = world.functions.handed
    assert (handed["carry_out"], parse_restore(handed).request) == (first["request"], parse_restore(sent))


def test_a_dry_run_of_a_restore_that_takes_90_seconds_is_answered_within_seconds(world, impatient, saved):
    target = fresh_platform(world)
    sent = {**ask(target), "dry_run": True}
    answers = impatient(ec2_instances, "instances", "restore_volume", sent)
    for answer in answers:
        assert answer["under_way"] is True
        assert answer["request"] == answers[0]["request"]
    assert len(world.functions.handed) == 1
    outcome = world.invoke("restore_volume", {"request": answers[0]["request"]})
    assert (outcome["possible"], outcome["dry_run"]) == (True, True)
    assert outcome["plan"]


def test_a_refusal_is_one_sentence_and_not_remembered(world, later):
    other = world.launch(Name="not selected")
    ask = {"instance_ids": [other]}
    refused = world.invoke("take_snapshots", ask)
    assert refused.keys() == {"refused"}
    assert other in refused["refused"]
    world.ec2.create_tags(Resources=[other], Tags=[{"Key": "lifeboat:backup", "Value": "true"}])
    assert len(world.invoke("take_snapshots", ask)["begun"]) == 1


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


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_backup_that_failed_in_part_goes_on_in_its_slot(world, later, monkeypatch, by_itself):
    fine, refused = world.launch(), world.launch()
    real = ec2_snapshots.create_snapshots

    def refuse_one(instance_id, *more):
        if instance_id == refused:
            raise AwsError("InternalError", "not now", answered=True)
        return real(instance_id, *more)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", refuse_one)
    first = world.invoke("take_snapshots", {})
    assert f"no recovery point for {refused}: InternalError: not now" in first["error"]
    monkeypatch.setattr(ec2_snapshots, "create_snapshots", real)
    later(30)
    again = world.functions.run() if by_itself else world.invoke("take_snapshots", {})
    assert [item["instance_id"] for item in again["already"]] == [fine]
    assert [item["instance_id"] for item in again["begun"]] == [refused]
    assert again["request"] == first["request"]
    assert len({point.removesuffix(fine).removesuffix(refused) for point in sets(world)}) == 1, "one slot"


def test_a_dry_run_of_retention_that_takes_90_seconds_can_be_asked_for(world, impatient, later, monkeypatch):
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)
    world.launch()
    world.invoke("take_snapshots", {})
    answers = impatient(retention, "inventories", "prune_snapshots", {"dry_run": True})
    assert [answer["under_way"] for answer in answers] == [True, True, True]
    same = world.invoke("prune_snapshots", {"dry_run": True})
    assert (same["request"], len(same["kept"])) == (answers[0]["request"], 1), "the client has not received it"
    published = world.invoke("prune_snapshots", {"request": answers[0]["request"]})
    assert (published["kept"], published["calendar"]) == (same["kept"], same["calendar"])
    later(1)
    assert world.invoke("prune_snapshots", {"dry_run": True})["request"] != same["request"], "now it has"


def test_a_quick_dry_run_is_made_anew_each_time(world, monkeypatch):
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)
    world.launch()
    assert world.invoke("prune_snapshots", {"dry_run": True})["kept"] == []
    world.invoke("take_snapshots", {})
    assert len(world.invoke("prune_snapshots", {"dry_run": True})["kept"]) == 1


def test_an_answer_too_long_for_one_item_is_kept_in_several(world):
    begun = clock.now()
    run = Run("prune-0123456789abcdef-20261123T020000Z", begun, "lease", begun + MINUTE)
    key = key_of_run(run.id)
    assert write_run(TABLE, key, run, None)
    long = {"kept": [f"{number * 2654435761 % 2**64:x}" for number in range(100_000)], "saved_gib": 7}
    done = Run(run.id, begun, "lease", run.until, begun, long)
    assert write_run(TABLE, key, done, run)
    assert known_run(TABLE, key) == done
    table = client("dynamodb")
    items = table.scan(TableName=TABLE)["Items"]
    assert len(items) > 1
    assert all(len(item["document"]["S"]) <= ROOM + 1000 for item in items)
    table.delete_item(TableName=TABLE, Key={"pk": {"S": "asked"}, "sk": {"S": f"{run.id}/1"}})
    assert known_run(TABLE, key).answer is None, "the table drops items one by one"


def test_of_two_who_take_a_run_at_once_one_has_it(world):
    begun = clock.now()
    one, other = (Run("backup-0123456789abcdef-20261123T020000Z", begun, who, begun) for who in ("one", "other"))
    assert write_run(TABLE, "backup-0123456789abcdef", one, None)
    assert not write_run(TABLE, "backup-0123456789abcdef", other, None)
    assert not write_run(TABLE, "backup-0123456789abcdef", one, other)


def test_a_run_that_is_not_known_is_refused_in_one_sentence(world):
    answer = world.invoke("take_snapshots", {"request": "backup-0123456789abcdef-20261123T020000Z"})
    assert answer["refused"] == (
        "request is 'backup-0123456789abcdef-20261123T020000Z', expected the id of a request within the last day"
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
