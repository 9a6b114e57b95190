"""File systems of EFS: reads only."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import tags_of
from lifeboat.aws.errors import AwsError, translated
from lifeboat.domain.file_system import FileSystem


def file_systems_with_tag(key: str, value: str) -> tuple[FileSystem, ...]:
    """The file systems of this region that carry the tag with exactly this value. Raises AwsError."""
    with translated():
        pages = clients.efs().get_paginator("describe_file_systems").paginate()
        ids = [
            item["FileSystemId"]
            for page in pages
            for item in page["FileSystems"]
            if tags_of(item.get("Tags")).get(key) == value
        ]
    return tuple(FileSystem(item, _backups(item)) for item in ids)


def _backups(file_system_id: str) -> str:
    """EFS answers PolicyNotFound for one that never had a policy
    (https://docs.aws.amazon.com/efs/latest/ug/API_DescribeBackupPolicy.html)."""
    try:
        with translated():
            answer = clients.efs().describe_backup_policy(FileSystemId=file_system_id)
    except AwsError as problem:
        if problem.code == "PolicyNotFound":
            return "DISABLED"
        raise
    return str(answer["BackupPolicy"]["Status"])
