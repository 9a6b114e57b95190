"""Calls of EC2 that change something, as data, and what EC2 can answer."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.domain.tags import Tags


@dataclass(frozen=True, slots=True)
class CopySnapshot:
    """Copy a snapshot of another region, or another account, here. Nothing makes asking twice one copy.

    `region` and `snapshot_id` name what is copied, `account` whose it is if not ours; the tags and the description are
    the copy's. `kms_key_id` None: the default key here, or none if the source has none. `completion_minutes` 0: it
    takes as long as it takes.
    """

    region: str
    snapshot_id: str
    description: str
    tags: Tags
    kms_key_id: str | None = None
    completion_minutes: int = 0
    account: str = ""

    @property
    def origin(self) -> str:
        """Where it is copied from, in words."""
        return origin(self.region, self.account)


def origin(region: str, account: str) -> str:
    """Where something is that is not here, in words."""
    return f"account {account}" if account else region


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Make a volume from a snapshot. `client_token` makes asking twice one volume; `iops` and `throughput` are set only
    for types that take them."""

    client_token: str
    snapshot_id: str
    zone: str
    type: str
    size: int
    encrypted: bool
    tags: Tags
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    initialization_rate: int | None = None


@dataclass(frozen=True, slots=True)
class StopInstance:
    instance_id: str


@dataclass(frozen=True, slots=True)
class DetachVolume:
    volume_id: str
    instance_id: str
    device: str


@dataclass(frozen=True, slots=True)
class AttachVolume:
    volume_id: str
    instance_id: str
    device: str


@dataclass(frozen=True, slots=True)
class SetDeleteOnTermination:
    """Set the flag of what sits at a device. The value is always named: EC2 takes *true* when it is omitted."""

    instance_id: str
    device: str
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class StartInstance:
    instance_id: str


@dataclass(frozen=True, slots=True)
class TagDisplaced:
    """Write on a displaced volume what took it off and from where."""

    volume_id: str
    tags: Tags


@dataclass(frozen=True, slots=True)
class UntagDisplaced:
    """Take these tags off a displaced volume that is back at its place."""

    volume_id: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete a volume that this restore made and that no instance ever ran on. Never a displaced one."""

    volume_id: str


type Change = (
    CopySnapshot
    | CreateVolume
    | StopInstance
    | DetachVolume
    | AttachVolume
    | SetDeleteOnTermination
    | StartInstance
    | TagDisplaced
    | UntagDisplaced
    | DeleteVolume
)


@dataclass(frozen=True, slots=True)
class Refused:
    """AWS said no: nothing was done. `code` and `message` are its own words."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """AWS said: later. Nothing was done. `code` and `message` are its own words."""

    code: str = "RequestLimitExceeded"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call got no answer, or a server error: it may have been carried out. Look."""

    message: str = ""


type Refusal = Refused | Throttled | Unknown
