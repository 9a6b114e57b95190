"""Instances: run, stopped, started, terminated, described; and their block devices."""

import itertools
import re
from collections.abc import Mapping
from typing import Any

from ministack.services import ec2 as ministack_ec2

from local.emulator.ec2 import keys, notices, tags, volumes
from local.emulator.ec2.actions import handles
from local.emulator.ec2.errors import Ec2Error, invalid_value, missing
from local.emulator.ec2.model import LOCK, Image, Instance, Request, Volume, check_id, new_id, now
from local.emulator.ec2.select import filtered, page
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
MOST_INSTANCES = 200

DISKS = {"m5d.large": (75, 1), "c5d.large": (50, 1), "i3.large": (475, 1), "m5d.4xlarge": (300, 2)}
"""Instance types with instance store volumes: GB of one, and how many."""
_TYPE = re.compile(r"[a-z][a-z0-9-]*[0-9][a-z0-9-]*\.[a-z0-9-]+")
_addresses = itertools.count(1)


def _state(name: str) -> dict[str, Any]:
    return {"Code": STATE_CODES[name], "Name": name}


def describe(request: Request, instance: Instance) -> dict[str, Any]:
    """An instance."""
    region, root = request.region, instance.root_device_name
    mappings = []
    for device, volume_id in sorted(instance.devices.items(), key=lambda item: (item[0] != root, item[0])):
        attachment = region.volumes[volume_id].attachment
        if attachment:
            mappings.append(
                {
                    "DeviceName": device,
                    "Ebs": {
                        "VolumeId": volume_id,
                        "Status": "attached" if attachment.state == "busy" else attachment.state,
                        "AttachTime": attachment.attach_time,
                        "DeleteOnTermination": attachment.delete_on_termination,
                        "EbsCardIndex": 0,
                    },
                }
            )
    shown: dict[str, Any] = {
        "InstanceId": instance.instance_id,
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "State": _state(instance.state),
        "LaunchTime": instance.launch_time.replace(microsecond=0),
        "Placement": {
            "AvailabilityZone": instance.zone,
            "AvailabilityZoneId": region.zone_id(instance.zone),
            "Tenancy": "default",
        },
        "RootDeviceName": instance.root_device_name,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": mappings,
        "Architecture": instance.architecture,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "EbsOptimized": False,
        "EnaSupport": True,
        "SourceDestCheck": True,
        "Monitoring": {"State": "disabled"},
        "PrivateIpAddress": instance.private_ip or None,
        "SubnetId": instance.subnet_id or None,
        "VpcId": instance.vpc_id or None,
        "SecurityGroups": [{"GroupId": group, "GroupName": group} for group in instance.security_group_ids],
        "KeyName": instance.key_name,
        "ClientToken": instance.client_token,
        "InstanceLifecycle": instance.lifecycle,
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": instance.http_tokens,
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
        },
        "ProductCodes": [
            {"ProductCodeId": code, "ProductCodeType": "marketplace"} for code in _product_codes(request, instance)
        ],
        "HibernationOptions": {"Configured": instance.hibernation_configured},
        "OutpostArn": instance.outpost_arn,
        "AmiLaunchIndex": 0,
        "Tags": tags.as_list(instance.tags),
    }
    if instance.public_ip:
        association = {"PublicIp": instance.public_ip, "IpOwnerId": instance.owner if instance.elastic_ip else "amazon"}
        address = {"Primary": True, "PrivateIpAddress": instance.private_ip, "Association": association}
        shown |= {
            "PublicIpAddress": instance.public_ip,
            "NetworkInterfaces": [{"Association": association, "PrivateIpAddresses": [address]}],
        }
    if instance.profile_arn:
        shown["IamInstanceProfile"] = {"Arn": instance.profile_arn, "Id": "AIPA0000000000000000"}
    if instance.state_reason:
        code, message = instance.state_reason
        shown |= {"StateReason": {"Code": code, "Message": message}, "StateTransitionReason": message}
    if instance.asked_at:
        shown["StateTransitionReason"] = f"User initiated ({instance.asked_at:%Y-%m-%d %H:%M:%S} GMT)"
    return shown


