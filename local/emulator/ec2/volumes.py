"""Volumes: created, attached, detached, modified, deleted, described."""

import json
import re
from dataclasses import dataclass
from typing import Any

from local.emulator.ec2 import keys, notices, outcomes, tags
from local.emulator.ec2.actions import handles
from local.emulator.ec2.errors import Ec2Error, invalid_value, missing, not_found
from local.emulator.ec2.model import LOCK, Attachment, Instance, Request, Volume, now
from local.emulator.ec2.select import filtered, page
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

DEVICE = re.compile(r"/dev/sda1|(?:/dev/)?(?:sd[a-z]|xvd[a-z]|xvd[a-d][a-z])")
"""What AWS lists for Linux and Windows on HVM
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html), and what EC2 is known to take beside it:
`/dev/xvdb` to `/dev/xvdd`, and names without their folder. `/dev/sdk1` and `/dev/nvme1n1` are known to be refused
(https://github.com/base2genomics/batchit/issues/15)."""


@dataclass(frozen=True)
class Limits:
    """What a volume type takes: GiB, IOPS and MiB/s, each as least and most; nothing where it cannot be set."""

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    throughput: tuple[int, int] | None = None
    default_iops: int | None = None
    default_throughput: int | None = None
    iops_required: bool = False
    iops_a_gib: int | None = None


GP3_LEAST_IOPS = 100
GP3_FREE = (3_000, 125)
MOST_MIB_AN_IOPS = 0.25
"""Throughput in MiB/s for each of a gp3 volume's IOPS."""
RATES = (100, 300)
"""Least and most VolumeInitializationRate, MiB/s."""
MOST_TOKEN = 64

LIMITS = {
    "gp2": Limits(size=(1, 16_384)),
    "gp3": Limits(
        (1, 65_536), (3_000, 80_000), (125, 2_000), default_iops=3_000, default_throughput=125, iops_a_gib=500
    ),
    "io1": Limits((4, 16_384), (100, 64_000), iops_required=True, iops_a_gib=50),
    "io2": Limits((4, 65_536), (100, 256_000), iops_required=True, iops_a_gib=1_000),
    "st1": Limits(size=(125, 16_384)),
    "sc1": Limits(size=(125, 16_384)),
    "standard": Limits(size=(1, 1_024)),
}


def same_device(one: str, other: str) -> bool:
    """Whether two names are one device: `/dev/sdb` and `/dev/xvdb` are
    (https://github.com/kubernetes-sigs/aws-ebs-csi-driver/pull/1674), `/dev/sda1` and `/dev/xvda` are two
    (https://github.com/hashicorp/packer-plugin-amazon/issues/443).
    """
    return _bare(one) == _bare(other)


def _bare(device: str) -> str:
    return re.sub("^xvd", "sd", device.removeprefix("/dev/"))


def describe(request: Request, volume: Volume) -> dict[str, Any]:
    """A volume, as DescribeVolumes shows it."""
    return {
        "VolumeId": volume.volume_id,
        "VolumeArn": notices.volume_arn(Scope(volume.owner, request.scope.region), volume.volume_id),
        "OwnerId": volume.owner,
        "Operator": {"Managed": False, "HiddenByDefault": False},
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id,
        "AvailabilityZone": volume.zone,
        "AvailabilityZoneId": request.region.zone_id(volume.zone),
        "State": volume.state,
        "CreateTime": volume.create_time,
        "VolumeType": volume.volume_type,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "Encrypted": volume.encrypted,
        "KmsKeyId": volume.kms_key_id,
        "MultiAttachEnabled": False,
        "Attachments": [describe_attachment(volume)] if volume.attachment else [],
        "Tags": tags.as_list(volume.tags),
    }


def _answered(request: Request, volume: Volume) -> dict[str, Any]:
    """As CreateVolume answers: less than DescribeVolumes shows, and in whole seconds."""
    left_out = {"VolumeArn", "OwnerId", "Operator", "Attachments"}
    shown = {name: value for name, value in describe(request, volume).items() if name not in left_out}
    return {**shown, "CreateTime": volume.create_time.replace(microsecond=0)}


def describe_attachment(volume: Volume) -> dict[str, Any]:
    """A volume's attachment."""
    attachment = volume.attachment
    if attachment is None:
        return {}
    return {
        "VolumeId": volume.volume_id,
        "InstanceId": attachment.instance_id,
        "Device": attachment.device,
        "State": attachment.state,
        "AttachTime": attachment.attach_time,
        "DeleteOnTermination": attachment.delete_on_termination,
    }


