"""Images: who owns them, what they come from, and what an instance was launched from even after they are gone."""

from typing import Any

from local.emulator.ec2 import instances, notices, outcomes, snapshots, tags
from local.emulator.ec2.actions import handles
from local.emulator.ec2.errors import Ec2Error, invalid_value
from local.emulator.ec2.model import LOCK, WORLD, Image, Instance, Request, Snapshot, check_id, now
from local.emulator.ec2.select import filtered, page
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

MOST_ANCESTORS = 50


def describe(image: Image, viewer: str) -> dict[str, Any]:
    """An image as an account sees it."""
    return {
        "ImageId": image.image_id,
        "ImageLocation": f"{image.owner}/{image.name}",
        "Name": image.name,
        "Description": image.description,
        "OwnerId": image.owner,
        "ImageOwnerAlias": image.alias,
        "Public": image.public,
        "State": image.state,
        "CreationDate": image.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "DeprecationTime": image.deprecation_time.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if image.deprecation_time
        else None,
        "Architecture": image.architecture,
        "ImageType": "machine",
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "EnaSupport": True,
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": image.mappings,
        "ProductCodes": [{"ProductCodeId": c, "ProductCodeType": "marketplace"} for c in image.product_codes],
        "SourceImageId": image.source_image_id,
        "SourceImageRegion": image.source_image_region,
        "SourceInstanceId": image.source_instance_id,
        "ImageWatermarks": image.watermarks,
        "Tags": tags.as_list(image.tags) if image.owner == viewer else [],
    }


