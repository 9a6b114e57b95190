"""Backup, through its handlers: take_snapshots and confirm_snapshots."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from lifeboat.aws import clients, clock, ec2_images, ec2_snapshots, topic
from lifeboat.aws.errors import AwsError
from lifeboat.backup import store as backups
from lifeboat.backup.workflow import BackupIncomplete

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


def refuse(
    monkeypatch: pytest.MonkeyPatch, code: str, *, times: int = 1, done: bool = False, instance: str = ""
) -> None:
    """EC2 refuses CreateSnapshots, or carries it out and loses the answer."""
    real = ec2_snapshots.create_snapshots
    left = [times]

    def call(instance_id, description, tags):
        if left[0] and instance in ("", instance_id):
            left[0] -= 1
            if done:
                real(instance_id, description, tags)
            raise AwsError(code, "as planted", answered=not done)
        return real(instance_id, description, tags)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)


def test_a_slot_makes_one_recovery_point_of_the_data_volumes_only(world):
    instance = world.launch(disks=2)
    world.launch(Name="CadoResponseWorker")

    answer = world.invoke("take_snapshots", SLOT)

    assert [item["instance_id"] for item in answer["begun"]] == [instance]
    snapshots = world.snapshots()
    assert len(snapshots) == 2
    tags = {tag["Key"]: tag["Value"] for tag in snapshots[0]["Tags"]}
    assert tags["lifeboat:recovery-point"] == f"rp-20261123T020000Z-{instance}"
    assert tags["lifeboat:slot"] == "2026-11-23T02:00:00Z"
    assert tags["lifeboat:stack"] == "lifeboat"
    assert tags["lifeboat:volumes"] == "2"
    assert tags["lifeboat:ami"] == f"{world.image['ImageId']} CadoResponse_v2.324.0"
    [started] = world.messages()
    assert started["event"] == "BackupStarted"


def test_the_same_slot_again_makes_nothing(world):
    world.launch()
    world.invoke("take_snapshots", SLOT)
    again = world.invoke("take_snapshots", SLOT)
    assert again["begun"] == []
    assert len(again["already"]) == 1
    assert len(world.snapshots()) == 1
    assert [message["event"] for message in world.messages()] == ["BackupStarted"]


def test_the_same_slot_after_the_table_was_lost_makes_nothing(world):
    world.launch()
    world.invoke("take_snapshots", SLOT)
    for item in clients.dynamodb().scan(TableName="lifeboat-state")["Items"]:
        clients.dynamodb().delete_item(TableName="lifeboat-state", Key={key: item[key] for key in ("pk", "sk")})
    assert world.invoke("take_snapshots", SLOT)["begun"] == []
    assert len(world.snapshots()) == 1


def test_a_lost_answer_makes_no_second_recovery_point(world, monkeypatch):
    world.launch()
    refuse(monkeypatch, "ReadTimeoutError", done=True)
    with pytest.raises(BackupIncomplete, match="may still have begun it"):
        world.invoke("take_snapshots", SLOT)
    assert len(world.invoke("take_snapshots", SLOT)["already"]) == 1
    assert len(world.snapshots()) == 1


def test_one_refused_instance_stops_nobody_and_is_retried(world, monkeypatch):
    instances = [world.launch() for _ in range(5)]
    refuse(monkeypatch, "UnauthorizedOperation", instance=sorted(instances)[1])
    with pytest.raises(BackupIncomplete, match=sorted(instances)[1]):
        world.invoke("take_snapshots", SLOT)
    assert len(world.snapshots()) == 4
    published = world.messages()
    assert sorted(message["event"] for message in published) == ["BackupFailed", "BackupStarted"]
    failed = next(message for message in published if message["event"] == "BackupFailed")
    assert failed["subject"]["instance_id"] == sorted(instances)[1]

    retried = world.invoke("take_snapshots", SLOT)
    assert [item["instance_id"] for item in retried["begun"]] == [sorted(instances)[1]]
    assert len(world.snapshots()) == 5


def test_a_refused_backup_is_not_being_made_and_its_failure_is_published_once(world, monkeypatch):
    world.launch()
    refuse(monkeypatch, "UnauthorizedOperation")
    with pytest.raises(BackupIncomplete):
        world.invoke("take_snapshots", SLOT)
    assert backups.open_backups("lifeboat-state") == {}
    later = clock.now() + timedelta(minutes=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    world.invoke("confirm_snapshots", {"sweep": True})
    assert [message["event"] for message in world.messages()] == ["BackupFailed"]


def test_a_backup_without_an_answer_stays_open_whatever_comes_after(world, monkeypatch):
    instance = world.launch()
    point = f"rp-20261123T020000Z-{instance}"
    for code, answered in (("ReadTimeoutError", False), ("UnauthorizedOperation", True)):

        def call(*_asked, found=code, was_answered=answered):
            raise AwsError(found, "as planted", answered=was_answered)

        monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)
        with pytest.raises(BackupIncomplete):
            world.invoke("take_snapshots", SLOT)
        assert set(backups.open_backups("lifeboat-state")) == {point}


def test_an_instance_without_data_is_published_and_not_retried(world):
    instance = world.launch(disks=0)
    answer = world.invoke("take_snapshots", SLOT)
    assert [item["instance_id"] for item in answer["failed"]] == [instance]
    [failed] = world.messages()
    assert failed["event"] == "BackupFailed"
    assert "has no data volume" in failed["summary"] + str(failed["details"])
    world.invoke("take_snapshots", SLOT)
    assert world.messages() == [], "published once"


def test_an_instance_without_its_root_is_refused_in_one_sentence_and_nothing_is_begun(world):
    instance = world.launch()
    root = world.image["RootDeviceName"]
    world.ec2.stop_instances(InstanceIds=[instance])
    world.ec2.detach_volume(VolumeId=world.volume_of(instance, root), InstanceId=instance, Device=root)
    answer = world.invoke("take_snapshots", SLOT)
    assert [item["instance_id"] for item in answer["failed"]] == [instance]
    [failed] = world.messages()
    assert failed["event"] == "BackupFailed"
    assert failed["details"]["reason"] == (
        f"{instance} has no volume at its root device {root} and {world.volume_of(instance)} (/dev/sdh), expected its "
        "root volume, and no other, there: root and data cannot be separated"
    )
    assert world.snapshots() == []


def test_a_terminated_instance_is_left_out_silently(world):
    world.ec2.terminate_instances(InstanceIds=[world.launch()])
    answer = world.invoke("take_snapshots", SLOT)
    assert len(answer["skipped"]) == 1
    assert world.messages() == []


def test_a_dry_run_changes_nothing(world):
    instance = world.launch()
    answer = world.invoke("take_snapshots", {**SLOT, "dry_run": True})
    assert answer["dry_run"] is True
    assert [item["instance_id"] for item in answer["begun"]] == [instance]
    assert world.snapshots() == []
    assert world.messages() == []


def test_by_hand_for_one_instance(world):
    instance, _ = world.launch(), world.launch()
    answer = world.invoke("take_snapshots", {"instance_ids": [instance]})
    assert [item["instance_id"] for item in answer["begun"]] == [instance]


def test_naming_an_instance_that_is_not_selected_is_refused_in_one_sentence(world):
    stranger = world.launch(Name="x")
    answer = world.invoke("take_snapshots", {"instance_ids": [stranger]})
    assert "expected instances that carry the tag lifeboat:backup=true" in answer["refused"]
    assert world.snapshots() == []


def test_the_owner_and_name_of_the_image_are_no_condition_of_a_backup(world, monkeypatch):
    world.launch()

    def no_rights(_ids):
        raise AwsError("UnauthorizedOperation", "no", answered=True)

    monkeypatch.setattr(ec2_images, "launch_images", no_rights)
    assert len(world.invoke("take_snapshots", SLOT)["begun"]) == 1
    [snapshot] = world.snapshots()
    assert {"Key": "lifeboat:ami", "Value": world.image["ImageId"]} in snapshot["Tags"]


@pytest.fixture
def begun(world):
    instance = world.launch()
    world.invoke("take_snapshots", SLOT)
    world.messages()
    return f"rp-20261123T020000Z-{instance}"


def event_of(world, sample, name="ebs-createSnapshot-succeeded"):
    [snapshot] = world.snapshots()
    return sample(name, {"snap-0a1b2c3d4e5f60718": snapshot["SnapshotId"]})


def test_a_snapshot_event_completes_the_backup(world, begun, sample):
    assert world.invoke("confirm_snapshots", event_of(world, sample))["completed"] == [begun]
    [completed] = world.messages()
    assert completed["event"] == "BackupCompleted"
    assert completed["subject"]["recovery_point"] == begun


def test_a_doubled_event_and_the_reconcile_run_publish_nothing_twice(world, begun, sample):
    for event in (event_of(world, sample), event_of(world, sample), {"sweep": True}):
        world.invoke("confirm_snapshots", event)
    assert [message["event"] for message in world.messages()] == ["BackupCompleted"]


def test_a_lost_event_costs_a_reconcile_run(world, begun):
    assert world.invoke("confirm_snapshots", {"sweep": True})["completed"] == [begun]
    assert [message["event"] for message in world.messages()] == ["BackupCompleted"]
    assert world.invoke("confirm_snapshots", {"sweep": True}) == {"completed": [], "failed": [], "pending": []}


def test_an_event_of_a_snapshot_that_is_not_ours_is_left_alone(world, sample):
    assert world.invoke("confirm_snapshots", sample("ebs-createSnapshot-succeeded"))["completed"] == []
    assert world.messages() == []


def state_of(monkeypatch, **facts):
    """Let EC2 show the snapshots otherwise than moto does."""
    from dataclasses import replace

    real = ec2_snapshots.recovery_point_snapshots
    monkeypatch.setattr(
        ec2_snapshots,
        "recovery_point_snapshots",
        lambda *asked, **more: tuple(replace(item, **facts) for item in real(*asked, **more)),
    )


def test_a_claim_of_success_is_not_believed(world, begun, sample, monkeypatch):
    state_of(monkeypatch, state="pending")
    answer = world.invoke("confirm_snapshots", event_of(world, sample))
    assert answer["completed"] == []
    assert [item["recovery_point"] for item in answer["pending"]] == [begun]
    assert world.messages() == []


def test_a_snapshot_in_error_is_published_as_a_failure_with_its_cause(world, begun, monkeypatch):
    state_of(monkeypatch, state="error", state_message="Given key ID is not accessible")
    answer = world.invoke("confirm_snapshots", {"sweep": True})
    assert [item["recovery_point"] for item in answer["failed"]] == [begun]
    [failed] = world.messages()
    assert failed["event"] == "BackupFailed"
    assert failed["severity"] in {"warning", "critical"}
    assert "Given key ID is not accessible" in str(failed)


def test_a_message_that_could_not_be_published_is_published_by_the_next_run(world, begun, monkeypatch):
    real = topic.publish

    def broken(*_):
        raise ClientError({"Error": {"Code": "InternalError"}}, "Publish")

    monkeypatch.setattr(topic, "publish", broken)
    with pytest.raises(ClientError):
        world.invoke("confirm_snapshots", {"sweep": True})
    monkeypatch.setattr(topic, "publish", real)
    assert world.invoke("confirm_snapshots", {"sweep": True})["completed"] == [begun]
    assert [message["event"] for message in world.messages()] == ["BackupCompleted"]


def test_botocores_own_lost_answer_is_translated(world, monkeypatch):
    instance = world.launch()

    def lost(**_):
        raise ReadTimeoutError(endpoint_url="https://ec2")

    monkeypatch.setattr(clients.ec2_writes(), "create_snapshots", lost)
    with pytest.raises(AwsError) as problem:
        ec2_snapshots.create_snapshots(instance, "why", {"a": "b"})
    assert not problem.value.answered
    assert world.snapshots() == []
