"""EC2: what instances, volumes, snapshots and images look like now (EYES), and the calls that change them (HANDS)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from sys import intern
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, code_of, message_of, translated
from lifeboat.model import (
    Attachment,
    AttachVolume,
    Change,
    CopyDestination,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    ImageAncestor,
    ImageEvidence,
    Instance,
    SetDeleteOnTermination,
    Snapshot,
    StartInstance,
    StopInstance,
    Tag,
    TagDisplaced,
    Tags,
    UntagDisplaced,
    Volume,
)
from lifeboat.rules.catalogue import COPIED_VOLUME, is_copy, is_stranger, made_by_others
from lifeboat.rules.error_codes import BAD_VALUES, NOT_ALLOWED, NOT_SUBSCRIBED
from lifeboat.rules.locks import Lock

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, SnapshotTypeDef, TagTypeDef

PAGE = 1000
"""The most that DescribeInstances, DescribeVolumes and DescribeSnapshots give in one answer."""

FILTER_VALUES = 190
"""How many filter values one call has at most, those of all its filters together.

EC2 refuses a call with more than 200 as a whole: `FilterLimitExceeded`, "The maximum number of filter values specified
on a single call is 200". Every question here that may have many values is asked in as many calls as that needs.
"""

IDS = 180
"""How many ids a caller asks about at once, so that one call is enough with the few values that narrow it."""


# --- EYES


def instances_with_tag(key: str, value: str) -> tuple[Instance, ...]:
    """All instances carrying the tag with exactly this value, terminated ones too.

    `\\`, `*` and `?` have a meaning in EC2's filters, so they are escaped.
    """
    return tuple(each_instance_with_tag(key, value))


def each_instance_with_tag(key: str, value: str) -> Iterator[Instance]:
    """The same one after the other, as their pages come: who keeps only a part of each has room for any number."""
    return _instances([{"Name": f"tag:{literal(key)}", "Values": [literal(value)]}])


def instances(ids: Iterable[str]) -> dict[str, Instance]:
    """The instances of these ids that exist. A filter is used: naming an unknown id would fail the whole call.

    Raises AwsError, as every look here does that EC2 refuses.
    """
    return {instance.id: instance for instance in _instances(_named("instance-id", ids))}


def volumes(ids: Iterable[str]) -> dict[str, Volume]:
    """The volumes of these ids that exist."""
    return _volumes(_named("volume-id", ids))


def volumes_of_restore(restore_id: str) -> dict[str, Volume]:
    """The volumes that a restore made, by its tag on them."""
    return _volumes([{"Name": f"tag:{Tag.RESTORE}", "Values": [restore_id]}])


def all_volume_ids() -> frozenset[str]:
    """Every volume's id and every chain that a volume carries on: what of our chains still lives."""
    living: set[str] = set()
    with translated():
        for page in clients.ec2_reads().get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": PAGE}):
            for item in page["Volumes"]:
                living.add(item["VolumeId"])
                living.update(tag["Value"] for tag in item.get("Tags", []) if tag["Key"] == Tag.CHAIN)
    return frozenset(living)


class TooMany(Exception):  # noqa: N818 - no error: they are to be asked for in parts
    """There are more than may be held at once."""


def recovery_point_snapshots(
    filters: Mapping[str, Sequence[str]] | None = None, *, most: int | None = None
) -> tuple[Snapshot, ...]:
    """Our own snapshots that belong to a recovery point; `filters` narrow by EC2's filter names.

    Raises TooMany as soon as there are more than `most`.

    Always with OwnerIds=self: without it the call lists every public snapshot
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html).
    """
    wanted: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [Tag.RECOVERY_POINT]}]
    wanted += [{"Name": name, "Values": list(values)} for name, values in (filters or {}).items()]
    return _own_snapshots(wanted, most=most)


