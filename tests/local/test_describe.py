"""Filters, owners and pages of the Describe calls."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local.control import Control
from local.session import LocalAws
from tests.local.conftest import amazon_image, refusal, tagged, unique

ACCOUNT = "777788889999"


@pytest.fixture(scope="module")
def counted(running_aws: LocalAws) -> dict[str, int]:
    """An account of its own with twelve of everything."""
    ec2 = running_aws.client("ec2", account=ACCOUNT)
    for index in range(12):
        running_aws.control.seed_snapshot(
            account=ACCOUNT,
            start_time=datetime(2025, 1, index + 1, tzinfo=UTC),
            tags={"set": "a" if index < 7 else "b", "number": str(index)},
        )
        ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)
        running_aws.control.seed_image(owner=ACCOUNT, account=ACCOUNT, name=f"image {index}")
    ec2.run_instances(ImageId=amazon_image(ec2), MinCount=12, MaxCount=12)
    running_aws.control.settle()
    return {"describe_snapshots": 12, "describe_volumes": 24, "describe_instances": 12, "describe_instance_status": 12}


@pytest.fixture
def there(running_aws: LocalAws, counted: dict[str, int]) -> Any:
    assert counted
    return running_aws.client("ec2", account=ACCOUNT)


PAGED = {
    "describe_snapshots": ("Snapshots", {"OwnerIds": ["self"]}, 12),
    "describe_volumes": ("Volumes", {}, 24),
    "describe_instances": ("Reservations", {}, 12),
    "describe_instance_status": ("InstanceStatuses", {}, 12),
    "describe_images": ("Images", {"Owners": ["self"]}, 12),
    "describe_instance_image_metadata": ("InstanceImageMetadata", {}, 12),
}


@pytest.mark.parametrize("action", PAGED)
def test_pages_are_complete_and_without_doubles(there: Any, action: str) -> None:
    key, arguments, total = PAGED[action]
    pages = list(there.get_paginator(action).paginate(**arguments, PaginationConfig={"PageSize": 5}))
    assert len(pages) == -(-total // 5)
    items = [item for page in pages for item in page[key]]
    if action == "describe_instances":
        items = [instance for reservation in items for instance in reservation["Instances"]]
    ids = [
        next(v for k, v in item.items() if k in ("SnapshotId", "VolumeId", "InstanceId", "ImageId") and v)
        for item in items
    ]
    identified = [item.get("VolumeId") or item.get("InstanceId") or item.get("ImageId") for item in items]
    unique_ids = {item.get("SnapshotId") for item in items} if action == "describe_snapshots" else set(identified)
    assert len(ids) == total
    assert len(unique_ids) == total


def test_locked_snapshots_have_pages(there: Any) -> None:
    for snapshot in there.describe_snapshots(OwnerIds=["self"])["Snapshots"][:7]:
        there.lock_snapshot(SnapshotId=snapshot["SnapshotId"], LockMode="governance", LockDuration=1)
    first = there.describe_locked_snapshots(MaxResults=5)
    second = there.describe_locked_snapshots(MaxResults=5, NextToken=first["NextToken"])
    assert (len(first["Snapshots"]), len(second["Snapshots"])) == (5, 2)
    assert "NextToken" not in second


def test_a_page_is_not_torn_by_a_deletion(there: Any) -> None:
    first = there.describe_volumes(MaxResults=5)
    gone = there.create_volume(AvailabilityZone="eu-west-1b", Size=1)["VolumeId"]
    assert gone
    free = [v["VolumeId"] for v in first["Volumes"] if v["State"] == "available"][:1]
    for volume in free:
        there.delete_volume(VolumeId=volume)
    second = there.describe_volumes(MaxResults=5, NextToken=first["NextToken"])
    assert not {v["VolumeId"] for v in first["Volumes"]} & {v["VolumeId"] for v in second["Volumes"]}


FILTERS = {
    "tag": ([{"Name": "tag:set", "Values": ["a"]}], 7),
    "tag with a star": ([{"Name": "tag:number", "Values": ["1*"]}], 3),
    "tag with a question mark": ([{"Name": "tag:number", "Values": ["1?"]}], 2),
    "tag key": ([{"Name": "tag-key", "Values": ["set"]}], 12),
    "a tag nobody has": ([{"Name": "tag-key", "Values": ["nope"]}], 0),
    "either value": ([{"Name": "tag:set", "Values": ["a", "b"]}], 12),
    "both filters": ([{"Name": "tag:set", "Values": ["b"]}, {"Name": "tag:number", "Values": ["1*"]}], 2),
    "start time": ([{"Name": "start-time", "Values": ["2025-01-0*"]}], 9),
    "status": ([{"Name": "status", "Values": ["completed"]}], 12),
    "owner": ([{"Name": "owner-id", "Values": [ACCOUNT]}], 12),
}


@pytest.mark.parametrize(("filters", "number"), FILTERS.values(), ids=FILTERS.keys())
def test_filters_of_snapshots(there: Any, filters: list[dict[str, Any]], number: int) -> None:
    assert len(there.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]) == number


def test_filters_of_instances_and_volumes(there: Any) -> None:
    instances = there.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running", "stopped"]}])
    assert sum(len(r["Instances"]) for r in instances["Reservations"]) == 12
    one = instances["Reservations"][0]["Instances"][0]
    attached = there.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [one["InstanceId"]]}])
    assert len(attached["Volumes"]) == 1


@pytest.mark.parametrize("action", ["describe_snapshots", "describe_volumes", "describe_instances", "describe_images"])
def test_an_unknown_filter_is_refused(there: Any, action: str) -> None:
    call = lambda: getattr(there, action)(Filters=[{"Name": "bogus", "Values": ["x"]}])  # noqa: E731
    assert refusal(call) == "InvalidParameterValue"


def test_bad_pages_are_refused(there: Any) -> None:
    assert refusal(lambda: there.describe_snapshots(MaxResults=4)) == "InvalidParameterValue"
    assert refusal(lambda: there.describe_snapshots(MaxResults=5, NextToken="nope")) == "InvalidParameterValue"
    instance = there.describe_instances(MaxResults=5)["Reservations"][0]["Instances"][0]["InstanceId"]
    both = lambda: there.describe_instances(InstanceIds=[instance], MaxResults=5)  # noqa: E731
    assert refusal(both) == "InvalidParameterCombination"


def test_accounts_and_regions_do_not_see_each_other(aws: LocalAws, there: Any, control: Control) -> None:
    home = aws.client("ec2")
    volume = there.describe_volumes()["Volumes"][0]["VolumeId"]
    assert refusal(lambda: home.describe_volumes(VolumeIds=[volume])) == "InvalidVolume.NotFound"
    far = aws.client("ec2", "us-east-1", ACCOUNT)
    assert far.describe_volumes()["Volumes"] == []
    mark = control.mark()
    made = far.create_volume(
        AvailabilityZone="us-east-1a", Size=1, TagSpecifications=tagged("volume", name=unique("far"))
    )["VolumeId"]
    control.settle()
    event = next(e for e in control.events(mark) if made in str(e["resources"]))
    assert (event["account"], event["region"]) == (ACCOUNT, "us-east-1")


def test_the_network_is_there(aws: LocalAws) -> None:
    ec2 = aws.client("ec2")
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    assert zones == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    assert ec2.describe_vpcs()["Vpcs"]
