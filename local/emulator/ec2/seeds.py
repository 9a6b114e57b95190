"""State that no API call could make: old snapshots, other people's images, AWS's own tags, instances that go wrong."""

import os
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from local.emulator.ec2 import notices, outcomes
from local.emulator.ec2.errors import Ec2Error
from local.emulator.ec2.model import LOCK, WORLD, Image, Instance, Misbehaviour, Region, Snapshot, new_id, now
from local.emulator.scope import Scope

HOME = Scope(os.environ.get("LOCAL_AWS_ACCOUNT", "111122223333"), os.environ.get("LOCAL_AWS_REGION", "eu-west-1"))


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def snapshot(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, str]:
    """A snapshot as given; completed and owned by the account unless said otherwise."""
    start = _moment(wanted.get("start_time")) or now()
    state = wanted.get("state", "completed")
    volume_id = wanted.get("volume_id") or new_id("vol")
    with LOCK:
        volume = WORLD.region(scope.region).volumes.get(volume_id)
        made = Snapshot(
            owner=wanted.get("owner") or scope.account,
            tags=dict(wanted.get("tags") or {}),
            snapshot_id=wanted.get("snapshot_id") or new_id("snap"),
            volume_id=volume_id,
            lineage=volume.lineage if volume else volume_id,
            size=int(wanted.get("size") or 8),
            state=state,
            description=wanted.get("description") or "",
            encrypted=bool(wanted.get("encrypted") or wanted.get("kms_key_id")),
            kms_key_id=wanted.get("kms_key_id"),
            start_time=start,
            completion_time=(_moment(wanted.get("completion_time")) or start) if state == "completed" else None,
            storage_tier=wanted.get("storage_tier") or "standard",
            users=set(wanted.get("users") or []),
            groups=set(wanted.get("groups") or []),
            owner_alias=wanted.get("owner_alias"),
            product_codes=list(wanted.get("product_codes") or []),
        )
        WORLD.region(scope.region).snapshots[made.snapshot_id] = made
    return {"snapshot_id": made.snapshot_id}


def image(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, str]:
    """An image as given; public if it is another account's, unless said otherwise."""
    owner = wanted.get("owner") or scope.account
    root = wanted.get("root_device_name") or "/dev/xvda"
    created = _moment(wanted.get("creation_date")) or now()
    with LOCK:
        made = Image(
            owner=owner,
            tags=dict(wanted.get("tags") or {}),
            image_id=wanted.get("image_id") or new_id("ami"),
            name=wanted.get("name") or "",
            state=wanted.get("state") or "available",
            alias=wanted.get("alias"),
            public=bool(wanted.get("public", owner != scope.account)),
            architecture=wanted.get("architecture") or "x86_64",
            creation_date=created,
            deprecation_time=_moment(wanted.get("deprecation_time")),
            root_device_name=root,
            mappings=list(wanted.get("mappings") or [_root_mapping(root, int(wanted.get("root_size") or 8))]),
            product_codes=list(wanted.get("product_codes") or []),
            watermarks=list(wanted.get("watermarks") or []),
            users=set(wanted.get("users") or []),
            source_image_id=wanted.get("source_image_id"),
            source_image_region=wanted.get("source_image_region") or scope.region,
            source_instance_id=wanted.get("source_instance_id"),
            ancestry_recorded=bool(wanted.get("ancestry_recorded", True)),
            allowed=bool(wanted.get("allowed", True)),
        )
        WORLD.region(scope.region).images[made.image_id] = made
    return {"image_id": made.image_id}


def _root_mapping(device: str, size: int) -> dict[str, Any]:
    return {
        "DeviceName": device,
        "Ebs": {"VolumeSize": size, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": False},
    }


def tags(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Set tags on any resource of any account, AWS's own included; a value of null removes one.

    Raises:
        Ec2Error: there is no such resource.
    """
    region, resource_id = WORLD.region(scope.region), wanted["resource"]
    for known in (region.volumes, region.snapshots, region.instances, region.images):
        if resource_id in known:
            target = known[resource_id]  # type: ignore[index]
            break
    else:
        raise Ec2Error("NotFound", f"there is no {resource_id} in {scope.region}")
    with LOCK:
        for key, value in wanted["tags"].items():
            if value is None:
                target.tags.pop(key, None)
            else:
                target.tags[key] = value
    return dict(target.tags)


def image_state(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Change an image of any account: its state (and with it the event), who may use it, whether it is allowed.

    Raises:
        Ec2Error: there is no such image.
    """
    found = WORLD.region(scope.region).images.get(wanted["image_id"])
    if found is None:
        raise Ec2Error("InvalidAMIID.NotFound", f"there is no {wanted['image_id']} in {scope.region}")
    with LOCK:
        for name in ("public", "allowed"):
            if name in wanted:
                setattr(found, name, bool(wanted[name]))
        if "state" in wanted:
            found.state = wanted["state"]
            notices.image_changed(Scope(found.owner, scope.region), found.image_id, found.state, new_id("req"))
    return {"image_id": found.image_id, "state": found.state, "public": found.public, "allowed": found.allowed}


def instance_flags(scope: Scope, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Make an instance go wrong, or be a spot instance, or have run, or had its volumes, for longer.

    It may also be on an Outpost (`outpost_arn`), have its public address as an Elastic IP address (`elastic_ip`), or be
    refused volumes with these product codes (`ended_subscriptions`).

    Raises:
        Ec2Error: there is no such instance.
        ValueError: there is no such flag.
    """
    found = WORLD.region(scope.region).instances.get(wanted["instance_id"])
    if found is None:
        raise Ec2Error("InvalidInstanceID.NotFound", f"there is no {wanted['instance_id']} in {scope.region}")
    flags = {field.name for field in fields(Misbehaviour)}
    with LOCK:
        for name, value in wanted.items():
            if name in flags:
                setattr(found.misbehaviour, name, type(getattr(found.misbehaviour, name))(value))
            elif name in ("lifecycle", "outpost_arn", "elastic_ip"):
                setattr(found, name, value)
            elif name == "ended_subscriptions":
                found.ended_subscriptions = set(value)
            elif name in ("launch_time", "running_since"):
                _set_time(found, name, value)
            elif name == "attach_time":
                _set_attach_times(WORLD.region(scope.region), found, value)
            elif name not in ("instance_id", "account", "region"):
                raise ValueError(f"an instance has no flag {name!r}; it has {', '.join(sorted(flags))}, lifecycle")
    return {"instance_id": found.instance_id, **vars(found.misbehaviour), "lifecycle": found.lifecycle}


def _set_time(found: Instance, name: str, value: str) -> None:
    moment = _moment(value)
    if moment:
        setattr(found, name, moment)


def _set_attach_times(region: Region, found: Instance, value: str) -> None:
    moment = _moment(value)
    for volume_id in found.devices.values():
        attachment = region.volumes[volume_id].attachment
        if attachment and moment:
            attachment.attach_time = moment


def outcome(wanted: Mapping[str, Any]) -> int:
    """See `outcomes.add`."""
    return outcomes.add(wanted)


def clear_misbehaviour() -> None:
    """All creations succeed and all instances behave."""
    outcomes.clear()
    with LOCK:
        for region in WORLD.regions():
            for found in region.instances.values():
                found.misbehaviour = Misbehaviour()
