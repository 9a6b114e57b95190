"""The aws.ec2 events of EBS and EC2, in the shapes that AWS documents, with their inconsistent ARNs."""

from collections.abc import Sequence
from datetime import UTC, datetime

from local.emulator.ec2.model import Instance, Snapshot, SnapshotLock, Volume
from local.emulator.events import BUS, utc
from local.emulator.scope import Scope

SNAPSHOT = "EBS Snapshot Notification"
SNAPSHOT_SET = "EBS Multi-Volume Snapshots Completion Status"
VOLUME = "EBS Volume Notification"
INSTANCE = "EC2 Instance State-change Notification"
IMAGE = "EC2 AMI State Change"


def old_arn(region: str, kind: str, resource_id: str) -> str:
    """The form of the older snapshot events: the region where the account belongs."""
    return f"arn:aws:ec2::{region}:{kind}/{resource_id}"


def volume_arn(scope: Scope, volume_id: str) -> str:
    """The form of the volume events."""
    return f"arn:aws:ec2:{scope.region}:{scope.account}:volume/{volume_id}"


def _precise(moment: datetime) -> str:
    """A time as the events of snapshots and copies write it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def snapshot_created(scope: Scope, snapshot: Snapshot, ended: datetime, *, of_itself: bool = False) -> None:
    """createSnapshot, when a snapshot is completed or failed; `of_itself`: made by the EBS direct APIs."""
    arn = old_arn(scope.region, "snapshot", snapshot.snapshot_id)
    good = snapshot.state == "completed"
    detail = {
        "event": "createSnapshot",
        "result": "succeeded" if good else "failed",
        "cause": "" if good else "Snapshot is in status error",
        "request-id": "",
        "snapshot_id": arn,
        "source": arn if of_itself else old_arn(scope.region, "volume", snapshot.volume_id),
        "startTime": _precise(snapshot.start_time),
        "endTime": _precise(ended),
    }
    BUS.emit(scope, SNAPSHOT, [arn], detail)


def snapshots_created(scope: Scope, snapshots: Sequence[Snapshot], failed: Snapshot | None, ended: datetime) -> None:
    """createSnapshots, when a set is completed or, as one failed, failed."""
    arns = [old_arn(scope.region, "snapshot", snapshot.snapshot_id) for snapshot in snapshots]
    detail = {
        "event": "createSnapshots",
        "result": "failed" if failed else "succeeded",
        "cause": f"Snapshot {failed.snapshot_id} is in status error" if failed else "",
        "request-id": "",
        "startTime": utc(snapshots[0].start_time),
        "endTime": utc(ended),
        "snapshots": [
            {
                "snapshot_id": arn,
                "source": old_arn(scope.region, "volume", snapshot.volume_id),
                "status": "error" if failed else "completed",
            }
            for arn, snapshot in zip(arns, snapshots, strict=True)
        ],
    }
    BUS.emit(scope, SNAPSHOT_SET, arns, detail)


def snapshot_copied(
    scope: Scope, snapshot: Snapshot, source: tuple[str, str], cause: str, ended: datetime, *, incremental: bool
) -> None:
    """copySnapshot, in the destination's region; `source` is the source's region and id."""
    arn = old_arn(scope.region, "snapshot", snapshot.snapshot_id)
    detail = {
        "event": "copySnapshot",
        "result": "failed" if cause else "succeeded",
        "cause": cause,
        "request-id": "",
        "snapshot_id": arn,
        "source": old_arn(source[0], "snapshot", source[1]),
        "startTime": _precise(snapshot.start_time),
        "endTime": _precise(ended),
    }
    detail |= {
        "incremental": "true" if incremental and not cause else "false",
        "transferType": snapshot.transfer_type or "",
    }
    if not cause:
        detail["completionDurationStartTime"] = _precise(snapshot.start_time)
    if not cause and snapshot.completion_minutes:
        detail["metCompletionDuration"] = "true"
    BUS.emit(scope, SNAPSHOT, [arn], detail)


def snapshot_shared(scope: Scope, snapshot: Snapshot, target: str, request_id: str) -> None:
    """shareSnapshot, to the account that it was shared with."""
    arn = old_arn(scope.region, "snapshot", snapshot.snapshot_id)
    detail = {
        "event": "shareSnapshot",
        "result": "succeeded",
        "cause": "",
        "request-id": request_id,
        "snapshot_id": arn,
        "source": scope.account,
    }
    BUS.emit(Scope(target, scope.region), SNAPSHOT, [arn], detail)


def snapshot_locked(scope: Scope, snapshot: Snapshot, lock: SnapshotLock) -> None:
    """lockSnapshot; the key of the cool-off period really is spelled so."""
    arn = old_arn(scope.region, "snapshot", snapshot.snapshot_id)
    detail: dict[str, object] = {
        "event": "lockSnapshot",
        "result": "succeeded",
        "snapshot_id": arn,
        "source": int(scope.account),
        "lockState": lock.state(lock.created),
        "lockCreatedOn": utc(lock.created),
        "lockExpiresOn": utc(lock.expires),
        "lockDuration": lock.duration,
        "lockStartDurationTime": utc(lock.starts),
    }
    if lock.cool_off_hours and lock.cool_off_until:
        detail |= {"cooOffPeriod": lock.cool_off_hours, "coolOffPeriodExpiresOn": utc(lock.cool_off_until)}
    BUS.emit(scope, SNAPSHOT, [arn], detail)


def volume_created(scope: Scope, volume: Volume, cause: str, request_id: str) -> None:
    """createVolume, available or failed for a cause."""
    detail = {
        "event": "createVolume",
        "result": "failed" if cause else "available",
        "cause": cause,
        "request-id": request_id,
    }
    key = [volume.kms_key_id] if cause and volume.kms_key_id else []
    BUS.emit(scope, VOLUME, [volume_arn(scope, volume.volume_id), *key], detail)


def volume_initialized(scope: Scope, volume_id: str, ended: datetime, request_id: str) -> None:
    """initializeVolume; the request is the one that created the volume."""
    detail = {
        "event": "initializeVolume",
        "result": "succeeded",
        "cause": "",
        "completionTime": utc(ended),
        "request-id": request_id,
    }
    BUS.emit(scope, VOLUME, [volume_arn(scope, volume_id)], detail)


def volume_deleted(scope: Scope, volume_id: str, request_id: str) -> None:
    """deleteVolume."""
    detail = {"event": "deleteVolume", "result": "deleted", "cause": "", "request-id": request_id}
    BUS.emit(scope, VOLUME, [volume_arn(scope, volume_id)], detail)


def volume_attach_failed(scope: Scope, volume: Volume, cause: str) -> None:
    """attachVolume; AWS documents no event of a success."""
    detail = {"event": "attachVolume", "result": "failed", "cause": cause, "request-id": ""}
    BUS.emit(scope, VOLUME, [volume_arn(scope, volume.volume_id), volume.kms_key_id or ""], detail)


def instance_changed(scope: Scope, instance: Instance) -> None:
    """The instance's new state."""
    arn = f"arn:aws:ec2:{scope.region}:{scope.account}:instance/{instance.instance_id}"
    BUS.emit(scope, INSTANCE, [arn], {"instance-id": instance.instance_id, "state": instance.state})


def image_changed(scope: Scope, image_id: str, state: str, request_id: str) -> None:
    """The image's new state; the keys of this one are capitalised."""
    detail = {"RequestId": request_id, "ImageId": image_id, "State": state, "ErrorMessage": ""}
    BUS.emit(scope, IMAGE, [f"arn:aws:ec2:{scope.region}::image/{image_id}"], detail)