def recovery_point_snapshots_of(
    stack: str, filters: Mapping[str, Sequence[str]], *, most: int | None = None
) -> tuple[Snapshot, ...]:
    """Those that carry this stack's name. Two stacks may save one instance: each counts on its own snapshots alone.

    Raises TooMany as soon as there are more than `most`.
    """
    return recovery_point_snapshots({f"tag:{Tag.STACK}": [literal(stack)], **filters}, most=most)


def recovery_point_snapshots_tagged(tags: Mapping[str, Sequence[str]], *, most: int) -> tuple[Snapshot, ...]:
    """Those that carry each of these tags with one of its values, exactly.

    Raises TooMany as soon as there are more than `most`.
    """
    return recovery_point_snapshots(_tag_filters(tags), most=most)


def recovery_point_snapshots_elsewhere(
    region: str, stack: str, tags: Mapping[str, Sequence[str]], *, most: int, ids: Sequence[str] = ()
) -> tuple[Snapshot, ...]:
    """Those in another region that carry this stack's name, and each of these tags with one of its values, exactly.

    With `ids` only those that are among them. A region that does not answer costs seconds, not minutes.

    Raises AwsError, and TooMany as soon as there are more than `most`.
    """
    filters: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [Tag.RECOVERY_POINT]}]
    filters += [{"Name": name, "Values": values} for name, values in _tag_filters({Tag.STACK: [stack], **tags}).items()]
    filters += _named("snapshot-id", ids)
    return _at_most(most, _pages(clients.ec2_glances(region), filters))


def _tag_filters(tags: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {f"tag:{literal(key)}": [literal(value) for value in values] for key, values in tags.items()}


def copies_of(snapshot_ids: Sequence[str], region: str) -> dict[str, Snapshot]:
    """The copies here of these, which are of another region, that Lifeboat made. Raises AwsError."""
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{Tag.COPY_OF}", "Values": list(snapshot_ids)},
        {"Name": f"tag:{Tag.COPIED_FROM}", "Values": [region]},
    ]
    return {copy.id: copy for copy in _ours(_own_snapshots(filters))}


def _ours(copies: Iterable[Snapshot]) -> tuple[Snapshot, ...]:
    """Those that Lifeboat made: others' copies of them carry the same tags."""
    return tuple(copy for copy in copies if not made_by_others(copy))


def instances_saved_by(stack: str, *, slot_tag: str) -> frozenset[str]:
    """The instances that this stack has taken a snapshot of for a slot, in whatever state, by the snapshots' tags.

    A snapshot of a volume that its tags do not tell of saves nothing, and a copy is of what was saved elsewhere.
    """
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{Tag.STACK}", "Values": [literal(stack)]},
        {"Name": f"tag:{Tag.SLOT}", "Values": [slot_tag]},
    ]
    found = ((item, _tags(item.get("Tags"))) for page in _own_snapshot_pages(filters) for item in page)
    return frozenset(
        tags[Tag.INSTANCE]
        for item, tags in found
        if Tag.INSTANCE in tags and Tag.RECOVERY_POINT in tags
        for volume_id in (item.get("VolumeId", ""),)
        if not (is_stranger(volume_id, tags) or is_copy(volume_id, tags))
    )


def snapshots_of_volume(volume_id: str) -> tuple[Snapshot, ...]:
    """Our own snapshots that EC2 says are of this volume, whoever made them."""
    return _own_snapshots([{"Name": "volume-id", "Values": [volume_id]}])


def snapshots_with_tag(key: str, value: str) -> tuple[Snapshot, ...]:
    """Our own snapshots that carry the tag with exactly this value."""
    return _own_snapshots([{"Name": f"tag:{literal(key)}", "Values": [literal(value)]}])


def copies_in(region: str, of: Mapping[str, str | Sequence[str]], *, ids: Sequence[str] = ()) -> tuple[Snapshot, ...]:
    """Lifeboat's copies in another region that carry all of these tags with exactly one of these values.

    With `ids` only those that are among them; one that is not there is no error. Raises AwsError.
    """
    tags = {key: [values] if isinstance(values, str) else values for key, values in of.items()}
    filters: list[FilterTypeDef] = [{"Name": name, "Values": values} for name, values in _tag_filters(tags).items()]
    filters += _named("snapshot-id", ids)
    return _ours(_own_snapshots(filters, region))