def _product_codes(request: Request, instance: Instance) -> list[str]:
    """The image's, and those of the attached volumes."""
    of_volumes = [request.region.volumes[volume_id].product_codes for volume_id in instance.devices.values()]
    return list(dict.fromkeys([*instance.product_codes, *itertools.chain.from_iterable(of_volumes)]))


# --- running


def check_values(request: Request) -> None:
    """What EC2 refuses of a RunInstances before DryRun (recorded). Raises Ec2Error."""
    if not request.get("ImageId"):
        raise missing("ImageId")
    check_id("ami", request.parameters["ImageId"])
    least, most = request.parameters["MinCount"], request.parameters["MaxCount"]
    if not 1 <= least <= most <= MOST_INSTANCES:
        raise invalid_value(f"Value ({most}) for parameter maxCount is invalid.")
    volumes.check_token(request)


@handles("RunInstances")
def run_instances(request: Request) -> dict[str, Any]:
    """Launch instances with their volumes, as the image and the block device mappings say."""
    check_values(request)
    known = volumes.remembered(request)
    if known is not None:
        return _reservation(request, [request.region.instances[instance_id] for instance_id in known])
    image = request.region.image(request.parameters["ImageId"], request.account)
    tagged = tags.at_creation(
        request, "instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"
    )
    reservation = new_id("r")
    wanted = _mappings(image, request.get("BlockDeviceMappings", []))
    made = []
    for _index in range(request.parameters["MaxCount"]):
        instance = _new_instance(request, image, reservation, tagged["instance"])
        request.region.instances[instance.instance_id] = instance
        for device, ebs in wanted.items():
            _new_device(request, instance, device, ebs, tagged["volume"])
        _give_address(instance)
        made.append(instance)
        notices.instance_changed(request.scope, instance)
        _run_soon(request, instance)
    volumes.remember(request, [instance.instance_id for instance in made])
    return _reservation(request, made)


def _reservation(request: Request, instances: list[Instance]) -> dict[str, Any]:
    return {
        "ReservationId": instances[0].reservation_id,
        "OwnerId": request.account,
        "Groups": [],
        "Instances": [describe(request, instance) for instance in instances],
    }


