"""Retention of very many recovery points goes in parts, so that it never needs more memory than it has."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.invocation import LEFT_FOR_RETURN
from lifeboat.backup.selection import volume_metadata
from lifeboat.domain.recovery_point_tags import write_tags
from lifeboat.retention import inventory_workflow as inventory
from tests.builders import attachment, volume
from tests.functions.conftest import ACCOUNT, Context

DAYS = 20
INSTANCES = ("i-00000000000000001", "i-0000000000000000a", "i-0000000000000001a", "i-0000000000000000f")


@pytest.fixture
def large_run(world, monkeypatch):
    """A recovery point a day of each instance, and one whose tags are nobody's; the snapshots' ids by instance."""
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    made = {instance: [] for instance in INSTANCES}
    backend = ec2_backends[ACCOUNT]["eu-west-1"]
    for instance in INSTANCES:
        volume_id = world.ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
        for day in range(DAYS):
            slot = clock.now() - timedelta(days=day, minutes=5)
            tags = write_tags(
                recovery_point_id=f"rp-{slot:%Y%m%dT%H%M%SZ}-{instance}",
                set_id=f"set-{instance}-{day}",
                stack="lifeboat",
                slot=slot,
                instance_id=instance,
                instance_name="CadoResponse",
                zone="eu-west-1a",
                ami_id="ami-1",
                ami_owner="055430919509",
                all_metadata=[volume_metadata(volume(id=volume_id, tags={}), attachment(volume_id))],
            )
            specification = [{"ResourceType": "snapshot", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]
            snapshot = world.ec2.create_snapshot(VolumeId=volume_id, TagSpecifications=specification)["SnapshotId"]
            backend.snapshots[snapshot].start_time = slot
            made[instance].append(snapshot)
    return made


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr(inventory, "SNAPSHOTS_HELD", 10)


def left(world):
    return {snapshot["SnapshotId"] for snapshot in world.snapshots()}


def plain(answer):
    return {key: sorted(json.dumps(item) for item in answer[key]) for key in ("kept", "delete")}


def test_the_preview_in_parts_is_the_preview_of_all(world, large_run, monkeypatch):
    whole = world.invoke("prune_snapshots", {"dry_run": True})
    monkeypatch.setattr(inventory, "SNAPSHOTS_HELD", 10)
    parts = world.invoke("prune_snapshots", {"dry_run": True})
    assert plain(parts) == plain(whole)
    assert parts["saved_gib"] == whole["saved_gib"]
    assert set(parts["calendar"].splitlines()) == set(whole["calendar"].splitlines()), "each part has a heading"


def test_a_run_in_parts_lets_go_the_same_and_tells_it_once(world, large_run, in_parts):
    answer = world.invoke("prune_snapshots", {})
    # last=3 daily=14: six of each chain's twenty.
    assert (answer["kept"], answer["delete"], len(answer["deleted"])) == (56, 24, 24)
    assert left(world) == {snapshot for made in large_run.values() for snapshot in made[:14]}
    [told] = world.message()
    assert told["summary"].startswith("24 recovery points deleted, 56 kept")
    assert len(told["details"]["kept"]) + told["details"]["kept_not_listed"] == 56


def test_no_more_is_held_at_once_than_a_part(world, large_run, in_parts, monkeypatch):
    held = []
    real = inventory.read_catalogue
    monkeypatch.setattr(
        inventory, "read_catalogue", lambda found: held.append(len(observed := list(found))) or real(observed)
    )
    world.invoke("prune_snapshots", {"dry_run": True})
    assert held == [DAYS, 2 * DAYS, DAYS], "of the last characters 1, a and f"


def test_a_run_cut_off_in_a_part_goes_on_with_the_next_run(world, large_run, in_parts, monkeypatch):
    left_ms = iter([60_000] * 20 + [1000 * LEFT_FOR_RETURN - 1] * 100)
    with monkeypatch.context() as short:
        short.setattr(Context, "get_remaining_time_in_millis", lambda _: next(left_ms))
        first = world.invoke("prune_snapshots", {})
    assert 0 < len(first["deleted"]) < 24
    assert any("wait for the next run" in notice for notice in first["notices"])
    world.invoke("prune_snapshots", {})
    assert left(world) == {snapshot for made in large_run.values() for snapshot in made[:14]}


def test_what_is_in_no_part_stays(world, large_run, in_parts):
    stray = large_run[INSTANCES[0]][-1]
    world.ec2.delete_tags(Resources=[stray], Tags=[{"Key": "lifeboat:instance"}])
    world.invoke("prune_snapshots", {})
    assert stray in left(world)
