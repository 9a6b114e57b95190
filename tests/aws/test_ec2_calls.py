"""The calls of a restore: one call of EC2 each, performed or dry-run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lifeboat.aws import ec2_calls
from lifeboat.aws.errors import AwsError
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    SetDeleteOnTermination,
    StartInstance,
    StopInstance,
    TagDisplaced,
    UntagDisplaced,
)

WHEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)

VOLUME, MACHINE = "vol-0123456789abcdef0", "i-0123456789abcdef0"


@pytest.mark.parametrize(
    ("change", "call", "parameters"),
    [
        (StopInstance(MACHINE), "stop_instances", {"InstanceIds": [MACHINE]}),
        (StartInstance(MACHINE), "start_instances", {"InstanceIds": [MACHINE]}),
        (
            DetachVolume(VOLUME, MACHINE, "/dev/sdb"),
            "detach_volume",
            {"VolumeId": VOLUME, "InstanceId": MACHINE, "Device": "/dev/sdb"},
        ),
        (
            AttachVolume(VOLUME, MACHINE, "/dev/sdb"),
            "attach_volume",
            {"VolumeId": VOLUME, "InstanceId": MACHINE, "Device": "/dev/sdb"},
        ),
        (
            SetDeleteOnTermination(MACHINE, "/dev/sdb", delete_on_termination=False),
            "modify_instance_attribute",
            {
                "InstanceId": MACHINE,
                # omitted, the flag would be true
                "BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": False}}],
            },
        ),
        (
            TagDisplaced(VOLUME, {"lifeboat:displaced-by": "restore-1"}),
            "create_tags",
            {"Resources": [VOLUME], "Tags": [{"Key": "lifeboat:displaced-by", "Value": "restore-1"}]},
        ),
        (
            UntagDisplaced(VOLUME, ("lifeboat:displaced-by",)),
            "delete_tags",
            {"Resources": [VOLUME], "Tags": [{"Key": "lifeboat:displaced-by"}]},
        ),
        (DeleteVolume(VOLUME), "delete_volume", {"VolumeId": VOLUME}),
        (
            CreateVolume(
                client_token="token",
                snapshot_id="snap-1",
                zone="eu-west-1b",
                type="gp3",
                size=100,
                encrypted=True,
                tags={"lifeboat:chain": "vol-0origin"},
                iops=4000,
                throughput=200,
                kms_key_id="key",
            ),
            "create_volume",
            {
                "ClientToken": "token",
                "SnapshotId": "snap-1",
                "AvailabilityZone": "eu-west-1b",
                "VolumeType": "gp3",
                "Size": 100,
                "Encrypted": True,
                "Iops": 4000,
                "Throughput": 200,
                "KmsKeyId": "key",
                "TagSpecifications": [
                    {"ResourceType": "volume", "Tags": [{"Key": "lifeboat:chain", "Value": "vol-0origin"}]}
                ],
            },
        ),
        (
            CopySnapshot("us-east-1", "snap-1", "why", {"a": "b"}, "key", 30),
            "copy_snapshot",
            {
                "SourceRegion": "us-east-1",
                "SourceSnapshotId": "snap-1",
                "Description": "why",
                "Encrypted": True,
                "KmsKeyId": "key",
                "CompletionDurationMinutes": 30,
                "TagSpecifications": [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}],
            },
        ),
        (
            CopySnapshot("us-east-1", "snap-1", "why", {"a": "b"}),
            "copy_snapshot",
            {
                "SourceRegion": "us-east-1",
                "SourceSnapshotId": "snap-1",
                "Description": "why",
                "TagSpecifications": [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}],
            },
        ),
        (
            CreateVolume(
                client_token="token",
                snapshot_id="snap-1",
                zone="z",
                type="st1",
                size=500,
                encrypted=False,
                tags={"a": "b"},
            ),
            "create_volume",
            {
                "ClientToken": "token",
                "SnapshotId": "snap-1",
                "AvailabilityZone": "z",
                "VolumeType": "st1",
                "Size": 500,
                "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
            },
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | dict) else "",
)
def test_a_step_of_a_restore_is_one_call_with_all_arguments(ec2_writes, change, call, parameters):
    made = {"SnapshotId": "snap-2"} if call == "copy_snapshot" else {}
    ec2_writes.add_response(call, made, parameters)
    assert ec2_calls.perform(change) == made.get("SnapshotId", "")
    rehearsed = {**parameters, "DryRun": True}
    ec2_writes.add_client_error(call, "DryRunOperation", http_status_code=412, expected_params=rehearsed)
    assert not ec2_calls.rehearse(change)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("UnauthorizedOperation", "UnauthorizedOperation: no"),
        ("IncorrectInstanceState", ""),
        ("RequestLimitExceeded", ""),
        ("OptInRequired", "OptInRequired: no"),
    ],
)
def test_a_dry_run_reports_permissions_and_subscriptions_only(ec2_writes, code, said):
    ec2_writes.add_client_error("stop_instances", code, "no")
    assert ec2_calls.rehearse(StopInstance(MACHINE)) == said


def test_a_refused_step_reports_awss_own_words(ec2_writes):
    ec2_writes.add_client_error("stop_instances", "OperationNotPermitted", "stop protection", http_status_code=400)
    with pytest.raises(AwsError) as refusal:
        ec2_calls.perform(StopInstance(MACHINE))
    assert (refusal.value.code, refusal.value.answered) == ("OperationNotPermitted", True)
