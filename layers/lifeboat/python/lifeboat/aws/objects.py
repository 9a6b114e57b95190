"""Objects in a bucket of the stack's own. Each call names the account: a bucket of another one is never used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated

MISSING = frozenset({"NoSuchKey", "NoSuchBucket"})

DELETES = 1_000
"""The most keys of one DeleteObjects (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html)."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Object Lock of one new version: its mode, GOVERNANCE or COMPLIANCE, and until when."""

    mode: str
    until: datetime


def read_object(bucket: str, key: str, *, account: str) -> bytes | None:
    """The bytes of an object; None if there is none. Raises AwsError.

    Without the right to list the bucket, S3 refuses the read of an object that does not exist with AccessDenied
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
    """
    try:
        with translated():
            answer = clients.s3().get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=account)
            data: bytes = answer["Body"].read()
    except AwsError as problem:
        if problem.code in MISSING:
            return None
        raise
    return data


def write_object(bucket: str, key: str, data: bytes, *, account: str, lock: Lock | None = None) -> None:
    """Write an object in the place of the one that is there. Raises AwsError.

    `lock` keeps the new version. It takes the permission s3:PutObjectRetention.
    """
    more: dict[str, Any] = {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until} if lock else {}
    with translated():
        clients.s3().put_object(Bucket=bucket, Key=key, Body=data, ExpectedBucketOwner=account, **more)


def list_keys(bucket: str, prefix: str, *, account: str) -> Iterator[str]:
    """The keys that begin with a prefix, in their order. Raises AwsError."""
    with translated():
        pages = clients.s3().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, ExpectedBucketOwner=account):
            for item in page.get("Contents", ()):
                yield item["Key"]


def hide_objects(bucket: str, keys: Sequence[str], *, account: str) -> None:
    """Delete objects. In a versioned bucket each stays behind a delete marker. Raises AwsError."""
    for some in batched(keys, DELETES, strict=False):
        asked = {"Objects": [{"Key": key} for key in some], "Quiet": True}
        with translated():
            answer = clients.s3().delete_objects(Bucket=bucket, Delete=asked, ExpectedBucketOwner=account)
        for refused in answer.get("Errors", ()):
            raise AwsError(refused["Code"], f"{refused['Key']}: {refused.get('Message', '')}", answered=True)
