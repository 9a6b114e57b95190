"""NOUNS: what Lifeboat sees and decides about, frozen.

Nothing here touches AWS, a clock or the environment. EYES (`lifeboat.aws`) make these from what AWS answers, MIND
(`lifeboat.rules`) turns them into actions, HANDS (`lifeboat.aws` again) carry the actions out.

Sizes are GiB, throughput MiB/s, times are aware datetimes in UTC, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Tags = Mapping[str, str]

HIBERNATED = "Client.UserInitiatedHibernate"
"""The state reason of an instance whose memory was written to its root volume instead of being let go
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/hibernating-instances.html)."""

TAG_PREFIX = "lifeboat:"
"""Every tag that Lifeboat writes or reads begins with this."""


class Tag(StrEnum):
    """The tags of Lifeboat, part of its public face (docs/architecture.md says which sits where)."""

    # on instances, written by people
    BACKUP = "lifeboat:backup"  # the default selection tag, value "true"
    RETENTION = "lifeboat:retention"  # overrides the stack's retention policy for this instance
    RESTORE_TARGET = "lifeboat:restore-target"  # value "true": this instance, this volume, may be part of a restore

    # on volumes
    CHAIN = "lifeboat:chain"  # the line of data a volume carries on; also on snapshots of one-volume recovery points
    RESTORE = "lifeboat:restore"  # the id of the restore that made the volume; also on copies that a restore made
    DISPLACED_BY = "lifeboat:displaced-by"  # the id of the restore that took the volume off
    DISPLACED_FROM = "lifeboat:displaced-from"  # "<instance> <device>" it was taken off

    # on snapshots, all written with their creation
    RECOVERY_POINT = "lifeboat:recovery-point"
    SET = "lifeboat:set"  # which CreateSnapshots call made it: a doubled call makes two sets, never a mixed one
    STACK = "lifeboat:stack"
    SLOT = "lifeboat:slot"  # the due time, ISO 8601 UTC
    INSTANCE = "lifeboat:instance"
    INSTANCE_NAME = "lifeboat:instance-name"
    ZONE = "lifeboat:zone"
    AMI = "lifeboat:ami"
    AMI_OWNER = "lifeboat:ami-owner"
    VOLUMES = "lifeboat:volumes"  # how many snapshots the whole recovery point has
    LATE = "lifeboat:late"  # "true": taken by the catch-up after its slot

    # on copies in another region, all written with the copy
    COPY_OF = "lifeboat:copy-of"  # the id of the snapshot that was copied
    COPIED_FROM = "lifeboat:copied-from"  # its region
    TAKEN_AT = "lifeboat:taken-at"  # when EC2 began that snapshot; the copy's own start time is the copying's
    COPIED_AT = "lifeboat:copied-at"  # when Lifeboat asked for the copy; a copy of it that others make begins later

    # on copies in a vault
    SOURCE_ACCOUNT = "lifeboat:source-account"  # the account whose snapshot was copied

    # on snapshots, written by people
    HOLD = "lifeboat:hold"  # any value: never deleted while the tag is there
    SHARED = "lifeboat:shared"  # any value: others rely on it, so it is neither deleted nor counted as a backup


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
    `state_reason` is the code of what brought it into its state, `state_message` the same in EC2's words.
    `given_addresses` are the public IPv4 addresses that Amazon gave it for as long as it runs; an Elastic IP address is
    none of them. `outpost` is the ARN of the Outpost that it runs on.
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
        """Whether it sleeps: its memory goes on, with the file systems of the volumes that are attached now."""
        return self.state in {"stopping", "stopped"} and self.state_reason == HIBERNATED

    @property
    def has_instance_store_root(self) -> bool:
        """Whether it boots from a disk of its host: it cannot be stopped, and all its EBS volumes are data."""
        return self.root_type == "instance-store"

    @property
    def auto_scaling_group(self) -> str | None:
        # EC2 Auto Scaling writes this tag on every member; callers cannot write `aws:` tags themselves.
        return self.tags.get("aws:autoscaling:groupName")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot. `state`: pending, completed, error, recoverable, recovering. `tier`: standard or archive.

    `blocked_by` says what forbids to delete it, as far as it was looked up: a lock, an AMI, a share.
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
    full_size_bytes: int | None = None
    blocked_by: tuple[str, ...] = ()
    tags: Tags = field(default_factory=dict)
    description: str = ""
    owner_alias: str = ""  # such as aws-backup-vault, if the owner has one


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """What a person tells of a volume, where EC2 cannot: it is gone, or attached to nothing. None: not told.

    `instance_id` is the instance that the volume was of; `device` and `delete_on_termination` are as it was attached.
    """

    device: str | None = None
    type: str | None = None
    iops: int | None = None
    throughput: int | None = None
    delete_on_termination: bool | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class VolumeStory:
    """All that a restore needs to know of one volume, as the snapshot's own tags tell it (principle 5).

    `kms_key_id` is None for an unencrypted volume; `tags` are the volume's own, without `aws:*` and `lifeboat:*`.
    `tags_left_out` is how many more the volume had, which the snapshot does not tell, and `left_out` the keys of those
    of them that are known.
    """

    volume_id: str
    chain: str
    device: str
    type: str
    size: int
    encrypted: bool
    delete_on_termination: bool
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    tags: Tags = field(default_factory=dict)
    tags_left_out: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One snapshot of a recovery point, with the story of the volume that it is of."""

    snapshot: Snapshot
    story: VolumeStory


