"""More recovery points than one reconcile run looks at together, all to be copied to another region."""

from __future__ import annotations

from datetime import timedelta

import pytest
from moto.ec2 import ec2_backends

from lifeboat.aws import clock
from lifeboat.backup.selection import volume_metadata
from lifeboat.copies import regions_workflow as regions
from lifeboat.domain.recovery_point_tags import write_tags
from tests.builders import attachment, volume
from tests.functions.conftest import ACCOUNT

AWAY = "eu-central-1"
RECONCILE = {"sweep": True}
INSTANCES = ("i-00000000000000001", "i-0000000000000000a", "i-0000000000000001a")
DAYS = 4


@pytest.fixture
def many(world, monkeypatch):
    """Four recovery points of each of three instances, more than are observed at once; their ids, oldest first."""
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", AWAY)
    monkeypatch.setenv("LIFEBOAT_COPY_EXISTING", "true")
    monkeypatch.setattr(regions, "SNAPSHOTS_LISTED", 5)
    monkeypatch.setattr(regions, "OLDEST", 3)
    made = []
    backend = ec2_backends[ACCOUNT]["eu-west-1"]
    for instance in INSTANCES:
        volume_id = world.ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
        for day in range(DAYS):
            slot = clock.now().replace(microsecond=0) - timedelta(days=day, minutes=5 + INSTANCES.index(instance))
            point = f"rp-{slot:%Y%m%dT%H%M%SZ}-{instance}"
            tags = write_tags(
                recovery_point_id=point,
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
            made.append((slot, point))
    return [point for _, point in sorted(made)]


def reconcile(world):
    return world.invoke("copy_snapshots", RECONCILE)[AWAY]
