"""EBS snapshots: read, create, copy, tag, lock and delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import (
    IDS_PER_CALL,
    PAGE,
    TooMany,
    id_filters,
    literal,
    tag_filters,
    tag_list,
    tags_of,
    within_limit,
)
from lifeboat.aws.errors import translated
from lifeboat.domain.catalogue import is_of_unrecorded_volume, made_by_others
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.ec2_calls import (
    CopySnapshot,
)
from lifeboat.domain.locks import Lock
from lifeboat.domain.recovery_point_tags import COPIED_VOLUME, is_copy
from lifeboat.domain.tags import Tag, Tags

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, SnapshotTypeDef


def recovery_point_snapshots(
    filters: Mapping[str, Sequence[str]] | None = None, *, most: int | None = None
) -> tuple[Snapshot, ...]:
    """This account's snapshots that belong to a recovery point; `filters` have EC2's filter names.

    It always passes OwnerIds=self: without it the call lists every public snapshot
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html).

    Raises AwsError, and TooMany as soon as there are more than `most`.
    """
    wanted: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [Tag.RECOVERY_POINT]}]
    wanted += [{"Name": name, "Values": list(values)} for name, values in (filters or {}).items()]
    return _own_snapshots(wanted, most=most)


def recovery_point_snapshots_of(
    stack: str, filters: Mapping[str, Sequence[str]], *, most: int | None = None
) -> tuple[Snapshot, ...]:
    """Those that carry this stack's name. Two stacks may back up one instance; each counts its own snapshots only.

    Raises TooMany as soon as there are more than `most`.
    """
    return recovery_point_snapshots({f"tag:{Tag.STACK}": [literal(stack)], **filters}, most=most)


def some_recovery_point_snapshots_of(stack: str, filters: Mapping[str, Sequence[str]]) -> tuple[Snapshot, ...]:
    """The first page of them that is not empty. Raises AwsError."""
    wanted: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [Tag.RECOVERY_POINT]}]
    wanted += [{"Name": name, "Values": list(values)} for name, values in filters.items()]
    pages = _own_snapshot_pages([*wanted, {"Name": f"tag:{Tag.STACK}", "Values": [literal(stack)]}])
    return tuple(map(snapshot_of, next((page for page in pages if page), ())))


def recovery_point_snapshots_tagged(tags: Mapping[str, Sequence[str]], *, most: int) -> tuple[Snapshot, ...]:
    """Those that carry each of these tags with exactly one of its values.

    Raises TooMany as soon as there are more than `most`.
    """
    return recovery_point_snapshots(tag_filters(tags), most=most)


def recovery_point_snapshots_elsewhere(
    region: str, stack: str, tags: Mapping[str, Sequence[str]], *, most: int, ids: Sequence[str] = ()
) -> tuple[Snapshot, ...]:
    """Those in another region that carry this stack's name and each of these tags with exactly one of its values.

    With `ids` only those among them. A region that does not answer costs seconds, not minutes.

    Raises AwsError, and TooMany as soon as there are more than `most`.
    """
    filters: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [Tag.RECOVERY_POINT]}]
    filters += [{"Name": name, "Values": values} for name, values in tag_filters({Tag.STACK: [stack], **tags}).items()]
    filters += id_filters("snapshot-id", ids)
    return _at_most(most, _pages(clients.ec2_fast_reads(region), filters))


def copies_of(snapshot_ids: Sequence[str], region: str) -> dict[str, Snapshot]:
    """Lifeboat's copies here of these snapshots of another region. Raises AwsError."""
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{Tag.COPY_OF}", "Values": list(snapshot_ids)},
        {"Name": f"tag:{Tag.COPIED_FROM}", "Values": [region]},
    ]
    return {copy.id: copy for copy in _ours(_own_snapshots(filters))}


def _ours(copies: Iterable[Snapshot]) -> tuple[Snapshot, ...]:
    """The copies that Lifeboat made. Other programs' copies may carry the same tags."""
    return tuple(copy for copy in copies if not made_by_others(copy))


