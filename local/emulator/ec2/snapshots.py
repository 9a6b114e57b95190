"""Snapshots: taken alone, as a set or as a copy; described, shared, locked, deleted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.session

from local.emulator.ec2 import keys, notices, outcomes, tags
from local.emulator.ec2.actions import handles
from local.emulator.ec2.blocks import BLOCK_SIZE, GIB
from local.emulator.ec2.errors import Ec2Error, invalid_value, missing
from local.emulator.ec2.model import (
    LOCK,
    WORLD,
    Region,
    Request,
    Snapshot,
    SnapshotLock,
    Volume,
    check_id,
    new_id,
    now,
)
from local.emulator.ec2.select import filtered, page
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

COPIES_IN_FLIGHT = 20
COPIED_VOLUME = "vol-ffffffff"
CONCURRENT_PER_VOLUME = {"st1": 1, "sc1": 1}
CONCURRENT_DEFAULT = 5
SECONDS_BETWEEN_SNAPSHOTS = 15
MOST_PERMISSIONS = 500
COMPLETION_STEP = 15
MOST_COMPLETION = 2880
MIB_A_MINUTE = 500 * 60
"""Of one time-based copy."""


def describe(snapshot: Snapshot, viewer: str) -> dict[str, Any]:
    """A snapshot as an account sees it: with the tags that are its own."""
    shown: dict[str, Any] = {
        "SnapshotId": snapshot.snapshot_id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StateMessage": snapshot.state_message or None,
        "StartTime": snapshot.start_time,
        "CompletionTime": snapshot.completion_time,
        "Progress": progress(snapshot),
        "OwnerId": snapshot.owner,
        "OwnerAlias": snapshot.owner_alias,
        "Description": snapshot.description,
        "VolumeSize": snapshot.size,
        "Encrypted": snapshot.encrypted,
        "KmsKeyId": snapshot.kms_key_id,
        "StorageTier": snapshot.storage_tier,
        # On every snapshot, of a volume as well, pending or not.
        "TransferType": snapshot.transfer_type or "standard",
        "CompletionDurationMinutes": snapshot.completion_minutes,
        "Tags": tags.as_list(snapshot.tags_seen_by(viewer)) or None,
    }
    if isinstance(snapshot, _Copy) and (snapshot.state == "pending" or not snapshot.knows_source):
        shown |= {"VolumeSize": 0, "Encrypted": False, "KmsKeyId": None}
    if isinstance(snapshot, _Copy) and snapshot.state == "pending":
        shown["StateMessage"] = "Metadata not updated"
    if snapshot.state == "completed":
        # Only what was written counts (recorded). Here most volumes are full though nothing was written to them.
        shown["FullSnapshotSizeInBytes"] = len(snapshot.blocks) * BLOCK_SIZE or snapshot.size * GIB
    return shown


def progress(snapshot: Snapshot) -> str:
    """In percent, as text."""
    if snapshot.state != "pending":
        return "100%" if snapshot.state == "completed" else "0%"
    elapsed = (now() - snapshot.start_time).total_seconds()
    return f"{min(99, max(0, int(100 * elapsed / snapshot.seconds))) if snapshot.seconds else 0}%"


def _answered(snapshot: Snapshot, viewer: str) -> dict[str, Any]:
    """As CreateSnapshot answers: less than DescribeSnapshots shows, and no progress yet."""
    left_out = {"StorageTier", "TransferType", "KmsKeyId"}
    shown = {name: value for name, value in describe(snapshot, viewer).items() if name not in left_out}
    return {**shown, "Progress": ""}


def _info(snapshot: Snapshot) -> dict[str, Any]:
    """As CreateSnapshots answers."""
    return {
        "SnapshotId": snapshot.snapshot_id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StartTime": snapshot.start_time,
        "Progress": progress(snapshot),
        "OwnerId": snapshot.owner,
        "Description": snapshot.description,
        "VolumeSize": snapshot.size,
        "Encrypted": snapshot.encrypted,
        "Tags": tags.as_list(snapshot.tags),
    }


def _of_volume(request: Request, volume: Volume, description: str, tagged: dict[str, str], at: datetime) -> Snapshot:
    """A new snapshot of a volume, not yet known to the region.

    Raises:
        Ec2Error: IncorrectState, or a limit if they are switched on.
    """
    if volume.state not in ("available", "in-use"):
        raise Ec2Error("IncorrectState", f"The volume '{volume.volume_id}' is in the '{volume.state}' state.")
    if SETTINGS.snapshot_limits:
        _check_limits(request, volume, at)
    return Snapshot(
        owner=request.account,
        tags=tagged,
        volume_id=volume.volume_id,
        size=volume.size,
        description=description,
        encrypted=volume.encrypted,
        kms_key_id=volume.kms_key_id,
        start_time=at,
        seconds=SETTINGS.delays.snapshot,
        product_codes=list(volume.product_codes),
        blocks=dict(volume.blocks),
        lineage=volume.lineage,
    )


def _check_limits(request: Request, volume: Volume, at: datetime) -> None:
    mine = [s for s in request.region.snapshots.values() if s.volume_id == volume.volume_id]
    open_ones = sum(snapshot.state in ("pending", "error") for snapshot in mine)
    if open_ones >= CONCURRENT_PER_VOLUME.get(volume.volume_type, CONCURRENT_DEFAULT):
        raise Ec2Error("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume")
    latest = max((snapshot.start_time for snapshot in mine), default=None)
    if latest and (at - latest).total_seconds() < SECONDS_BETWEEN_SNAPSHOTS:
        raise Ec2Error(
            "SnapshotCreationPerVolumeRateExceeded",
            "The maximum per volume CreateSnapshot request rate has been exceeded. "
            "Use an increasing or variable sleep interval between requests.",
        )


@handles("CreateSnapshot")
def create_snapshot(request: Request) -> dict[str, Any]:
    """One snapshot of one volume."""
    volume = request.region.volume(request.parameters["VolumeId"], request.account)
    tagged = tags.at_creation(request, "snapshot")["snapshot"]
    snapshot = _of_volume(request, volume, request.get("Description", ""), tagged, now())
    request.region.snapshots[snapshot.snapshot_id] = snapshot
    outcome = outcomes.take("snapshot", volume.volume_id)
    if not (outcome and outcome.stuck):
        failed = bool(outcome)
        TIMERS.after(
            SETTINGS.delays.snapshot,
            lambda: _end_one(request.scope, snapshot, failed=failed),
            f"snapshot {snapshot.snapshot_id}",
        )
    return _answered(snapshot, request.account)


def _end_one(scope: Scope, snapshot: Snapshot, *, failed: bool) -> None:
    with LOCK:
        ended = now()
        end(scope, snapshot, "error" if failed else "completed", ended)
        notices.snapshot_created(scope, snapshot, ended)


def end(scope: Scope, snapshot: Snapshot, state: str, ended: datetime) -> None:
    """A snapshot is over; one that was deleted meanwhile goes now."""
    snapshot.state = state
    if state == "completed":
        snapshot.completion_time = ended
    elif not snapshot.state_message:
        snapshot.state_message = "Snapshot is in status error"
    if snapshot.lock and snapshot.lock.starts == snapshot.start_time:
        _start_lock(snapshot, ended)
    if snapshot.delete_when_done:
        WORLD.region(scope.region).snapshots.pop(snapshot.snapshot_id, None)


def _start_lock(snapshot: Snapshot, ended: datetime) -> None:
    """The lock of a pending snapshot begins when it is completed, and is void if it fails."""
    if snapshot.state == "error":
        snapshot.lock = None
    elif snapshot.lock:
        snapshot.lock.starts = ended
        snapshot.lock.expires = ended + timedelta(days=snapshot.lock.duration)


@handles("CreateSnapshots")
def create_snapshots(request: Request) -> dict[str, Any]:
    """A crash-consistent set of an instance's volumes: one start time, all or none."""
    specification = request.parameters["InstanceSpecification"]
    instance_id = specification.get("InstanceId")
    if not instance_id:
        raise missing("InstanceSpecification.InstanceId")
    instance = request.region.instance(instance_id, request.account)
    tagged = tags.at_creation(request, "snapshot")["snapshot"]
    copy_from = request.get("CopyTagsFromSource")
    at = now()
    taken = []
    for volume in included_volumes(request, specification):
        copied = {k: v for k, v in volume.tags.items() if not k.startswith("aws:")} if copy_from == "volume" else {}
        merged = {**copied, **tagged}
        tags.check_number(merged)
        taken.append(_of_volume(request, volume, request.get("Description", ""), merged, at))
    if not taken:
        raise invalid_value(f"No volumes of instance '{instance_id}' are included")
    for snapshot in taken:
        request.region.snapshots[snapshot.snapshot_id] = snapshot
    failures = [
        (snapshot, outcome)
        for snapshot in taken
        if (outcome := outcomes.take("snapshot", snapshot.volume_id, instance.instance_id))
    ]
    if not any(outcome.stuck for _snapshot, outcome in failures):
        failed = failures[0][0] if failures else None
        TIMERS.after(
            SETTINGS.delays.snapshot, lambda: _end_set(request.scope, taken, failed), f"snapshots of {instance_id}"
        )
    return {"Snapshots": [_info(snapshot) for snapshot in taken]}