def _mappings(image: Image, given: list[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Device to its Ebs settings: the image's, overridden and extended by the caller's."""
    wanted = {mapping["DeviceName"]: dict(mapping["Ebs"]) for mapping in image.mappings if "Ebs" in mapping}
    for mapping in given:
        device = mapping.get("DeviceName", "")
        if "NoDevice" in mapping:
            wanted.pop(device, None)
        elif "Ebs" in mapping:
            if not volumes.DEVICE.fullmatch(device):
                raise Ec2Error("InvalidBlockDeviceMapping", f"Invalid device name {device}")
            if any(volumes.same_device(device, other) and device != other for other in wanted):
                # EC2 names the device without its folder.
                bare = device.removeprefix("/dev/")
                raise Ec2Error(
                    "InvalidBlockDeviceMapping", f"The device '{bare}' is used in more than one block-device mapping"
                )
            wanted[device] = {**wanted.get(device, {}), **mapping["Ebs"]}
    wanted.setdefault(image.root_device_name, {"VolumeSize": 8})
    return wanted


def _new_instance(request: Request, image: Image, reservation: str, tagged: dict[str, str]) -> Instance:
    placement = request.get("Placement", {})
    subnet_id = request.get("SubnetId", "")
    interfaces = request.get("NetworkInterfaces", [])
    if interfaces and not subnet_id:
        subnet_id = interfaces[0].get("SubnetId", "")
    subnet = _subnet(request, subnet_id, placement.get("AvailabilityZone"))
    zone = placement.get("AvailabilityZone") or subnet.get("AvailabilityZone") or request.region.zones[0]
    if zone not in request.region.zones:
        raise Ec2Error("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    market = request.get("InstanceMarketOptions", {}).get("MarketType")
    profile = request.get("IamInstanceProfile", {})
    profile_name = profile.get("Name")
    number = len(request.region.instances) + 4
    return Instance(
        owner=request.account,
        tags=dict(tagged),
        reservation_id=reservation,
        image_id=image.image_id,
        instance_type=request.get("InstanceType", "m1.small"),
        zone=zone,
        subnet_id=subnet.get("SubnetId", subnet_id),
        vpc_id=subnet.get("VpcId", ""),
        security_group_ids=list(request.get("SecurityGroupIds", [])),
        private_ip=f"10.0.{number // 250}.{number % 250 + 4}",
        key_name=request.get("KeyName"),
        profile_arn=profile.get("Arn")
        or (f"arn:aws:iam::{request.account}:instance-profile/{profile_name}" if profile_name else None),
        http_tokens=request.get("MetadataOptions", {}).get("HttpTokens", "required"),
        architecture=image.architecture,
        root_device_name=image.root_device_name,
        lifecycle="spot" if market == "spot" else None,
        disable_api_stop=bool(request.get("DisableApiStop")),
        disable_api_termination=bool(request.get("DisableApiTermination")),
        shutdown_behavior=request.get("InstanceInitiatedShutdownBehavior", "stop"),
        product_codes=list(image.product_codes),
        client_token=request.get("ClientToken", ""),
        hibernation_configured=bool(request.get("HibernationOptions", {}).get("Configured")),
        wants_public_ip=any(interface.get("AssociatePublicIpAddress") for interface in interfaces),
    )


def _subnet(request: Request, subnet_id: str, zone: str | None) -> dict[str, Any]:
    """ministack's subnet, named or the default one of the zone; it keeps the network."""
    del request
    known = list(ministack_ec2._subnets.values())
    if subnet_id:
        return next((subnet for subnet in known if subnet.get("SubnetId") == subnet_id), {})
    defaults = [subnet for subnet in known if subnet.get("DefaultForAz")]
    return next((subnet for subnet in defaults if zone in (None, subnet.get("AvailabilityZone"))), {})


def _new_device(
    request: Request, instance: Instance, device: str, ebs: Mapping[str, Any], tagged: Mapping[str, str]
) -> None:
    snapshot_id = ebs.get("SnapshotId", "")
    # An image may be of another account, and its snapshots not readable for who launches it.
    snapshot = request.region.snapshots.get(snapshot_id)
    if snapshot_id and snapshot is None:
        raise Ec2Error("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    size = ebs.get("VolumeSize") or (snapshot.size if snapshot else 8)
    if snapshot and size < snapshot.size:
        raise Ec2Error(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', expect size >= {snapshot.size}GB",
        )
    kind = ebs.get("VolumeType", "gp2")
    iops, throughput = volumes.performance(kind, size, ebs.get("Iops"), ebs.get("Throughput"))
    key = keys.for_new(
        request,
        encrypted=ebs.get("Encrypted"),
        given=ebs.get("KmsKeyId"),
        inherited=snapshot.kms_key_id if snapshot else None,
    )
    volume = Volume(
        owner=request.account,
        tags=dict(tagged),
        zone=instance.zone,
        size=size,
        volume_type=kind,
        iops=iops,
        throughput=throughput,
        encrypted=key is not None,
        kms_key_id=key,
        snapshot_id=snapshot_id,
        product_codes=list(instance.product_codes) if device == instance.root_device_name else [],
        blocks=dict(snapshot.blocks) if snapshot else {},
        of_lineage=snapshot.lineage if snapshot else "",
    )
    request.region.volumes[volume.volume_id] = volume
    volumes.attach(request, volume, instance, device, delete_on_termination=bool(ebs.get("DeleteOnTermination", True)))


def _give_address(instance: Instance) -> None:
    """Another one at each start, as long as it runs; an Elastic IP address stays."""
    if instance.wants_public_ip and not instance.elastic_ip:
        instance.public_ip = f"203.0.113.{next(_addresses) % 254 + 1}"


# --- changing state


def _enter(request: Request, instance: Instance, state: str) -> None:
    """A new state, and its event; what was still to come for the old one is void."""
    instance.state = state
    instance.generation += 1
    notices.instance_changed(request.scope, instance)


def _later(request: Request, instance: Instance, seconds: float, state: str, work: Any) -> None:
    """Do something in some seconds, if nothing else happened to the instance until then."""
    generation = instance.generation

    def due() -> None:
        with LOCK:
            if instance.generation == generation:
                work()

    TIMERS.after(seconds, due, f"instance {instance.instance_id} to be {state}")


def _run_soon(request: Request, instance: Instance) -> None:
    def running() -> None:
        instance.running_since = now()
        instance.state_reason = instance.asked_at = None
        _enter(request, instance, "running")

    _later(request, instance, SETTINGS.delays.start, "running", running)


@handles("StartInstances")
def start_instances(request: Request) -> dict[str, Any]:
    """Start stopped instances; accepted does not mean that they will run."""
    instances = [request.region.instance(i, request.account) for i in request.parameters["InstanceIds"]]
    for instance in instances:
        _check_start(request, instance)
    changes = []
    for instance in instances:
        before = instance.state
        if before == "stopped":
            _start(request, instance)
        changes.append(_change(instance, before))
    return {"StartingInstances": changes}


def _check_start(request: Request, instance: Instance) -> None:
    if instance.state not in ("stopped", "pending", "running"):
        raise Ec2Error(
            "IncorrectInstanceState",
            f"The instance '{instance.instance_id}' is not in a state from which it can be started.",
        )
    if instance.state != "stopped":
        return
    if instance.root_device_name not in instance.devices:
        raise Ec2Error(
            "IncorrectState",
            f"Invalid value '{instance.instance_id}' for instanceId. Instance does not have a volume attached at root "
            f"({instance.root_device_name})",
        )
    wrong = instance.misbehaviour
    if wrong.capacity_refusals:
        wrong.capacity_refusals -= wrong.capacity_refusals > 0
        raise Ec2Error(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient {instance.instance_type} capacity in the Availability Zone you "
            f"requested ({instance.zone}).",
            500,
        )


def _start(request: Request, instance: Instance) -> None:
    """Pending, then running; or back to stopped, if asked to, or if a volume's key cannot be used."""
    instance.launch_time = now()
    _give_address(instance)
    wrong = instance.misbehaviour
    attached = [request.region.volumes[volume_id] for volume_id in instance.devices.values()]
    unusable = [
        volume.volume_id
        for volume in attached
        if keys.why_unusable(request.scope, request.region, volume.kms_key_id)
        or keys.why_forbidden(request, volume.kms_key_id, keys.NEEDED_TO_START)
    ]
    _enter(request, instance, "pending")
    if not wrong.falls_back and not unusable:
        _run_soon(request, instance)
        return
    wrong.falls_back -= wrong.falls_back > 0

    def fall_back() -> None:
        instance.asked_at = None
        instance.state_reason = ("Client.InternalError", "Client.InternalError: Client error on launch")
        _enter(request, instance, "stopped")

    _later(request, instance, SETTINGS.delays.start, "stopped again", fall_back)


@handles("StopInstances")
def stop_instances(request: Request) -> dict[str, Any]:
    """Stop running instances."""
    instances = [request.region.instance(i, request.account) for i in request.parameters["InstanceIds"]]
    force = bool(request.get("Force"))
    for instance in instances:
        if instance.disable_api_stop:
            raise Ec2Error(
                "OperationNotPermitted",
                f"The instance '{instance.instance_id}' may not be stopped. Modify its 'disableApiStop' instance "
                "attribute and try again.",
            )
        if instance.lifecycle == "spot":
            raise Ec2Error(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{instance.instance_id}' because it is associated with a one-time "
                "Spot Instance request.",
            )
        if instance.state in ("shutting-down", "terminated"):
            raise Ec2Error(
                "IncorrectInstanceState",
                f"This instance '{instance.instance_id}' is not in a state from which it can be stopped.",
            )
        if request.get("Hibernate") and not instance.hibernation_configured:
            raise Ec2Error(
                "UnsupportedHibernationConfiguration",
                f"The instance '{instance.instance_id}' was not enabled for hibernation when it was launched.",
            )
    changes = []
    for instance in instances:
        before = instance.state
        if before in ("running", "pending") or (before == "stopping" and force):
            _stop(request, instance, force=force)
        changes.append(_change(instance, before))
    return {"StoppingInstances": changes}


def _stop(request: Request, instance: Instance, *, force: bool) -> None:
    how = "Hibernate" if request.get("Hibernate") else "Shutdown"
    code = f"Client.UserInitiated{how}"
    instance.state_reason = (code, f"{code}: User initiated {how.lower()}")
    instance.asked_at = now()
    instance.running_since = None
    if not instance.elastic_ip:
        instance.public_ip = None
    if instance.state != "stopping":
        _enter(request, instance, "stopping")
    if instance.misbehaviour.stuck_stopping and not force:
        return

    def stopped() -> None:
        _enter(request, instance, "stopped")
        for volume_id in list(instance.devices.values()):
            volume = request.region.volumes[volume_id]
            if volume.attachment and volume.attachment.state == "busy":
                volumes.begin_detach(request, volume, volume.attachment)

    _later(request, instance, SETTINGS.delays.stop, "stopped", stopped)


@handles("RebootInstances")
def reboot_instances(request: Request) -> dict[str, Any]:
    """Nothing to be seen from outside; a stopped one cannot be rebooted."""
    for instance_id in request.parameters["InstanceIds"]:
        instance = request.region.instance(instance_id, request.account)
        if instance.state == "stopped":
            raise Ec2Error(
                "IncorrectState", f"Cannot reboot instance {instance_id} that is currently in stopped state."
            )
    return {}


@handles("TerminateInstances")
def terminate_instances(request: Request) -> dict[str, Any]:
    """Terminate; volumes go with it or are left over, as their attachment says."""
    instances = [request.region.instance(i, request.account) for i in request.parameters["InstanceIds"]]
    for instance in instances:
        if instance.disable_api_termination:
            raise Ec2Error(
                "OperationNotPermitted",
                f"The instance '{instance.instance_id}' may not be terminated. Modify its 'disableApiTermination' "
                "instance attribute and try again.",
            )
    changes = []
    for instance in instances:
        before = instance.state
        if before not in ("shutting-down", "terminated"):
            _terminate(request, instance)
        changes.append(_change(instance, before))
    return {"TerminatingInstances": changes}


def _terminate(request: Request, instance: Instance) -> None:
    was_stopped = instance.state == "stopped"
    instance.state_reason = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
    instance.asked_at = now()
    if not was_stopped:
        _enter(request, instance, "shutting-down")

    def terminated() -> None:
        for volume_id in list(instance.devices.values()):
            volume = request.region.volumes[volume_id]
            gone = bool(volume.attachment and volume.attachment.delete_on_termination)
            volume.attachment, volume.state = None, "available"
            if gone:
                del request.region.volumes[volume_id]
                notices.volume_deleted(request.scope, volume_id, request.request_id)
        instance.devices.clear()
        _enter(request, instance, "terminated")

    if was_stopped:
        terminated()
    else:
        _later(request, instance, SETTINGS.delays.terminate, "terminated", terminated)


def _change(instance: Instance, before: str) -> dict[str, Any]:
    return {
        "InstanceId": instance.instance_id,
        "CurrentState": _state(instance.state),
        "PreviousState": _state(before),
    }


# --- describing


def _volume_of(name: str) -> Any:
    return lambda instance: list(instance.devices.keys() if name == "device" else instance.devices.values())


FIELDS = {
    "architecture": lambda i: [i.architecture],
    "availability-zone": lambda i: [i.zone],
    "block-device-mapping.device-name": _volume_of("device"),
    "block-device-mapping.volume-id": _volume_of("volume"),
    "client-token": lambda i: [i.client_token],
    "iam-instance-profile.arn": lambda i: [i.profile_arn],
    "image-id": lambda i: [i.image_id],
    "instance-id": lambda i: [i.instance_id],
    "instance-lifecycle": lambda i: [i.lifecycle],
    "instance-state-code": lambda i: [STATE_CODES[i.state]],
    "instance-state-name": lambda i: [i.state],
    "instance-type": lambda i: [i.instance_type],
    "key-name": lambda i: [i.key_name],
    "launch-time": lambda i: [i.launch_time],
    "owner-id": lambda i: [i.owner],
    "private-ip-address": lambda i: [i.private_ip],
    "product-code": lambda i: i.product_codes,
    "reservation-id": lambda i: [i.reservation_id],
    "root-device-name": lambda i: [i.root_device_name],
    "root-device-type": lambda _i: ["ebs"],
    "subnet-id": lambda i: [i.subnet_id],
    "vpc-id": lambda i: [i.vpc_id],
}


def _mine(request: Request) -> list[Instance]:
    ids = request.get("InstanceIds", [])
    if ids:
        return [request.region.instance(instance_id, request.account) for instance_id in ids]
    return [instance for instance in request.region.instances.values() if instance.owner == request.account]


@handles("DescribeInstances")
def describe_instances(request: Request) -> dict[str, Any]:
    """The account's instances, a page counting instances and not reservations."""
    found, more = page(
        request, filtered(_mine(request), request.get("Filters", []), FIELDS), exclusive_with="InstanceIds"
    )
    reservations: dict[str, list[Instance]] = {}
    for instance in found:
        reservations.setdefault(instance.reservation_id, []).append(instance)
    return {"Reservations": [_reservation(request, group) for group in reservations.values()], **more}


def _checks(instance: Instance) -> str:
    """`ok`, `impaired`, `initializing` or, when not running, `not-applicable`."""
    if instance.state != "running" or instance.running_since is None:
        return "not-applicable"
    if (now() - instance.running_since).total_seconds() < SETTINGS.delays.status:
        return "initializing"
    return "impaired" if instance.misbehaviour.impaired else "ok"


STATUS_FIELDS = {
    "availability-zone": lambda i: [i.zone],
    "instance-state-name": lambda i: [i.state],
    "instance-state-code": lambda i: [STATE_CODES[i.state]],
    "instance-status.status": lambda i: [_checks(i)],
    "system-status.status": lambda i: [_checks(i)],
    "instance-status.reachability": lambda i: [_reachability(i)],
    "system-status.reachability": lambda i: [_reachability(i)],
}


def _reachability(instance: Instance) -> str:
    return {"ok": "passed", "impaired": "failed", "initializing": "initializing"}.get(
        _checks(instance), "insufficient-data"
    )


@handles("DescribeInstanceStatus")
def describe_instance_status(request: Request) -> dict[str, Any]:
    """The checks of running instances, or of all."""
    shown = [i for i in _mine(request) if request.get("IncludeAllInstances") or i.state == "running"]
    found, more = page(
        request, filtered(shown, request.get("Filters", []), STATUS_FIELDS), exclusive_with="InstanceIds"
    )
    statuses = []
    for instance in found:
        system = "ok" if _checks(instance) == "impaired" else _checks(instance)
        summary = {
            name: {
                "Status": status,
                "Details": [{"Name": "reachability", "Status": _reachability(instance)}]
                if status != "not-applicable"
                else [],
            }
            for name, status in (
                ("InstanceStatus", _checks(instance)),
                ("SystemStatus", system),
                ("AttachedEbsStatus", system),
            )
        }
        statuses.append(
            {
                "InstanceId": instance.instance_id,
                "AvailabilityZone": instance.zone,
                "InstanceState": _state(instance.state),
                **summary,
            }
        )
    return {"InstanceStatuses": statuses, **more}


@handles("DescribeInstanceTypes")
def describe_instance_types(request: Request) -> dict[str, Any]:
    """What is asked of the named types: whether they have instance store volumes, and of which size."""
    names = request.get("InstanceTypes", []) or list(DISKS)
    unknown = [name for name in names if not _TYPE.fullmatch(name)]
    if unknown:
        raise Ec2Error(
            "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        )
    return {"InstanceTypes": [_described_type(name) for name in names]}


def _described_type(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"InstanceType": name, "InstanceStorageSupported": name in DISKS, "Hypervisor": "nitro"}
    if name in DISKS:
        size, count = DISKS[name]
        found["InstanceStorageInfo"] = {
            "TotalSizeInGB": size * count,
            "Disks": [{"SizeInGB": size, "Count": count, "Type": "ssd"}],
            "NvmeSupport": "required",
            "EncryptionSupport": "required",
        }
    return found


# --- attributes


@handles("ModifyInstanceAttribute")
def modify_instance_attribute(request: Request) -> dict[str, Any]:
    """Change protections, the type, or DeleteOnTermination, which is true if it is not said."""
    instance = request.region.instance(request.parameters["InstanceId"], request.account)
    for mapping in request.get("BlockDeviceMappings", []):
        device = mapping.get("DeviceName", "")
        volume_id = mapping.get("Ebs", {}).get("VolumeId") or instance.devices.get(device)
        if device not in instance.devices or instance.devices[device] != volume_id:
            raise Ec2Error("InvalidInstanceAttributeValue", f"No device is currently mapped at {device or volume_id}")
        attachment = request.region.volumes[instance.devices[device]].attachment
        if attachment:
            attachment.delete_on_termination = bool(mapping.get("Ebs", {}).get("DeleteOnTermination", True))
    if "DisableApiStop" in request.parameters:
        instance.disable_api_stop = bool(request.parameters["DisableApiStop"].get("Value"))
    if "DisableApiTermination" in request.parameters:
        instance.disable_api_termination = bool(request.parameters["DisableApiTermination"].get("Value"))
    if "InstanceType" in request.parameters:
        if instance.state != "stopped":
            raise Ec2Error(
                "IncorrectInstanceState", f"The instance '{instance.instance_id}' is not in the 'stopped' state."
            )
        instance.instance_type = request.parameters["InstanceType"].get("Value", instance.instance_type)
    if "Groups" in request.parameters:
        instance.security_group_ids = list(request.parameters["Groups"])
    return {}


@handles("DescribeInstanceAttribute")
def describe_instance_attribute(request: Request) -> dict[str, Any]:
    """One attribute of an instance."""
    instance = request.region.instance(request.parameters["InstanceId"], request.account)
    attribute = request.parameters["Attribute"]
    answers: dict[str, dict[str, Any]] = {
        "blockDeviceMapping": {"BlockDeviceMappings": describe(request, instance)["BlockDeviceMappings"]},
        "disableApiStop": {"DisableApiStop": {"Value": instance.disable_api_stop}},
        "disableApiTermination": {"DisableApiTermination": {"Value": instance.disable_api_termination}},
        "ebsOptimized": {"EbsOptimized": {"Value": False}},
        "groupSet": {"Groups": [{"GroupId": group} for group in instance.security_group_ids]},
        "instanceInitiatedShutdownBehavior": {
            "InstanceInitiatedShutdownBehavior": {"Value": instance.shutdown_behavior}
        },
        "instanceType": {"InstanceType": {"Value": instance.instance_type}},
        "productCodes": {
            "ProductCodes": [
                {"ProductCodeId": code, "ProductCodeType": "marketplace"} for code in instance.product_codes
            ]
        },
        "rootDeviceName": {"RootDeviceName": {"Value": instance.root_device_name}},
        "userData": {"UserData": {}},
    }
    if attribute not in answers:
        raise invalid_value(f"Value ({attribute}) for parameter attribute is not done here.")
    return {"InstanceId": instance.instance_id, **answers[attribute]}