class Condition(StrEnum):
    """How a recovery point stands. Only GOOD ones count as backups."""

    PENDING = "pending"  # some snapshot is still being made, none failed
    GOOD = "good"  # all snapshots are there, completed, in the standard tier
    INCOMPLETE = "incomplete"  # fewer snapshots than the set had
    FAILED = "failed"  # a snapshot ended in error
    ARCHIVED = "archived"  # a snapshot is in the archive tier, of no use to a restore until brought back
    RECYCLED = "recycled"  # a snapshot is in the Recycle Bin


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """What a backup run made of one instance: one snapshot for each data volume, crash-consistent as a set.

    `expected` is how many snapshots the set had when it was made. `slot` is the schedule's due time (or the time asked
    for, by hand); `taken_at` is when EC2 began the snapshots. `region` is set where it would have to
    be copied here from, and `account` where it is another account's, which shares it.
    """

    id: str
    instance_id: str
    stack: str
    slot: datetime
    members: tuple[Member, ...]
    expected: int
    taken_at: datetime
    zone: str = ""
    instance_name: str = ""
    ami_id: str = ""
    ami_owner: str = ""
    late: bool = False
    region: str = ""
    account: str = ""

    @property
    def chains(self) -> tuple[str, ...]:
        """The chains this recovery point carries on, one for each volume, sorted."""
        return tuple(sorted({member.story.chain for member in self.members}))

    @property
    def condition(self) -> Condition:
        states = {member.snapshot.state for member in self.members}
        if "error" in states:
            return Condition.FAILED
        if states & {"recoverable", "recovering"}:
            return Condition.RECYCLED
        if len(self.members) < self.expected:
            return Condition.INCOMPLETE
        if any(member.snapshot.tier != "standard" for member in self.members):
            return Condition.ARCHIVED
        return Condition.GOOD if states == {"completed"} else Condition.PENDING

    @property
    def size(self) -> int:
        """GiB of the volumes, the upper bound of what the snapshots take."""
        return sum(member.snapshot.size for member in self.members)

    @property
    def held(self) -> bool:
        return any(Tag.HOLD in member.snapshot.tags for member in self.members)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        return tuple(sorted({reason for member in self.members for reason in member.snapshot.blocked_by}))