def included_volumes(request: Request, specification: dict[str, Any]) -> list[Volume]:
    """The instance's volumes that CreateSnapshots takes, in the order of their devices.

    Raises:
        Ec2Error: InvalidParameterValue if an excluded volume is not a data volume of the instance.
    """
    instance = request.region.instance(specification["InstanceId"], request.account)
    excluded = set(specification.get("ExcludeDataVolumeIds", []))
    data = {v for device, v in instance.devices.items() if device != instance.root_device_name}
    if excluded - data:
        raise invalid_value(f"The volumes {sorted(excluded - data)} are not data volumes of the instance")
    if specification.get("ExcludeBootVolume"):
        excluded |= {v for device, v in instance.devices.items() if device == instance.root_device_name}
    return [request.region.volumes[v] for _device, v in sorted(instance.devices.items()) if v not in excluded]


def _end_set(scope: Scope, taken: Sequence[Snapshot], failed: Snapshot | None) -> None:
    with LOCK:
        ended = now()
        for snapshot in taken:
            end(scope, snapshot, "error" if failed else "completed", ended)
        if SETTINGS.per_volume_events:
            for snapshot in taken:
                notices.snapshot_created(scope, snapshot, ended)
        if SETTINGS.multi_volume_events:
            notices.snapshots_created(scope, taken, failed, ended)


