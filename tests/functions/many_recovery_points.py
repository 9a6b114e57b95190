"""More recovery points than retention reads at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.backup.selection import volume_metadata
from lifeboat.domain.recovery_point_tags import write_tags
from lifeboat.retention import inventory_workflow as inventory
from tests.builders import attachment, volume
from tests.functions.conftest import ACCOUNT

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
