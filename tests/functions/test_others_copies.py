"""Copies that others make with all tags on them: a retention run leaves them alone, and says so where it is asked."""

from __future__ import annotations

from copy import copy as shallow
from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat.aws import clock, ec2_snapshots
from tests.functions.conftest import ACCOUNT

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


@pytest.fixture
def copies(world, monkeypatch):
    """A good recovery point, and two copies of its snapshot as Cloud Custodian makes them; the copies' ids."""
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    world.launch()
    world.invoke("take_snapshots", SLOT)
    world.invoke("confirm_snapshots", {"sweep": True})
    world.messages()
    [source] = world.snapshots()
    made = []
    for _ in range(2):
        copy = world.ec2.copy_snapshot(
            SourceRegion="eu-west-1", SourceSnapshotId=source["SnapshotId"], Description=source["Description"]
        )["SnapshotId"]
        world.ec2.create_tags(Resources=[copy], Tags=source["Tags"])
        kept = ec2_backends[ACCOUNT]["eu-west-1"].snapshots[copy]
        kept.volume = shallow(kept.volume)
        kept.volume.id = "vol-ffffffff"  # as EC2 says of every copy; moto shows the source's
        made.append(copy)
    later = clock.now() + timedelta(days=400)
    monkeypatch.setattr(clock, "now", lambda: later)
    return made


def test_a_run_deletes_none_and_is_silent(world, copies):
    answer = world.invoke("prune_snapshots", {})
    assert (answer["kept_count"], answer["deleted"], answer["refused"]) == (1, [], [])
    assert {item["SnapshotId"] for item in world.snapshots()} >= set(copies)
    assert world.messages() == []


def test_the_preview_names_them_and_counts_none(world, copies):
    answer = world.invoke("prune_snapshots", {"dry_run": True})
    assert len(answer["kept"]) == 1
    assert answer["delete"] == []
    [notice] = answer["notices"]
    assert all(copy in notice for copy in copies)
    assert "copies that Lifeboat did not make" in notice


def test_a_copy_does_not_save_an_instance_for_a_slot(world, copies):
    for item in world.snapshots():
        if item["SnapshotId"] not in copies:
            world.ec2.delete_snapshot(SnapshotId=item["SnapshotId"])
    assert len(world.snapshots()) == 2
    assert ec2_snapshots.instances_saved_by("lifeboat", slot_tag="2026-11-23T02:00:00Z") == frozenset()