# --- describing

FIELDS = {
    "description": lambda s: [s.description],
    "encrypted": lambda s: [s.encrypted],
    "owner-alias": lambda s: [s.owner_alias],
    "owner-id": lambda s: [s.owner],
    "progress": lambda s: [progress(s)],
    "snapshot-id": lambda s: [s.snapshot_id],
    "start-time": lambda s: [s.start_time],
    "status": lambda s: [s.state],
    "storage-tier": lambda s: [s.storage_tier],
    "transfer-type": lambda s: [s.transfer_type],
    "volume-id": lambda s: [s.volume_id],
    "volume-size": lambda s: [s.size],
}


@handles("DescribeSnapshots")
def describe_snapshots(request: Request) -> dict[str, Any]:
    """What the account sees; a named snapshot that does not exist is an error, one it may not see is left out."""
    account, region = request.account, request.region
    for snapshot_id in request.get("SnapshotIds", []):
        check_id("snap", snapshot_id)
        if snapshot_id not in region.snapshots:
            region.snapshot(snapshot_id, account)
    wanted = set(request.get("SnapshotIds", []))
    seen = [
        snapshot
        for snapshot in region.snapshots.values()
        if (not wanted or snapshot.snapshot_id in wanted)
        and snapshot.readable_by(account)
        and _owned(snapshot, request.get("OwnerIds", []), account)
        and _restorable(snapshot, request.get("RestorableByUserIds", []), account)
    ]
    # Of another account's snapshot only the tags count that the viewer has set on it.
    matching = filtered(seen, request.get("Filters", []), FIELDS, lambda snapshot: snapshot.tags_seen_by(account))
    found, more = page(request, matching, exclusive_with="SnapshotIds")
    return {"Snapshots": [describe(snapshot, account) for snapshot in found], **more}


