"""What EC2 refuses of a restore reaches the message, from the answer of the call to the topic."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from lifeboat import handler
from tests.functions.restores import ask, fresh_platform, restored, saved, time

__all__ = ("saved", "time")

WORDS = "Said in EC2's own words, 4711."


def refuse(monkeypatch: pytest.MonkeyPatch, operation: str, code: str, status: int) -> None:
    """EC2 refuses every call of this kind."""
    real = BaseClient._make_api_call

    def call(self: BaseClient, name: str, arguments: dict[str, Any]) -> Any:
        if name == operation and not arguments.get("DryRun"):
            said: Any = {"Error": {"Code": code, "Message": WORDS}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(said, name)
        return real(self, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


@pytest.mark.parametrize(
    "refused",
    [
        ("AttachVolume", "RequestLimitExceeded", 503),
        ("AttachVolume", "InternalError", 500),
        ("CreateVolume", "InsufficientVolumeCapacity", 500),
        ("CreateTags", "ConcurrentTagAccess", 400),
        ("StartInstances", "InsufficientInstanceCapacity", 500),
    ],
    ids=lambda refused: " ".join(refused[:2]),
)
def test_the_last_message_has_ec2s_code_and_words(world, saved, time, monkeypatch, refused):
    operation, code, status = refused
    target = fresh_platform(world)
    with monkeypatch.context() as refusing:
        refuse(refusing, operation, code, status)
        begun = world.invoke("restore_volume", ask(target))
        for _ in range(20):
            world.invoke("attach_volume", {"sweep": True})
            report = world.invoke("restore_volume", {"status": begun["restore_id"]})
            if report["direction"] == "rollback":
                break
            time.wait(1_800)
    assert f"{code}: {WORDS}" in report["failure"]
    assert restored(world, time, begun["restore_id"])["status"] == "rolled_back"
    ended = world.messages()[-1]
    assert ended["event"] == "RestoreRolledBack"
    assert f"{code}: {WORDS}" in ended["summary"]
    attached = world.ec2.describe_instances(InstanceIds=[target])["Reservations"][0]["Instances"][0]
    assert attached["State"]["Name"] == "running", "and everything is as it was"


def test_an_attachment_that_is_refused_for_good_keeps_the_machine_down_no_longer(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    refuse(monkeypatch, "AttachVolume", "InvalidParameterValue", 400)
    begun = world.invoke("restore_volume", ask(target))
    for _ in range(5):
        world.invoke("attach_volume", {"sweep": True})
        report = world.invoke("restore_volume", {"status": begun["restore_id"]})
        if report["direction"] == "rollback":
            break
        time.wait(60)
    began = [line for line in report["timeline"] if "AttachVolume" in line and "belongs at" in line]
    turned = [line for line in report["timeline"] if "rolls back" in line]
    assert began[0][:20] == turned[0][:20], "it rolls back at once"


def test_a_volume_that_vanishes_names_its_key(world, saved, time, monkeypatch):
    real = BaseClient._make_api_call

    def call(self: BaseClient, name: str, arguments: dict[str, Any]) -> Any:
        if name == "CreateVolume" and not arguments.get("DryRun"):
            arguments = {**arguments, "Encrypted": True, "KmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1"}
            answer = real(self, name, arguments)
            real(self, "DeleteVolume", {"VolumeId": answer["VolumeId"]})
            monkeypatch.setattr(BaseClient, "_make_api_call", mismatch)
            return answer
        return real(self, name, arguments)

    def mismatch(self: BaseClient, name: str, arguments: dict[str, Any]) -> Any:
        if name == "CreateVolume":
            said: Any = {
                "Error": {"Code": "IdempotentParameterMismatch", "Message": WORDS},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(said, name)
        return real(self, name, arguments)

    monkeypatch.setenv("LIFEBOAT_ENCRYPT_RESTORED", "true")
    monkeypatch.setenv("LIFEBOAT_KMS_KEY", "arn:aws:kms:eu-west-1:123456789012:key/1")
    handler.forget()
    target = fresh_platform(world)
    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    begun = world.invoke("restore_volume", ask(target))
    report = restored(world, time, begun["restore_id"])
    assert report["status"] == "rolled_back"
    assert "IdempotentParameterMismatch" in report["failure"]
    assert "its KMS key arn:aws:kms:eu-west-1:123456789012:key/1" in report["failure"]