FIELDS = {
    "architecture": lambda i: [i.architecture],
    "creation-date": lambda i: [i.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z")],
    "description": lambda i: [i.description],
    "image-id": lambda i: [i.image_id],
    "image-type": lambda _i: ["machine"],
    "is-public": lambda i: [i.public],
    "name": lambda i: [i.name],
    "owner-alias": lambda i: [i.alias],
    "owner-id": lambda i: [i.owner],
    "product-code": lambda i: i.product_codes,
    "root-device-name": lambda i: [i.root_device_name],
    "root-device-type": lambda _i: ["ebs"],
    "source-image-id": lambda i: [i.source_image_id],
    "source-image-region": lambda i: [i.source_image_region],
    "source-instance-id": lambda i: [i.source_instance_id],
    "state": lambda i: [i.state],
    "virtualization-type": lambda _i: ["hvm"],
}


@handles("DescribeImages")
def describe_images(request: Request) -> dict[str, Any]:
    """The images that the account may use. A deregistered one is not found, whoever asks."""
    account = request.account
    ids = request.get("ImageIds", [])
    seen = (
        [request.region.image(image_id, account) for image_id in ids] if ids else list(request.region.images.values())
    )
    owners = {account if owner == "self" else owner for owner in request.get("Owners", [])}
    executable = {account if user == "self" else user for user in request.get("ExecutableUsers", [])}
    shown = [
        image
        for image in seen
        if image.usable_by(account)
        and (not owners or image.owner in owners or image.alias in owners)
        and (not executable or image.users & executable or ("all" in executable and image.public))
        and (image.state != "disabled" or request.get("IncludeDisabled"))
        and (ids or image.owner == account or request.get("IncludeDeprecated") or not _deprecated(image))
    ]
    found, more = page(request, filtered(shown, request.get("Filters", []), FIELDS), least=1, exclusive_with="ImageIds")
    return {"Images": [describe(image, account) for image in found], **more}


def _deprecated(image: Image) -> bool:
    return bool(image.deprecation_time and image.deprecation_time <= now())


METADATA_FIELDS = {
    **instances.FIELDS,
    "zone-name": lambda i: [i.zone],
    "image-allowed": lambda i: [_launched_from(i).allowed],
    "owner-alias": lambda i: [_launched_from(i).alias],
}


def _launched_from(instance: Instance) -> Image:
    for region in WORLD.regions():
        if instance.instance_id in region.instances:
            return region.images[instance.image_id]
    raise Ec2Error("InternalError", f"{instance.instance_id} has no image", 500)


@handles("DescribeInstanceImageMetadata")
def describe_instance_image_metadata(request: Request) -> dict[str, Any]:
    """What the instances were launched from, also if it is private, deregistered or not allowed."""
    ids = request.get("InstanceIds", [])
    mine = (
        [request.region.instance(instance_id, request.account) for instance_id in ids]
        if ids
        else [i for i in request.region.instances.values() if i.owner == request.account and i.state != "terminated"]
    )
    found, more = page(request, filtered(mine, request.get("Filters", []), METADATA_FIELDS), least=1, default=1000)
    described = []
    for instance in found:
        image = request.region.images[instance.image_id]
        described.append(
            {
                "InstanceId": instance.instance_id,
                "InstanceType": instance.instance_type,
                "LaunchTime": instance.launch_time,
                "AvailabilityZone": instance.zone,
                "ZoneId": request.region.zone_id(instance.zone),
                "State": {"Code": instances.STATE_CODES[instance.state], "Name": instance.state},
                "OwnerId": instance.owner,
                "Tags": tags.as_list(instance.tags),
                "ImageMetadata": {
                    "ImageId": image.image_id,
                    "Name": image.name,
                    "OwnerId": image.owner,
                    "State": image.state,
                    "ImageOwnerAlias": image.alias,
                    "CreationDate": image.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                    "ImageAllowed": image.allowed,
                    "IsPublic": image.public,
                    "ImageWatermarks": image.watermarks,
                },
            }
        )
    return {"InstanceImageMetadata": described, **more}


@handles("GetImageAncestry")
def get_image_ancestry(request: Request) -> dict[str, Any]:
    """From the image to its root, as far as it is recorded: no further than a provider's public image."""
    image: Image | None = request.region.image(request.parameters["ImageId"], request.account)
    entries: list[dict[str, Any]] = []
    while image and len(entries) < MOST_ANCESTORS:
        recorded = image.ancestry_recorded and image.source_image_id is not None
        entries.append(
            {
                "ImageId": image.image_id,
                "CreationDate": image.creation_date,
                "ImageOwnerAlias": image.alias,
                "SourceImageId": image.source_image_id if recorded else None,
                "SourceImageRegion": image.source_image_region if recorded else None,
            }
        )
        if not recorded or (image.alias and image.public):
            break
        source = WORLD.region(image.source_image_region or request.region.name)
        image = source.images.get(image.source_image_id or "")
    return {"ImageAncestryEntries": entries}


# --- making and ending


def _name_is_free(request: Request, name: str) -> str:
    taken = (image.name == name and image.owner == request.account for image in request.region.images.values())
    live = [image for image in request.region.images.values() if image.state != "deregistered"]
    if any(taken) and any(image.name == name and image.owner == request.account for image in live):
        raise Ec2Error("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI")
    return name


@handles("CreateImage")
def create_image(request: Request) -> dict[str, Any]:
    """An image of an instance; the caller owns it, whoever owned what the instance was launched from."""
    instance = request.region.instance(request.parameters["InstanceId"], request.account)
    tagged = tags.at_creation(request, "image", "snapshot")
    source = request.region.images[instance.image_id]
    image = Image(
        owner=request.account,
        tags=tagged["image"],
        name=_name_is_free(request, request.parameters["Name"]),
        description=request.get("Description", ""),
        state="pending",
        architecture=instance.architecture,
        root_device_name=instance.root_device_name,
        product_codes=list(instance.product_codes),
        watermarks=list(source.watermarks),
        source_instance_id=instance.instance_id,
        source_image_id=source.image_id,
        source_image_region=request.region.name,
    )
    at = now()
    for device, volume_id in sorted(instance.devices.items()):
        volume = request.region.volumes[volume_id]
        snapshot = Snapshot(
            owner=request.account,
            tags=dict(tagged["snapshot"]),
            volume_id=volume_id,
            size=volume.size,
            description=f"Created by CreateImage({instance.instance_id}) for {image.image_id}",
            encrypted=volume.encrypted,
            kms_key_id=volume.kms_key_id,
            start_time=at,
            seconds=SETTINGS.delays.image,
            blocks=dict(volume.blocks),
            lineage=volume.lineage,
        )
        request.region.snapshots[snapshot.snapshot_id] = snapshot
        image.mappings.append(
            {
                "DeviceName": device,
                "Ebs": {
                    "SnapshotId": snapshot.snapshot_id,
                    "VolumeSize": volume.size,
                    "VolumeType": volume.volume_type,
                    "Encrypted": volume.encrypted,
                    "DeleteOnTermination": bool(volume.attachment and volume.attachment.delete_on_termination),
                },
            }
        )
    _available_soon(request, image)
    return {"ImageId": image.image_id}


def _available_soon(request: Request, image: Image) -> None:
    request.region.images[image.image_id] = image
    outcome = outcomes.take("image", image.source_instance_id or "", image.source_image_id or "")

    def ready() -> None:
        with LOCK:
            ended = now()
            for snapshot_id in image.snapshot_ids:
                snapshot = request.region.snapshots.get(snapshot_id)
                if snapshot and snapshot.state == "pending":
                    snapshots.end(request.scope, snapshot, "completed", ended)
                    notices.snapshot_created(request.scope, snapshot, ended)
            image.state = "failed" if outcome else "available"
            notices.image_changed(request.scope, image.image_id, image.state, request.request_id)

    TIMERS.after(SETTINGS.delays.image, ready, f"image {image.image_id}")


@handles("CopyImage")
def copy_image(request: Request) -> dict[str, Any]:
    """A copy in the called region; who copies owns the copy."""
    source_region = WORLD.region(request.parameters["SourceRegion"])
    source = source_region.image(request.parameters["SourceImageId"], request.account)
    tagged = tags.at_creation(request, "image", "snapshot")
    copied_tags = source.tags if request.get("CopyImageTags") and source.owner == request.account else {}
    image = Image(
        owner=request.account,
        tags={**{k: v for k, v in copied_tags.items() if not k.startswith("aws:")}, **tagged["image"]},
        name=_name_is_free(request, request.parameters["Name"]),
        description=request.get("Description", ""),
        state="pending",
        architecture=source.architecture,
        root_device_name=source.root_device_name,
        product_codes=list(source.product_codes),
        watermarks=list(source.watermarks),
        source_image_id=source.image_id,
        source_image_region=source_region.name,
    )
    for mapping in source.mappings:
        ebs = dict(mapping.get("Ebs", {}))
        origin = source_region.snapshots.get(ebs.get("SnapshotId", ""))
        snapshot = Snapshot(
            owner=request.account,
            tags=dict(tagged["snapshot"]),
            volume_id=snapshots.COPIED_VOLUME,
            size=ebs.get("VolumeSize", 8),
            description=f"Copied for DestinationAmi {image.image_id} from SourceAmi {source.image_id}",
            encrypted=bool(ebs.get("Encrypted")),
            seconds=SETTINGS.delays.image,
            blocks=dict(origin.blocks) if origin else {},
        )
        request.region.snapshots[snapshot.snapshot_id] = snapshot
        image.mappings.append({**mapping, "Ebs": {**ebs, "SnapshotId": snapshot.snapshot_id}})
    _available_soon(request, image)
    return {"ImageId": image.image_id}


@handles("RegisterImage")
def register_image(request: Request) -> dict[str, Any]:
    """An image from snapshots; what it was made of is not recorded."""
    mappings = []
    for mapping in request.get("BlockDeviceMappings", []):
        ebs = dict(mapping.get("Ebs", {}))
        if ebs.get("SnapshotId"):
            snapshot = request.region.snapshot(ebs["SnapshotId"], request.account)
            if snapshot.owner != request.account:
                raise invalid_value(
                    f"Invalid value '{snapshot.snapshot_id}' for snapshotId. Snapshot does not belong to "
                    f"{request.account}"
                )
            ebs = {"VolumeSize": snapshot.size, "VolumeType": "gp2", "DeleteOnTermination": True} | ebs
            ebs["Encrypted"] = snapshot.encrypted
        mappings.append({**mapping, "Ebs": ebs})
    image = Image(
        owner=request.account,
        tags=tags.at_creation(request, "image", "snapshot")["image"],
        name=_name_is_free(request, request.parameters["Name"]),
        description=request.get("Description", ""),
        architecture=request.get("Architecture", "x86_64"),
        root_device_name=request.get("RootDeviceName", "/dev/xvda"),
        mappings=mappings,
        ancestry_recorded=False,
    )
    request.region.images[image.image_id] = image
    notices.image_changed(request.scope, image.image_id, "available", request.request_id)
    return {"ImageId": image.image_id}


@handles("DeregisterImage")
def deregister_image(request: Request) -> dict[str, Any]:
    """No longer to be launched; its snapshots stay."""
    known = request.region.images.get(check_id("ami", request.parameters["ImageId"]))
    if known and known.owner == request.account and known.state == "deregistered":
        raise Ec2Error("InvalidAMIID.Unavailable", f"The image ID '{known.image_id}' is no longer available")
    image = request.region.image(request.parameters["ImageId"], request.account, own=True)
    image.state = "deregistered"
    notices.image_changed(request.scope, image.image_id, "deregistered", request.request_id)
    return {"Return": True, "DeleteSnapshotResults": []}


@handles("DisableImage", "EnableImage")
def disable_image(request: Request) -> dict[str, Any]:
    """Hide an image, or show it again."""
    image = request.region.image(request.parameters["ImageId"], request.account, own=True)
    image.state = "disabled" if request.action == "DisableImage" else "available"
    notices.image_changed(request.scope, image.image_id, image.state, request.request_id)
    return {"Return": True}


@handles("ModifyImageAttribute")
def modify_image_attribute(request: Request) -> dict[str, Any]:
    """Share an image with accounts or with all, or stop doing so."""
    image = request.region.images.get(check_id("ami", request.parameters["ImageId"]))
    if image is None or image.owner != request.account:
        raise Ec2Error("InvalidAMIID.NotFound", f"The image id '[{request.parameters['ImageId']}]' does not exist")
    permission = dict(request.get("LaunchPermission", {}))
    for name, way in (("add", "Add"), ("remove", "Remove")):
        if request.get("OperationType") == name:
            given = [{"UserId": user} for user in request.get("UserIds", [])]
            given += [{"Group": group} for group in request.get("UserGroups", [])]
            permission[way] = [*permission.get(way, []), *given]
    if not permission:
        raise invalid_value("Only launchPermission is done here.")
    for entry in permission.get("Add", []):
        image.users |= {entry["UserId"]} if "UserId" in entry else set()
        image.public = image.public or entry.get("Group") == "all"
    for entry in permission.get("Remove", []):
        image.users.discard(entry.get("UserId", ""))
        image.public = image.public and entry.get("Group") != "all"
    return {}
