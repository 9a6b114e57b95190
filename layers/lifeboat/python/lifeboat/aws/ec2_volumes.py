"""EBS volumes: reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import PAGE, id_filters, literal, tags_of, within_limit
from lifeboat.aws.errors import translated
from lifeboat.domain.ec2 import Attachment, Volume
from lifeboat.domain.tags import Tag

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef


def volumes(ids: Iterable[str]) -> dict[str, Volume]:
    """The volumes of these ids that exist."""
    return _volumes(id_filters("volume-id", ids))


def volumes_of_restore(restore_id: str) -> dict[str, Volume]:
    """The volumes that a restore made, by its tag on them."""
    return _volumes([{"Name": f"tag:{Tag.RESTORE}", "Values": [restore_id]}])


def restores_with_volumes(since: datetime) -> tuple[str, ...]:
    """The ids of the restores that made a volume after `since`, the newest first, by the tag on it. Raises AwsError."""
    newest: dict[str, datetime] = {}
    paginator = clients.ec2_reads().get_paginator("describe_volumes")
    made: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [Tag.RESTORE]}]
    with translated():
        for page in paginator.paginate(Filters=made, PaginationConfig={"PageSize": PAGE}):
            for item in page["Volumes"]:
                if item["CreateTime"] > since:
                    newest[tags_of(item.get("Tags"))[Tag.RESTORE]] = item["CreateTime"]
    return tuple(sorted(newest, key=lambda restore_id: newest[restore_id], reverse=True))


def volumes_of_drills(stack: str) -> dict[str, Volume]:
    """The volumes that this stack's restore drills made, by the tags on them. Raises AwsError."""
    return _volumes(
        [{"Name": "tag-key", "Values": [Tag.DRILL]}, {"Name": f"tag:{Tag.STACK}", "Values": [literal(stack)]}]
    )


def all_volume_ids() -> frozenset[str]:
    """Every volume's id, and every lineage in a volume's tags. Raises AwsError."""
    found: set[str] = set()
    with translated():
        for page in clients.ec2_reads().get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": PAGE}):
            for item in page["Volumes"]:
                found.add(item["VolumeId"])
                found.update(tag["Value"] for tag in item.get("Tags", []) if tag["Key"] == Tag.LINEAGE)
    return frozenset(found)


def encryption_by_default() -> bool:
    """Whether this account encrypts every new volume in this region, whatever the call asks for."""
    with translated():
        return clients.ec2_reads().get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def default_encryption_key() -> str:
    """The ARN of the key that encrypts new volumes here where a call names none; an alias, such as alias/aws/ebs, where
    none was chosen. Raises AwsError."""
    with translated():
        return clients.ec2_reads().get_ebs_default_kms_key_id()["KmsKeyId"]


def _volumes(filters: Sequence[FilterTypeDef]) -> dict[str, Volume]:
    found: dict[str, Volume] = {}
    paginator = clients.ec2_reads().get_paginator("describe_volumes")
    for call in within_limit(filters) if filters else ():
        with translated():
            for page in paginator.paginate(Filters=call, PaginationConfig={"PageSize": PAGE}):
                found.update({item["VolumeId"]: _volume(item) for item in page["Volumes"]})
    return found


def _volume(item: Mapping[str, Any]) -> Volume:
    return Volume(
        id=item["VolumeId"],
        state=item["State"],
        size=item["Size"],
        type=item["VolumeType"],
        zone=item["AvailabilityZone"],
        encrypted=bool(item.get("Encrypted", False)),
        iops=item.get("Iops"),
        throughput=item.get("Throughput"),
        kms_key_id=item.get("KmsKeyId"),
        snapshot_id=item.get("SnapshotId") or None,
        multi_attach=bool(item.get("MultiAttachEnabled", False)),
        attachments=tuple(
            Attachment(
                volume_id=item["VolumeId"],
                instance_id=attachment.get("InstanceId", ""),
                device=attachment.get("Device", ""),
                state=attachment.get("State", ""),
                delete_on_termination=bool(attachment.get("DeleteOnTermination", False)),
                attached_at=attachment.get("AttachTime"),
            )
            for attachment in item.get("Attachments", [])
        ),
        tags=tags_of(item.get("Tags")),
    )
