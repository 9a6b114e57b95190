"""Restore, through its handlers: restore_volume and attach_volume.

moto is synchronous: an instance that is asked to stop has stopped. What happens in between, and every fault, is
shown on the local AWS (tests/e2e). Here it is the handlers: who may ask for what, and what is answered and published.
"""

from __future__ import annotations

import pytest

from lifeboat.aws import ec2_calls, ec2_instances
from lifeboat.aws.errors import AwsError
from lifeboat.aws.table import Overtaken
from lifeboat.restore import store as restores
from tests.functions.restores import RECONCILE, ask, fresh_platform, restored, saved, time

__all__ = ["saved", "time"]  # fixtures

UNKNOWN = "restore-0123456789abcdef"
TABLE = "lifeboat-state"


def events(world):
    return [message["event"] for message in world.messages()]


def refuse(monkeypatch, kind, code, *, answered=True, times=1):
    """EC2 answers a step of this kind with an error; with `answered` false it carries it out all the same."""
    real = ec2_calls.perform
    left = [times]

    def call(change):
        if left[0] and type(change).__name__ == kind:
            left[0] -= 1
            if not answered:
                real(change)
            raise AwsError(code, "as planted", answered=answered)
        real(change)

    monkeypatch.setattr(ec2_calls, "perform", call)


def changes_of(monkeypatch):
    """Every step that is really carried out, by its name."""
    real, observed = ec2_calls.perform, []

    def call(change):
        observed.append(type(change).__name__)
        real(change)

    monkeypatch.setattr(ec2_calls, "perform", call)
    return observed


def test_a_fresh_platform_runs_on_the_restored_volume(world, saved, time):
    target = fresh_platform(world)
    displaced = world.volume_of(target, "/dev/sdb")

    begun = world.invoke("restore_volume", ask(target, requested_by="operator", reason="incident 1"))
    assert begun["status"] == "open"
    ended = restored(world, time, begun["restore_id"])

    assert ended["status"] == "completed"
    [volume] = ended["volumes"]
    assert world.volume_of(target, "/dev/sdb") == volume["restored_volume_id"] != displaced
    assert volume["displaced_volume_id"] == displaced
    [kept] = world.ec2.describe_volumes(VolumeIds=[displaced])["Volumes"]
    assert {tag["Key"]: tag["Value"] for tag in kept["Tags"]}["lifeboat:displaced-by"] == begun["restore_id"]
    [instance] = world.ec2.describe_instances(InstanceIds=[target])["Reservations"][0]["Instances"]
    assert instance["State"]["Name"] == "running"
    messages = world.messages()
    assert [message["event"] for message in messages] == ["RestoreStarted", "RestoreCompleted"]
    assert messages[0]["details"]["requested_by"] == "operator"
    assert world.invoke("attach_volume", RECONCILE) == {"restores": {}}


def test_the_answer_says_what_was_found_and_what_is_planned(world, saved, time):
    target = fresh_platform(world)
    answer = world.invoke("restore_volume", ask(target))
    assert answer["instance_id"] == target
    assert answer["plan"].startswith("CadoResponse, taken ")
    assert {item["severity"] for item in answer["findings"]} <= {"warn"}


def test_the_recovery_points_are_listed_with_ids_ages_and_states(world, saved, time):
    [point] = world.invoke("restore_volume", {"list": True})["recovery_points"]
    asked = ask(fresh_platform(world), dry_run=True)
    assert point["id"] == world.invoke("restore_volume", asked)["recovery_point"]
    assert (point["name"], point["condition"], point["verified"], point["suspected"]) == (
        "CadoResponse",
        "good",
        "no",
        False,
    )
    assert point["age_seconds"] >= 0
    one = {"list": True, "instance_id": point["instance_id"]}
    assert [item["id"] for item in world.invoke("restore_volume", one)["recovery_points"]] == [point["id"]]
    assert world.invoke("restore_volume", {**one, "instance_id": "i-0123456789abcdef0"}) == {"recovery_points": []}
    assert "list" in world.invoke("restore_volume", {"list": False})["refused"]


def test_no_field_of_an_answer_has_two_types(world, saved, time):
    """A program reads a dry run and the run by the same types."""
    target = fresh_platform(world)
    pairs = [
        [world.invoke("restore_volume", ask(target, dry_run=dry)) for dry in (True, False)],
        [world.invoke("prune_snapshots", {"dry_run": dry}) for dry in (True, False)],
        [world.invoke("take_snapshots", {"dry_run": dry}) for dry in (True, False)],
    ]
    for rehearsed, done in pairs:
        both = rehearsed.keys() & done.keys()
        assert {key: type(rehearsed[key]) for key in both} == {key: type(done[key]) for key in both}


