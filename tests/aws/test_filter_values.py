"""EC2 takes 200 filter values in one call, those of all filters together: who asks about more asks several times."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.aws import (
    clients,
    ec2_describe,
    ec2_images,
    ec2_instances,
    ec2_snapshots,
    ec2_volumes,
    queue,
    sharing,
    topic,
)
from lifeboat.aws.errors import AwsError

MANY = 401
SHORT, LONG = 3, 450


def ids(kind: str) -> list[str]:
    return [f"{kind}-{number:017x}" for number in range(MANY)]


READS: dict[str, Callable[[], Any]] = {
    "instances": lambda: ec2_instances.instances(ids("i")),
    "volumes": lambda: ec2_volumes.volumes(ids("vol")),
    "snapshots": lambda: ec2_snapshots.snapshots(ids("snap")),
    "recovery points of many": lambda: ec2_snapshots.recovery_point_snapshots_of(
        "stack", {"tag:lifeboat:instance": ids("i")}
    ),
    "recovery points by tags": lambda: ec2_snapshots.recovery_point_snapshots_tagged(
        {"lifeboat:volume": ids("vol")}, most=9
    ),
    "elsewhere": lambda: ec2_snapshots.recovery_point_snapshots_elsewhere(
        "eu-central-1", "stack", {"lifeboat:volume": ids("vol")}, most=9, ids=ids("snap")
    ),
    "copies of": lambda: ec2_snapshots.copies_of(ids("snap"), "eu-central-1"),
    "copies in": lambda: ec2_snapshots.copies_in(
        "eu-central-1", {"lifeboat:recovery-point": ids("rp")}, ids=ids("snap")
    ),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_of_any_number_of_values_is_not_refused(aws, read):
    assert not read()


def test_all_of_many_are_found(aws):
    client = boto3.client("ec2")
    made = [client.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"] for _ in range(201)]
    assert set(ec2_volumes.volumes(made)) == set(made)


def test_the_launch_images_of_many_are_read_in_several_calls(ec2_reads):
    asked = sorted(ids("i"))
    for first in range(0, MANY, ec2_describe.FILTER_VALUES):
        some = asked[first : first + ec2_describe.FILTER_VALUES]
        expected = {"Filters": [{"Name": "instance-id", "Values": some}], "MaxResults": ec2_describe.PAGE}
        ec2_reads.add_response("describe_instance_image_metadata", {"InstanceImageMetadata": []}, expected)
    assert ec2_images.launch_images(asked) == {}


def test_a_snapshot_that_two_calls_find_is_returned_once(aws):
    client = boto3.client("ec2")
    volume = client.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    tags = [{"Key": "lifeboat:recovery-point", "Value": "rp"}, {"Key": "lifeboat:slot", "Value": "2026"}]
    snapshot = client.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    patterns = [f"{'?' * number}*" for number in range(MANY)]  # the first five of which it matches
    patterns[-1] = "2026"
    [found] = ec2_snapshots.recovery_point_snapshots({"tag:lifeboat:slot": patterns})
    assert found.id == snapshot["SnapshotId"]


def test_the_fixture_refuses_as_ec2_does(aws):
    wanted: Any = [{"Name": "tag-key", "Values": ["a"]}, {"Name": "snapshot-id", "Values": ids("snap")[:200]}]
    with pytest.raises(ClientError, match=r"FilterLimitExceeded.* is 200"):
        clients.ec2_reads().describe_snapshots(Filters=wanted)


@given(lengths=st.lists(st.one_of(st.integers(0, SHORT), st.integers(0, LONG)), max_size=4))
def test_the_calls_together_request_every_value_once(lengths):
    filters: list[Any] = [
        {"Name": f"tag:{number}", "Values": [f"{number}-{index}" for index in range(length)]}
        for number, length in enumerate(lengths)
    ]
    calls = list(ec2_describe.within_limit(filters))
    assert all(sum(len(item["Values"]) for item in call) <= ec2_describe.FILTER_VALUES for call in calls)
    assert all([item["Name"] for item in call] == [item["Name"] for item in filters] for call in calls)
    if prod(lengths) <= 50_000:  # of longer ones there are too many to list them
        wanted = sorted(product(*(item["Values"] for item in filters)))
        assert sorted(found for call in calls for found in product(*(item["Values"] for item in call))) == wanted


@pytest.mark.parametrize(
    "read",
    [
        lambda: ec2_instances.instances(["i-1"]),
        lambda: ec2_instances.instances_with_tag("a", "b"),
        lambda: ec2_volumes.volumes(["vol-1"]),
        lambda: ec2_volumes.volumes_of_restore("restore-1"),
        ec2_volumes.all_volume_ids,
        lambda: ec2_snapshots.snapshots(["snap-1"]),
        ec2_snapshots.recovery_point_snapshots,
        lambda: ec2_snapshots.recovery_point_snapshots_of("stack", {}),
        lambda: ec2_snapshots.instances_saved_by("stack", slot_tag="x"),
        lambda: ec2_snapshots.snapshots_of_volume("vol-1"),
        lambda: ec2_snapshots.snapshots_with_tag("a", "b"),
        lambda: ec2_snapshots.copies_of(["snap-1"], "eu-central-1"),
        lambda: ec2_snapshots.pending_copies_in("eu-central-1"),
        ec2_snapshots.locked_snapshot_ids,
        lambda: ec2_snapshots.ever_locked(["snap-1"]),
        lambda: ec2_snapshots.locked_among(["snap-1"]),
        lambda: sharing.shared_with("111122223333", "stack", ["snap-1"]),
        lambda: topic.unconfirmed("arn:aws:sns:eu-west-1:111122223333:topic"),
        lambda: queue.waiting("https://sqs.eu-west-1.amazonaws.com/111122223333/queue"),
        ec2_images.image_snapshot_ids,
        ec2_snapshots.public_snapshot_ids,
        lambda: ec2_images.launch_images(["i-1"]),
        lambda: ec2_instances.status_checks("i-1"),
        lambda: ec2_instances.stop_protected("i-1"),
        ec2_volumes.encryption_by_default,
    ],
)
def test_a_refused_read_reports_awss_own_words(aws, monkeypatch, read):
    def refuse(self: Any, operation: str, _: Any) -> Any:
        said: Any = {
            "Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        raise ClientError(said, operation)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    with pytest.raises(AwsError, match="UnauthorizedOperation: You are not authorized") as refusal:
        read()
    assert refusal.value.answered
