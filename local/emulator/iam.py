"""IAM on every resource that EC2 checks, with the condition keys of the Service Authorization Reference.

ministack asks once a call, about one resource and without tags; EC2 asks about each: the volume and the new snapshot,
the instance and all its volumes, and CreateTags beside every creation with tags.
"""

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import _account_from_sts_session, get_account_id

from local.emulator.dashboards import dashboard_arn
from local.emulator.ec2 import wire
from local.emulator.ec2.errors import Ec2Error
from local.emulator.ec2.model import WORLD, Image, Instance, Region, Resource, Snapshot, Volume
from local.emulator.leading_keys import leading_keys
from local.emulator.scope import Scope

Context = dict[str, Any]
WITHOUT_ACCOUNT = ("snapshot", "image")
RESOURCE_ACCOUNT = "aws:resourceaccount"
SECURE_TRANSPORT = "aws:securetransport"
KINDS = {"vol": "volume", "snap": "snapshot", "i": "instance", "ami": "image"}

SQS_BATCHES = {
    f"sqs:{action}Batch": f"sqs:{action}" for action in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
}
"""A batch needs the right of its single call: it has none of its own
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html)."""

POLICIES_KEPT = 1024
"""Parsed policies, by their text: each call would parse all those of its caller twice."""

_extract_resource_arn = iam_actions.extract_resource_arn
_parse_policy_document = iam_evaluator.parse_policy_document
_enforce = iam_evaluator.enforce
_resolve_condition_key = iam_evaluator._resolve_condition_key
_flat: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("ec2_parameters")
_leading: contextvars.ContextVar[dict[str, list[str]]] = contextvars.ContextVar("dynamodb_leading_keys")
_access_key: contextvars.ContextVar[str] = contextvars.ContextVar("ec2_access_key", default="")
_request: contextvars.ContextVar[tuple[str, dict[str, Any]]] = contextvars.ContextVar("path_and_query")


@dataclass(frozen=True)
class Check:
    """One question to IAM: may the caller do this to that?"""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


CHECKS_OF: dict[str, Callable[[str, str, Mapping[str, Any], Scope], list[Check]]] = {}
"""Of services beside EC2 that are done here: the questions that an action raises, by path and query."""


def extract_resource_arn(  # noqa: PLR0917 ministack calls it so
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    params: dict[str, Any],
    region: str,
    account: str,
) -> Any:
    """In place of ministack's: the same, and what `enforce` is to know of a call is kept for it."""
    _leading.set(leading_keys(body) if service == "dynamodb" else {})
    if service in CHECKS_OF:
        _request.set((path, params))
        _access_key.set(router.extract_access_key_id(headers, params) or "")
        return "*"
    if service == "ec2":
        _flat.set(wire.flat(body, params))
        _access_key.set(router.extract_access_key_id(headers, params) or "")
        return "*"
    dashboard = dashboard_arn(body, params, account) if service == "monitoring" else None
    return dashboard or _extract_resource_arn(service, method, path, headers, body, params, region, account)


def resolve_condition_key(key: str, context: Any) -> Any:
    """In place of ministack's, which takes whose a resource is from its ARN; the ARN of a snapshot does not show it.

    The functions call AWS over TLS. Here they call a port on loopback, and that counts as TLS.
    """
    if key.lower() == SECURE_TRANSPORT:
        return "true"
    owner = context.service_context.get(RESOURCE_ACCOUNT) if key.lower() == RESOURCE_ACCOUNT else None
    return owner or _resolve_condition_key(key, context)


@lru_cache(maxsize=POLICIES_KEPT)
def _parsed(text: str) -> Any:
    return _parse_policy_document(text)


def parse_policy_document(document: Any) -> Any:
    """In place of ministack's: the same, and a text is parsed once. Nobody changes what it is parsed to."""
    return _parsed(document) if isinstance(document, str) else _parse_policy_document(document)