def _check_ratio(volume_type: str, size: int, iops: int | None) -> None:
    """The words are recorded for gp3."""
    if volume_type == "gp3" and iops is not None and iops < GP3_LEAST_IOPS:
        raise invalid_value(f"Volume iops of {iops} is too low; minimum is {GP3_LEAST_IOPS}.")
    most = LIMITS[volume_type].iops_a_gib
    free = volume_type == "gp3" and iops == GP3_FREE[0]
    if iops and most and not free and iops > most * size:
        raise invalid_value(f"Iops to volume size ratio of {iops / size:.6f} is too high; maximum is {most}")


def _raised(volume_type: str, iops: int | None, throughput: int | None) -> tuple[int | None, int | None]:
    """What a gp3 volume gets: what is below the free IOPS and throughput is raised to them (recorded)."""
    if volume_type != "gp3":
        return iops, throughput
    raised = max(iops or 0, GP3_FREE[0]), max(throughput or 0, GP3_FREE[1])
    if raised[1] > MOST_MIB_AN_IOPS * raised[0]:
        # The ratio is recorded; how it is refused is not.
        raise invalid_value(
            f"Throughput (MiBps) to iops ratio of {raised[1] / raised[0]:.6f} is too high; maximum is "
            f"{MOST_MIB_AN_IOPS:.6f} MiBps per iops."
        )
    return raised