def test_a_dry_run_changes_nothing_and_publishes_nothing(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    done = changes_of(monkeypatch)
    answer = world.invoke("restore_volume", ask(target, dry_run=True))
    assert (answer["dry_run"], answer["possible"]) == (True, True)
    assert answer["plan"].splitlines()[1].startswith(f"Restore {answer['recovery_point']} onto {target} as ")
    assert done == []
    assert events(world) == []
    assert world.invoke("attach_volume", RECONCILE) == {"restores": {}}


def test_what_the_stop_takes_is_said_before_and_not_denied_after_a_roll_back(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    world.ec2.stop_instances(InstanceIds=[target])
    world.ec2.modify_instance_attribute(InstanceId=target, InstanceType={"Value": "m5d.large"})
    world.ec2.start_instances(InstanceIds=[target])
    rehearsed = world.invoke("restore_volume", ask(target, dry_run=True))
    assert "instance-store" in {item["code"] for item in rehearsed["findings"]}
    refuse(monkeypatch, "AttachVolume", "InvalidVolume.Whatever")
    begun = world.invoke("restore_volume", ask(target))
    assert restored(world, time, begun["restore_id"])["status"] == "rolled_back"
    [message] = [item for item in world.messages() if item["event"] == "RestoreRolledBack"]
    assert message["details"]["stop_took"] == ["the data on its 75 GB of instance store volumes"]
    assert "as it was, except for what its stop removed permanently: the data on its 75 GB" in message["summary"]


def test_without_consent_it_is_refused_with_the_command_that_gives_it(world, saved, time, monkeypatch):
    target = world.launch(zone="eu-west-1b", device="/dev/sdb", Name="fresh")
    done = changes_of(monkeypatch)
    answer = world.invoke("restore_volume", ask(target))
    assert answer["refused"].startswith("nothing was touched: ")
    assert "aws ec2 create-tags" in answer["refused"]
    assert done == []
    [message] = world.messages()
    assert message["event"] == "RestoreRefused"
    assert message["subject"]["instance_id"] == target


def test_every_finding_is_in_one_answer(world, time):
    answer = world.invoke("restore_volume", ask("i-0000000000000dead"))
    codes = {item["code"] for item in answer["findings"] if item["severity"] == "refuse"}
    assert "no-instance" in codes
    assert len(codes) > 1  # there is no recovery point either


def test_an_untrusted_image_is_refused_unless_a_person_gives_a_reason(world, saved, time):
    target = fresh_platform(world)
    world.image_owner = "444455556666"
    assert "untrusted" in world.invoke("restore_volume", ask(target))["refused"]
    answer = world.invoke("restore_volume", ask(target, ami_override={"reason": "our own hardened image"}))
    assert answer["status"] == "open"
    assert events(world) == ["RestoreRefused", "RestoreStarted"]


def test_a_right_that_is_missing_is_found_before_anything_begins(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    monkeypatch.setattr(ec2_calls, "rehearse", lambda change: f"UnauthorizedOperation: no {type(change).__name__}")
    answer = world.invoke("restore_volume", ask(target))
    assert "UnauthorizedOperation: no CreateVolume" in answer["refused"]


def test_a_right_that_is_missing_later_rolls_back_before_anything_stops(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    begun = world.invoke("restore_volume", ask(target))
    monkeypatch.setattr(
        ec2_calls, "rehearse", lambda change: "UnauthorizedOperation: no" if "Detach" in type(change).__name__ else ""
    )
    done = changes_of(monkeypatch)
    ended = restored(world, time, begun["restore_id"])
    assert ended["status"] == "rolled_back"
    assert "UnauthorizedOperation" in ended["failure"]
    assert done == ["DeleteVolume"]
    assert events(world) == ["RestoreStarted", "RestoreRolledBack"]


def test_a_rehearsal_that_is_overtaken_decides_nothing(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    displaced = world.volume_of(target, "/dev/sdb")
    begun = world.invoke("restore_volume", ask(target))
    who = ["behind"]

    def rehearse(change):
        if who[0] == "behind":  # another one goes all its way just now, and what it deletes has no tags any more
            who[0] = "ahead"
            world.invoke("attach_volume", RECONCILE)
            who[0] = "overtaken"
        return {"ahead": "AuthFailure: of its own", "overtaken": "UnauthorizedOperation: it is gone"}[who[0]]

    monkeypatch.setattr(ec2_calls, "rehearse", rehearse)
    world.invoke("attach_volume", RECONCILE)
    assert who == ["overtaken"]
    report = restored(world, time, begun["restore_id"])
    assert report["status"] == "rolled_back"
    assert "AuthFailure: of its own" in report["failure"]
    assert not any("it is gone" in line for line in report["timeline"])
    assert world.volume_of(target, "/dev/sdb") == displaced
    assert events(world) == ["RestoreStarted", "RestoreRolledBack"]


@pytest.mark.parametrize("named", ["instance", "id", "snapshots"])
def test_of_very_many_the_one_that_is_named_is_found(world, saved, time, monkeypatch, named):
    from lifeboat.restore import preflight_workflow

    other = world.launch()
    world.invoke("take_snapshots", {"scheduled_time": "2026-11-24T02:00:00Z"})  # of both
    world.invoke("confirm_snapshots", RECONCILE)
    target = fresh_platform(world)
    monkeypatch.setattr(preflight_workflow, "MAX_SNAPSHOTS", 2)
    refused = world.invoke("restore_volume", ask(target, dry_run=True))
    assert [item["code"] for item in refused["findings"] if item["severity"] == "refuse"] == [
        "too-many-recovery-points"
    ]
    [wanted] = [item for item in world.snapshots() if item["VolumeId"] == world.volume_of(other)]
    tags = {tag["Key"]: tag["Value"] for tag in wanted["Tags"]}
    choice = {
        "instance": {"instance_id": other},
        "id": tags["lifeboat:recovery-point"],
        "snapshots": [wanted["SnapshotId"]],
    }
    found = world.invoke("restore_volume", ask(target, recovery_point=choice[named], dry_run=True))
    assert found["possible"], found["findings"]
    assert wanted["SnapshotId"] in found["plan"]


def test_asking_twice_with_one_request_id_is_one_restore(world, saved, time):
    target = fresh_platform(world)
    first = world.invoke("restore_volume", ask(target))
    again = world.invoke("restore_volume", ask(target))
    assert again["restore_id"] == first["restore_id"]
    tagged = world.ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["lifeboat:restore"]}])["Volumes"]
    assert len(tagged) == 1
    assert events(world) == ["RestoreStarted"]


def test_the_beginning_is_published_once_by_the_first_that_can(world, saved, time, monkeypatch):
    from lifeboat.aws import topic

    target = fresh_platform(world)
    real, left = topic.publish, [2]

    def publish(arn, message):
        if left[0]:
            left[0] -= 1
            raise AwsError("InternalError", "later", answered=False)
        real(arn, message)

    monkeypatch.setattr(topic, "publish", publish)
    begun = world.invoke("restore_volume", ask(target))
    assert len(begun["volumes"]) == 1, "it goes on though no one could be notified"
    with pytest.raises(RuntimeError, match="InternalError"):  # an alarm rings
        world.invoke("attach_volume", RECONCILE)
    assert world.invoke("restore_volume", {"status": begun["restore_id"]})["step"] != "volumes", "it goes on"
    assert events(world) == []
    assert restored(world, time, begun["restore_id"])["status"] == "completed"
    published = world.messages()
    assert [message["event"] for message in published] == ["RestoreStarted", "RestoreCompleted"]
    assert published[0]["details"]["plan"][0].startswith("CadoResponse, taken ")


def test_without_a_request_id_it_gets_one(world, saved, time):
    target = fresh_platform(world)
    answer = world.invoke("restore_volume", {"instance_id": target, "recovery_point": "latest"})
    assert answer["status"] == "open"


def test_a_second_restore_of_the_same_instance_is_refused_with_the_open_one(world, saved, time):
    target = fresh_platform(world)
    first = world.invoke("restore_volume", ask(target))
    second = world.invoke("restore_volume", ask(target, request_id="incident-2"))
    assert first["restore_id"] in second["refused"]


def test_of_two_that_ask_at_the_same_moment_the_table_takes_one(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    first = world.invoke("restore_volume", ask(target))
    monkeypatch.setattr(restores, "open_on", lambda *_: None)  # the second observed before the first had written
    monkeypatch.setattr(restores, "open_restore", _taken_by(first["restore_id"]))
    second = world.invoke("restore_volume", ask(target, request_id="incident-2"))
    assert second == {
        "refused": f"instance_id is {target}, on which {first['restore_id']} is open, expected an instance without "
        "an open restore"
    }


def _taken_by(restore_id):
    def open_restore(_table, _restore):
        raise restores.InstanceTaken(restore_id)

    return open_restore


def test_cancel_rolls_back_what_was_begun(world, saved, time):
    target = fresh_platform(world)
    before = world.volume_of(target, "/dev/sdb")
    begun = world.invoke("restore_volume", ask(target))
    turned = world.invoke("restore_volume", {"cancel": begun["restore_id"], "requested_by": "operator"})
    assert turned["direction"] == "rollback"
    ended = restored(world, time, begun["restore_id"])
    assert ended["status"] == "rolled_back"
    assert world.volume_of(target, "/dev/sdb") == before
    assert not world.ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["lifeboat:restore"]}])["Volumes"]