def copies_of_instances_in(region: str, of: Tags, *, ending: str) -> tuple[Snapshot, ...]:
    """Of those that carry all of these tags, the ones of the instances whose ids end so. Raises AwsError."""
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{literal(key)}", "Values": [literal(value)]} for key, value in of.items()
    ]
    return _ours(_own_snapshots([*filters, _of_instances(ending)], region))


def _of_instances(ending: str) -> FilterTypeDef:
    return {"Name": f"tag:{Tag.INSTANCE}", "Values": [f"*{ending}"]}


def pending_copies_in(region: str) -> frozenset[str]:
    """All of this account's snapshot copies that a region is making, ours and others': they share EC2's limit.

    A copy is known by the volume id that every copy has, a time-based one, too: EC2 shows a transfer type on snapshots
    of volumes as well. Snapshots by the EBS direct APIs have that id and are counted. Raises AwsError.
    """
    pages = _own_snapshot_pages([{"Name": "status", "Values": ["pending"]}], region)
    return frozenset(item["SnapshotId"] for page in pages for item in page if item.get("VolumeId") == COPIED_VOLUME)


def _own_snapshots(
    filters: Sequence[FilterTypeDef], region: str | None = None, *, most: int | None = None
) -> tuple[Snapshot, ...]:
    return _at_most(most, _own_snapshot_pages(filters, region))


def _at_most(most: int | None, pages: Iterable[Sequence[SnapshotTypeDef]]) -> tuple[Snapshot, ...]:
    found: list[Snapshot] = []
    for page in pages:
        found += map(snapshot_of, page)
        if most is not None and len(found) > most:
            raise TooMany
    return tuple(found)


def _own_snapshot_pages(
    filters: Sequence[FilterTypeDef], region: str | None = None
) -> Iterator[Sequence[SnapshotTypeDef]]:
    return _pages(clients.ec2_reads(region), filters)


def _pages(
    client: EC2Client, filters: Sequence[FilterTypeDef], owners: Sequence[str] = ("self",)
) -> Iterator[Sequence[SnapshotTypeDef]]:
    asked: Any = {"OwnerIds": list(owners)} if owners else {}
    seen: set[str] = set()
    calls = list(within_limit(filters))
    with translated():
        paginator = client.get_paginator("describe_snapshots")
        for call in calls:
            for page in paginator.paginate(**asked, Filters=call, PaginationConfig={"PageSize": PAGE}):
                found = page["Snapshots"]
                if len(calls) > 1:  # one that matches two values may be in the answers of two calls
                    found = [item for item in found if item["SnapshotId"] not in seen]
                    seen.update(item["SnapshotId"] for item in found)
                yield found


def _named(name: str, ids: Iterable[str]) -> list[FilterTypeDef]:
    """The filter for these, in an order that does not change; no filter for none."""
    values = sorted(set(ids))
    return [{"Name": name, "Values": values}] if values else []


def within_limit(filters: Sequence[FilterTypeDef]) -> Iterator[list[FilterTypeDef]]:
    """The same question in as many calls as EC2's limit of filter values needs: the values of the longest filter are
    shared out among them."""
    numbers = [len(item["Values"]) for item in filters]
    if sum(numbers) <= FILTER_VALUES:
        yield list(filters)
        return
    longest = numbers.index(max(numbers))
    others = sum(numbers) - numbers[longest]
    room = FILTER_VALUES - others if others <= FILTER_VALUES // 2 else numbers[longest] // 2
    for some in batched(filters[longest]["Values"], room, strict=False):
        part: FilterTypeDef = {"Name": filters[longest]["Name"], "Values": list(some)}
        yield from within_limit([*filters[:longest], part, *filters[longest + 1 :]])


