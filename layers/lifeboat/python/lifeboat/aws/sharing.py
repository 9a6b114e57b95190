"""Snapshots shared between two accounts: share them, list them, and read their tags in a role of the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import PAGE, TooMany, id_filters, literal, within_limit
from lifeboat.aws.ec2_snapshots import snapshot_of
from lifeboat.aws.errors import translated
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.tags import Tag

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef

SESSION_SECONDS = 900
"""The duration of a session in the source's role: the shortest that STS allows
(https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html)."""


def shared_with(account: str, stack: str, ids: Iterable[str] = ()) -> frozenset[str]:
    """This stack's own snapshots that another account may copy; with `ids` only those among them. Raises AwsError."""
    ours: FilterTypeDef = {"Name": f"tag:{Tag.STACK}", "Values": [literal(stack)]}
    asked: dict[str, Any] = {"OwnerIds": ["self"], "RestorableByUserIds": [account]}
    with translated():
        return frozenset(
            item["SnapshotId"]
            for filters in within_limit([ours, *id_filters("snapshot-id", ids)])
            for item in _described(clients.ec2_reads(), {**asked, "Filters": filters})
        )


def share(snapshot_id: str, account: str) -> None:
    """Let another account see and copy one snapshot. Raises AwsError."""
    with translated():
        clients.ec2_writes().modify_snapshot_attribute(
            SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType="add", UserIds=[account]
        )


def shared_by(account: str, *, most: int) -> dict[str, Snapshot]:
    """What another account shares with this one, by id, without its tags. Raises AwsError, and TooMany."""
    asked = {"OwnerIds": [account], "RestorableByUserIds": ["self"]}
    with translated():
        return {found.id: found for found in _snapshots(clients.ec2_reads(), asked, most)}


def is_shared_by(account: str, snapshot_id: str) -> bool:
    """Whether another account has this snapshot and shares it with this one. Raises AwsError."""
    asked = {
        "OwnerIds": [account],
        "RestorableByUserIds": ["self"],
        "Filters": [{"Name": "snapshot-id", "Values": [snapshot_id]}],
    }
    with translated():
        return any(True for _ in _described(clients.ec2_reads(), asked))


def described_by(role_arn: str, *, most: int) -> tuple[Snapshot, ...]:
    """The recovery points' snapshots of another account with their tags, read in that account's role.

    Raises AwsError when the role cannot be used, and TooMany.
    """
    asked = {"OwnerIds": ["self"], "Filters": [{"Name": "tag-key", "Values": [Tag.RECOVERY_POINT]}]}
    with translated():
        given = clients.sts().assume_role(
            RoleArn=role_arn, RoleSessionName="lifeboat-vault", DurationSeconds=SESSION_SECONDS
        )["Credentials"]
        reader = clients.ec2_reads_as(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return tuple(_snapshots(reader, asked, most))


def _snapshots(client: EC2Client, asked: Mapping[str, Any], most: int) -> Iterable[Snapshot]:
    for number, item in enumerate(_described(client, asked), 1):
        if number > most:
            raise TooMany
        yield snapshot_of(item)


def _described(client: EC2Client, asked: Mapping[str, Any]) -> Iterable[Any]:
    pages = client.get_paginator("describe_snapshots").paginate(**asked, PaginationConfig={"PageSize": PAGE})
    return (item for page in pages for item in page["Snapshots"])
