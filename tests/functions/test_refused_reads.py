"""A read that EC2 refuses stops no other: the rest is observed and done, and the refused part is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from lifeboat import handler
from lifeboat.aws import clock, ec2_describe
from lifeboat.backup import store as backups
from lifeboat.backup.confirm_workflow import ConfirmationIncomplete
from lifeboat.backup.overdue_workflow import OverdueIncomplete
from lifeboat.backup.workflow import BackupIncomplete
from lifeboat.copies import regions_workflow as regions
from lifeboat.copies import store as table_of_copies
from lifeboat.copies.regions_workflow import CopyIncomplete
from lifeboat.copies.workflow import VaultIncomplete
from lifeboat.retention import workflow as retention
from tests.functions.conftest import TABLE
from tests.functions.many_copies import AWAY, many, reconcile
from tests.functions.many_recovery_points import INSTANCES, in_parts, large_run, left

__all__ = ("in_parts", "large_run", "many")

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}
WORDS = "Request rejected for a reason"

type Refuse = Callable[..., None]


def refuse_in(patch: pytest.MonkeyPatch, operation: str, *about: str) -> None:
    """EC2 refuses calls of one operation whose arguments contain all of these texts."""
    real = BaseClient._make_api_call

    def call(self: BaseClient, name: str, arguments: dict[str, Any]) -> Any:
        if name == operation and all(text in str(arguments) for text in about):
            said: Any = {
                "Error": {"Code": "InvalidParameterValue", "Message": WORDS},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(said, name)
        return real(self, name, arguments)

    patch.setattr(BaseClient, "_make_api_call", call)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    return partial(refuse_in, monkeypatch)


@pytest.fixture
def in_twos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2_describe, "IDS_PER_CALL", 2)
    monkeypatch.setattr(retention, "RECHECKED", 2)


@pytest.mark.parametrize("operation", ["DescribeVolumes", "DescribeSnapshots"])
def test_backup(world, refuse, in_twos, operation):
    instances = sorted(world.launch() for _ in range(6))
    bad = instances[2]
    refuse(operation, world.volume_of(bad) if operation == "DescribeVolumes" else bad)
    with pytest.raises(BackupIncomplete, match=f"{bad} could not be described: InvalidParameterValue: {WORDS}"):
        world.invoke("take_snapshots", SLOT)
    assert len(world.snapshots()) == 4
    published = [message for message in world.messages() if message["event"] == "BackupFailed"]
    assert {message["subject"]["instance_id"] for message in published} == set(instances[2:4])
    assert all(WORDS in message["summary"] for message in published)


def test_confirmation(world, refuse, in_twos):
    instances = sorted(world.launch() for _ in range(6))
    world.invoke("take_snapshots", SLOT)
    refuse("DescribeSnapshots", f"Z-{instances[2]}")
    with pytest.raises(ConfirmationIncomplete, match=rf"2 recovery points.* InvalidParameterValue: {WORDS}"):
        world.invoke("confirm_snapshots", {"sweep": True})
    completed = [message for message in world.messages() if message["event"] == "BackupCompleted"]
    assert {message["subject"]["instance_id"] for message in completed} == {*instances[:2], *instances[4:]}
    assert {item.split("Z-")[1] for item in backups.open_backups(TABLE)} == set(instances[2:4])


def test_overdue(world, refuse, in_twos, monkeypatch):
    instances = sorted(world.launch() for _ in range(6))
    world.invoke("take_snapshots", {"catch_up": True})
    late = clock.now() + timedelta(days=3)
    monkeypatch.setattr(clock, "now", lambda: late)
    monkeypatch.setattr("lifeboat.backup.workflow.take", lambda *_: {})
    refuse("DescribeSnapshots", "tag:lifeboat:instance", instances[2])
    with pytest.raises(OverdueIncomplete, match=f"2 instances.* InvalidParameterValue: {WORDS}"):
        world.invoke("take_snapshots", {"catch_up": True})
    published = {
        message["subject"]["instance_id"] for message in world.messages() if message["event"] == "BackupOverdue"
    }
    assert len(published) == 4
    assert instances[2] not in published


def test_retention_of_a_part(world, large_run, in_parts, refuse):
    refuse("DescribeSnapshots", "'*a'")
    answer = world.invoke("prune_snapshots", {})
    assert left(world) == {
        snapshot for instance, made in large_run.items() for snapshot in (made if instance.endswith("a") else made[:14])
    }
    [published] = world.messages()
    [notice] = [item for item in answer["notices"] if WORDS in item]
    assert notice in published["details"]["notices"]
    assert "ids end with a are kept" in notice


def test_retention_where_an_instance_may_carry_a_policy_of_its_own(world, large_run, in_twos, refuse):
    refuse("DescribeInstances", INSTANCES[1])
    answer = world.invoke("prune_snapshots", {})
    unread = sorted(INSTANCES)[:2] if INSTANCES[1] in sorted(INSTANCES)[:2] else sorted(INSTANCES)[2:]
    assert left(world) == {
        snapshot for instance, made in large_run.items() for snapshot in (made if instance in unread else made[:14])
    }
    assert any(f"{INSTANCES[1]} and its lineages are kept" in item and WORDS in item for item in answer["notices"])


def test_retention_just_before_it_deletes(world, large_run, in_twos, refuse):
    monday = large_run[INSTANCES[0]][-1]
    refuse("DescribeSnapshots", "snapshot-id", monday)
    answer = world.invoke("prune_snapshots", {})
    assert {f"EC2 did not show it again: InvalidParameterValue: {WORDS}"} == {
        item["cause"] for item in answer["refused"]
    }
    assert 1 <= len(answer["refused"]) <= 2
    assert len(answer["deleted"]) + len(answer["refused"]) == 24, "nothing goes in their stead"
    assert monday in left(world)


def test_retention_where_what_came_of_a_deletion_is_not_seen(world, large_run, refuse):
    last = large_run[INSTANCES[0]][-1]
    refuse("DeleteSnapshot", last)
    refuse("DescribeSnapshots", f"['{last}']")
    answer = world.invoke("prune_snapshots", {})
    [refused] = answer["refused"]
    assert refused["cause"].startswith(
        f"InvalidParameterValue: {WORDS} ({last}), and EC2 did not show whether it is deleted"
    )
    assert len(answer["deleted"]) == 23, "nothing goes in its stead: it may be gone"


def test_describing_a_copy_is_no_failed_copy(world, many):
    with pytest.MonkeyPatch.context() as patch:
        refuse_in(patch, "DescribeSnapshots", "tag:lifeboat:copy-of")
        answer = reconcile(world)
    assert (answer["begun"], answer["failed"], copied()) == ([], [], set())
    assert world.messages() == []
    assert reconcile(world)["begun"], "nothing has failed, so nothing is paused"


def test_copies_of_a_part(world, many, refuse):
    reconcile(world)
    known = table_of_copies.records(TABLE, AWAY).keys()
    with pytest.MonkeyPatch.context() as late:
        now = clock.now() + regions.ALL_EVERY
        late.setattr(clock, "now", lambda: now)
        refuse("DescribeSnapshots", "'*a'")
        before = copied()
        with pytest.raises(CopyIncomplete, match=f"InvalidParameterValue: {WORDS}"):
            world.invoke("copy_snapshots", {"retry": True})
    assert copied() > before, "the oldest that wait are copied all the same"
    assert table_of_copies.records(TABLE, AWAY).keys() >= known, "nothing that was not seen is forgotten"


def copied() -> set[str]:
    found = boto3.client("ec2", AWAY).describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["lifeboat:copy-of"]}]
    )["Snapshots"]
    return {item["SnapshotId"] for item in found}


def test_copies_to_other_regions_beside_the_vault(world, refuse, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", AWAY)
    monkeypatch.setenv("LIFEBOAT_VAULT_SOURCE_ACCOUNTS", "222233334444")
    monkeypatch.setenv("LIFEBOAT_VAULT_READER_ROLES", "arn:aws:iam::222233334444:role/reader")
    monkeypatch.setenv("LIFEBOAT_VAULT_KMS_KEY", "arn:aws:kms:eu-west-1:123456789012:key/1")
    handler.forget()
    asked: list[str] = []
    monkeypatch.setattr("lifeboat.aws.sharing.shared_by", lambda account, **_: asked.append(account) or {})
    monkeypatch.setattr("lifeboat.aws.sharing.described_by", lambda *_, **__: ())
    refuse("DescribeSnapshots", "tag:lifeboat:stack", "lifeboat:recovery-point")
    with pytest.raises(VaultIncomplete, match=f"the snapshots here: InvalidParameterValue: {WORDS}"):
        world.invoke("copy_snapshots", {"sweep": True})
    assert asked == ["222233334444"]
