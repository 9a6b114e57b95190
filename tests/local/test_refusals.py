"""What EC2 refuses, in its own words: too many filter values, snapshots of a volume too soon, tags too long, and a key
that may not be used, which it refuses by taking the volume away."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.control import Control
from local.session import HOME_ACCOUNT, LocalAws
from tests.local.conftest import ZONE, Machine, new_volume, unique


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
        *("describe_images", "describe_tags", "describe_volume_status", "describe_instance_image_metadata"),
        "describe_locked_snapshots",
    ],
)
def test_a_call_with_more_than_200_filter_values_in_all_is_refused(ec2: Any, action: str) -> None:
    names = {"describe_tags": "key", "describe_instance_status": "instance-state-name"}
    name = {**names, "describe_locked_snapshots": "lock-state"}.get(action, "tag-key")
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


# --- a key that may not be used: recorded from a live account, ebs/volume_data_contract.json of radkawar/stackd


def volume_under_a_disabled_key(aws: LocalAws, ec2: Any, token: str) -> tuple[str, str]:
    """The volume's id and its key; EC2 answers as if all were well."""
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    answer = ec2.create_volume(AvailabilityZone=ZONE, Size=1, Encrypted=True, KmsKeyId=key, ClientToken=token)
    assert answer["State"] == "creating"
    return answer["VolumeId"], key


def test_a_volume_under_a_bad_key_vanishes_and_only_events_show_it(aws: LocalAws, ec2: Any, control: Control) -> None:
    mark = control.mark()
    volume, key = volume_under_a_disabled_key(aws, ec2, unique("token"))
    control.settle()
    code, _ = words(lambda: ec2.describe_volumes(VolumeIds=[volume]))
    assert code == "InvalidVolume.NotFound"
    failed, deleted = control.events(mark, detail_type="EBS Volume Notification")
    arn = f"arn:aws:ec2:eu-west-1:{HOME_ACCOUNT}:volume/{volume}"
    assert (failed["resources"], deleted["resources"]) == ([arn, key], [arn])
    assert [event["detail"]["event"] for event in (failed, deleted)] == ["createVolume", "deleteVolume"]
    assert [event["detail"]["result"] for event in (failed, deleted)] == ["failed", "deleted"]
    assert key in failed["detail"]["cause"]
    assert failed["detail"]["request-id"] == deleted["detail"]["request-id"] != ""


def test_the_token_of_a_volume_that_is_gone_is_a_mismatch(aws: LocalAws, ec2: Any, control: Control) -> None:
    token = unique("token")
    _, key = volume_under_a_disabled_key(aws, ec2, token)
    control.settle()
    again: Any = {"AvailabilityZone": ZONE, "Size": 1, "ClientToken": token}
    code, _ = words(lambda: ec2.create_volume(Encrypted=True, KmsKeyId=key, **again))
    assert code == "IdempotentParameterMismatch"

    token = again["ClientToken"] = unique("token")
    volume = ec2.create_volume(**again)["VolumeId"]
    control.settle()
    assert ec2.create_volume(**again)["VolumeId"] == volume
    ec2.delete_volume(VolumeId=volume)
    code, _ = words(lambda: ec2.create_volume(**again))
    assert code == "IdempotentParameterMismatch"


def test_a_volume_under_a_bad_key_stays_in_error_if_it_is_to(aws: LocalAws, ec2: Any, control: Control) -> None:
    control.configure(bad_key_leaves_error=True)
    try:
        volume, _ = volume_under_a_disabled_key(aws, ec2, unique("token"))
        control.settle()
        [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        assert found["State"] == "error"
    finally:
        control.configure(bad_key_leaves_error=False)
