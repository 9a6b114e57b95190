"""The state of EC2: volumes, snapshots, instances and images of all accounts, region by region."""

import itertools
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.emulator.ec2.blocks import Blocks
from local.emulator.ec2.errors import malformed, not_found
from local.emulator.scope import Scope

LOCK = threading.RLock()
"""Held by whatever reads or changes the state: a request on the event loop or a timer on its thread."""

ZONE_LETTERS = "abc"
_numbers = itertools.count(1)
_ID = re.compile(r"^(vol|snap|i|ami)-[0-9a-f]{8,17}$")


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """An id as EC2 makes them: 17 hexadecimal digits."""
    return f"{kind}-0{secrets.token_hex(8)}"


def check_id(kind: str, resource_id: str) -> str:
    """The id itself, if it looks like one of that kind.

    Raises:
        Ec2Error: InvalidParameterValue or InvalidInstanceID.Malformed.
    """
    found = _ID.match(resource_id)
    if not found or found[1] != kind or not resource_id.rstrip("0").removeprefix(f"{kind}-"):
        raise malformed(kind, resource_id)
    return resource_id


@dataclass
class Resource:
    """What every resource has.

    Attributes:
        owner: the account.
        tags: key to value.
        number: the order of creation; pages follow it.
    """

    owner: str
    tags: dict[str, str] = field(default_factory=dict)
    number: int = field(default_factory=lambda: next(_numbers))


@dataclass
class Attachment:
    """A volume's attachment: `attaching`, `attached`, `detaching` or `busy`."""

    instance_id: str
    device: str
    state: str
    delete_on_termination: bool
    attach_time: datetime = field(default_factory=now)


@dataclass
class Volume(Resource):
    """An EBS volume; size in GiB, throughput in MiB/s.

    Attributes:
        blocks: what was written to it.
        of_lineage: whose blocks it began with: the lineage of its snapshot; empty for a volume that began empty.
    """

    volume_id: str = field(default_factory=lambda: new_id("vol"))
    zone: str = ""
    size: int = 1
    volume_type: str = "gp2"
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool = False
    kms_key_id: str | None = None
    snapshot_id: str = ""
    state: str = "creating"
    create_time: datetime = field(default_factory=now)
    attachment: Attachment | None = None
    product_codes: list[str] = field(default_factory=list)
    blocks: Blocks = field(default_factory=dict)
    of_lineage: str = ""

    @property
    def lineage(self) -> str:
        """What relates its snapshots to each other: the id of the volume with which its blocks began."""
        return self.of_lineage or self.volume_id


@dataclass
class SnapshotLock:
    """A lock on a snapshot; duration in days, cool-off period in hours."""

    mode: str
    created: datetime
    duration: int
    cool_off_hours: int | None
    starts: datetime
    expires: datetime

    def state(self, at: datetime) -> str:
        """`governance`, `compliance-cooloff`, `compliance` or `expired`."""
        if at >= self.expires:
            return "expired"
        if self.mode == "governance":
            return "governance"
        return "compliance-cooloff" if self.cool_off_until and at < self.cool_off_until else "compliance"

    @property
    def cool_off_until(self) -> datetime | None:
        """When a compliance lock becomes final."""
        return self.created + timedelta(hours=self.cool_off_hours) if self.cool_off_hours else None


NO_TAGS: Mapping[str, str] = {}


@dataclass
class Snapshot(Resource):
    """An EBS snapshot; its size is the volume's when it was taken, and so are its blocks.

    Attributes:
        lineage: two snapshots can be compared if theirs is the same.
        sealed: made by the EBS direct APIs, it takes no more blocks.
    """

    snapshot_id: str = field(default_factory=lambda: new_id("snap"))
    volume_id: str = ""
    size: int = 1
    state: str = "pending"
    description: str = ""
    encrypted: bool = False
    kms_key_id: str | None = None
    start_time: datetime = field(default_factory=now)
    completion_time: datetime | None = None
    seconds: float = 0.0
    state_message: str = ""
    storage_tier: str = "standard"
    transfer_type: str | None = None
    completion_minutes: int | None = None
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    lock: SnapshotLock | None = None
    delete_when_done: bool = False
    product_codes: list[str] = field(default_factory=list)
    owner_alias: str | None = None
    tags_of_others: dict[str, dict[str, str]] = field(default_factory=dict)
    blocks: Blocks = field(default_factory=dict)
    lineage: str = ""
    sealed: bool = False

    def __post_init__(self) -> None:
        self.lineage = self.lineage or self.snapshot_id

    def tags_seen_by(self, account: str) -> Mapping[str, str]:
        """The owner's tags for the owner; for another account those that it has set itself, also before the snapshot
        was last shared with it (recorded from a live account)."""
        return self.tags if account == self.owner else self.tags_of_others.get(account, NO_TAGS)

    def readable_by(self, account: str) -> bool:
        """Whether an account sees it and may create volumes from it."""
        return self.owner == account or account in self.users or "all" in self.groups


