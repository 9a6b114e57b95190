"""EC2 calls that change something, as data, and the refusals that EC2 can answer."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.domain.tags import Tags


@dataclass(frozen=True, slots=True)
class CopySnapshot:
    """Copy a snapshot of another region or account to this one. Not idempotent: two calls make two copies.

    `region` and `snapshot_id` name the source, `account` its owner if it is not this account. Tags and description are
    the copy's. `kms_key_id` None: the default key here, or no encryption if the source has none. `completion_minutes`
    0: a copy without a guaranteed duration.
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
        """The source, for a message."""
        return origin(self.region, self.account)


def origin(region: str, account: str) -> str:
    """The other account or region, for a message."""
    return f"account {account}" if account else region


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Create a volume from a snapshot, idempotent by `client_token`. `iops` and `throughput` only for types that take
    them."""

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
    """Set the flag of the volume at a device. The value is always sent, because EC2's default is *true*."""

    instance_id: str
    device: str
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class StartInstance:
    instance_id: str


@dataclass(frozen=True, slots=True)
class TagDisplaced:
    """Tag a displaced volume with the restore that detached it, and with its instance and device."""

    volume_id: str
    tags: Tags


@dataclass(frozen=True, slots=True)
class UntagDisplaced:
    """Remove these tags from a displaced volume that is attached again."""

    volume_id: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete a volume that this restore made and that no instance has used. Never a displaced volume."""

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
    """AWS refused the call and did nothing. `code` and `message` are AWS's own."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """AWS throttled the call and did nothing. `code` and `message` are AWS's own."""

    code: str = "RequestLimitExceeded"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call got no answer, or a server error. It may have been carried out, so observe before a retry."""

    message: str = ""


type Refusal = Refused | Throttled | Unknown
