"""More recovery points than retention reads at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.retention import inventory_workflow as inventory
from tests.functions.saved import saved_snapshot

DAYS = 20
INSTANCES = ("i-00000000000000001", "i-0000000000000000a", "i-0000000000000001a", "i-0000000000000000f")


@pytest.fixture
def large_run(world, monkeypatch):
    """A recovery point a day of each instance, and one whose tags are nobody's; the snapshots' ids by instance."""
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    made = {instance: [] for instance in INSTANCES}
    for instance in INSTANCES:
        volume_id = world.ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
        for day in range(DAYS):
            slot = clock.now() - timedelta(days=day, minutes=5)
            point = f"rp-{slot:%Y%m%dT%H%M%SZ}-{instance}"
            snapshot = saved_snapshot(world, volume_id, instance_id=instance, recovery_point_id=point, taken_at=slot)
            made[instance].append(snapshot)
    return made


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr(inventory, "SNAPSHOTS_HELD", 10)


def left(world):
    return {snapshot["SnapshotId"] for snapshot in world.snapshots()}
