"""Trust, through its handler: check_ami_owner."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from lifeboat import aws as lifeboat_aws
from lifeboat import handler
from lifeboat.aws import ec2_images

DAILY = {"scheduled_time": "2026-11-23T00:00:00Z"}
STRANGER = "444455556666"
SAMPLE_INSTANCE = "i-0123456789abcdef0"


def running(sample, instance_id):
    return sample("ec2-instance-state-running", {SAMPLE_INSTANCE: instance_id})


def verdicts(answer):
    return {item["instance_id"]: item["verdict"] for item in answer["verdicts"]}


def published(world):
    return [(message["event"], message["subject"]["instance_id"]) for message in world.messages()]


def test_a_selected_instance_that_runs_is_judged_and_published(world, sample):
    instance = world.launch()
    answer = world.invoke("check_ami_owner", running(sample, instance))
    [found] = answer["verdicts"]
    assert (found["instance_id"], found["verdict"], found["ami"]) == (instance, "trusted", world.image["ImageId"])
    assert found["evidence"]
    assert published(world) == [("AmiOwnerTrusted", instance)]


def test_an_instance_that_is_not_selected_is_not_ours_to_judge(world, sample):
    other = world.launch(Name="CadoResponseWorker")
    assert world.invoke("check_ami_owner", running(sample, other)) == {"verdicts": []}
    assert published(world) == []


def test_an_event_of_an_instance_that_is_gone_is_no_failure(world, sample):
    assert world.invoke("check_ami_owner", running(sample, "i-0000000000000dead")) == {"verdicts": []}


def test_a_stranger_s_image_is_published_at_once(world, sample):
    instance = world.launch()
    world.image_owner = STRANGER
    answer = world.invoke("check_ami_owner", running(sample, instance))
    assert verdicts(answer) == {instance: "untrusted"}
    [message] = world.messages()
    assert (message["event"], message["severity"]) == ("AmiOwnerUntrusted", "critical")
    assert STRANGER in message["summary"] or STRANGER in str(message["details"])


def test_a_person_may_ask_about_an_instance_that_is_not_selected(world):
    fresh = world.launch(Name="fresh deployment")
    assert verdicts(world.invoke("check_ami_owner", {"instance_ids": [fresh]})) == {fresh: "trusted"}
    assert published(world) == [("AmiOwnerTrusted", fresh)]


def test_an_instance_that_does_not_exist_is_refused(world):
    answer = world.invoke("check_ami_owner", {"instance_ids": ["i-0000000000000dead"]})
    assert answer == {"refused": "instance_ids names i-0000000000000dead, expected instances that exist in eu-west-1"}
    assert published(world) == []


def test_a_person_who_names_none_asks_about_all_that_are_selected(world):
    ours = {world.launch(), world.launch()}
    world.launch(Name="CadoResponseWorker")
    gone = world.launch()
    world.ec2.terminate_instances(InstanceIds=[gone])
    assert set(verdicts(world.invoke("check_ami_owner", {}))) == ours


def test_the_daily_round_keeps_silent_about_trusted_images(world):
    world.launch()
    assert list(verdicts(world.invoke("check_ami_owner", DAILY)).values()) == ["trusted"]
    assert published(world) == []


def test_the_daily_run_publishes_an_image_that_is_not_trusted_any_more(world):
    instance = world.launch()
    world.image_owner = STRANGER
    world.invoke("check_ami_owner", DAILY)
    assert published(world) == [("AmiOwnerUntrusted", instance)]


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_without_rights_or_answers_nothing_is_trusted(world, sample, monkeypatch, code):
    instance = world.launch()

    def refuse(*_arguments, **_named):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Describe")

    monkeypatch.setattr(ec2_images, "_image_metadata", refuse)
    world.image["OwnerId"] = None  # what moto's public image would show instead
    reads = lifeboat_aws.clients.ec2_reads()
    monkeypatch.setattr(reads, "describe_images", refuse)
    answer = world.invoke("check_ami_owner", running(sample, instance))
    assert verdicts(answer) == {instance: "unknown"}
    assert published(world) == [("AmiOwnerUnknown", instance)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIFEBOAT_TRUSTED_OWNERS", "055430919509,5543091950"),
        ("LIFEBOAT_ALLOWED_IMAGES", "ami-latest"),
        ("LIFEBOAT_TRUSTED_PRODUCT_CODES", "a code"),
        ("LIFEBOAT_TRUSTED_WATERMARKS", "gold"),
    ],
)
def test_with_a_mistyped_list_nothing_is_trusted_and_the_verdict_says_so(world, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    handler.forget()
    instance = world.launch()
    answer = world.invoke("check_ami_owner", {"instance_ids": [instance]})
    [found] = answer["verdicts"]
    assert (found["verdict"], found["code"]) == ("unknown", "trust-mistyped")
    assert "expected" in found["reason"]
    assert published(world) == [("AmiOwnerUnknown", instance)]


def test_the_backup_and_the_finding_of_an_untrusted_image_have_the_whole_command(world):
    world.image_owner = STRANGER
    instance = world.launch()
    world.invoke("take_snapshots", {"scheduled_time": "2026-11-23T02:00:00Z"})
    world.invoke("confirm_snapshots", {"sweep": True})
    world.invoke("check_ami_owner", {"instance_ids": [instance]})
    command = f"make deploy TrustedAmiOwners=055430919509,{STRANGER}"
    steps = {message["event"]: " ".join(message["next_steps"]) for message in world.messages()}
    assert [event for event, words in steps.items() if command in words] == ["BackupCompleted", "AmiOwnerUntrusted"]
    request = {"instance_id": instance, "recovery_point": "latest", "dry_run": True}
    answer = world.invoke("restore_volume", request)
    [finding] = [item["finding"] for item in answer["findings"] if item["code"] == "ami-untrusted"]
    assert command in finding


def test_a_trusted_watermark_is_weighed_and_proves_nothing_by_itself(world, monkeypatch):
    instance = world.launch()
    world.image_owner = STRANGER
    plain = world.image_metadata
    marked = {"ImageWatermarks": [{"AccountId": STRANGER, "Name": "gold"}]}
    monkeypatch.setattr(
        ec2_images, "_image_metadata", lambda ids: {key: {**item, **marked} for key, item in plain(ids).items()}
    )
    assert verdicts(world.invoke("check_ami_owner", {"instance_ids": [instance]})) == {instance: "untrusted"}
    monkeypatch.setenv("LIFEBOAT_TRUSTED_WATERMARKS", f"{STRANGER}:gold")
    handler.forget()
    [found] = world.invoke("check_ami_owner", {"instance_ids": [instance]})["verdicts"]
    assert (found["verdict"], found["code"]) == ("unknown", "watermark-unproven")