def request_caller_arn(headers: dict[str, str], query: dict[str, Any] | None = None) -> str:
    """In place of ministack's: whose the access key is, without gathering all that its owner may do."""
    account = get_account_id()
    key = router.extract_access_key_id(headers or {}, query or {})
    if key:
        found = iam_evaluator.resolve_credential(key, _account_from_sts_session(key) or account)
        arn = getattr(found, "principal_arn", "")
        if arn:
            return str(arn)
    return f"arn:aws:iam::{account}:root"


def enforce(  # noqa: PLR0917 ministack calls it so
    access_key_id: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    """In place of ministack's: a call of EC2 or EBS is allowed if every one of its checks is."""
    if service in CHECKS_OF:
        return _enforce_checks(access_key_id, iam_action.split(":", 1)[1], service, region)
    if service != "ec2":
        context = {**(service_context or {}), **(_leading.get({}) if service == "dynamodb" else {})}
        return _enforce(access_key_id, SQS_BATCHES.get(iam_action, iam_action), service, region, resource_arn, context)
    for check in checks(iam_action.split(":", 1)[1], _flat.get({}), Scope(get_account_id(), region)):
        context = {"ec2:region": region, **check.context}
        denied = _enforce(access_key_id, f"ec2:{check.action}", "ec2", region, check.resource, context)
        if denied:
            return _refusal(denied, check)
    return None


def _enforce_checks(access_key_id: str, action: str, service: str, region: str) -> Any:
    for check in CHECKS_OF[service](action, *_request.get(), Scope(get_account_id(), region)):
        denied = _enforce(access_key_id, f"{service}:{check.action}", service, region, check.resource, check.context)
        if denied:
            return denied if isinstance(denied, iam_evaluator.AuthError) else _access_denied(denied, service, check)
    return None


def _access_denied(denied: Any, service: str, check: Check) -> Any:
    said = _sentence(denied, f"{service}:{check.action}", f" on resource: {check.resource}")
    return iam_evaluator.AuthError("AccessDeniedException", said)


def _refusal(denied: Any, check: Check) -> Any:
    """The refusal in EC2's words, with the action and the resource that were refused: CreateTags, not CreateVolume."""
    if isinstance(denied, iam_evaluator.AuthError):
        return denied
    # An action that knows no resources is refused without one.
    resource = "" if check.resource == "*" else f" on resource: {check.resource}"
    said = _sentence(denied, f"ec2:{check.action}", resource)
    return iam_evaluator.AuthError("UnauthorizedOperation", f"You are not authorized to perform this operation. {said}")


def _sentence(denied: Any, action: str, on_resource: str) -> str:
    why = (
        "with an explicit deny in an identity-based policy"
        if denied.decision == "Deny"
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {denied.principal_arn} is not authorized to perform: {action}{on_resource} {why}"


def why_caller_may_not(scope: Scope, action: str, key_arn: str, context: Context) -> str:
    """In the words of KMS, why the caller of the EC2 call under way may not do this with a key; nothing if it may."""
    if not ministack_app.AUTH:
        return ""
    denied = _enforce(_access_key.get(), action, "kms", scope.region, key_arn, context)
    if not denied:
        return ""
    if isinstance(denied, iam_evaluator.AuthError):
        return str(denied)
    by_ciphertext = action in ("kms:Decrypt", "kms:ReEncryptFrom")
    named = "on the resource associated with this ciphertext" if by_ciphertext else f"on resource: {key_arn}"
    return _sentence(denied, action, f" {named}")


# --- what an EC2 call is checked on


def checks(action: str, flat: Mapping[str, str], scope: Scope) -> list[Check]:
    """The questions that a call raises, in EC2's order."""
    operation = wire.operation(action)
    if operation is None or action.startswith("Describe"):
        return [Check(action, "*")]
    try:
        parameters = wire.parse(operation, flat)
    except Ec2Error:  # the handler will say what is wrong with it
        return [Check(action, "*")]
    call = _Call(action, parameters, scope)
    rule = RULES.get(action)
    if rule is None:
        return [Check(action, "*")]
    return [*rule(call), *call.tagging()]


@dataclass(frozen=True)
class _Call:
    action: str
    parameters: dict[str, Any]
    scope: Scope

    @property
    def region(self) -> Region:
        return WORLD.region(self.scope.region)

    def arn(self, kind: str, resource_id: str) -> str:
        account = "" if kind in WITHOUT_ACCOUNT else self.scope.account
        return f"arn:aws:ec2:{self.scope.region}:{account}:{kind}/{resource_id}"

    def existing(self, resource_id: str, more: Context | None = None) -> Check:
        """About a resource that exists, or is said to."""
        kind = KINDS.get(resource_id.split("-", maxsplit=1)[0], "*")
        return Check(self.action, self.arn(kind, resource_id), {**self._facts(kind, resource_id), **(more or {})})

    def new(self, kind: str, more: Context | None = None) -> Check:
        """About a resource that the call makes."""
        account = {RESOURCE_ACCOUNT: self.scope.account}
        return Check(self.action, self.arn(kind, "*"), {**self._requested_tags(kind), **account, **(more or {})})

    def _facts(self, kind: str, resource_id: str) -> Context:
        found = _find(self.region, kind, resource_id)
        if found is None:
            return {}
        context: Context = {}
        for key, value in _tags_seen(found, self.scope.account).items():
            context[f"aws:resourcetag/{key}".lower()] = value
            context[f"ec2:resourcetag/{key}".lower()] = value
        return context | facts_of(found, self.scope) | {RESOURCE_ACCOUNT: found.owner}

    def _requested_tags(self, kind: str) -> Context:
        requested = self._specified().get(kind, {})
        context: Context = {f"aws:requesttag/{key}".lower(): value for key, value in requested.items()}
        return context | {"aws:tagkeys": list(requested) or None}

    def _specified(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for specification in self.parameters.get("TagSpecifications", []):
            tags = {tag.get("Key", ""): tag.get("Value", "") for tag in specification.get("Tags", [])}
            found.setdefault(specification.get("ResourceType", ""), {}).update(tags)
        return found

    def tagging(self) -> list[Check]:
        """CreateTags, once for each kind of resource that the call tags as it makes it."""
        return [
            Check(
                "CreateTags",
                self.arn(kind, "*"),
                {**self._requested_tags(kind), "ec2:createaction": self.action},
            )
            for kind, tags in self._specified().items()
            if tags
        ]


def _find(region: Region, kind: str, resource_id: str) -> Resource | None:
    known: Mapping[str, Resource] = {
        "volume": region.volumes,
        "snapshot": region.snapshots,
        "instance": region.instances,
        "image": region.images,
    }.get(kind, {})  # type: ignore[assignment]
    return known.get(resource_id)


def _tags_seen(found: Resource, account: str) -> Mapping[str, str]:
    """The tags that count in an account's policies: the owner's, or on a shared snapshot the recipient's own."""
    if isinstance(found, Snapshot):
        return found.tags_seen_by(account)
    return found.tags if found.owner == account else {}


def facts_of(found: Resource, scope: Scope) -> Context:
    """The condition keys that a resource itself answers."""
    if isinstance(found, Volume):
        facts: Context = {
            "ec2:encrypted": str(found.encrypted).lower(),
            "ec2:volumetype": found.volume_type,
            "ec2:volumesize": str(found.size),
            "ec2:volumeid": found.volume_id,
            "ec2:availabilityzone": found.zone,
        }
        if found.snapshot_id:
            facts["ec2:parentsnapshot"] = f"arn:aws:ec2:{scope.region}::snapshot/{found.snapshot_id}"
        return facts
    if isinstance(found, Snapshot):
        return {
            "ec2:owner": found.owner,
            "ec2:snapshotid": found.snapshot_id,
            "ec2:encrypted": str(found.encrypted).lower(),
            "ec2:volumesize": str(found.size),
            "ec2:snapshottime": found.start_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ec2:parentvolume": f"arn:aws:ec2:{scope.region}:{found.owner}:volume/{found.volume_id}",
        }
    if isinstance(found, Instance):
        return {
            "ec2:instanceid": found.instance_id,
            "ec2:instancetype": found.instance_type,
            "ec2:availabilityzone": found.zone,
            "ec2:rootdevicetype": "ebs",
        }
    if isinstance(found, Image):
        return {
            "ec2:owner": found.alias or found.owner,
            "ec2:public": str(found.public).lower(),
            "ec2:imageid": found.image_id,
            "ec2:imagetype": "machine",
            "ec2:rootdevicetype": "ebs",
        }
    return {}


def _create_snapshot(call: _Call) -> list[Check]:
    volume_id = call.parameters["VolumeId"]
    return [call.existing(volume_id), call.new("snapshot", _parent_volume(call, volume_id))]


def _parent_volume(call: _Call, volume_id: str) -> Context:
    volume = call.region.volumes.get(volume_id)
    return {
        "ec2:parentvolume": call.arn("volume", volume_id),
        **({"ec2:volumesize": str(volume.size)} if volume else {}),
    }


def _create_snapshots(call: _Call) -> list[Check]:
    """The instance, every volume that is included, and a snapshot of each."""
    specification = call.parameters["InstanceSpecification"]
    instance_id = specification.get("InstanceId", "")
    found = [call.existing(instance_id)]
    instance = call.region.instances.get(instance_id)
    excluded = set(specification.get("ExcludeDataVolumeIds", []))
    for device, volume_id in sorted(instance.devices.items()) if instance else ():
        boot = instance is not None and device == instance.root_device_name
        if volume_id in excluded or (boot and specification.get("ExcludeBootVolume")):
            continue
        found += [call.existing(volume_id), call.new("snapshot", _parent_volume(call, volume_id))]
    return found


def _create_volume(call: _Call) -> list[Check]:
    snapshot_id = call.parameters.get("SnapshotId")
    snapshot = call.region.snapshots.get(snapshot_id) if snapshot_id else None
    encrypted = bool(
        call.parameters.get("Encrypted")
        or (snapshot and snapshot.encrypted)
        or call.scope.account in call.region.encrypt_by_default
    )
    size = call.parameters.get("Size") or (snapshot.size if snapshot else 0)
    zone = call.parameters.get("AvailabilityZone", "")
    about: Context = {
        "ec2:availabilityzone": zone,
        "ec2:volumeid": "*",
        "aws:resourcebeingcreated": "true",
        "ec2:encrypted": str(encrypted).lower(),
        "ec2:volumetype": call.parameters.get("VolumeType", "gp2"),
        "ec2:volumesize": str(size),
    }
    for key, parameter in (
        ("ec2:volumeiops", "Iops"),
        ("ec2:volumethroughput", "Throughput"),
        ("ec2:kmskeyid", "KmsKeyId"),
        ("ec2:availabilityzoneid", "AvailabilityZoneId"),
    ):
        if parameter in call.parameters:
            about[key] = str(call.parameters[parameter])
    if zone in call.region.zones:
        about["ec2:availabilityzoneid"] = call.region.zone_id(zone)
    if not snapshot_id:
        return [call.new("volume", about)]
    about["ec2:parentsnapshot"] = call.arn("snapshot", snapshot_id)
    return [call.new("volume", about), call.existing(snapshot_id)]


def _copy_snapshot(call: _Call) -> list[Check]:
    """The new snapshot and the source; of the source's tags IAM knows nothing."""
    source_id = call.parameters["SourceSnapshotId"]
    source_region = WORLD.region(call.parameters["SourceRegion"])
    source = source_region.snapshots.get(source_id)
    about: Context = {
        "ec2:encrypted": str(bool(call.parameters.get("Encrypted") or (source and source.encrypted))).lower(),
        "ec2:parentsnapshot": f"arn:aws:ec2:{source_region.name}::snapshot/{source_id}",
        "ec2:sourceregion": source_region.name,
    }
    source_arn = f"arn:aws:ec2:{source_region.name}::snapshot/{source_id}"
    return [
        call.new("snapshot", about),
        Check(call.action, source_arn, {**_of_source(source, call.scope), "ec2:sourceregion": source_region.name}),
    ]


def _of_source(source: Snapshot | None, scope: Scope) -> Context:
    return {**facts_of(source, scope), RESOURCE_ACCOUNT: source.owner} if source else {}


def _modify_snapshot_attribute(call: _Call) -> list[Check]:
    about: Context = {}  # AWS sends no ec2:Attribute here, whatever the reference lists
    permission = call.parameters.get("CreateVolumePermission", {})
    for way in ("Add", "Remove"):
        entries = permission.get(way, [])
        users = [entry["UserId"] for entry in entries if "UserId" in entry]
        groups = [entry["Group"] for entry in entries if "Group" in entry]
        if call.parameters.get("OperationType") == way.lower():
            users += call.parameters.get("UserIds", [])
            groups += call.parameters.get("GroupNames", [])
        if users:
            about[f"ec2:{way}/userId".lower()] = users if len(users) > 1 else users[0]
        if groups:
            about[f"ec2:{way}/group".lower()] = groups if len(groups) > 1 else groups[0]
    return [call.existing(call.parameters["SnapshotId"], about)]


def _lock_snapshot(call: _Call) -> list[Check]:
    about: Context = {}
    for key, parameter in (
        ("ec2:snapshotlockduration", "LockDuration"),
        ("ec2:snapshotcooloffperiod", "CoolOffPeriod"),
    ):
        if parameter in call.parameters:
            about[key] = str(call.parameters[parameter])
    return [call.existing(call.parameters["SnapshotId"], about)]


def _attach_volume(call: _Call) -> list[Check]:
    return [call.existing(call.parameters["VolumeId"]), call.existing(call.parameters["InstanceId"])]


def _detach_volume(call: _Call) -> list[Check]:
    """The instance only if it is named, as the Service Authorization Reference has it."""
    named = [call.parameters["InstanceId"]] if call.parameters.get("InstanceId") else []
    return [call.existing(resource_id) for resource_id in (call.parameters["VolumeId"], *named)]


ATTRIBUTES = {
    "BlockDeviceMappings": "BlockDeviceMapping",
    "DisableApiStop": "DisableApiStop",
    "DisableApiTermination": "DisableApiTermination",
    "InstanceType": "InstanceType",
    "Groups": "GroupSet",
}


def _modify_instance_attribute(call: _Call) -> list[Check]:
    """The instance, and the volume if the request names one."""
    attribute = call.parameters.get("Attribute") or next(
        (name for parameter, name in ATTRIBUTES.items() if parameter in call.parameters), ""
    )
    about = {"ec2:attribute": attribute}
    named = [
        m["Ebs"]["VolumeId"] for m in call.parameters.get("BlockDeviceMappings", []) if "VolumeId" in m.get("Ebs", {})
    ]
    return [call.existing(i, about) for i in (call.parameters["InstanceId"], *named)]


def _run_instances(call: _Call) -> list[Check]:
    """The image, the instance and each of its volumes; networks and keys are not asked about here."""
    image = call.region.images.get(call.parameters.get("ImageId", ""))
    zone = call.parameters.get("Placement", {}).get("AvailabilityZone", "")
    place: Context = {"aws:resourcebeingcreated": "true"}
    if zone in call.region.zones:
        place |= {"ec2:availabilityzone": zone, "ec2:availabilityzoneid": call.region.zone_id(zone)}
    metadata = call.parameters.get("MetadataOptions", {})
    profile = call.parameters.get("IamInstanceProfile", {})
    about: Context = {
        **place,
        "ec2:instanceid": "*",
        "ec2:instancetype": call.parameters.get("InstanceType", "m1.small"),
        "ec2:instancemarkettype": call.parameters.get("InstanceMarketOptions", {}).get("MarketType", "on-demand"),
        "ec2:tenancy": call.parameters.get("Placement", {}).get("Tenancy", "default"),
        "ec2:ebsoptimized": str(bool(call.parameters.get("EbsOptimized"))).lower(),
        "ec2:rootdevicetype": "ebs",
        "ec2:metadatahttptokens": metadata.get("HttpTokens", "required"),
        "ec2:metadatahttpendpoint": metadata.get("HttpEndpoint", "enabled"),
        "ec2:metadatahttpputresponsehoplimit": str(metadata.get("HttpPutResponseHopLimit", 2)),
    }
    if profile:
        named = f"arn:aws:iam::{call.scope.account}:instance-profile/{profile.get('Name')}"
        about["ec2:instanceprofile"] = profile.get("Arn") or named
    devices = {mapping["DeviceName"]: mapping.get("Ebs", {}) for mapping in image.mappings} if image else {}
    for mapping in call.parameters.get("BlockDeviceMappings", []):
        if "Ebs" in mapping:
            device = mapping.get("DeviceName", "")
            devices[device] = {**devices.get(device, {}), **mapping["Ebs"]}
    return [
        call.existing(call.parameters.get("ImageId", "ami-"), {"ec2:islaunchtemplateresource": "false"}),
        call.new("instance", about),
        *(call.new("volume", {**place, **_launched_volume(call, ebs)}) for ebs in devices.values()),
    ]


def _launched_volume(call: _Call, ebs: Mapping[str, Any]) -> Context:
    kind = ebs.get("VolumeType", "gp2")
    iops, throughput = (
        (ebs.get("Iops", 3_000), ebs.get("Throughput", 125)) if kind == "gp3" else (ebs.get("Iops"), None)
    )
    snapshot = call.region.snapshots.get(ebs.get("SnapshotId", ""))
    encrypted = bool(ebs.get("Encrypted") or (snapshot and snapshot.encrypted))
    about: Context = {
        "ec2:volumeid": "*",
        "ec2:volumetype": kind,
        "ec2:volumesize": str(ebs.get("VolumeSize") or (snapshot.size if snapshot else 8)),
        "ec2:encrypted": str(encrypted).lower(),
    }
    about |= {"ec2:volumeiops": str(iops)} if iops else {}
    about |= {"ec2:volumethroughput": str(throughput)} if throughput else {}
    return about | ({"ec2:parentsnapshot": call.arn("snapshot", ebs["SnapshotId"])} if snapshot else {})


def _tags(call: _Call) -> list[Check]:
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in call.parameters.get("Tags", [])}
    about: Context = {f"aws:requesttag/{key}".lower(): value for key, value in tags.items()}
    about["aws:tagkeys"] = list(tags) or None
    return [call.existing(resource_id, about) for resource_id in call.parameters.get("Resources", [])]


def _named(*names: str) -> Callable[[_Call], list[Check]]:
    """The resources whose ids stand in these parameters."""

    def rule(call: _Call) -> list[Check]:
        ids: list[str] = []
        for name in names:
            value = call.parameters.get(name, [])
            ids += [value] if isinstance(value, str) else value
        return [call.existing(resource_id) for resource_id in ids]

    return rule


RULES: dict[str, Callable[[_Call], list[Check]]] = {
    "AttachVolume": _attach_volume,
    "CopyImage": lambda call: [call.new("image"), call.new("snapshot")],
    "CopySnapshot": _copy_snapshot,
    "CreateImage": lambda call: [
        call.existing(call.parameters["InstanceId"]),
        call.new("image"),
        call.new("snapshot"),
    ],
    "CreateSnapshot": _create_snapshot,
    "CreateSnapshots": _create_snapshots,
    "CreateTags": _tags,
    "CreateVolume": _create_volume,
    "DeleteSnapshot": _named("SnapshotId"),
    "DeleteTags": _tags,
    "DeleteVolume": _named("VolumeId"),
    "DeregisterImage": _named("ImageId"),
    "DetachVolume": _detach_volume,
    "GetImageAncestry": _named("ImageId"),
    "LockSnapshot": _lock_snapshot,
    "ModifyInstanceAttribute": _modify_instance_attribute,
    "ModifySnapshotAttribute": _modify_snapshot_attribute,
    "ModifySnapshotTier": _named("SnapshotId"),
    "ModifyVolume": _named("VolumeId"),
    "RebootInstances": _named("InstanceIds"),
    "RunInstances": _run_instances,
    "StartInstances": _named("InstanceIds"),
    "StopInstances": _named("InstanceIds"),
    "TerminateInstances": _named("InstanceIds"),
    "UnlockSnapshot": _named("SnapshotId"),
}
