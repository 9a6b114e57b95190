"""More recovery points than one reconcile run checks together, all to be copied to another region."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import clock
from lifeboat.copies import regions_workflow as regions
from tests.functions.saved import saved_snapshot

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
    for instance in INSTANCES:
        volume_id = world.ec2.create_volume(Size=1, AvailabilityZone="eu-west-1a")["VolumeId"]
        for day in range(DAYS):
            slot = clock.now().replace(microsecond=0) - timedelta(days=day, minutes=5 + INSTANCES.index(instance))
            point = f"rp-{slot:%Y%m%dT%H%M%SZ}-{instance}"
            saved_snapshot(world, volume_id, instance_id=instance, recovery_point_id=point, taken_at=slot)
            made.append((slot, point))
    return [point for _, point in sorted(made)]


def reconcile(world):
    return world.invoke("copy_snapshots", RECONCILE)[AWAY]