@dataclass
class Image(Resource):
    """An AMI. It stays known after it is deregistered, because instances still name it."""

    image_id: str = field(default_factory=lambda: new_id("ami"))
    name: str = ""
    state: str = "available"
    alias: str | None = None
    public: bool = False
    description: str = ""
    architecture: str = "x86_64"
    creation_date: datetime = field(default_factory=now)
    deprecation_time: datetime | None = None
    root_device_name: str = "/dev/xvda"
    mappings: list[dict[str, Any]] = field(default_factory=list)
    product_codes: list[str] = field(default_factory=list)
    watermarks: list[dict[str, Any]] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    source_image_id: str | None = None
    source_image_region: str | None = None
    source_instance_id: str | None = None
    ancestry_recorded: bool = True
    allowed: bool = True

    def usable_by(self, account: str) -> bool:
        """Whether an account sees it and may launch from it."""
        return self.state not in ("deregistered",) and (self.owner == account or self.public or account in self.users)

    @property
    def snapshot_ids(self) -> set[str]:
        """The snapshots that it is made of."""
        return {mapping["Ebs"]["SnapshotId"] for mapping in self.mappings if mapping.get("Ebs", {}).get("SnapshotId")}


@dataclass
class Misbehaviour:
    """How an instance shall go wrong.

    Attributes:
        capacity_refusals: how many more starts fail with InsufficientInstanceCapacity; below zero is all of them.
        falls_back: how many more starts are accepted and end in `stopped`; below zero is all of them.
        impaired: whether its status checks fail.
        stuck_stopping: whether it never leaves `stopping`, except with Force.
    """

    capacity_refusals: int = 0
    falls_back: int = 0
    impaired: bool = False
    stuck_stopping: bool = False


@dataclass
class Instance(Resource):
    """An EC2 instance.

    Attributes:
        public_ip: while it runs, or for good if `elastic_ip`; `wants_public_ip` gives it one at each start.
        ended_subscriptions: the product codes of volumes that may not be attached to it.
        asked_at: when a user asked to stop or terminate it; nothing once it runs again.
    """

    instance_id: str = field(default_factory=lambda: new_id("i"))
    reservation_id: str = ""
    image_id: str = ""
    instance_type: str = "m1.small"
    zone: str = ""
    subnet_id: str = ""
    vpc_id: str = ""
    security_group_ids: list[str] = field(default_factory=list)
    private_ip: str = ""
    key_name: str | None = None
    profile_arn: str | None = None
    http_tokens: str = "required"
    architecture: str = "x86_64"
    root_device_name: str = "/dev/xvda"
    state: str = "pending"
    state_reason: tuple[str, str] | None = None
    lifecycle: str | None = None
    launch_time: datetime = field(default_factory=now)
    running_since: datetime | None = None
    devices: dict[str, str] = field(default_factory=dict)
    disable_api_stop: bool = False
    disable_api_termination: bool = False
    shutdown_behavior: str = "stop"
    product_codes: list[str] = field(default_factory=list)
    client_token: str = ""
    hibernation_configured: bool = False
    public_ip: str | None = None
    elastic_ip: bool = False
    wants_public_ip: bool = False
    outpost_arn: str | None = None
    ended_subscriptions: set[str] = field(default_factory=set)
    asked_at: datetime | None = None
    generation: int = 0
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)