def snapshots(ids: Iterable[str]) -> dict[str, Snapshot]:
    """The snapshots of these ids that exist and that this account may see, whoever owns them."""
    return _snapshots_named(ids, owners=())


def own_snapshots(ids: Iterable[str]) -> dict[str, Snapshot]:
    """Those of these ids that exist and that are this account's own."""
    return _snapshots_named(ids, owners=("self",))


def _snapshots_named(ids: Iterable[str], owners: Sequence[str]) -> dict[str, Snapshot]:
    named = _named("snapshot-id", ids)
    pages = _pages(clients.ec2_reads(), named, owners) if named else ()
    return {item["SnapshotId"]: snapshot_of(item) for page in pages for item in page}


def locked_snapshot_ids() -> frozenset[str]:
    """Snapshots that nobody can delete now: a lock is on them and has not expired."""
    return frozenset(item["SnapshotId"] for item in _locked(MaxResults=PAGE) if item.get("LockState") != "expired")


def ever_locked(ids: Sequence[str]) -> frozenset[str]:
    """Which of these own snapshots carry a lock or carried one: EC2 lists an expired lock, too. Raises AwsError."""
    some = batched(sorted(set(ids)), IDS, strict=False)
    return frozenset(item["SnapshotId"] for few in some for item in _locked(SnapshotIds=list(few)))


def _locked(**asked: Any) -> Iterator[Any]:
    """The snapshots that carry a lock or carried one, page after page."""
    token: str | None = None
    while True:
        more: dict[str, Any] = {"NextToken": token} if token else {}
        with translated():
            answer = clients.ec2_reads().describe_locked_snapshots(**asked, **more)
        yield from answer["Snapshots"]
        token = answer.get("NextToken")
        if not token:
            return


def image_snapshot_ids() -> frozenset[str]:
    """Snapshots that an own image is made of; EC2 refuses to delete them, disabled and deprecated images included."""
    pages = (
        clients.ec2_reads()
        .get_paginator("describe_images")
        .paginate(Owners=["self"], IncludeDeprecated=True, IncludeDisabled=True, PaginationConfig={"PageSize": PAGE})
    )
    with translated():
        return frozenset(
            mapping["Ebs"]["SnapshotId"]
            for page in pages
            for image in page["Images"]
            for mapping in image.get("BlockDeviceMappings", [])
            if mapping.get("Ebs", {}).get("SnapshotId")
        )


def public_snapshot_ids() -> frozenset[str]:
    """Own snapshots that everybody may make volumes of.

    Those shared with single accounts are not to be listed in one call: only an attribute call for each would tell
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html, `RestorableByUserIds`).
    """
    pages = (
        clients.ec2_reads()
        .get_paginator("describe_snapshots")
        .paginate(OwnerIds=["self"], RestorableByUserIds=["all"], PaginationConfig={"PageSize": PAGE})
    )
    with translated():
        return frozenset(item["SnapshotId"] for page in pages for item in page["Snapshots"])


def image_owners(instance_ids: Sequence[str]) -> dict[str, str]:
    """The AMI owner's account id for each instance, where EC2 knows it: also of deregistered and private images.

    Raises AwsError.
    """
    with translated():
        return {instance_id: item.get("OwnerId", "") for instance_id, item in _image_metadata(instance_ids).items()}


