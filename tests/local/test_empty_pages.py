"""The product reads the same whether EC2's pages are full or the first one is empty."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lifeboat.aws import clients, ec2_images, ec2_instances, ec2_snapshots, ec2_volumes, sharing
from lifeboat.domain.tags import Tag
from local.control import Control
from local.session import HOME_ACCOUNT, LocalAws
from tests.local.conftest import Machine, launch, tagged

ACCOUNT = "666677778888"
"""No other test is there, so there is nothing else to be seen."""
STACK = {Tag.STACK: "observations", Tag.RECOVERY_POINT: "one", Tag.SLOT: "slot", Tag.INSTANCE: "i-1"}


@pytest.fixture
def of_the_product(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The product's clients talk to the local AWS; a client of ours in the same account."""
    for name, value in aws.environment(account=ACCOUNT).items():
        monkeypatch.setenv(name, value)
    clients.forget()
    yield aws.client("ec2", account=ACCOUNT)
    clients.forget()


def reads(machine: Machine, snapshot: str, volume: str) -> dict[str, Callable[[], Any]]:
    """All observations that may have pages."""
    instance = machine.instance_id
    return {
        "instances": lambda: ec2_instances.instances([instance]),
        "instances_with_tag": lambda: ec2_instances.instances_with_tag("Name", "CadoResponse"),
        "volumes": lambda: ec2_volumes.volumes([volume]),
        "all_volume_ids": ec2_volumes.all_volume_ids,
        "recovery_point_snapshots": ec2_snapshots.recovery_point_snapshots,
        "recovery_point_snapshots_of": lambda: ec2_snapshots.recovery_point_snapshots_of("observations", {}),
        "recovery_point_snapshots_elsewhere": lambda: ec2_snapshots.recovery_point_snapshots_elsewhere(
            "eu-west-1", "observations", {}, most=9
        ),
        "instances_saved_by": lambda: ec2_snapshots.instances_saved_by("observations", slot_tag="slot"),
        "snapshots_of_volume": lambda: ec2_snapshots.snapshots_of_volume(volume),
        "snapshots": lambda: ec2_snapshots.snapshots([snapshot]),
        "own_snapshots": lambda: ec2_snapshots.own_snapshots([snapshot]),
        "locked_snapshot_ids": ec2_snapshots.locked_snapshot_ids,
        "ever_locked": lambda: ec2_snapshots.ever_locked([snapshot]),
        "image_snapshot_ids": ec2_images.image_snapshot_ids,
        "public_snapshot_ids": ec2_snapshots.public_snapshot_ids,
        "launch_images": lambda: ec2_images.launch_images([instance]),
        "status_checks": lambda: ec2_instances.status_checks(instance),
        "shared_with": lambda: sharing.shared_with(HOME_ACCOUNT, "observations"),
    }


def test_an_empty_page_hides_nothing(aws: LocalAws, control: Control, of_the_product: Any) -> None:
    ec2 = of_the_product
    machine = launch(aws, ec2)
    volume = machine.root_id
    snapshot = ec2.create_snapshot(
        VolumeId=volume, TagSpecifications=tagged("snapshot", **STACK, **{f"lifeboat:volume/{volume}": "{}"})
    )["SnapshotId"]
    control.settle()
    for permission in ({"UserIds": [HOME_ACCOUNT]}, {"GroupNames": ["all"]}):
        ec2.modify_snapshot_attribute(
            SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", **permission
        )
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)
    mappings = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]
    ec2.register_image(Name="observations", RootDeviceName="/dev/xvda", BlockDeviceMappings=mappings)
    asked = reads(machine, snapshot, volume)
    full = {name: observation() for name, observation in asked.items()}
    assert not [name for name, found in full.items() if not found]
    control.configure(empty_pages=True)
    assert ec2.describe_volumes(MaxResults=1000)["Volumes"] == [], "pages are empty now"
    assert {name: observation() for name, observation in asked.items()} == full
    # Nobody else is to see it.
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="remove", GroupNames=["all"]
    )