def _check_positive(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < 0:
            raise invalid_value(f"Value ({value}) for parameter {name} is invalid. Value must be a positive integer.")


def performance(volume_type: str, size: int, iops: int | None, throughput: int | None) -> tuple[int | None, int | None]:
    """IOPS and throughput that a volume gets.

    Raises:
        Ec2Error: an unknown type, or a size, IOPS or throughput that the type does not take.
    """
    _check_positive(iops=iops, throughput=throughput)
    limits = LIMITS.get(volume_type)
    if limits is None:
        raise invalid_value(f"Value ({volume_type}) for parameter volumeType is invalid.")
    if not limits.size[0] <= size <= limits.size[1]:
        raise invalid_value(
            f"Volume of {size}GiB is out of range for {volume_type}: {limits.size[0]} to {limits.size[1]} GiB."
        )
    if iops is not None and limits.iops is None:
        raise Ec2Error("InvalidParameterCombination", f"The parameter iops is not supported for {volume_type} volumes.")
    if iops is None and limits.iops_required:
        raise missing("iops")
    _check_ratio(volume_type, size, iops)
    iops, throughput = _raised(volume_type, iops, throughput)
    if iops is not None and limits.iops and not limits.iops[0] <= iops <= limits.iops[1]:
        raise invalid_value(
            f"Volume iops of {iops} is out of range; {volume_type} takes {limits.iops[0]} to {limits.iops[1]}."
        )
    if throughput is not None and limits.throughput is None:
        raise Ec2Error(
            "InvalidParameterCombination", f"The parameter throughput is not supported for {volume_type} volumes."
        )
    if throughput is not None and limits.throughput:
        least, most = limits.throughput
        if not least <= throughput <= most:
            raise invalid_value(f"Throughput of {throughput} is out of range; {volume_type} takes {least} to {most}.")
    if volume_type == "gp2":
        return min(16_000, max(100, 3 * size)), None
    return iops or limits.default_iops, throughput or limits.default_throughput


def _zone(request: Request) -> str:
    name, zone_id = request.get("AvailabilityZone"), request.get("AvailabilityZoneId")
    if name and zone_id:
        raise Ec2Error("InvalidParameterCombination", "Specify either AvailabilityZone or AvailabilityZoneId")
    if zone_id:
        name = _zone_named(request, zone_id)
    if not name:
        raise missing("availabilityZone")
    if name not in request.region.zones:
        raise Ec2Error("InvalidZone.NotFound", f"The zone '{name}' does not exist.")
    return str(name)


def _zone_named(request: Request, zone_id: str) -> str:
    """The name of the zone with an id; the id itself if there is none."""
    return next((zone for zone in request.region.zones if request.region.zone_id(zone) == zone_id), zone_id)


def _volume_type(request: Request) -> str:
    """gp2 by default, as the API does; the letters' case does not matter."""
    return str(request.get("VolumeType", "gp2")).lower()


def remembered(request: Request) -> Any:
    """What the same call with the same ClientToken made before, or nothing.

    Raises:
        Ec2Error: IdempotentParameterMismatch if the parameters differ, or what was made is a volume that is gone.
    """
    token = request.get("ClientToken")
    known = request.region.tokens.get((request.account, request.action, token)) if token else None
    if known is None:
        return None
    if known[0] != _fingerprint(request):
        raise Ec2Error(
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request.",
        )
    made = request.region.volumes.get(known[1]) if request.action == "CreateVolume" else None
    if request.action == "CreateVolume" and (made is None or made.state == "deleting"):
        raise Ec2Error(
            "IdempotentParameterMismatch", "The client token was used for a volume that does not exist any more."
        )
    return known[1]


def check_token(request: Request) -> None:
    """The code is recorded for RunInstances, the words are not. Raises Ec2Error."""
    if len(request.get("ClientToken", "")) > MOST_TOKEN:
        raise invalid_value(f"The ClientToken has more than {MOST_TOKEN} characters.")


def remember(request: Request, made: Any) -> None:
    """Keep what a ClientToken made."""
    token = request.get("ClientToken")
    if token:
        request.region.tokens[(request.account, request.action, token)] = (_fingerprint(request), made)


def _fingerprint(request: Request) -> str:
    """The call's values: a zone may be named by its name or its id, and tags in any order (recorded)."""
    values = dict(request.parameters)
    zone_id = values.pop("AvailabilityZoneId", None)
    if zone_id:
        values["AvailabilityZone"] = _zone_named(request, zone_id)
    values["TagSpecifications"] = [
        {**item, "Tags": sorted(item.get("Tags", []), key=lambda tag: tag.get("Key", ""))}
        for item in values.get("TagSpecifications", [])
    ]
    return json.dumps(values, sort_keys=True, default=str)


def check_values(request: Request) -> None:
    """What EC2 refuses of a CreateVolume before DryRun: zone, size, type, IOPS, throughput, rate, tags, key. Raises
    Ec2Error."""
    _zone(request)
    _check_rate(request)
    tags.at_creation(request, "volume")
    snapshot = request.region.snapshots.get(request.get("SnapshotId", ""))
    size = max(request.get("Size") or 0, snapshot.size if snapshot else 0)
    if not size and not request.get("SnapshotId"):
        raise missing("size/snapshot")
    if size:
        performance(_volume_type(request), size, request.get("Iops"), request.get("Throughput"))
    keys.for_new(
        request,
        encrypted=request.get("Encrypted"),
        given=request.get("KmsKeyId"),
        inherited=snapshot and snapshot.kms_key_id,
    )


def _check_rate(request: Request) -> None:
    rate = request.get("VolumeInitializationRate")
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise invalid_value("The value specified for VolumeInitializationRate is not in the allowed range.")


@handles("CreateVolume")
def create_volume(request: Request) -> dict[str, Any]:
    """A volume, empty or from a snapshot; gp2 by default, as the API does."""
    check_token(request)  # on AWS, too, only by the real call
    known = remembered(request)
    if known is not None:
        return _answered(request, request.region.volume(known, request.account))
    zone = _zone(request)
    _check_rate(request)
    tagged = tags.at_creation(request, "volume")["volume"]
    snapshot_id, size = request.get("SnapshotId"), request.get("Size")
    snapshot = request.region.snapshot(snapshot_id, request.account) if snapshot_id else None
    if snapshot and (snapshot.state != "completed" or snapshot.storage_tier == "archive"):
        held = "archived" if snapshot.storage_tier == "archive" else snapshot.state
        raise Ec2Error("IncorrectState", f"Snapshot is in invalid state - {held}")
    if snapshot is None and size is None:
        raise missing("size/snapshot")
    size = max(size or 0, snapshot.size if snapshot else 0)  # one below the snapshot's is raised to it
    volume_type = _volume_type(request)
    iops, throughput = performance(volume_type, size, request.get("Iops"), request.get("Throughput"))
    key = keys.for_new(
        request,
        encrypted=request.get("Encrypted"),
        given=request.get("KmsKeyId"),
        inherited=snapshot.kms_key_id if snapshot else None,
    )
    volume = Volume(
        owner=request.account,
        tags=tagged,
        zone=zone,
        size=size,
        volume_type=volume_type,
        iops=iops,
        throughput=throughput,
        encrypted=key is not None,
        kms_key_id=key,
        snapshot_id=snapshot_id or "",
        product_codes=list(snapshot.product_codes) if snapshot else [],
        blocks=dict(snapshot.blocks) if snapshot else {},
        of_lineage=snapshot.lineage if snapshot else "",
    )
    request.region.volumes[volume.volume_id] = volume
    remember(request, volume.volume_id)
    outcome = outcomes.take("volume", snapshot_id or "", *tagged.values())
    cause = (outcome.cause or "Internal error") if outcome else ""
    bad_key = keys.why_unusable(request.scope, request.region, key) or keys.why_not_created(
        request, key, snapshot.kms_key_id if snapshot else None
    )
    vanishes = bool(bad_key) and not cause and not SETTINGS.bad_key_leaves_error
    cause = cause or bad_key
    if not (outcome and outcome.stuck):
        TIMERS.after(
            SETTINGS.delays.volume,
            lambda: _ready(request, volume, cause, vanishes=vanishes),
            f"volume {volume.volume_id}",
        )
    return _answered(request, volume)


def _ready(request: Request, volume: Volume, cause: str, *, vanishes: bool) -> None:
    """It is available or in error; one whose key may not be used is gone, which only events show."""
    with LOCK:
        if volume.volume_id not in request.region.volumes or volume.state != "creating":
            return
        volume.state = "error" if cause else "available"
        notices.volume_created(request.scope, volume, cause, request.request_id)
        if vanishes:
            del request.region.volumes[volume.volume_id]
            notices.volume_deleted(request.scope, volume.volume_id, request.request_id)
    if volume.state == "available" and volume.snapshot_id:
        # Published for a volume that is attached meanwhile as well, and counted from its creation.
        TIMERS.after(
            max(0.0, SETTINGS.delays.initialize - SETTINGS.delays.volume),
            lambda: _initialized(request, volume),
            f"initializing {volume.volume_id}",
        )


def _initialized(request: Request, volume: Volume) -> None:
    """All blocks of the snapshot have arrived."""
    with LOCK:
        if volume.volume_id in request.region.volumes:
            notices.volume_initialized(request.scope, volume.volume_id, now(), request.request_id)


@handles("DeleteVolume")
def delete_volume(request: Request) -> dict[str, Any]:
    """Delete a volume that is attached to nothing; for a moment it is still seen, `deleting`."""
    volume = request.region.volume(request.parameters["VolumeId"], request.account)
    if volume.state == "deleting":
        raise not_found("vol", volume.volume_id)
    if volume.attachment:
        raise Ec2Error(
            "VolumeInUse", f"Volume {volume.volume_id} is currently attached to {volume.attachment.instance_id}"
        )
    volume.state = "deleting"

    def deleted() -> None:
        with LOCK:
            request.region.volumes.pop(volume.volume_id, None)
            notices.volume_deleted(request.scope, volume.volume_id, request.request_id)

    TIMERS.after(SETTINGS.delays.delete, deleted, f"deleting {volume.volume_id}")
    return {}


# --- attaching


@handles("AttachVolume")
def attach_volume(request: Request) -> dict[str, Any]:
    """Attach an available volume to an instance of its zone, running or stopped, at a free device."""
    volume = request.region.volume(request.parameters["VolumeId"], request.account)
    instance = request.region.instance(request.parameters["InstanceId"], request.account)
    device = request.parameters["Device"]
    if not DEVICE.fullmatch(device):
        raise invalid_value(
            f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name."
        )
    if volume.attachment:
        raise Ec2Error("VolumeInUse", f"{volume.volume_id} is already attached to an instance")
    if volume.state != "available":
        raise Ec2Error("IncorrectState", f"{volume.volume_id} is not 'available'.")
    if volume.zone != instance.zone:
        raise Ec2Error(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.volume_id}' is not in the same availability zone as instance "
            f"'{instance.instance_id}'",
        )
    if instance.state not in ("running", "stopped"):
        raise Ec2Error("IncorrectState", f"Instance '{instance.instance_id}' is not 'running'.")
    if any(same_device(device, other) for other in instance.devices):
        raise invalid_value(f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use")
    _check_codes(volume, instance)
    if instance.outpost_arn:
        # The refusal is documented (CreateVolume, OutpostArn); its code is not.
        raise invalid_value(f"The volume '{volume.volume_id}' is not on the Outpost of '{instance.instance_id}'")
    attach(request, volume, instance, device, delete_on_termination=False)
    return describe_attachment(volume)


def _check_codes(volume: Volume, instance: Instance) -> None:
    """Words: https://github.com/aws/aws-parallelcluster/issues/1001 and
    https://github.com/StreisandEffect/streisand/issues/86; that AttachVolume asks for a subscription is documented."""
    if volume.product_codes and instance.state != "stopped":
        raise Ec2Error(
            "IncorrectInstanceState",
            f"Cannot attach volume '{volume.volume_id}' with Marketplace codes as the instance "
            f"'{instance.instance_id}' is not in the 'stopped' state.",
        )
    ended = sorted(instance.ended_subscriptions.intersection(volume.product_codes))
    if ended:
        raise Ec2Error(
            "OptInRequired",
            "In order to use this AWS Marketplace product you need to accept terms and subscribe. To do so please "
            f"visit https://aws.amazon.com/marketplace/pp?sku={ended[0]}",
        )


def attach(request: Request, volume: Volume, instance: Instance, device: str, *, delete_on_termination: bool) -> None:
    """Begin an attachment that is over in a moment, or fails if the key cannot be used."""
    volume.attachment = Attachment(instance.instance_id, device, "attaching", delete_on_termination)
    volume.state = "in-use"
    instance.devices[device] = volume.volume_id
    cause = keys.why_unusable(request.scope, request.region, volume.kms_key_id)
    attachment = volume.attachment

    def attached() -> None:
        with LOCK:
            if volume.attachment is not attachment or attachment.state != "attaching":
                return
            if cause:
                _detached(request, volume, attachment)
                notices.volume_attach_failed(request.scope, volume, cause)
            else:
                attachment.state = "attached"

    TIMERS.after(SETTINGS.delays.attach, attached, f"attaching {volume.volume_id}")


@handles("DetachVolume")
def detach_volume(request: Request) -> dict[str, Any]:
    """Detach a volume; from a running instance it may hang in `busy` until forced."""
    volume = request.region.volume(request.parameters["VolumeId"], request.account)
    attachment = volume.attachment
    if attachment is None:
        raise Ec2Error("IncorrectState", f"Volume '{volume.volume_id}' is in the '{volume.state}' state.")
    wrong_instance = request.get("InstanceId") not in (None, attachment.instance_id)
    if wrong_instance or request.get("Device") not in (None, attachment.device):
        raise Ec2Error(
            "InvalidAttachment.NotFound",
            f"The volume '{volume.volume_id}' is not attached to instance '{request.get('InstanceId')}' "
            f"as device '{request.get('Device')}'",
        )
    instance = request.region.instances[attachment.instance_id]
    if attachment.device == instance.root_device_name and instance.state not in ("stopped", "terminated"):
        raise Ec2Error(
            "OperationNotPermitted",
            f"Unable to detach root volume '{volume.volume_id}' from instance '{instance.instance_id}'",
        )
    force = bool(request.get("Force"))
    if attachment.state == "detaching":
        raise Ec2Error("IncorrectState", f"Volume '{volume.volume_id}' is in the 'detaching' state.")
    if SETTINGS.busy_detach and instance.state == "running" and not force:
        attachment.state = "busy"
    else:
        begin_detach(request, volume, attachment)
    return describe_attachment(volume)


def begin_detach(request: Request, volume: Volume, attachment: Attachment) -> None:
    """Detaching; over in a moment."""
    attachment.state = "detaching"

    def detached() -> None:
        with LOCK:
            if volume.attachment is attachment:
                _detached(request, volume, attachment)

    TIMERS.after(SETTINGS.delays.detach, detached, f"detaching {volume.volume_id}")


def _detached(request: Request, volume: Volume, attachment: Attachment) -> None:
    instance = request.region.instances.get(attachment.instance_id)
    if instance:
        instance.devices.pop(attachment.device, None)
    volume.attachment = None
    volume.state = "available"


# --- describing


def _of_attachment(name: str) -> Any:
    return lambda volume: [getattr(volume.attachment, name)] if volume.attachment else []


FIELDS = {
    "attachment.attach-time": _of_attachment("attach_time"),
    "attachment.delete-on-termination": _of_attachment("delete_on_termination"),
    "attachment.device": _of_attachment("device"),
    "attachment.instance-id": _of_attachment("instance_id"),
    "attachment.status": _of_attachment("state"),
    "availability-zone": lambda v: [v.zone],
    "create-time": lambda v: [v.create_time],
    "encrypted": lambda v: [v.encrypted],
    "multi-attach-enabled": lambda _v: [False],
    "size": lambda v: [v.size],
    "snapshot-id": lambda v: [v.snapshot_id],
    "status": lambda v: [v.state],
    "volume-id": lambda v: [v.volume_id],
    "volume-type": lambda v: [v.volume_type],
}


@handles("DescribeVolumes")
def describe_volumes(request: Request) -> dict[str, Any]:
    """The account's volumes."""
    ids = request.get("VolumeIds", [])
    mine = (
        [request.region.volume(volume_id, request.account) for volume_id in ids]
        if ids
        else [volume for volume in request.region.volumes.values() if volume.owner == request.account]
    )
    found, more = page(request, filtered(mine, request.get("Filters", []), FIELDS), exclusive_with="VolumeIds")
    return {"Volumes": [describe(request, volume) for volume in found], **more}


@handles("DescribeVolumeAttribute")
def describe_volume_attribute(request: Request) -> dict[str, Any]:
    """One attribute of a volume."""
    volume = request.region.volume(request.parameters["VolumeId"], request.account)
    attribute = request.parameters["Attribute"]
    answers: dict[str, dict[str, Any]] = {
        "autoEnableIO": {"AutoEnableIO": {"Value": False}},
        "productCodes": {
            "ProductCodes": [{"ProductCodeId": code, "ProductCodeType": "marketplace"} for code in volume.product_codes]
        },
    }
    if attribute not in answers:
        raise invalid_value(f"Value ({attribute}) for parameter attribute is invalid.")
    return {"VolumeId": volume.volume_id, **answers[attribute]}


@handles("DescribeVolumeStatus")
def describe_volume_status(request: Request) -> dict[str, Any]:
    """All is well with every volume."""
    described = describe_volumes(request)
    healthy = {"Status": "ok", "Details": [{"Name": "io-enabled", "Status": "passed"}]}
    return {
        "VolumeStatuses": [
            {"VolumeId": v["VolumeId"], "AvailabilityZone": v["AvailabilityZone"], "VolumeStatus": healthy}
            for v in described.pop("Volumes")
        ],
        **described,
    }


@handles("ModifyVolume")
def modify_volume(request: Request) -> dict[str, Any]:
    """Grow or retune a volume; at once, while AWS takes hours to optimise."""
    volume = request.region.volume(request.parameters["VolumeId"], request.account)
    size = request.get("Size", volume.size)
    if size < volume.size:
        raise invalid_value(f"New size cannot be smaller than existing size {volume.size}")
    kind = request.get("VolumeType", volume.volume_type)
    same = kind == volume.volume_type and kind != "gp2"
    iops = request.get("Iops", volume.iops if same else None)
    throughput = request.get("Throughput", volume.throughput if same else None)
    before = (volume.size, volume.volume_type, volume.iops, volume.throughput)
    volume.iops, volume.throughput = performance(kind, size, iops, throughput)
    volume.size, volume.volume_type = size, kind
    return {
        "VolumeModification": {
            "VolumeId": volume.volume_id,
            "ModificationState": "modifying",
            "TargetSize": volume.size,
            "TargetVolumeType": volume.volume_type,
            "TargetIops": volume.iops,
            "TargetThroughput": volume.throughput,
            "TargetMultiAttachEnabled": False,
            "OriginalSize": before[0],
            "OriginalVolumeType": before[1],
            "OriginalIops": before[2],
            "OriginalThroughput": before[3],
            "OriginalMultiAttachEnabled": False,
            "Progress": 0,
            "StartTime": now().replace(microsecond=0),
        }
    }


@handles("EnableEbsEncryptionByDefault", "DisableEbsEncryptionByDefault", "GetEbsEncryptionByDefault")
def encryption_by_default(request: Request) -> dict[str, Any]:
    """Whether new volumes of the account are encrypted without asking."""
    accounts = request.region.encrypt_by_default
    if request.action.startswith("Enable"):
        accounts.add(request.account)
    elif request.action.startswith("Disable"):
        accounts.discard(request.account)
    return {"EbsEncryptionByDefault": request.account in accounts}


@handles("GetEbsDefaultKmsKeyId", "ModifyEbsDefaultKmsKeyId")
def default_kms_key(request: Request) -> dict[str, Any]:
    """The key that encrypts where none is named."""
    if request.action.startswith("Modify"):
        request.region.default_keys[request.account] = keys.arn_of(request, request.parameters["KmsKeyId"])
    return {"KmsKeyId": keys.default_key(request.region, request.account)}
