"""S3 as the evidence bucket needs it: lifecycle, archives, Object Lock, versions, who may do what, and whose it is."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.session import HOME_ACCOUNT, LocalAws
from tests.local.captures import acting
from tests.local.conftest import refusal, unique

EXPIRES = {"ID": "old", "Filter": {"Prefix": "glacier"}, "Status": "Enabled", "Expiration": {"Days": 2}}
LARGE = b"x" * 128 * 1024


@pytest.fixture
def s3(aws: LocalAws) -> Any:
    return aws.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    return new_bucket(s3)


def new_bucket(s3: Any, *, versioned: bool = False) -> str:
    name = unique("evidence")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def with_rules(s3: Any, bucket: str, *rules: dict[str, Any]) -> None:
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def keys(s3: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def until_midnight(aws: LocalAws, days: int) -> None:
    """Move the clock to the midnight UTC after so many more whole days."""
    today = aws.control.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    aws.control.advance(to=today + timedelta(days=days + 1))


def test_an_object_expires_at_the_midnight_after_its_days(aws: LocalAws, s3: Any, bucket: str) -> None:
    with_rules(s3, bucket, EXPIRES)
    for key in ("glacier/a", "other"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    until_midnight(aws, 1)
    assert keys(s3, bucket) == ["glacier/a", "other"], "two days have not passed"
    until_midnight(aws, 0)
    assert keys(s3, bucket) == ["other"]


def test_with_versions_an_expired_object_is_hidden_and_its_noncurrent_version_goes_later(
    aws: LocalAws, s3: Any
) -> None:
    bucket = new_bucket(s3, versioned=True)
    with_rules(s3, bucket, {**EXPIRES, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    s3.put_object(Bucket=bucket, Key="glacier/a", Body=b"1")
    until_midnight(aws, 2)
    assert keys(s3, bucket) == []
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1
    until_midnight(aws, 1)
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


@pytest.mark.parametrize(
    ("body", "found"), [(LARGE, "GLACIER"), (b"1", "STANDARD")], ids=["large", "below 128 KiB, which stays"]
)
def test_a_transition_changes_the_class(aws: LocalAws, s3: Any, bucket: str, body: bytes, found: str) -> None:
    rule = {"ID": "archive", "Filter": {"Prefix": ""}, "Status": "Enabled"}
    with_rules(s3, bucket, {**rule, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]})
    s3.put_object(Bucket=bucket, Key="a", Body=body)
    until_midnight(aws, 1)
    [item] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert item["StorageClass"] == found


@pytest.mark.parametrize(
    ("archive", "hours"),
    [("GLACIER Standard", 5), ("GLACIER Bulk", 12), ("DEEP_ARCHIVE Standard", 12), ("DEEP_ARCHIVE Bulk", 48)],
)
def test_a_restore_takes_its_hours(aws: LocalAws, s3: Any, bucket: str, archive: str, hours: int) -> None:
    storage_class, tier = archive.split()
    s3.put_object(Bucket=bucket, Key="a", Body=b"123", StorageClass=storage_class)
    wanted = {"Days": 1, "GlacierJobParameters": {"Tier": tier}}

    def restore() -> Any:
        return s3.restore_object(Bucket=bucket, Key="a", RestoreRequest=wanted)

    def copy() -> Any:
        return s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})

    assert refusal(lambda: s3.get_object(Bucket=bucket, Key="a")) == "InvalidObjectState"
    assert refusal(copy) == "InvalidObjectState"
    assert restore()["ResponseMetadata"]["HTTPStatusCode"] == 202
    aws.control.advance(hours * 3600 - 1)
    assert s3.head_object(Bucket=bucket, Key="a")["Restore"] == 'ongoing-request="true"'
    assert refusal(restore) == "RestoreAlreadyInProgress"
    assert refusal(copy) == "InvalidObjectState"
    aws.control.advance(1)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"123"
    assert copy()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert 'ongoing-request="false"' in s3.head_object(Bucket=bucket, Key="a")["Restore"]
    assert restore()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"123"
    until_midnight(aws, 1)
    assert refusal(lambda: s3.get_object(Bucket=bucket, Key="a")) == "InvalidObjectState", "the copy has expired"


def test_a_noncurrent_version_is_restored_by_its_id(aws: LocalAws, s3: Any) -> None:
    bucket = new_bucket(s3, versioned=True)
    old = s3.put_object(Bucket=bucket, Key="a", Body=b"old", StorageClass="GLACIER")["VersionId"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"new")
    asked = {"Bucket": bucket, "Key": "a", "VersionId": old}
    assert refusal(lambda: s3.get_object(**asked)) == "InvalidObjectState"
    s3.restore_object(**asked, RestoreRequest={"Days": 1})
    aws.control.advance(5 * 3600)
    assert 'ongoing-request="false"' in s3.head_object(**asked)["Restore"]
    answer = s3.get_object(**asked)
    assert (answer["Body"].read(), answer["StorageClass"]) == (b"old", "GLACIER")
    s3.copy_object(Bucket=bucket, Key="b", CopySource=asked)
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"old"


@pytest.mark.parametrize(
    ("storage_class", "tier", "code"),
    [("DEEP_ARCHIVE", "Expedited", "InvalidArgument"), ("STANDARD", "Standard", "InvalidObjectState")],
)
def test_a_restore_that_cannot_be_is_refused(s3: Any, bucket: str, storage_class: str, tier: str, code: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", StorageClass=storage_class)
    wanted = {"Days": 1, "GlacierJobParameters": {"Tier": tier}}
    assert refusal(lambda: s3.restore_object(Bucket=bucket, Key="a", RestoreRequest=wanted)) == code


def test_object_lock_keeps_a_version_from_deletion_and_from_expiry(aws: LocalAws, s3: Any) -> None:
    bucket = new_bucket(s3, versioned=True)
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
    )
    version = s3.put_object(Bucket=bucket, Key="glacier/a", Body=b"1")["VersionId"]
    asked = {"Bucket": bucket, "Key": "glacier/a", "VersionId": version}
    assert refusal(lambda: s3.delete_object(**asked)) == "AccessDenied"
    with_rules(s3, bucket, {**EXPIRES, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    until_midnight(aws, 4)
    assert keys(s3, bucket) == [], "a delete marker hides it"
    assert s3.get_object(**asked)["Body"].read() == b"1"


def test_pages_of_versions_have_each_once_without_versioning_too(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [item["Key"] for page in pages for item in page["Versions"]] == ["a", "b", "c"]


def test_the_status_of_a_policy(s3: Any, bucket: str) -> None:
    def status() -> bool:
        return bool(s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"])

    assert refusal(status) == "NoSuchBucketPolicy"
    s3.delete_public_access_block(Bucket=bucket)
    for principal, public in (("*", True), ({"AWS": f"arn:aws:iam::{HOME_ACCOUNT}:root"}, False)):
        allow = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject"}
        policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": f"arn:aws:s3:::{bucket}/*"}]}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        assert status() is public


def test_another_owner_than_expected_is_refused(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_versioning(Bucket=bucket, ExpectedBucketOwner=HOME_ACCOUNT)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_bucket_versioning(Bucket=bucket, ExpectedBucketOwner="444455556666")


def test_a_denial_in_the_bucket_policy_holds_for_a_role_that_may_do_all(aws: LocalAws, s3: Any) -> None:
    bucket = new_bucket(s3, versioned=True)
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    admin = acting(aws, {"Action": "s3:*", "Resource": "*"}, service="s3")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObjectVersion"}
    policy = {"Version": "2012-10-17", "Statement": [{**deny, "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    admin.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert refusal(lambda: admin.delete_object(Bucket=bucket, Key="a", VersionId=version)) == "AccessDenied"
    admin.delete_object(Bucket=bucket, Key="a")
    assert admin.get_object(Bucket=bucket, Key="a", VersionId=version)["Body"].read() == b"1"
