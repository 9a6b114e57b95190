"""The outcome of a restore: facts for programs, and next steps with exact commands for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from lifeboat.domain.recovery_point_tags import name_left_out
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore.afterwards import end_consent, protect_instance
from lifeboat.restore.machine.history import ROLL_BACK_ENTRY, describe_as_before, describe_hibernation
from lifeboat.restore.record import Restore, RestoreState, RestoreStep, RestoreVolume, TimelineEntry

BACKUP_TAG = ("lifeboat:backup", "true")
"""The selecting tag of a stack that sets no other."""


def outcome(
    restore: Restore, now: datetime, region: str, account: str, tag: tuple[str, str] = BACKUP_TAG
) -> RestoreOutcome:
    """The details and next steps of a restore as it stands.

    `region` and `account` are the target instance's. `tag` puts an instance under backup.
    """
    details = {
        "restore_id": restore.id,
        "request_id": restore.request_id,
        "status": restore.status.value,
        "direction": restore.direction.value,
        "step": restore.step.value,
        "closed": restore.closed,
        "instance_id": restore.instance_id,
        "recovery_point": restore.recovery_point_id,
        "region": region,
        "account": account,
        "requested_by": restore.requested_by,
        "reason": restore.reason,
        "ami_override": restore.ami_override,
        "started_at": iso(restore.started_at),
        "ended_at": iso(now),
        "seconds": (now - restore.started_at).total_seconds(),
        "seconds_per_step": seconds_per_step(restore, now),
        "volumes": [_describe_volume(volume) for volume in restore.volumes],
        "kept": [{"volume_id": item.volume_id, "reason": item.reason} for item in restore.kept],
        "failure": restore.failure,
        "blocked": restore.blocked,
        "crossed": list(restore.crossed),
        "stop_took": list(restore.taken),
        "timeline": [{"at": iso(entry.at), "step": entry.step.value, "text": entry.text} for entry in restore.timeline],
    }
    return RestoreOutcome(details, _next_steps(restore, region, tag))


def describe_restore(restore: Restore, next_steps: Sequence[str] = ()) -> dict[str, Any]:
    """The state of a restore as the answer to a request, with what a person does next."""
    return {
        "restore_id": restore.id,
        "status": restore.status.value,
        "direction": restore.direction.value,
        "step": restore.step.value,
        "instance_id": restore.instance_id,
        "recovery_point": restore.recovery_point_id,
        "volumes": [
            {
                "device": volume.device,
                "snapshot_id": volume.snapshot_id,
                **({"copied_from": volume.fetch.call.origin} if volume.fetch else {}),
                "restored_volume_id": volume.restored_volume_id,
                "displaced_volume_id": volume.displaced_volume_id,
            }
            for volume in restore.volumes
        ],
        "failure": restore.failure,
        "next_steps": list(next_steps),
        "timeline": [f"{iso(entry.at)} {entry.step.value}: {entry.text}" for entry in restore.timeline],
    }


def seconds_per_step(restore: Restore, now: datetime) -> dict[str, float]:
    """The seconds that each step took, by its name. Steps of a roll-back are named `rollback <step>`.

    A step that was entered twice has the sum of both times.
    """
    spent: dict[str, float] = {}
    entries = (*restore.timeline, TimelineEntry(now, RestoreStep.DONE, ""))
    back = False
    for entry, following in pairwise(entries):
        back = back or entry.text.startswith(ROLL_BACK_ENTRY)
        if entry.step is RestoreStep.DONE:
            continue
        name = f"rollback {entry.step}" if back else entry.step.value
        spent[name] = spent.get(name, 0.0) + (following.at - entry.at).total_seconds()
    return spent


def _describe_volume(volume: RestoreVolume) -> dict[str, object]:
    return {
        "device": volume.device,
        "snapshot_id": volume.snapshot_id,
        "restored_volume_id": volume.restored_volume_id,
        "displaced_volume_id": volume.displaced_volume_id,
        "delete_on_termination": volume.displaced_delete_on_termination,
        "type": volume.type,
        "size": volume.size,
        "iops": volume.iops,
        "throughput": volume.throughput,
        "encrypted": volume.encrypted,
        "kms_key_id": volume.kms_key_id,
        "lineage": volume.lineage,
        **({"tags_left_out": volume.tags_left_out, "left_out": list(volume.left_out)} if volume.tags_left_out else {}),
        **({"copied_from": volume.fetch.call.origin, "copy_of": volume.fetch.call.snapshot_id} if volume.fetch else {}),
    }


def _next_steps(restore: Restore, region: str, tag: tuple[str, str]) -> tuple[str, ...]:
    if restore.status is RestoreState.COMPLETED:
        return (
            f"Log in to {restore.instance_id} and check the data.",
            *protect_instance(restore, region, tag),
            *end_consent(restore, region),
            *_check_data(restore),
            *_explain_stop(restore, region),
            *_update_infrastructure(restore, region),
            *_list_kept(restore, region),
        )
    kept = tuple(f"{item.volume_id} is kept: {item.reason}" for item in restore.kept)
    if restore.status is RestoreState.ROLLED_BACK:
        same = describe_as_before(restore) if restore.taken else f"Nothing has changed on {restore.instance_id}"
        fix = f"{same}. Fix this, then send the request again: {restore.failure}"
        off = f"{same}, as the restore was called off. To restore all the same, send a new request."
        return (
            fix if restore.cancelled_by is None else off,
            *(() if restore.cancelled_by is None else end_consent(restore, region)),
            *_explain_stop(restore, region),
            *kept,
            *_list_copies(restore),
        )
    if restore.status is RestoreState.FAILED:
        return (*_finish_by_hand(restore, region), *_explain_stop(restore, region), *kept)
    return (f"Wait: {restore.id} is at the step {restore.step}, {restore.direction}",)


def _explain_stop(restore: Restore, region: str) -> tuple[str, ...]:
    if not restore.taken:
        return ()
    command = f"aws ec2 describe-instances --region {region} --instance-ids {restore.instance_id}"
    lost = "; ".join(restore.taken)
    return (f"The stop removed permanently: {lost}. To see what the instance has now: {command}",)


def _list_copies(restore: Restore) -> tuple[str, ...]:
    copies = [volume.fetch.copy_id for volume in restore.volumes if volume.fetch and volume.fetch.copy_id]
    if not copies:
        return ()
    return (f"The next restore uses the copies that are in this region by then: {', '.join(copies)}.",)


def _check_data(restore: Restore) -> tuple[str, ...]:
    steps = [
        f"{volume.restored_volume_id} lacks tags of the backed-up volume, because they did not fit: "
        f"{name_left_out(volume.tags_left_out, volume.left_out)}. Add those that you need: aws ec2 create-tags."
        for volume in restore.volumes
        if volume.tags_left_out
    ]
    if restore.crossed:
        steps.append(
            f"The data crossed from {', '.join(restore.crossed)}. You may have to set again the secrets that the "
            "platform encrypted with its old key, and the bucket names and roles in its settings."
        )
    return tuple(steps)


def _update_infrastructure(restore: Restore, region: str) -> tuple[str, ...]:
    """How to keep the next apply from undoing the restore: neither tool knows of the swap.

    The import ids are `VOLUME` and `DEVICE:VOLUME:INSTANCE`
    (https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/volume_attachment#import).
    """
    steps: list[str] = []
    for volume in restore.volumes:
        steps += [
            f"Terraform, before the next apply, with your own resource names for {volume.device} in place of data:",
            "terraform state rm 'aws_volume_attachment.data'",
            "terraform state rm 'aws_ebs_volume.data'",
            f"terraform import 'aws_ebs_volume.data' {volume.restored_volume_id}",
            f"terraform import 'aws_volume_attachment.data' "
            f"{volume.device}:{volume.restored_volume_id}:{restore.instance_id}",
        ]
    steps.append(
        "Then terraform plan must show no replacement: set "
        + "; ".join(_terraform_arguments(volume) for volume in restore.volumes)
        + " in the configuration (all of these replace the volume when they differ), or put them in lifecycle "
        "ignore_changes."
    )
    steps.append(_cloudformation(restore, region))
    return tuple(steps)


def _terraform_arguments(volume: RestoreVolume) -> str:
    arguments = [f'snapshot_id = "{volume.snapshot_id}"', f"encrypted = {str(volume.encrypted).lower()}"]
    if volume.kms_key_id:
        arguments.append(f'kms_key_id = "{volume.kms_key_id}"')
    arguments.append(f'availability_zone = "{volume.zone}"')
    return ", ".join(arguments)


def _cloudformation(restore: Restore, region: str) -> str:
    stack = restore.cloudformation_stack or "STACK"
    restored = ", ".join(f"VolumeId={volume.restored_volume_id}" for volume in restore.volumes)
    displaced = ", ".join(volume.displaced_volume_id or "none" for volume in restore.volumes)
    tool = f"aws cloudformation create-change-set --region {region} --stack-name {stack} --change-set-type IMPORT"
    return (
        f"CloudFormation, stack {stack}: a deployment that changes the volume or its attachment undoes the restore. "
        f"First add DeletionPolicy: Retain to the AWS::EC2::Volume ({displaced}) and its AWS::EC2::VolumeAttachment, "
        "and deploy. Then remove both from the template, and deploy. Then add the restored volume to the template and "
        f"import it: {tool} with the resource identifier {restored}. Volumes in the instance's own "
        "BlockDeviceMappings or Volumes cannot be imported, and changing those replaces the instance."
    )


def _list_kept(restore: Restore, region: str) -> tuple[str, ...]:
    displaced = [volume.displaced_volume_id for volume in restore.volumes if volume.displaced_volume_id]
    steps = [f"{item.volume_id} is kept: {item.reason}" for item in restore.kept]
    if displaced:
        names = ", ".join(displaced)
        delete = "; ".join(f"aws ec2 delete-volume --region {region} --volume-id {item}" for item in displaced)
        steps.append(
            f"The displaced {names} is kept and tagged {Tag.DISPLACED_BY}={restore.id}. When it is no longer needed: "
            f"{delete}"
        )
    return tuple(steps)


def _finish_by_hand(restore: Restore, region: str) -> tuple[str, ...]:
    """The commands that put the instance back as before, in their order. Each is safe to repeat."""
    instance, ec2 = restore.instance_id, f"aws ec2 %s --region {region} "
    why = f"The restore rolled back because: {restore.failure}"
    if restore.closed:
        volumes = [item for volume in restore.volumes for item in _ids_of(volume)]
        return (
            f"Lifeboat has stopped trying: {restore.blocked}.",
            why,
            f"See which volumes are left: {ec2 % 'describe-volumes'}--volume-ids {' '.join(volumes)}",
            "If a displaced volume is there, attach it to the instance, or to a fresh one. If it is gone, restore the "
            f"recovery point {restore.recovery_point_id} again, onto a fresh instance if {instance} is gone.",
            *(
                f"{ec2 % 'attach-volume'}--volume-id {item} --instance-id INSTANCE --device {volume.device}"
                for volume in restore.volumes
                for item in _ids_of(volume)[:1]
            ),
        )
    steps = [
        f"Lifeboat retries every minute; commands that you have run do not disturb it. {restore.blocked}",
        why,
        f"{ec2 % 'describe-instances'}--instance-ids {instance}",
        *(_end_hibernation(restore, region) if restore.blocked == describe_hibernation(instance) else ()),
        f"{ec2 % 'stop-instances'}--instance-ids {instance}",
        f"{ec2 % 'wait instance-stopped'}--instance-ids {instance}",
    ]
    for volume in restore.volumes:
        if volume.restored_volume_id:
            off = f"--volume-id {volume.restored_volume_id} --instance-id {instance}"
            steps.append(f"{ec2 % 'detach-volume'}{off}")
    for volume in restore.volumes:
        if not volume.displaced_volume_id:
            continue
        flag = str(volume.displaced_delete_on_termination).lower()
        mapping = f'[{{"DeviceName":"{volume.device}","Ebs":{{"DeleteOnTermination":{flag}}}}}]'
        on = f"--volume-id {volume.displaced_volume_id} --instance-id {instance} --device {volume.device}"
        steps += [
            f"{ec2 % 'attach-volume'}{on}",
            f"{ec2 % 'modify-instance-attribute'}--instance-id {instance} --block-device-mappings '{mapping}'",
        ]
    if restore.was_running:
        steps.append(f"{ec2 % 'start-instances'}--instance-ids {instance}")
    return tuple(steps)


def _end_hibernation(restore: Restore, region: str) -> tuple[str, ...]:
    """A stop does not change a hibernated instance: it has to run once, on the volumes that it has now."""
    ec2 = f"aws ec2 %s --region {region} --instance-ids {restore.instance_id}"
    return (ec2 % "start-instances", ec2 % "wait instance-running")


def _ids_of(volume: RestoreVolume) -> list[str]:
    """The ids of the displaced volume and the restored one, as far as they exist."""
    return [item for item in (volume.displaced_volume_id, volume.restored_volume_id) if item]


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What is published of a restore: `details` is JSON, `next_steps` are sentences and commands in their order."""

    details: Mapping[str, object]
    next_steps: tuple[str, ...]