def test_what_has_ended_cannot_be_called_off(world, saved, time):
    target = fresh_platform(world)
    begun = world.invoke("restore_volume", ask(target))
    restored(world, time, begun["restore_id"])
    answer = world.invoke("restore_volume", {"cancel": begun["restore_id"]})
    assert begun["restore_id"] in answer["refused"]
    assert world.invoke("restore_volume", {"status": begun["restore_id"]})["status"] == "completed"


def test_a_cancel_that_is_overtaken_asks_for_another_try(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    begun = world.invoke("restore_volume", ask(target))

    def overtaken(_table, restore):
        raise Overtaken(restore.id)

    monkeypatch.setattr(restores, "save_restore", overtaken)
    answer = world.invoke("restore_volume", {"cancel": begun["restore_id"]})
    said = f"cancel is {begun['restore_id']}, which another invocation is advancing, expected the same request in "
    said += "some seconds"
    assert answer == {"refused": said}


@pytest.mark.parametrize("field", ["status", "cancel"])
def test_a_restore_nobody_knows_is_refused(world, time, field):
    answer = world.invoke("restore_volume", {field: UNKNOWN})
    assert answer == {"refused": f"{field} is {UNKNOWN}, expected the id of a restore of this stack"}


@pytest.mark.parametrize(
    ("kind", "code", "answered"),
    [
        ("CreateVolume", "RequestLimitExceeded", True),
        ("StopInstance", "RequestLimitExceeded", True),
        ("DetachVolume", "InternalError", False),
        ("AttachVolume", "ReadTimeoutError", False),
        ("StartInstance", "InsufficientInstanceCapacity", True),
        ("SetDeleteOnTermination", "RequestLimitExceeded", True),
        ("TagDisplaced", "RequestLimitExceeded", True),
    ],
)
def test_a_step_that_fails_once_is_taken_again(  # noqa: PLR0917 - fixtures and a row of the table
    world, saved, time, monkeypatch, kind, code, answered
):
    target = fresh_platform(world)
    refuse(monkeypatch, kind, code, answered=answered)
    begun = world.invoke("restore_volume", ask(target))
    assert restored(world, time, begun["restore_id"])["status"] == "completed"


def test_a_step_that_is_refused_rolls_back(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    before = world.volume_of(target, "/dev/sdb")
    refuse(monkeypatch, "AttachVolume", "UnsupportedOperation")
    begun = world.invoke("restore_volume", ask(target))
    ended = restored(world, time, begun["restore_id"])
    assert ended["status"] == "rolled_back"
    assert "UnsupportedOperation" in ended["failure"]
    assert world.volume_of(target, "/dev/sdb") == before
    [instance] = world.ec2.describe_instances(InstanceIds=[target])["Reservations"][0]["Instances"]
    assert instance["State"]["Name"] == "running"
    assert events(world) == ["RestoreStarted", "RestoreRolledBack"]


def test_the_volume_s_event_moves_only_the_restore_it_concerns(world, saved, time, sample):
    target = fresh_platform(world)
    begun = world.invoke("restore_volume", ask(target))
    tagged = [{"Name": "tag:lifeboat:restore", "Values": [begun["restore_id"]]}]
    [volume] = world.ec2.describe_volumes(Filters=tagged)["Volumes"]
    event = sample("ebs-createVolume-available")
    arn = event["resources"][0].rsplit("/", 1)[0] + "/" + volume["VolumeId"]
    moved = world.invoke("attach_volume", {**event, "resources": [arn]})
    assert list(moved["restores"]) == [begun["restore_id"]]


def test_an_event_of_another_instance_moves_nothing(world, saved, time, sample):
    target = fresh_platform(world)
    world.invoke("restore_volume", ask(target))
    assert world.invoke("attach_volume", sample("ec2-instance-state-stopped")) == {"restores": {}}


def test_one_restore_that_cannot_be_observed_stops_no_other(world, saved, time, monkeypatch):
    first, second = fresh_platform(world), fresh_platform(world)
    blocked = world.invoke("restore_volume", ask(first, request_id="one"))["restore_id"]
    going = world.invoke("restore_volume", ask(second, request_id="two"))["restore_id"]
    real = ec2_instances.instances

    def instances(ids):
        if first in ids:
            raise AwsError("UnauthorizedOperation", "no", answered=True)
        return real(ids)

    monkeypatch.setattr(ec2_instances, "instances", instances)
    with pytest.raises(RuntimeError, match=f"{blocked}: UnauthorizedOperation"):
        world.invoke("attach_volume", RECONCILE)
    assert world.invoke("restore_volume", {"status": blocked})["step"] == "volumes"
    assert world.invoke("restore_volume", {"status": going})["step"] != "volumes"


def test_who_is_overtaken_leaves_the_restore_to_the_other(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    begun = world.invoke("restore_volume", ask(target))
    real, left = restores.save_restore, [1]

    def overtaken(table, restore):
        if left[0]:
            left[0] -= 1
            raise Overtaken(restore.id)
        return real(table, restore)

    monkeypatch.setattr(restores, "save_restore", overtaken)
    moved = world.invoke("attach_volume", RECONCILE)
    assert moved["restores"][begun["restore_id"]]["status"] == "open"
    assert restored(world, time, begun["restore_id"])["status"] == "completed"


def test_the_end_is_published_again_when_the_message_could_not_be_sent(world, saved, time, monkeypatch):
    from lifeboat.aws import topic

    target = fresh_platform(world)
    begun = world.invoke("restore_volume", ask(target))
    real, left = topic.publish, [1]

    def publish(arn, message):
        if message.event == "RestoreCompleted" and left[0]:
            left[0] -= 1
            raise AwsError("InternalError", "later", answered=False)
        real(arn, message)

    monkeypatch.setattr(topic, "publish", publish)
    failures = 0
    for _ in range(40):
        try:
            world.invoke("attach_volume", RECONCILE)
        except RuntimeError:
            failures += 1
        if world.invoke("restore_volume", {"status": begun["restore_id"]})["status"] == "completed":
            break
        time.wait(60)
    assert failures == 1
    assert events(world) == ["RestoreStarted", "RestoreCompleted"]


@pytest.mark.parametrize(
    ("minutes", "published"),
    [(2, ["RestoreFailed", "RestoreRolledBack"]), (6, ["RestoreRolledBack"])],
    ids=["mended while it goes on", "mended when all is over"],
)
def test_a_topic_that_cannot_be_used_holds_no_roll_back_up(  # noqa: PLR0917 - fixtures and a row of the table
    world, saved, time, monkeypatch, minutes, published
):
    from lifeboat.aws import topic

    target = fresh_platform(world)
    displaced = world.volume_of(target, "/dev/sdb")
    begun = world.invoke("restore_volume", ask(target))
    assert events(world) == ["RestoreStarted"]

    def publish(arn, message):
        raise AwsError("KMSDisabled", "the topic's key is disabled", answered=True)

    refuse(monkeypatch, "AttachVolume", "InvalidVolume.ZoneMismatch", times=2)  # forward, and back
    with monkeypatch.context() as broken:
        broken.setattr(topic, "publish", publish)
        for minute in range(minutes):
            # From the moment on at which something is to be published, an alarm rings.
            with pytest.raises(RuntimeError, match="KMSDisabled"):
                world.invoke("attach_volume", RECONCILE)
            time.wait(60)
            assert minute == 0 or world.volume_of(target, "/dev/sdb") == displaced
    [instance] = world.ec2.describe_instances(InstanceIds=[target])["Reservations"][0]["Instances"]
    assert instance["State"]["Name"] == "running"
    assert world.invoke("restore_volume", {"status": begun["restore_id"]})["status"] == "failed"

    for _ in range(4):
        world.invoke("attach_volume", RECONCILE)
        time.wait(60)
    assert world.invoke("restore_volume", {"status": begun["restore_id"]})["status"] == "rolled_back"
    assert events(world) == published
