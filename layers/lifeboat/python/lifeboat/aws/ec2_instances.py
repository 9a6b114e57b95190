"""EC2 instances: reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import PAGE, id_filters, literal, tags_of, within_limit
from lifeboat.aws.errors import translated
from lifeboat.domain.ec2 import Attachment, Instance

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef


def instances_with_tag(key: str, value: str) -> tuple[Instance, ...]:
    """All instances that carry the tag with exactly this value, terminated ones included. Raises AwsError."""
    return tuple(each_instance_with_tag(key, value))


def each_instance_with_tag(key: str, value: str) -> Iterator[Instance]:
    """The same, page by page: a caller that keeps a part of each instance needs little memory. Raises AwsError."""
    return _instances([{"Name": f"tag:{literal(key)}", "Values": [literal(value)]}])


def each_instance() -> Iterator[Instance]:
    """Every instance of this region that has not ended, page by page. Raises AwsError."""
    return _instances([{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}])


def instances(ids: Iterable[str]) -> dict[str, Instance]:
    """The instances of these ids that exist. It uses a filter, because an unknown id would fail the whole call.

    Raises AwsError, as all functions here do when EC2 refuses.
    """
    return {instance.id: instance for instance in _instances(id_filters("instance-id", ids))}


def status_checks(instance_id: str) -> str:
    """The status checks of the instance, of the system, and of its volumes where EC2 has one, as one word: ok,
    initializing, impaired or unknown.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html
    """
    paginator = clients.ec2_reads().get_paginator("describe_instance_status")
    with translated():
        pages = paginator.paginate(InstanceIds=[instance_id], IncludeAllInstances=True)
        statuses = [item for page in pages for item in page["InstanceStatuses"]]
    if not statuses:
        return "unknown"
    found: Mapping[str, Any] = statuses[0]
    checks = {found.get(name, {}).get("Status", "unknown") for name in ("InstanceStatus", "SystemStatus")}
    volumes_check = found.get("AttachedEbsStatus", {}).get("Status", "not-applicable")
    if volumes_check != "not-applicable":
        checks.add(volumes_check)
    if checks == {"ok"}:
        return "ok"
    for status in ("impaired", "initializing"):
        if status in checks:
            return status
    return "unknown"


def stop_protected(instance_id: str) -> bool:
    """Whether the instance refuses StopInstances (DisableApiStop)."""
    with translated():
        answer = clients.ec2_reads().describe_instance_attribute(InstanceId=instance_id, Attribute="disableApiStop")
    return bool(answer.get("DisableApiStop", {}).get("Value", False))


def instance_store(instance_type: str) -> int | None:
    """The GB of instance store of an instance type; None if EC2 does not show it."""
    asked: Any = {"InstanceTypes": [instance_type]}
    try:
        pages = clients.ec2_reads().get_paginator("describe_instance_types").paginate(**asked)
        [found] = [item for page in pages for item in page["InstanceTypes"]]
    except (ClientError, BotoCoreError, ValueError):
        return None
    return found.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)


def product_codes(instance: Instance) -> dict[str, tuple[str, ...]]:
    """The Marketplace product codes of each attached volume that has any.

    An instance has the codes of all its volumes (AttachVolume, EC2 API reference), so without any no call is made.
    """
    if not instance.product_codes:
        return {}
    found = {}
    for volume_id in sorted({item.volume_id for item in instance.attachments}):
        with translated():
            answer = clients.ec2_reads().describe_volume_attribute(VolumeId=volume_id, Attribute="productCodes")
        codes = tuple(code["ProductCodeId"] for code in answer.get("ProductCodes", []))
        if codes:
            found[volume_id] = codes
    return found


def _instances(filters: Sequence[FilterTypeDef]) -> Iterator[Instance]:
    paginator = clients.ec2_reads().get_paginator("describe_instances")
    for call in within_limit(filters) if filters else ():
        with translated():
            for page in paginator.paginate(Filters=call, PaginationConfig={"PageSize": PAGE}):
                for reservation in page["Reservations"]:
                    for item in reservation["Instances"]:
                        yield _instance(item)


def _instance(item: Mapping[str, Any]) -> Instance:
    return Instance(
        id=item["InstanceId"],
        state=item["State"]["Name"],
        zone=item["Placement"]["AvailabilityZone"],
        ami_id=item["ImageId"],
        root_device=item.get("RootDeviceName") or None,
        attachments=tuple(
            Attachment(
                volume_id=mapping["Ebs"]["VolumeId"],
                instance_id=item["InstanceId"],
                device=mapping["DeviceName"],
                state=mapping["Ebs"].get("Status", "attached"),
                delete_on_termination=bool(mapping["Ebs"].get("DeleteOnTermination", False)),
                attached_at=mapping["Ebs"].get("AttachTime"),
            )
            for mapping in item.get("BlockDeviceMappings", [])
            if "Ebs" in mapping
        ),
        tags=tags_of(item.get("Tags")),
        lifecycle=item.get("InstanceLifecycle"),
        type=item.get("InstanceType", ""),
        product_codes=tuple(code["ProductCodeId"] for code in item.get("ProductCodes", [])),
        launched_at=item.get("LaunchTime"),
        root_type=item.get("RootDeviceType", "ebs"),
        state_reason=(item.get("StateReason") or {}).get("Code", ""),
        state_message=(item.get("StateReason") or {}).get("Message", ""),
        given_addresses=_given_addresses(item),
        outpost=item.get("OutpostArn", ""),
    )


def _given_addresses(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The public addresses that a stop releases. Their owner is `amazon`; that of an Elastic IP address is an account
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceAssociation.html).
    """
    associations = [
        place.get("Association", {})
        for interface in item.get("NetworkInterfaces", [])
        for place in (interface, *interface.get("PrivateIpAddresses", []))
    ]
    given = [found["PublicIp"] for found in associations if found.get("IpOwnerId") == "amazon" and "PublicIp" in found]
    return tuple(dict.fromkeys(given))