@dataclass(frozen=True, slots=True)
class Selector:
    """Which instances are ours to back up: a tag with an exact value, or an exact `Name`. Never a prefix (trap 3)."""

    tag_key: str
    tag_value: str

    def selects(self, instance: Instance) -> bool:
        return instance.tags.get(self.tag_key) == self.tag_value


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of a run that one invocation of a worker takes: `number` of `of`, counted from 1.

    `run` is the run's id, `at_once` how many calls the worker may make before it keeps to its share of EC2's rate.
    """

    run: str
    number: int
    of: int
    slot: datetime
    instance_ids: tuple[str, ...]
    late: bool = False
    at_once: int = 0


@dataclass(frozen=True, slots=True)
class PortionResult:
    """What came of a portion in the end. `begun` have a recovery point of the slot, by this run or already.

    `skipped` owe nothing any more; `failed` are instance and reason.
    """

    begun: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A backup run that was handed out in portions; `done` are the numbers of those that have reported."""

    id: str
    slot: datetime
    late: bool
    planned_at: datetime
    instances: int
    portions: int
    done: frozenset[int] = frozenset()

    @property
    def complete(self) -> bool:
        return len(self.done) >= self.portions


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """What could be learnt of the AMI that an instance was launched from. None and empty mean: not known.

    `ancestors` are image ids from the image itself to its root (GetImageAncestry); `source_instance_id` is set when
    the image was made of an instance (CreateImage). `problems` says what could not be looked up, and why.
    """

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None
    name: str | None = None
    state: str | None = None
    public: bool | None = None
    source_instance_id: str | None = None
    source_image_id: str | None = None
    ancestors: tuple[ImageAncestor, ...] = ()
    ancestry_known: bool = False
    product_codes: tuple[str, ...] = ()
    watermarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageAncestor:
    """One step of an image's descent. `owner_id` is None unless the ancestor itself could still be described."""

    image_id: str
    owner_id: str | None = None
    owner_alias: str | None = None


@dataclass(frozen=True, slots=True)
class CopyDestination:
    """Where recovery points are copied to. `kms_key_id` is None for the destination's own default."""

    region: str
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class VaultSource:
    """An account whose recovery points are kept here, and the role in it that reads their stories for us."""

    account: str
    reader: str


class CopyState(StrEnum):
    """How the copying of one recovery point to one region stands."""

    OPEN = "open"
    COPIED = "copied"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """What the table keeps of one recovery point that is, or was, to be copied to one region.

    `attempts` are those that failed; before `not_before` there is no other one.
    """

    region: str
    point_id: str
    chains: tuple[str, ...]
    taken_at: datetime
    attempts: int = 0
    not_before: datetime | None = None
    state: CopyState = CopyState.OPEN


