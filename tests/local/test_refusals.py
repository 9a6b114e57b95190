"""What EC2 refuses, in its own words: too many filter values, snapshots of a volume too soon, tags too long."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.control import Control
from local.session import LocalAws
from tests.local.conftest import ZONE, Machine, new_volume


def words(call: Callable[[], object]) -> tuple[str, str]:
    """The code and the message that a call is refused with."""
    with pytest.raises(ClientError) as refusal:
        call()
    said = refusal.value.response["Error"]
    return said["Code"], said["Message"]


MANY = [f"x-{number}" for number in range(200)]


@pytest.mark.parametrize(
    "action",
    [
        *("describe_instances", "describe_instance_status", "describe_volumes", "describe_snapshots"),
        *("describe_images", "describe_tags"),
    ],
)
def test_a_call_with_more_than_200_filter_values_in_all_is_refused(ec2: Any, action: str) -> None:
    name = "key" if action == "describe_tags" else "instance-state-name" if "status" in action else "tag-key"
    describe = getattr(ec2, action)
    describe(Filters=[{"Name": name, "Values": MANY}])
    other = {"Name": "value" if action == "describe_tags" else name, "Values": ["one more"]}
    assert words(lambda: describe(Filters=[{"Name": name, "Values": MANY}, other])) == (
        "FilterLimitExceeded",
        "The maximum number of filter values specified on a single call is 200",
    )


def test_a_second_snapshot_of_a_volume_too_soon_is_refused(
    aws: LocalAws, ec2: Any, control: Control, machine: Machine
) -> None:
    control.configure(snapshot_limits=True)
    of_it: Any = {"InstanceId": machine.instance_id, "ExcludeBootVolume": True}
    ec2.create_snapshots(InstanceSpecification=of_it)
    refused = (
        "SnapshotCreationPerVolumeRateExceeded",
        "The maximum per volume CreateSnapshot request rate has been exceeded. "
        "Use an increasing or variable sleep interval between requests.",
    )
    assert words(lambda: ec2.create_snapshots(InstanceSpecification=of_it)) == refused
    assert words(lambda: ec2.create_snapshot(VolumeId=machine.data_id)) == refused


@pytest.mark.parametrize("tag", [{"Key": "k" * 129, "Value": "v"}, {"Key": "k", "Value": "v" * 257}])
def test_a_tag_that_is_too_long_is_refused_wherever_it_is_set(
    aws: LocalAws, ec2: Any, machine: Machine, tag: dict[str, str]
) -> None:
    volume = new_volume(aws, ec2)
    calls: list[Callable[[], object]] = [
        lambda: ec2.create_tags(Resources=[volume], Tags=[tag]),
        lambda: ec2.create_volume(
            AvailabilityZone=ZONE, Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": [tag]}]
        ),
        lambda: ec2.create_snapshots(
            InstanceSpecification={"InstanceId": machine.instance_id},
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": [tag]}],
        ),
    ]
    for call in calls:
        code, message = words(call)
        assert code == "InvalidParameterValue"
        assert "exceeds the maximum length" in message