def image_evidence(instance: Instance) -> ImageEvidence:
    """Everything that EC2 tells of the image an instance was launched from. What cannot be looked up is a problem in
    the evidence, never an exception: the verdict on it is `unknown`."""
    problems: list[str] = []
    metadata: Mapping[str, Any] = {}
    images: Sequence[Mapping[str, Any]] = ()
    ancestors: tuple[ImageAncestor, ...] = ()
    ancestry_known = False
    try:
        metadata = _image_metadata([instance.id]).get(instance.id, {})
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"DescribeInstanceImageMetadata: {code_of(problem)}: {message_of(problem)}")
    image_id = metadata.get("ImageId") or instance.ami_id
    try:
        images = _images([image_id])
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"DescribeImages: {code_of(problem)}: {message_of(problem)}")
    try:
        entries = clients.ec2_reads().get_image_ancestry(ImageId=image_id)["ImageAncestryEntries"]
        ancestors = tuple(ImageAncestor(item["ImageId"], owner_alias=item.get("ImageOwnerAlias")) for item in entries)
        ancestry_known = bool(entries)
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"GetImageAncestry: {code_of(problem)}: {message_of(problem)}")
    ancestors = _with_owners(ancestors, problems)
    image: Mapping[str, Any] = images[0] if images else {}
    codes = [*instance.product_codes, *(item["ProductCodeId"] for item in image.get("ProductCodes", []))]
    return ImageEvidence(
        image_id=image_id,
        owner_id=metadata.get("OwnerId") or image.get("OwnerId"),
        owner_alias=metadata.get("ImageOwnerAlias") or image.get("ImageOwnerAlias"),
        name=metadata.get("Name") or image.get("Name"),
        state=metadata.get("State") or image.get("State"),
        public=metadata.get("IsPublic", image.get("Public")),
        source_instance_id=image.get("SourceInstanceId"),
        source_image_id=image.get("SourceImageId"),
        ancestors=ancestors,
        ancestry_known=ancestry_known,
        product_codes=tuple(dict.fromkeys(codes)),
        watermarks=tuple(_watermark(mark) for mark in metadata.get("ImageWatermarks") or []),
        problems=tuple(problems),
    )


def _with_owners(ancestors: tuple[ImageAncestor, ...], problems: list[str]) -> tuple[ImageAncestor, ...]:
    # GetImageAncestry gives aliases, no owner ids; an ancestor that is still visible here tells its owner itself.
    if len(ancestors) < 2:
        return ancestors
    try:
        images = _images([item.image_id for item in ancestors])
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"DescribeImages of the ancestors: {code_of(problem)}: {message_of(problem)}")
        return ancestors
    owners = {image["ImageId"]: image.get("OwnerId") for image in images}
    return tuple(ImageAncestor(item.image_id, owners.get(item.image_id), item.owner_alias) for item in ancestors)


