"""EC2's instances, volumes and snapshots, as EC2 described them.

Sizes are GiB, throughput is MiB/s, times are aware datetimes in UTC, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lifeboat.domain.tags import Tags

HIBERNATED = "Client.UserInitiatedHibernate"
"""The state reason of a hibernated instance: its memory is on its root volume
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/hibernating-instances.html)."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume at a device of an instance. `state` is attaching, attached, detaching, detached or busy."""

    volume_id: str
    instance_id: str
    device: str
    state: str
    delete_on_termination: bool
    attached_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume as DescribeVolumes shows it. `state`: creating, available, in-use, deleting, deleted, error."""

    id: str
    state: str
    size: int
    type: str
    zone: str
    encrypted: bool
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    snapshot_id: str | None = None
    multi_attach: bool = False
    attachments: tuple[Attachment, ...] = ()
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance as DescribeInstances shows it.

    `state`: pending, running, stopping, stopped, shutting-down, terminated. `lifecycle` is "spot" or None (on demand).
    `root_type`: ebs or instance-store. `attachments` are those of EBS volumes only: EC2 shows no others.
    `state_reason` is EC2's code for the reason of the state, `state_message` the reason in EC2's words.
    `given_addresses` are the public IPv4 addresses that Amazon assigned for as long as it runs, without Elastic IP
    addresses. `outpost` is the ARN of its Outpost.
    """

    id: str
    state: str
    zone: str
    ami_id: str
    root_device: str | None = None
    attachments: tuple[Attachment, ...] = ()
    tags: Tags = field(default_factory=dict)
    lifecycle: str | None = None
    type: str = ""
    product_codes: tuple[str, ...] = ()
    launched_at: datetime | None = None
    root_type: str = "ebs"
    state_reason: str = ""
    state_message: str = ""
    given_addresses: tuple[str, ...] = ()
    outpost: str = ""

    @property
    def name(self) -> str:
        return self.tags.get("Name", "")

    @property
    def hibernated(self) -> bool:
        """Whether it is hibernated: its memory still has the file systems of the volumes attached now mounted."""
        return self.state in {"stopping", "stopped"} and self.state_reason == HIBERNATED

    @property
    def has_instance_store_root(self) -> bool:
        """Whether its root is a disk of the host: it cannot be stopped, and all its EBS volumes are data volumes."""
        return self.root_type == "instance-store"

    @property
    def auto_scaling_group(self) -> str | None:
        # EC2 Auto Scaling writes this tag on every member; callers cannot write `aws:` tags themselves.
        return self.tags.get("aws:autoscaling:groupName")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot. `state`: pending, completed, error, recoverable, recovering. `tier`: standard or archive.

    `blocked_by` are known reasons why it cannot be deleted: a lock, an AMI, a share. Empty if not checked.
    """

    id: str
    volume_id: str
    state: str
    started_at: datetime
    size: int
    owner_id: str
    encrypted: bool = False
    kms_key_id: str | None = None
    completed_at: datetime | None = None
    tier: str = "standard"
    state_message: str = ""
    blocked_by: tuple[str, ...] = ()
    tags: Tags = field(default_factory=dict)
    description: str = ""
    owner_alias: str = ""  # such as aws-backup-vault, if the owner has one