def _owned(snapshot: Snapshot, owners: Sequence[str], account: str) -> bool:
    return not owners or any(
        snapshot.owner == (account if owner == "self" else owner) or snapshot.owner_alias == owner for owner in owners
    )


def _restorable(snapshot: Snapshot, users: Sequence[str], account: str) -> bool:
    if not users:
        return True
    named = {account if user == "self" else user for user in users}
    # One's own, or shared with one; naming its owner does not find another's.
    own = snapshot.owner == account and account in named
    return bool(snapshot.users & named or ("all" in named and "all" in snapshot.groups) or own)


# --- deleting


@handles("DeleteSnapshot")
def delete_snapshot(request: Request) -> dict[str, Any]:
    """Delete one's own snapshot that no image uses and no lock holds; a pending one goes when it is over."""
    snapshot = request.region.snapshot(request.parameters["SnapshotId"], request.account)
    if snapshot.owner != request.account:
        raise Ec2Error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
    user = next(
        (
            image.image_id
            for image in request.region.images.values()
            if image.state != "deregistered" and snapshot.snapshot_id in image.snapshot_ids
        ),
        None,
    )
    if user:
        raise Ec2Error("InvalidSnapshot.InUse", f"The snapshot {snapshot.snapshot_id} is currently in use by {user}")
    if snapshot.lock and snapshot.lock.state(now()) != "expired":
        # AWS does not document this code; see local/README.md.
        raise Ec2Error("SnapshotLocked", f"The snapshot {snapshot.snapshot_id} is locked and cannot be deleted.")
    by_blocks = snapshot.volume_id == COPIED_VOLUME and not isinstance(snapshot, _Copy) and not snapshot.sealed
    if snapshot.state == "pending" and not by_blocks:
        snapshot.delete_when_done = True
    else:
        del request.region.snapshots[snapshot.snapshot_id]
    return {}


# --- copying


@handles("CopySnapshot")
def copy_snapshot(request: Request) -> dict[str, Any]:
    """A copy in the called region; nothing of the source's tags or volume id comes along.

    What is wrong with the source is not refused: EC2 begins the copy, which ends in error and stays, with size 0.
    """
    _check_regions(request)
    source_region = WORLD.region(request.parameters["SourceRegion"])
    source = source_region.snapshots.get(_source_id(request))
    if source is not None and not source.readable_by(request.account):
        source = None
    if source and source.storage_tier == "archive":
        raise Ec2Error("IncorrectState", f"The snapshot {source.snapshot_id} is archived.")
    minutes = _completion_minutes(request, source)
    open_copies = [s for s in request.region.snapshots.values() if isinstance(s, _Copy) and s.state == "pending"]
    if sum(copy.owner == request.account for copy in open_copies) >= COPIES_IN_FLIGHT:
        raise Ec2Error("ResourceLimitExceeded", "Too many snapshot copies in progress to this region")
    key = keys.for_new(
        request,
        encrypted=request.get("Encrypted"),
        given=request.get("KmsKeyId"),
        inherited=keys.default_key(request.region, request.account) if source and source.encrypted else None,
    )
    keys.refuse_for_copy(request, key)
    of_volume = source.volume_id if source else ""
    incremental = any(
        s.state == "completed" and s.kms_key_id == key and s.tags_of_source == of_volume
        for s in request.region.snapshots.values()
        if isinstance(s, _Copy)
    )
    copy = _Copy(
        owner=request.account,
        tags=tags.at_creation(request, "snapshot")["snapshot"],
        snapshot_id=new_id("snap"),
        volume_id=COPIED_VOLUME,
        size=source.size if source else 0,
        description=request.get("Description", ""),
        encrypted=key is not None,
        kms_key_id=key,
        seconds=SETTINGS.delays.copy,
        transfer_type="time-based" if minutes else "standard",
        completion_minutes=minutes,
        tags_of_source=of_volume,
        knows_source=source is not None and source.state == "completed",
        blocks=dict(source.blocks) if source else {},
        lineage=_lineage_of_copy(request, source_region, source),
    )
    request.region.snapshots[copy.snapshot_id] = copy
    outcome = outcomes.take("copy", request.parameters["SourceSnapshotId"])
    cause = (outcome.cause or "Source snapshot ID is not valid") if outcome else ""
    cause = _why_no_copy(request, source_region, source, key) or cause
    origin = (source_region.name, request.parameters["SourceSnapshotId"])
    if not (outcome and outcome.stuck):
        TIMERS.after(
            SETTINGS.delays.copy,
            lambda: _end_copy(request.scope, copy, origin, cause, incremental=incremental),
            f"copy {copy.snapshot_id}",
        )
    return {"SnapshotId": copy.snapshot_id, "Tags": tags.as_list(copy.tags)}