def instances_saved_by(stack: str, *, slot_tag: str) -> frozenset[str]:
    """The instances of which this stack took a snapshot for a slot, in any state, by the snapshots' tags.

    A snapshot whose volume is not in its tags does not count, nor does a copy.
    """
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{Tag.STACK}", "Values": [literal(stack)]},
        {"Name": f"tag:{Tag.SLOT}", "Values": [slot_tag]},
    ]
    found = ((item, tags_of(item.get("Tags"))) for page in _own_snapshot_pages(filters) for item in page)
    return frozenset(
        tags[Tag.INSTANCE]
        for item, tags in found
        if Tag.INSTANCE in tags and Tag.RECOVERY_POINT in tags
        for volume_id in (item.get("VolumeId", ""),)
        if not (is_of_unrecorded_volume(volume_id, tags) or is_copy(volume_id, tags))
    )


def snapshots_of_volume(volume_id: str) -> tuple[Snapshot, ...]:
    """This account's snapshots of this volume, whoever made them."""
    return _own_snapshots([{"Name": "volume-id", "Values": [volume_id]}])


def snapshots_with_tag(key: str, value: str) -> tuple[Snapshot, ...]:
    """This account's snapshots that carry the tag with exactly this value."""
    return _own_snapshots([{"Name": f"tag:{literal(key)}", "Values": [literal(value)]}])


def copies_in(region: str, of: Mapping[str, str | Sequence[str]], *, ids: Sequence[str] = ()) -> tuple[Snapshot, ...]:
    """Lifeboat's copies in another region that carry each of these tags with exactly one of its values.

    With `ids` only those among them; an id that does not exist is no error. Raises AwsError.
    """
    tags = {key: [values] if isinstance(values, str) else values for key, values in of.items()}
    filters: list[FilterTypeDef] = [{"Name": name, "Values": values} for name, values in tag_filters(tags).items()]
    filters += id_filters("snapshot-id", ids)
    return _ours(_own_snapshots(filters, region))


def copies_of_instances_in(region: str, of: Tags, *, ending: str) -> tuple[Snapshot, ...]:
    """Those of instances whose ids end with `ending`, with all of these tags. Raises AwsError."""
    filters: list[FilterTypeDef] = [
        {"Name": f"tag:{literal(key)}", "Values": [literal(value)]} for key, value in of.items()
    ]
    return _ours(_own_snapshots([*filters, _of_instances(ending)], region))


def _of_instances(ending: str) -> FilterTypeDef:
    return {"Name": f"tag:{Tag.INSTANCE}", "Values": [f"*{ending}"]}


def pending_copies_in(region: str) -> frozenset[str]:
    """All of this account's snapshot copies that a region is making, whoever requested them: they share EC2's limit.

    Every copy has the same volume id, also a time-based one. (EC2 shows a transfer type on snapshots of volumes too.)
    Snapshots made by the EBS direct APIs have that id as well and are counted. Raises AwsError.
    """
    pages = _own_snapshot_pages([{"Name": "status", "Values": ["pending"]}], region)
    return frozenset(item["SnapshotId"] for page in pages for item in page if item.get("VolumeId") == COPIED_VOLUME)


def pending_of_volumes(volume_ids: Iterable[str]) -> tuple[Snapshot, ...]:
    """This account's pending snapshots of these volumes, whoever requested them: they share EC2's limit.

    Raises AwsError.
    """
    wanted = id_filters("volume-id", volume_ids)
    return _own_snapshots([*wanted, {"Name": "status", "Values": ["pending"]}]) if wanted else ()


def suspect_snapshots() -> tuple[Snapshot, ...]:
    """This account's snapshots that carry a suspicion, open or closed. Raises AwsError."""
    return _own_snapshots([{"Name": "tag-key", "Values": [Tag.SUSPECT]}])


