"""EC2 may make a volume twice: a client token that it forgot. The second one is found by its tag and deleted last."""

from __future__ import annotations

import pytest

from tests.functions.restores import RECONCILE, ask, fresh_platform, restored, saved, time

__all__ = ["saved", "time"]  # fixtures


def make_again(world, restore_id):
    """Another volume with the tags of the one that the restore made."""
    [made] = world.ec2.describe_volumes(Filters=[{"Name": "tag:lifeboat:restore", "Values": [restore_id]}])["Volumes"]
    return world.ec2.create_volume(
        SnapshotId=made["SnapshotId"],
        AvailabilityZone=made["AvailabilityZone"],
        TagSpecifications=[{"ResourceType": "volume", "Tags": made["Tags"]}],
    )["VolumeId"]


@pytest.mark.parametrize(("cancelled", "status"), [(False, "completed"), (True, "rolled_back")])
def test_a_second_volume_that_appears_late_is_deleted_before_the_restore_ends(world, saved, time, cancelled, status):
    restore_id = world.invoke("restore_volume", ask(fresh_platform(world)))["restore_id"]
    world.invoke("attach_volume", RECONCILE)  # the record has the id of the first
    if cancelled:
        world.invoke("restore_volume", {"cancel": restore_id})
    extra = make_again(world, restore_id)
    assert restored(world, time, restore_id)["status"] == status
    assert extra not in {item["VolumeId"] for item in world.ec2.describe_volumes()["Volumes"]}