def _lineage_of_copy(request: Request, source_region: Region, source: Snapshot | None) -> str:
    """Within a region that of its source, whoever owns the two (recorded). Of copies from another region nothing is
    recorded: no two of them are related here."""
    if source is None or source_region.name != request.region.name:
        return ""
    return source.lineage


def check_values(request: Request) -> None:
    """What EC2 refuses of a CopySnapshot before DryRun. Raises Ec2Error."""
    _source_id(request)
    _check_regions(request)
    _completion_minutes(request, None)


def _check_regions(request: Request) -> None:
    """The two regions, and what a PresignedUrl says of them and the source; its signature is not checked."""
    source, here = request.parameters["SourceRegion"], request.region.name
    if source not in known_regions():
        raise Ec2Error("InvalidRegion", f"{source} is not a valid region name")
    destination = request.get("DestinationRegion") or here
    if destination != here:
        raise invalid_value(f"DestinationRegion '{destination}' does not match the current region ({here}).")
    if "PresignedUrl" not in request.parameters:
        return
    url = urlsplit(request.parameters["PresignedUrl"])
    said = dict(parse_qsl(url.query))
    if url.scheme not in ("http", "https"):
        raise invalid_value("The protocol in PresignedUrl should be http or https")
    if said.get("DestinationRegion", here) != here:
        raise invalid_value(
            f"The destination region specified in PresignedUrl: '{said['DestinationRegion']}' is incorrect"
        )
    given = request.parameters["SourceSnapshotId"]
    if said.get("SourceSnapshotId", given) != given:
        raise invalid_value(
            f"The source snapshot specified in PresignedUrl '{said['SourceSnapshotId']}' does not match the source "
            f"snapshot in the request: '{given}'"
        )


@cache
def known_regions() -> frozenset[str]:
    """The regions that botocore knows, of all partitions."""
    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(name for one in partitions for name in session.get_available_regions("ec2", one))


def _source_id(request: Request) -> str:
    given = str(request.parameters["SourceSnapshotId"])
    try:
        return check_id("snap", given)
    except Ec2Error:
        raise invalid_value("The specified snapshotId is invalid") from None


def _why_no_copy(request: Request, source_region: Region, source: Snapshot | None, key: str | None) -> str:
    """With what a copy ends that EC2 has begun, in EC2's words; nothing if it ends well."""
    if source is None:
        return "Source snapshot is not found"
    if source.state != "completed":
        return "Source snapshot is not complete"
    if (
        keys.why_unusable(request.scope, request.region, key)
        or keys.why_unusable(Scope(request.account, source_region.name), source_region, source.kms_key_id)
        or keys.why_forbidden(request, key, keys.NEEDED_TO_COPY)
        or _why_unreadable(request, source)
    ):
        return "Given key ID is not accessible"
    return ""


def _completion_minutes(request: Request, source: Snapshot | None) -> int | None:
    """In how many minutes a time-based copy is to be made. How one that is too short is refused is not recorded."""
    minutes = request.get("CompletionDurationMinutes")
    if minutes is None:
        return None
    least = max(COMPLETION_STEP, source.size * 1024 / MIB_A_MINUTE if source else 0)
    if minutes % COMPLETION_STEP or not least <= minutes <= MOST_COMPLETION:
        raise Ec2Error("InvalidParameterValue", f"The completion duration {minutes} is not valid for this snapshot.")
    return int(minutes)