class Trust(StrEnum):
    """Whether an instance's image comes from somewhere we trust. UNKNOWN is never treated as TRUSTED (principle 4)."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AmiVerdict:
    """What the rule makes of an `ImageEvidence`: `code` is a short kebab-case cause, `reason` one sentence for people.

    `evidence` holds the facts that the verdict rests on, one phrase each, in the order they were weighed.
    """

    verdict: Trust
    code: str
    reason: str
    evidence: tuple[str, ...] = ()


# --- restores


class RestoreState(StrEnum):
    """How a restore stands. FAILED may still be worked on: `Restore.closed` says whether it is."""

    OPEN = "open"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class Direction(StrEnum):
    """Where a restore is going. It turns once, and never back."""

    FORWARD = "forward"
    ROLLBACK = "rollback"


class RestoreStep(StrEnum):
    """What a restore is busy with. The same words serve both directions."""

    COPIES = "copies"  # what is only in another region or account is being copied; nothing has been touched
    VOLUMES = "volumes"  # the new volumes are being made; nothing else has been touched
    STOP = "stop"
    DETACH = "detach"
    ATTACH = "attach"  # the DeleteOnTermination flags included
    START = "start"
    VERIFY = "verify"  # it runs; does it stay so, and what do its status checks say?
    CLEAN_UP = "clean-up"  # what the restore made and nobody needs
    DONE = "done"


@dataclass(frozen=True, slots=True)
class RecoveryPointChoice:
    """Which recovery point a person asks for. With nothing set: the latest good one that can only be meant.

    `id` names a recovery point, `snapshot_ids` its snapshots; `chain` or `instance_id` (the instance that was backed
    up, perhaps long gone) name a line of data, of which the newest good point before `before` is taken.
    """

    id: str | None = None
    snapshot_ids: tuple[str, ...] = ()
    chain: str | None = None
    instance_id: str | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class VolumeOverrides:
    """What a person wants different from what the snapshot's story tells. None: as it was."""

    type: str | None = None
    size: int | None = None
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool | None = None
    kms_key_id: str | None = None
    initialization_rate: int | None = None


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What a person asks for. `start`: True and False decide, None leaves the instance running or stopped as it was.

    `request_id` makes asking twice one restore. `device` names the displaced volume by its place.
    """

    instance_id: str
    request_id: str
    recovery_point: RecoveryPointChoice = field(default_factory=RecoveryPointChoice)
    dry_run: bool = False
    device: str | None = None
    ami_override_reason: str | None = None
    volume: VolumeOverrides = field(default_factory=VolumeOverrides)
    start: bool | None = None
    requested_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a restore's story."""

    at: datetime
    step: RestoreStep
    text: str


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
class Fetch:
    """The copy that a volume is to be made of, where its snapshot is only elsewhere: `call` is what begins it.

    `copy_id` is known once EC2 has told or shown the copy, which anybody may have begun; `asked_at` is when this
    restore last asked for it, `not_before` when it may again.
    """

    call: CopySnapshot
    copy_id: str | None = None
    asked_at: datetime | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class RestoreVolume:
    """One volume of a restore: what is to be made, where it goes, and what it displaces.

    `snapshot_id` is, until the copy is known, that of the snapshot which `fetch` copies. `displaced_volume_id` is
    None when the device was free. `displaced_delete_on_termination` is the flag that the displaced volume had, and
    that the restored one gets. `restored_volume_id` is known once EC2 has shown the volume; `asked_at` is when
    CreateVolume was last asked for it. `initialization_rate` is MiB/s. `tags_left_out` is how many of the saved
    volume's own tags it does not get, `left_out` the keys of those of them that are known.
    """

    snapshot_id: str
    device: str
    zone: str
    type: str
    size: int
    encrypted: bool
    chain: str
    iops: int | None = None
    throughput: int | None = None
    kms_key_id: str | None = None
    initialization_rate: int | None = None
    tags: Tags = field(default_factory=dict)
    displaced_volume_id: str | None = None
    displaced_delete_on_termination: bool = False
    restored_volume_id: str | None = None
    asked_at: datetime | None = None
    fetch: Fetch | None = None
    tags_left_out: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptVolume:
    """A volume that the restore made and does not delete, and why."""

    volume_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore as the table keeps it. `version` counts conditional writes.

    `touched`: the instance may have been changed; before that, a roll-back only deletes what was made.
    `was_running`: the instance's power state just before it was touched, which a roll-back gives back.
    `launched_at` is the instance's launch time at that moment: it tells of a start that nobody saw.
    `started_on_restored`: a start was asked, or seen, with a restored volume attached; none is deleted from then on.
    `starts` counts the starts asked in this direction. `asked` and `asked_at` are the last action, noted before it was
    carried out; `refused` is what EC2 said to it, if it refused it for a reason that may pass. `failure` is why it
    turned back, `blocked` why the roll-back cannot finish. `closed`: nothing more will be done, the instance is free
    for another restore. `plan` is what the pre-flight said it would do. `told`: that it has begun has been told;
    `told_failed`: that its roll-back cannot finish has been.
    """

    id: str
    request_id: str
    instance_id: str
    recovery_point_id: str
    volumes: tuple[RestoreVolume, ...]
    started_at: datetime
    step_since: datetime
    status: RestoreState = RestoreState.OPEN
    direction: Direction = Direction.FORWARD
    step: RestoreStep = RestoreStep.VOLUMES
    version: int = 0
    was_running: bool = False
    start: bool | None = None
    requested_by: str = ""
    reason: str = ""
    ami_override: str | None = None
    touched: bool = False
    launched_at: datetime | None = None
    started_on_restored: bool = False
    starts: int = 0
    asked: str = ""
    asked_at: datetime | None = None
    failure: str | None = None
    blocked: str | None = None
    tags_left: bool = False
    kept: tuple[KeptVolume, ...] = ()
    closed: bool = False
    source_instance_id: str = ""
    crossed: tuple[str, ...] = ()
    cloudformation_stack: str | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    plan: str = ""
    told: bool = False
    told_failed: bool = False
    refused: str = ""
    stop_takes: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def taken(self) -> tuple[str, ...]:
        """What no roll-back gives back, because the instance was stopped, one phrase each."""
        return self.stop_takes if self.stopped else ()

    @property
    def shall_run(self) -> bool:
        """Whether the instance is to run when the restore has completed."""
        return self.was_running if self.start is None else self.start


@dataclass(frozen=True, slots=True)
class Seen:
    """How things stand now. `volumes`: the displaced and the restored ones and every one tagged with the restore.

    `instance` is None when EC2 does not show it. `status_checks`: ok, initializing, impaired or unknown. `copies`: our
    snapshots here that are copies of what the restore fetches, by id, as long as it does.
    """

    instance: Instance | None
    volumes: Mapping[str, Volume]
    status_checks: str = "unknown"
    copies: Mapping[str, Snapshot] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now. `look_again`: EC2 finishes within seconds what is waited for."""

    reason: str
    look_again: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the outcome. With `closes` the restore has ended; without, it has failed and goes on trying.

    An end is told before it is recorded, a failure after: the record says until then that it has to be told.
    """

    outcome: RestoreState
    closes: bool = True


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

type Action = Change | Wait | Finish


@dataclass(frozen=True, slots=True)
class Step:
    """One decision. `restore` is the record to save before the action is carried out.

    `restore` is the very record that was given when there is nothing to save.
    """

    action: Action
    restore: Restore
    reason: str


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


@dataclass(frozen=True, slots=True)
class PreflightFacts:
    """All that a pre-flight rests on, looked up before it.

    `volumes` are those attached to the instance, by id. `points` are the recovery points of this region that may be
    meant, `snapshots` what EC2 shows of the snapshot ids that were asked for. `elsewhere` are those of this stack in
    the regions that may be fetched from, `restore_from`, in the order of those, and, in a vault, those that its
    sources share, under the names that they would have here; `unseen` the regions that could not be looked at and
    `unheard` the accounts, each with the reason. `too_many`: a region has more snapshots that may be meant than that,
    so none was looked at. `open_restore` is the id of a restore that is open on the instance. `dry_runs`: what each
    call's DryRun answered, by the call: empty when it would be allowed, else AWS's words. `kms_key_id` is for volumes
    whose source was not encrypted; None means the account's default key. `vault_key` is that of a vault's copies.
    `instance_store` is how many GB of disks the instance's host gives it, None if that could not be looked up.
    `product_codes` are the Marketplace's of each attached volume that has any.
    """

    instance: Instance | None
    volumes: Mapping[str, Volume]
    account: str
    region: str
    stack: str
    ami: AmiVerdict
    points: tuple[RecoveryPoint, ...] = ()
    too_many: int = 0
    stop_protected: bool = False
    open_restore: str | None = None
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    trusted_snapshot_owners: tuple[str, ...] = ()
    encrypt_restored: bool = True
    kms_key_id: str | None = None
    encryption_by_default: bool = False
    dry_runs: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[RecoveryPoint, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)
    restore_from: tuple[str, ...] = ()
    completion_minutes: int = 0
    unheard: Mapping[str, str] = field(default_factory=dict)
    vault_key: str | None = None
    instance_store: int | None = 0
    product_codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Severity(StrEnum):
    """Whether a finding forbids the restore or only has to be read."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a pre-flight found. `code` is a short kebab-case cause, `field` what it is about."""

    code: str
    severity: Severity
    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """All findings at once. `plan` is None when any of them refuses; `draft` is what could be planned all the same,
    which is what DryRun calls are made of. `text` is for people."""

    findings: tuple[Finding, ...]
    plan: Restore | None
    text: str
    draft: Restore | None = None


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What is told of a restore: `details` is JSON, `next_steps` are sentences and commands in their order."""

    details: Mapping[str, object]
    next_steps: tuple[str, ...]
