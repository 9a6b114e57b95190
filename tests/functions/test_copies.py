"""copy_snapshots: what EC2 never says of a copy is found out, and a destination that fails stops no other."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lifeboat import handler
from lifeboat.aws import clients, clock
from lifeboat.copies.plan import VANISHED_AFTER
from lifeboat.copies.regions_workflow import CopyIncomplete
from tests.functions.conftest import ROOT

AWAY, BEYOND = "eu-central-1", "us-east-1"
RECONCILE = {"sweep": True}


@pytest.fixture
def point(world, monkeypatch) -> str:
    """A good recovery point at home; its snapshot."""
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", AWAY)
    world.launch()
    world.invoke("take_snapshots", {})
    world.invoke("confirm_snapshots", RECONCILE)
    [made] = world.snapshots()
    assert [item["event"] for item in world.messages()] == ["BackupStarted", "BackupCompleted"]
    return made["SnapshotId"]


def copies(region: str = AWAY) -> list[dict[str, Any]]:
    return boto3.client("ec2", region).describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["lifeboat:copy-of"]}]
    )["Snapshots"]


def test_a_copy_is_begun_once_and_published_once(world, point):
    assert [item["snapshot"] for item in world.invoke("copy_snapshots", RECONCILE)[AWAY]["begun"]] == [point]
    world.invoke("copy_snapshots", RECONCILE)
    world.invoke("copy_snapshots", RECONCILE)
    assert len(copies()) == 1
    [published] = world.messages()
    assert (published["event"], published["subject"]["region"]) == ("SnapshotsCopied", AWAY)


def test_a_copy_that_vanishes_is_published_once_and_tried_again(world, point, monkeypatch):
    world.invoke("copy_snapshots", RECONCILE)
    [lost] = copies()
    boto3.client("ec2", AWAY).delete_snapshot(SnapshotId=lost["SnapshotId"])
    assert world.invoke("copy_snapshots", RECONCILE)[AWAY]["failed"] == [], "EC2 may not show it yet"

    later = clock.now() + VANISHED_AFTER + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    [failed] = world.invoke("copy_snapshots", RECONCILE)[AWAY]["failed"]
    assert f"the copy {lost['SnapshotId']} of {point} has vanished" in failed["reason"]
    assert [item["event"] for item in world.messages()] == ["CopyFailed"]
    assert "the next attempt is at" in world.invoke("copy_snapshots", RECONCILE)[AWAY]["waiting"][0]["reason"]

    monkeypatch.setattr(clock, "now", lambda: later + timedelta(hours=1))
    assert len(world.invoke("copy_snapshots", RECONCILE)[AWAY]["begun"]) == 1
    world.invoke("copy_snapshots", RECONCILE)
    assert [item["event"] for item in world.messages()] == ["SnapshotsCopied"]


def test_a_destination_that_fails_stops_no_other(world, point, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", f"{AWAY},{BEYOND}")
    handler.forget()
    away = clients.ec2_reads(AWAY)

    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "OptInRequired", "Message": "not yours"}}, "DescribeSnapshots")

    monkeypatch.setattr(away, "get_paginator", refuse)
    with pytest.raises(CopyIncomplete, match=f"{AWAY}: OptInRequired: not yours"):
        world.invoke("copy_snapshots", RECONCILE)
    assert (len(copies(AWAY)), len(copies(BEYOND))) == (0, 1)


def test_a_copy_that_is_refused_fails_its_recovery_point(world, point, monkeypatch):
    def refuse(**_: Any) -> Any:
        raise ClientError(
            {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
            "CopySnapshot",
        )

    monkeypatch.setattr(clients.ec2_writes(AWAY), "copy_snapshot", refuse)
    [failed] = world.invoke("copy_snapshots", RECONCILE)[AWAY]["failed"]
    assert failed["reason"] == f"CopySnapshot of {point} was refused: UnauthorizedOperation: no"
    [published] = world.messages()
    assert (published["event"], published["severity"]) == ("CopyFailed", "critical")


COPY_ENDED = json.loads((ROOT / "events/copy_snapshots/copy-ended.json").read_text())


def ended(copy_id: str) -> dict[str, Any]:
    """The end of a copy, as it is forwarded from the destination."""
    name = f"arn:aws:ec2::{AWAY}:snapshot/{copy_id}"
    return {**COPY_ENDED, "resources": [name], "detail": {**COPY_ENDED["detail"], "snapshot_id": name}}


def test_the_end_of_our_copy_is_observed_and_published(world, point):
    world.invoke("copy_snapshots", RECONCILE)
    [copy] = copies()
    assert world.invoke("copy_snapshots", ended(copy["SnapshotId"]))[AWAY]["copied"]
    assert [item["event"] for item in world.messages()] == ["SnapshotsCopied"]


def test_the_end_of_a_foreign_copy_is_not(world, point):
    volume = world.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    source = world.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    foreign = boto3.client("ec2", AWAY).copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=source)["SnapshotId"]
    answer = world.invoke("copy_snapshots", ended(foreign))
    assert answer == {"waits_for": "the reconcile run: none of this stack's copies has ended"}
    assert copies() == []


def test_the_end_of_a_copy_where_nothing_can_be_seen_is_left_to_the_reconcile_run(world, point, monkeypatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeSnapshots")

    monkeypatch.setattr(clients.ec2_reads(AWAY), "get_paginator", refuse)
    assert "reconcile run" in world.invoke("copy_snapshots", ended("snap-0c3d4e5f607182930"))["waits_for"]


@pytest.fixture
def asked(world, point, monkeypatch) -> list[Any]:
    """In what time copies have been asked for, in minutes; 15 are wanted."""
    monkeypatch.setenv("LIFEBOAT_COPY_COMPLETION_MINUTES", "15")
    handler.forget()
    return []


def answering(monkeypatch: pytest.MonkeyPatch, asked: list[Any], *codes: str) -> None:
    """EC2 refuses the first calls with these codes, and makes what is asked for after them."""
    copy, refusals = clients.ec2_writes(AWAY).copy_snapshot, list(codes)

    def answer(**asking: Any) -> Any:
        asked.append(asking.get("CompletionDurationMinutes"))
        if refusals:
            said = {"Error": {"Code": refusals.pop(0), "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(said, "CopySnapshot")
        return copy(**asking)

    monkeypatch.setattr(clients.ec2_writes(AWAY), "copy_snapshot", answer)


def test_a_copy_is_asked_for_in_its_time(world, asked, monkeypatch):
    answering(monkeypatch, asked)
    assert len(world.invoke("copy_snapshots", RECONCILE)[AWAY]["begun"]) == 1
    assert asked == [15]


def test_a_copy_that_ec2_does_not_make_in_its_time_is_made_without_one(world, asked, monkeypatch):
    answering(monkeypatch, asked, "InvalidParameterValue")
    answer = world.invoke("copy_snapshots", RECONCILE)[AWAY]
    assert (len(answer["begun"]), answer["failed"]) == (1, [])
    assert asked == [15, None]


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "RequestLimitExceeded"])
def test_where_there_is_no_room_a_copy_in_time_waits_for_it(world, asked, monkeypatch, code):
    answering(monkeypatch, asked, code)
    answer = world.invoke("copy_snapshots", RECONCILE)[AWAY]
    assert (answer["begun"], answer["failed"], asked) == ([], [], [15])
    assert len(world.invoke("copy_snapshots", RECONCILE)[AWAY]["begun"]) == 1
    assert asked == [15, 15]


def test_a_refusal_for_another_reason_is_published(world, asked, monkeypatch):
    answering(monkeypatch, asked, "UnauthorizedOperation", "UnauthorizedOperation")
    [failed] = world.invoke("copy_snapshots", RECONCILE)[AWAY]["failed"]
    assert "was refused: UnauthorizedOperation" in failed["reason"]
    assert asked == [15, None]
