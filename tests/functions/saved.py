"""Snapshots of recovery points as an earlier run has left them in EC2, taken at any time."""

from __future__ import annotations

from datetime import datetime

from moto.ec2 import ec2_backends

from lifeboat.backup.selection import volume_metadata
from lifeboat.domain.recovery_point_tags import write_tags
from tests.builders import attachment, volume
from tests.functions.conftest import ACCOUNT, World


def saved_snapshot(
    world: World, volume_id: str, *, instance_id: str, recovery_point_id: str, taken_at: datetime
) -> str:
    """The id of the one snapshot of a recovery point of one volume, which need not exist any more."""
    tags = write_tags(
        recovery_point_id=recovery_point_id,
        set_id=f"set of {recovery_point_id}",
        stack="lifeboat",
        slot=taken_at,
        instance_id=instance_id,
        instance_name="CadoResponse",
        zone="eu-west-1a",
        ami_id="ami-1",
        ami_owner="055430919509",
        all_metadata=[volume_metadata(volume(id=volume_id, tags={}), attachment(volume_id))],
    )
    specification = [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": tags[key]} for key in tags]}]
    snapshot: str = world.ec2.create_snapshot(VolumeId=volume_id, TagSpecifications=specification)["SnapshotId"]
    ec2_backends[ACCOUNT]["eu-west-1"].snapshots[snapshot].start_time = taken_at
    return snapshot