@dataclass
class Region:
    """What EC2 knows in one region."""

    name: str
    volumes: dict[str, Volume] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    tokens: dict[tuple[str, str, str], tuple[str, Any]] = field(default_factory=dict)
    encrypt_by_default: set[str] = field(default_factory=set)
    default_keys: dict[str, str] = field(default_factory=dict)

    @property
    def zones(self) -> list[str]:
        """The names of its availability zones."""
        return [f"{self.name}{letter}" for letter in ZONE_LETTERS]

    def zone_id(self, zone: str) -> str:
        """A zone's id, such as `euw1-az1`."""
        area, direction, digit = self.name.split("-")[:3]
        return f"{area}{direction[0]}{digit}-az{ZONE_LETTERS.index(zone[-1]) + 1}"

    def volume(self, volume_id: str, account: str) -> Volume:
        """A volume of the account.

        Raises:
            Ec2Error: InvalidVolume.NotFound or a malformed id.
        """
        volume = self.volumes.get(check_id("vol", volume_id))
        if volume is None or volume.owner != account:
            raise not_found("vol", volume_id)
        return volume

    def instance(self, instance_id: str, account: str) -> Instance:
        """An instance of the account.

        Raises:
            Ec2Error: InvalidInstanceID.NotFound or a malformed id.
        """
        instance = self.instances.get(check_id("i", instance_id))
        if instance is None or instance.owner != account:
            raise not_found("i", instance_id)
        return instance

    def snapshot(self, snapshot_id: str, account: str, *, own: bool = False) -> Snapshot:
        """A snapshot that the account sees, or with `own` one that it owns.

        Raises:
            Ec2Error: InvalidSnapshot.NotFound or a malformed id.
        """
        snapshot = self.snapshots.get(check_id("snap", snapshot_id))
        if snapshot is None or not snapshot.readable_by(account) or (own and snapshot.owner != account):
            raise not_found("snap", snapshot_id)
        return snapshot

    def image(self, image_id: str, account: str, *, own: bool = False) -> Image:
        """An image that the account may launch from, or with `own` one that it owns.

        Raises:
            Ec2Error: InvalidAMIID.NotFound or a malformed id.
        """
        image = self.images.get(check_id("ami", image_id))
        if image is None or not image.usable_by(account) or (own and image.owner != account):
            raise not_found("ami", image_id)
        return image


class World:
    """All regions."""

    def __init__(self) -> None:
        self._regions: dict[str, Region] = {}

    def region(self, name: str) -> Region:
        """A region, made when it is first asked for, with Amazon's own image in it."""
        with LOCK:
            if name not in self._regions:
                self._regions[name] = Region(name)
                self._regions[name].images[AMAZON_LINUX] = amazon_linux()
            return self._regions[name]

    def forget(self, name: str) -> None:
        """A region is as if it had never been asked for."""
        with LOCK:
            self._regions.pop(name, None)

    def regions(self) -> list[Region]:
        """The regions that were asked for."""
        return list(self._regions.values())


AMAZON_LINUX = "ami-0a1000000000000a1"
AMAZON_ACCOUNT = "137112412989"


def amazon_linux() -> Image:
    """An image every region has."""
    return Image(
        owner=AMAZON_ACCOUNT,
        image_id=AMAZON_LINUX,
        name="al2023-ami-2023.9.20261101.0-kernel-6.1-x86_64",
        alias="amazon",
        public=True,
        ancestry_recorded=False,
        creation_date=datetime(2026, 11, 1, tzinfo=UTC),
        mappings=[
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": False},
            }
        ],
    )


WORLD = World()
"""The state of this process."""


@dataclass(frozen=True)
class Request:
    """One parsed call.

    Attributes:
        scope: whose call, and where.
        action: the operation.
        parameters: as boto3 was given them.
        request_id: EC2's id of the call.
        caller: the ARN of who signed it.
    """

    scope: Scope
    action: str
    parameters: dict[str, Any]
    request_id: str
    caller: str

    @property
    def account(self) -> str:
        """The calling account."""
        return self.scope.account

    @property
    def region(self) -> Region:
        """The state of the called region."""
        return WORLD.region(self.scope.region)

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter."""
        return self.parameters.get(name, default)