def _why_unreadable(request: Request, source: Snapshot) -> str:
    """Why the caller may not use the key of another account's snapshot; the key's own policy is not judged."""
    if source.owner == request.account:
        return ""
    return keys.why_forbidden(request, source.kms_key_id, keys.NEEDED_TO_READ)


class _Copy(Snapshot):
    """A snapshot that was copied; it remembers of which volume, which decides whether the next copy is incremental, and
    whether EC2 came to know its source, without which it has neither size nor key."""

    def __init__(self, *, tags_of_source: str, knows_source: bool = True, **known: Any) -> None:
        super().__init__(**known)
        self.tags_of_source = tags_of_source
        self.knows_source = knows_source


def _end_copy(scope: Scope, copy: Snapshot, origin: tuple[str, str], cause: str, *, incremental: bool) -> None:
    with LOCK:
        ended = now()
        copy.state_message = cause
        end(scope, copy, "error" if cause else "completed", ended)
        notices.snapshot_copied(scope, copy, origin, cause, ended, incremental=incremental)


# --- sharing


@handles("ModifySnapshotAttribute")
def modify_snapshot_attribute(request: Request) -> dict[str, Any]:
    """Share with accounts or with all, or stop doing so."""
    snapshot = request.region.snapshot(request.parameters["SnapshotId"], request.account, own=True)
    added, removed = _permission_changes(request)
    groups = {g for kind, g in added if kind == "group"}
    users = {u for kind, u in added if kind == "user"}
    managed = keys.managed_key(request.region, request.account)
    if groups and snapshot.encrypted:
        raise Ec2Error("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly.")
    if users and snapshot.encrypted and snapshot.kms_key_id == managed:
        raise Ec2Error("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
    users.discard(snapshot.owner)  # sharing with oneself succeeds and does nothing
    snapshot.users -= {u for kind, u in removed if kind == "user"}
    snapshot.groups -= {g for kind, g in removed if kind == "group"}
    for user in users - snapshot.users:
        notices.snapshot_shared(request.scope, snapshot, user, request.request_id)
    snapshot.users |= users
    snapshot.groups |= groups
    return {}


def _permission_changes(request: Request) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Added and removed permissions, whichever of the two ways they were given in."""
    given = [("user", user) for user in request.get("UserIds", [])]
    given += [("group", group) for group in request.get("GroupNames", [])]
    added = list(given) if request.get("OperationType") == "add" else []
    removed = list(given) if request.get("OperationType") == "remove" else []
    permission = request.get("CreateVolumePermission", {})
    added += _permission_entries(permission.get("Add", []))
    removed += _permission_entries(permission.get("Remove", []))
    if not added and not removed and "CreateVolumePermission" not in request.parameters and request.get("Attribute"):
        raise Ec2Error("InvalidParameterCombination", "No operation specified for createVolumePermission attribute.")
    if not added and not removed:
        raise Ec2Error("InvalidParameterCombination", "No attributes specified.")
    if added and removed:
        raise Ec2Error(
            "InvalidParameterCombination",
            "One and only one operation type may be specified for createVolumePermissions",
        )
    if len(added) + len(removed) > MOST_PERMISSIONS:
        raise invalid_value(f"Modification size must not be greater than {MOST_PERMISSIONS}")
    return added, removed


def _permission_entries(entries: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    return [("user", entry["UserId"]) if "UserId" in entry else ("group", entry["Group"]) for entry in entries]


@handles("DescribeSnapshotAttribute")
def describe_snapshot_attribute(request: Request) -> dict[str, Any]:
    """With whom a snapshot is shared, or its product codes."""
    snapshot = request.region.snapshot(request.parameters["SnapshotId"], request.account, own=True)
    if request.parameters["Attribute"] == "productCodes":
        return {
            "SnapshotId": snapshot.snapshot_id,
            "ProductCodes": [{"ProductCodeId": c, "ProductCodeType": "marketplace"} for c in snapshot.product_codes],
        }
    permissions = [{"UserId": user} for user in sorted(snapshot.users)]
    permissions += [{"Group": group} for group in sorted(snapshot.groups)]
    return {"SnapshotId": snapshot.snapshot_id, "CreateVolumePermissions": permissions}


# --- locks


@handles("LockSnapshot")
def lock_snapshot(request: Request) -> dict[str, Any]:
    """Lock for some days or until a date; a final compliance lock can only be prolonged."""
    snapshot = request.region.snapshot(request.parameters["SnapshotId"], request.account, own=True)
    if snapshot.state not in ("pending", "completed"):
        raise Ec2Error("IncorrectState", f"The snapshot {snapshot.snapshot_id} is in the {snapshot.state} state.")
    mode, at = request.parameters["LockMode"], now()
    duration, until = request.get("LockDuration"), request.get("ExpirationDate")
    if (duration is None) == (until is None):
        raise Ec2Error("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate")
    if request.get("CoolOffPeriod") and mode != "compliance":
        raise Ec2Error("InvalidParameterCombination", "CoolOffPeriod is for compliance mode only")
    starts = snapshot.start_time if snapshot.state == "pending" else at
    expires = until or starts + timedelta(days=duration)
    days = duration or max(1, (expires - at).days)
    held = snapshot.lock
    if held and held.state(at) == "compliance" and (mode != "compliance" or expires < held.expires):
        raise invalid_value("A compliance lock can only be prolonged after its cool-off period")
    lock = SnapshotLock(mode, at, days, request.get("CoolOffPeriod"), starts, expires)
    snapshot.lock = lock
    notices.snapshot_locked(request.scope, snapshot, lock)
    return _describe_lock(snapshot, lock)


def _describe_lock(snapshot: Snapshot, lock: SnapshotLock) -> dict[str, Any]:
    return {
        "SnapshotId": snapshot.snapshot_id,
        "LockState": lock.state(now()),
        "LockDuration": lock.duration,
        "CoolOffPeriod": lock.cool_off_hours,
        "CoolOffPeriodExpiresOn": lock.cool_off_until,
        "LockCreatedOn": lock.created,
        "LockExpiresOn": lock.expires,
        "LockDurationStartTime": lock.starts,
    }


@handles("UnlockSnapshot")
def unlock_snapshot(request: Request) -> dict[str, Any]:
    """Only a governance lock, or a compliance lock that still cools off, can be taken away."""
    snapshot = request.region.snapshot(request.parameters["SnapshotId"], request.account, own=True)
    if snapshot.lock is None:
        raise Ec2Error("SnapshotLock.NotFound", f"The snapshot {snapshot.snapshot_id} is not locked.")
    if snapshot.lock.state(now()) == "compliance":
        raise Ec2Error("OperationNotPermitted", "A compliance lock cannot be removed after its cool-off period.")
    snapshot.lock = None
    return {"SnapshotId": snapshot.snapshot_id}


LOCK_FIELDS = {"lock-state": lambda s: [s.lock.state(now())]}


@handles("DescribeLockedSnapshots")
def describe_locked_snapshots(request: Request) -> dict[str, Any]:
    """The account's snapshots that have a lock, expired ones included."""
    wanted = set(request.get("SnapshotIds", []))
    locked = [
        snapshot
        for snapshot in request.region.snapshots.values()
        if snapshot.lock and snapshot.owner == request.account and (not wanted or snapshot.snapshot_id in wanted)
    ]
    found, more = page(request, filtered(locked, request.get("Filters", []), LOCK_FIELDS))
    described = [
        {"OwnerId": snapshot.owner, **_describe_lock(snapshot, snapshot.lock)} for snapshot in found if snapshot.lock
    ]
    return {"Snapshots": described, **more}


# --- tiers and public access


@handles("ModifySnapshotTier")
def modify_snapshot_tier(request: Request) -> dict[str, Any]:
    """Archive; at once, while AWS takes hours."""
    snapshot = request.region.snapshot(request.parameters["SnapshotId"], request.account, own=True)
    snapshot.storage_tier = request.get("StorageTier", "archive")
    return {"SnapshotId": snapshot.snapshot_id, "TieringStartTime": now()}