def _own_snapshots(
    filters: Sequence[FilterTypeDef], region: str | None = None, *, most: int | None = None
) -> tuple[Snapshot, ...]:
    return _at_most(most, _own_snapshot_pages(filters, region))


def _at_most(most: int | None, pages: Iterable[Sequence[SnapshotTypeDef]]) -> tuple[Snapshot, ...]:
    found: list[Snapshot] = []
    for page in pages:
        found += map(snapshot_of, page)
        if most is not None and len(found) > most:
            raise TooMany
    return tuple(found)


def _own_snapshot_pages(
    filters: Sequence[FilterTypeDef], region: str | None = None
) -> Iterator[Sequence[SnapshotTypeDef]]:
    return _pages(clients.ec2_reads(region), filters)


def _pages(
    client: EC2Client, filters: Sequence[FilterTypeDef], owners: Sequence[str] = ("self",)
) -> Iterator[Sequence[SnapshotTypeDef]]:
    asked: Any = {"OwnerIds": list(owners)} if owners else {}
    observed: set[str] = set()
    calls = list(within_limit(filters))
    with translated():
        paginator = client.get_paginator("describe_snapshots")
        for call in calls:
            for page in paginator.paginate(**asked, Filters=call, PaginationConfig={"PageSize": PAGE}):
                found = page["Snapshots"]
                if len(calls) > 1:  # a snapshot that matches two values may be in two answers
                    found = [item for item in found if item["SnapshotId"] not in observed]
                    observed.update(item["SnapshotId"] for item in found)
                yield found


def snapshots(ids: Iterable[str]) -> dict[str, Snapshot]:
    """The snapshots of these ids that exist and are visible to this account, whoever owns them."""
    return _snapshots_named(ids, owners=())


def own_snapshots(ids: Iterable[str]) -> dict[str, Snapshot]:
    """The snapshots of these ids that exist and belong to this account."""
    return _snapshots_named(ids, owners=("self",))


def _snapshots_named(ids: Iterable[str], owners: Sequence[str]) -> dict[str, Snapshot]:
    named = id_filters("snapshot-id", ids)
    pages = _pages(clients.ec2_reads(), named, owners) if named else ()
    return {item["SnapshotId"]: snapshot_of(item) for page in pages for item in page}


def locked_snapshot_ids() -> frozenset[str]:
    """The snapshots with a lock that has not expired. They cannot be deleted."""
    return frozenset(item["SnapshotId"] for item in _locked(MaxResults=PAGE) if item.get("LockState") != "expired")


def ever_locked(ids: Sequence[str]) -> frozenset[str]:
    """Which of this account's snapshots carry or carried a lock; EC2 lists an expired lock too. Raises AwsError."""
    some = batched(sorted(set(ids)), IDS_PER_CALL, strict=False)
    return frozenset(item["SnapshotId"] for few in some for item in _locked(SnapshotIds=list(few)))


def locked_among(ids: Iterable[str]) -> frozenset[str]:
    """Which of this account's snapshots carry a lock that has not expired. Raises AwsError."""
    some = batched(sorted(set(ids)), IDS_PER_CALL, strict=False)
    found = (item for few in some for item in _locked(SnapshotIds=list(few)))
    return frozenset(item["SnapshotId"] for item in found if item.get("LockState") != "expired")


def _locked(**asked: Any) -> Iterator[Any]:
    """The snapshots that carry or carried a lock, page by page."""
    token: str | None = None
    while True:
        more: dict[str, Any] = {"NextToken": token} if token else {}
        with translated():
            answer = clients.ec2_reads().describe_locked_snapshots(**asked, **more)
        yield from answer["Snapshots"]
        token = answer.get("NextToken")
        if not token:
            return


