"""Objects in a bucket of the stack's own. Each call names the account: a bucket of another one is never used."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated

MISSING = frozenset({"NoSuchKey", "NoSuchBucket"})


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


def write_object(bucket: str, key: str, data: bytes, *, account: str) -> None:
    """Write an object in the place of the one that is there. Raises AwsError."""
    with translated():
        clients.s3().put_object(Bucket=bucket, Key=key, Body=data, ExpectedBucketOwner=account)