def _images(ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """The images of these ids that this account may see, whoever owns them. Raises botocore's exceptions."""
    paginator = clients.ec2_reads().get_paginator("describe_images")
    asked: Any = {"IncludeDeprecated": True, "IncludeDisabled": True}
    calls = within_limit(_named("image-id", ids))
    return [image for call in calls for page in paginator.paginate(Filters=call, **asked) for image in page["Images"]]


def _watermark(mark: Mapping[str, Any] | str) -> str:
    if isinstance(mark, str):
        return mark
    return f"{mark.get('AccountId', '')}:{mark.get('Name', '')}"


def _image_metadata(instance_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    named = _named("instance-id", instance_ids)
    for call in within_limit(named) if named else ():
        token: str | None = None
        while True:
            more: dict[str, Any] = {"NextToken": token} if token else {}
            answer = clients.ec2_reads().describe_instance_image_metadata(Filters=call, MaxResults=PAGE, **more)
            for item in answer["InstanceImageMetadata"]:
                found[item["InstanceId"]] = item.get("ImageMetadata", {})
            token = answer.get("NextToken")
            if not token:
                break
    return found


def status_checks(instance_id: str) -> str:
    """The instance's and the system's status checks, and that of its volumes where EC2 tells of one, as one word: ok,
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
    """How many GB of disks of the host come with an instance type; None if EC2 does not tell."""
    asked: Any = {"InstanceTypes": [instance_type]}
    try:
        pages = clients.ec2_reads().get_paginator("describe_instance_types").paginate(**asked)
        [found] = [item for page in pages for item in page["InstanceTypes"]]
    except (ClientError, BotoCoreError, ValueError):
        return None
    return found.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)


def product_codes(instance: Instance) -> dict[str, tuple[str, ...]]:
    """The Marketplace's product codes of each attached volume that has any.

    An instance has those of all its volumes (AttachVolume, EC2 API reference), so without any nothing is asked.
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


def encryption_by_default() -> bool:
    """Whether this account encrypts every new volume in this region, whatever a request says."""
    with translated():
        return clients.ec2_reads().get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def literal(text: str) -> str:
    """The text itself, in a filter of EC2: `\\`, `*` and `?` have a meaning there."""
    for special in ("\\", "*", "?"):
        text = text.replace(special, "\\" + special)
    return text


def _instances(filters: Sequence[FilterTypeDef]) -> Iterator[Instance]:
    paginator = clients.ec2_reads().get_paginator("describe_instances")
    for call in within_limit(filters) if filters else ():
        with translated():
            for page in paginator.paginate(Filters=call, PaginationConfig={"PageSize": PAGE}):
                for reservation in page["Reservations"]:
                    for item in reservation["Instances"]:
                        yield _instance(item)


def _volumes(filters: Sequence[FilterTypeDef]) -> dict[str, Volume]:
    found: dict[str, Volume] = {}
    paginator = clients.ec2_reads().get_paginator("describe_volumes")
    for call in within_limit(filters) if filters else ():
        with translated():
            for page in paginator.paginate(Filters=call, PaginationConfig={"PageSize": PAGE}):
                found.update({item["VolumeId"]: _volume(item) for item in page["Volumes"]})
    return found


def _tags(items: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    return {intern(item["Key"]): intern(item["Value"]) for item in items or ()}


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
        tags=_tags(item.get("Tags")),
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
    """An address belongs to Amazon until it is released; an Elastic IP address to an account
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceAssociation.html)."""
    associations = [
        place.get("Association", {})
        for interface in item.get("NetworkInterfaces", [])
        for place in (interface, *interface.get("PrivateIpAddresses", []))
    ]
    given = [found["PublicIp"] for found in associations if found.get("IpOwnerId") == "amazon" and "PublicIp" in found]
    return tuple(dict.fromkeys(given))


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
        tags=_tags(item.get("Tags")),
    )


def snapshot_of(item: Mapping[str, Any]) -> Snapshot:
    """A snapshot as DescribeSnapshots shows it."""
    return Snapshot(
        id=item["SnapshotId"],
        volume_id=item.get("VolumeId", ""),
        state=item["State"],
        started_at=item["StartTime"],
        size=item.get("VolumeSize", 0),
        owner_id=item.get("OwnerId", ""),
        encrypted=bool(item.get("Encrypted", False)),
        kms_key_id=item.get("KmsKeyId"),
        completed_at=item.get("CompletionTime"),
        tier=item.get("StorageTier", "standard"),
        state_message=item.get("StateMessage", ""),
        full_size_bytes=item.get("FullSnapshotSizeInBytes"),
        description=item.get("Description", ""),
        owner_alias=item.get("OwnerAlias", ""),
        tags=_tags(item.get("Tags")),
    )


# --- HANDS


def create_snapshots(instance_id: str, description: str, tags: Tags) -> dict[str, str]:
    """One crash-consistent set of snapshots of all data volumes; the snapshot's id for each volume's id.

    The call has no idempotency token and is never repeated here: look for the recovery point's tag before calling
    again. Raises AwsError.
    """
    with translated():
        answer = clients.ec2_writes().create_snapshots(
            InstanceSpecification={"InstanceId": instance_id, "ExcludeBootVolume": True},
            Description=description,
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": _tag_list(tags)}],
        )
    return {item["VolumeId"]: item["SnapshotId"] for item in answer["Snapshots"]}


def copy_snapshot(
    snapshot_id: str, *, from_region: str, to: CopyDestination, description: str, tags: Tags, within: int = 0
) -> str:
    """Begin a copy in another region; its id. CopySnapshot takes no tags along, so all of them are told.

    `within` is how many minutes a time-based copy takes at most; 0 is a copy that takes as long as it takes.

    The call has no idempotency token and is never repeated here: look for the copy's tags before calling again. A key
    that may not be used is not refused: the copy ends in error later. Raises AwsError.
    """
    change = CopySnapshot(from_region, snapshot_id, description, tags, to.kms_key_id, within)
    with translated():
        return clients.ec2_writes(to.region).copy_snapshot(**_copy_arguments(change))["SnapshotId"]


def delete_snapshot(snapshot_id: str) -> None:
    """Delete one snapshot. Raises AwsError; deleting one that is gone says `InvalidSnapshot.NotFound`."""
    with translated():
        clients.ec2_writes().delete_snapshot(SnapshotId=snapshot_id)


def lock_snapshot(snapshot_id: str, lock: Lock) -> None:
    """Lock one snapshot, for whole days from now on. Raises AwsError."""
    cool_off: Any = {"CoolOffPeriod": lock.cool_off_hours} if lock.cool_off_hours else {}
    mode: Any = lock.mode
    with translated():
        clients.ec2_writes().lock_snapshot(SnapshotId=snapshot_id, LockMode=mode, LockDuration=lock.days, **cool_off)


def tag_snapshot(snapshot_id: str, tags: Tags) -> None:
    """Write all these tags on one snapshot, or none. Raises AwsError."""
    with translated():
        clients.ec2_writes().create_tags(Resources=[snapshot_id], Tags=_tag_list(tags))


def _tag_list(tags: Tags) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def perform(change: Change) -> str:
    """Carry out one step of a restore: the id of a copy that has begun, else nothing.

    Raises AwsError; what came of it is seen at the next look.
    """
    with translated():
        return _perform(change)


def rehearse(change: Change) -> str:
    """Ask EC2, with DryRun, whether one step of a restore would be allowed: AWS's refusal, or nothing.

    A refusal of the right counts, and of a Marketplace product that the account is not subscribed to; of CreateVolume
    and CopySnapshot one of a value, too: EC2 checks the values of these two before DryRun. Not where the restore asks
    once more without a time or a rate. Whatever else is said, of a state or of too many calls, may differ by then.
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
            return client.copy_snapshot(**_copy_arguments(change), **more)["SnapshotId"]
        case CreateVolume():
            client.create_volume(**_volume_arguments(change), **more)
        case StopInstance(instance_id):
            client.stop_instances(InstanceIds=[instance_id], **more)
        case StartInstance(instance_id):
            client.start_instances(InstanceIds=[instance_id], **more)
        case DetachVolume(volume_id, instance_id, device):
            # The instance is named although EC2 does not need it: only then are its tags part of the permission.
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
            client.create_tags(Resources=[volume_id], Tags=_tag_list(tags), **more)
        case UntagDisplaced(volume_id, keys):
            client.delete_tags(Resources=[volume_id], Tags=[{"Key": key} for key in keys], **more)
        case DeleteVolume(volume_id):
            client.delete_volume(VolumeId=volume_id, **more)
    return ""


def _copy_arguments(change: CopySnapshot) -> Any:
    arguments = {
        "SourceRegion": change.region,
        "SourceSnapshotId": change.snapshot_id,
        "Description": change.description,
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": _tag_list(change.tags)}],
        "Encrypted": True if change.kms_key_id else None,
        "KmsKeyId": change.kms_key_id,
        "CompletionDurationMinutes": change.completion_minutes or None,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _volume_arguments(change: CreateVolume) -> Any:
    """All is said: the API's default type is gp2 and its default key the account's, whatever the snapshot had."""
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
        "TagSpecifications": [{"ResourceType": "volume", "Tags": _tag_list(change.tags)}],
    }
    return {name: value for name, value in arguments.items() if value is not None}
