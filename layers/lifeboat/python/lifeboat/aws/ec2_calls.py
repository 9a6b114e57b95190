"""The calls of a restore, performed or only dry-run."""

from __future__ import annotations

from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import tag_list
from lifeboat.aws.ec2_snapshots import copy_arguments
from lifeboat.aws.errors import AwsError, translated
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    Change,
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
from lifeboat.domain.error_codes import BAD_VALUES, NOT_ALLOWED, NOT_SUBSCRIBED


def perform(change: Change) -> str:
    """Perform one call of a restore. Returns the id of a copy that has begun, else an empty text.

    The next run observes the outcome. Raises AwsError.
    """
    with translated():
        return _perform(change)


def rehearse(change: Change) -> str:
    """Dry-run one call of a restore. Returns AWS's refusal, or an empty text.

    A refusal counts if the function lacks a permission or the account a Marketplace subscription. EC2 checks the values
    of CreateVolume and CopySnapshot before DryRun, so a refused value counts too, unless the restore would repeat the
    call without a time limit or a rate. Other refusals, of a state or by throttling, may be over by the real call.
    """
    try:
        with translated():
            _perform(change, dry_run=True)
    except AwsError as answer:
        counts = NOT_ALLOWED | {NOT_SUBSCRIBED} | (BAD_VALUES if _is_final(change) else frozenset())
        return str(answer) if answer.code in counts else ""
    return ""


def _is_final(change: Change) -> bool:
    match change:
        case CopySnapshot():
            return not change.completion_minutes
        case CreateVolume():
            return change.initialization_rate is None
    return False


def _perform(change: Change, *, dry_run: bool = False) -> str:  # noqa: C901 - one case for each call
    client = clients.ec2_writes()
    more: Any = {"DryRun": True} if dry_run else {}
    match change:
        case CopySnapshot():
            return client.copy_snapshot(**copy_arguments(change), **more)["SnapshotId"]
        case CreateVolume():
            client.create_volume(**_volume_arguments(change), **more)
        case StopInstance(instance_id):
            client.stop_instances(InstanceIds=[instance_id], **more)
        case StartInstance(instance_id):
            client.start_instances(InstanceIds=[instance_id], **more)
        case DetachVolume(volume_id, instance_id, device):
            # EC2 does not need the instance, but only then checks the permission against the instance's tags.
            client.detach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device, **more)
        case AttachVolume(volume_id, instance_id, device):
            client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device, **more)
        case SetDeleteOnTermination(instance_id, device, flag):
            client.modify_instance_attribute(
                InstanceId=instance_id,
                BlockDeviceMappings=[{"DeviceName": device, "Ebs": {"DeleteOnTermination": flag}}],
                **more,
            )
        case TagDisplaced(volume_id, tags):
            client.create_tags(Resources=[volume_id], Tags=tag_list(tags), **more)
        case UntagDisplaced(volume_id, keys):
            client.delete_tags(Resources=[volume_id], Tags=[{"Key": key} for key in keys], **more)
        case DeleteVolume(volume_id):
            client.delete_volume(VolumeId=volume_id, **more)
    return ""


def _volume_arguments(change: CreateVolume) -> Any:
    """All arguments are explicit, because the API's defaults are gp2 and the account's key."""
    arguments = {
        "ClientToken": change.client_token,
        "SnapshotId": change.snapshot_id,
        "AvailabilityZone": change.zone,
        "VolumeType": change.type,
        "Size": change.size,
        "Encrypted": True if change.encrypted else None,
        "Iops": change.iops,
        "Throughput": change.throughput,
        "KmsKeyId": change.kms_key_id,
        "VolumeInitializationRate": change.initialization_rate,
        "TagSpecifications": [{"ResourceType": "volume", "Tags": tag_list(change.tags)}],
    }
    return {name: value for name, value in arguments.items() if value is not None}