def public_snapshot_ids() -> frozenset[str]:
    """This account's public snapshots.

    No single call lists the snapshots that are shared with accounts: that needs one attribute call for each snapshot
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html, `RestorableByUserIds`).
    """
    pages = (
        clients.ec2_reads()
        .get_paginator("describe_snapshots")
        .paginate(OwnerIds=["self"], RestorableByUserIds=["all"], PaginationConfig={"PageSize": PAGE})
    )
    with translated():
        return frozenset(item["SnapshotId"] for page in pages for item in page["Snapshots"])


def snapshot_of(item: Mapping[str, Any]) -> Snapshot:
    """A snapshot as DescribeSnapshots shows it."""
    return Snapshot(
        id=item["SnapshotId"],
        volume_id=item.get("VolumeId", ""),
        state=item["State"],
        started_at=item["StartTime"],
        size=item.get("VolumeSize", 0),
        owner_id=item.get("OwnerId", ""),
        encrypted=bool(item.get("Encrypted", False)),
        kms_key_id=item.get("KmsKeyId"),
        completed_at=item.get("CompletionTime"),
        tier=item.get("StorageTier", "standard"),
        state_message=item.get("StateMessage", ""),
        description=item.get("Description", ""),
        owner_alias=item.get("OwnerAlias", ""),
        tags=tags_of(item.get("Tags")),
    )


def create_snapshots(instance_id: str, description: str, tags: Tags) -> dict[str, str]:
    """Create one crash-consistent set of snapshots of all data volumes. Returns each volume's id with its snapshot's.

    The call has no idempotency token and is never repeated here: search for the recovery point's tag before calling
    again. Raises AwsError.
    """
    with translated():
        answer = clients.ec2_writes().create_snapshots(
            InstanceSpecification={"InstanceId": instance_id, "ExcludeBootVolume": True},
            Description=description,
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tag_list(tags)}],
        )
    return {item["VolumeId"]: item["SnapshotId"] for item in answer["Snapshots"]}


def copy_snapshot(
    snapshot_id: str, *, from_region: str, to: CopyDestination, description: str, tags: Tags, within: int = 0
) -> str:
    """Begin a copy in another region. Returns its id. CopySnapshot copies no tags, so all of them are passed.

    `within` is the most minutes that a time-based copy takes; 0 sets no limit.

    The call has no idempotency token and is never repeated here: search for the copy's tags before calling again. EC2
    does not refuse a key that it may not use: the copy ends in error later. Raises AwsError.
    """
    change = CopySnapshot(from_region, snapshot_id, description, tags, to.kms_key_id, within)
    with translated():
        return clients.ec2_writes(to.region).copy_snapshot(**copy_arguments(change))["SnapshotId"]


def delete_snapshot(snapshot_id: str) -> None:
    """Delete one snapshot. Raises AwsError, with `InvalidSnapshot.NotFound` if it does not exist."""
    with translated():
        clients.ec2_writes().delete_snapshot(SnapshotId=snapshot_id)


def lock_snapshot(snapshot_id: str, lock: Lock) -> None:
    """Lock one snapshot, for whole days from now on. Raises AwsError."""
    cool_off: Any = {"CoolOffPeriod": lock.cool_off_hours} if lock.cool_off_hours else {}
    mode: Any = lock.mode
    with translated():
        clients.ec2_writes().lock_snapshot(SnapshotId=snapshot_id, LockMode=mode, LockDuration=lock.days, **cool_off)


def tag_snapshot(snapshot_id: str, tags: Tags) -> None:
    """Write all these tags on one snapshot, or none. Raises AwsError."""
    with translated():
        clients.ec2_writes().create_tags(Resources=[snapshot_id], Tags=tag_list(tags))


def copy_arguments(change: CopySnapshot) -> Any:
    arguments = {
        "SourceRegion": change.region,
        "SourceSnapshotId": change.snapshot_id,
        "Description": change.description,
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": tag_list(change.tags)}],
        "Encrypted": True if change.kms_key_id else None,
        "KmsKeyId": change.kms_key_id,
        "CompletionDurationMinutes": change.completion_minutes or None,
    }
    return {name: value for name, value in arguments.items() if value is not None}
