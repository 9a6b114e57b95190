"""The evidence bucket: each setting as it is, as it is not configured, and refused; the listing in parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from botocore.stub import Stubber

from lifeboat.aws import clients, evidence_bucket
from lifeboat.aws.errors import AwsError
from lifeboat.domain.evidence import (
    BucketSettings,
    Encryption,
    LifecycleRule,
    Marker,
    NotRead,
    ObjectLock,
    PublicAccessBlock,
    ReplicationRule,
    Versioning,
)

ACCOUNT = "123456789012"  # moto's own
BUCKET = "cadoresponse-evidence"
VENDORS_RULE = {
    "ID": "CadoGlacierRule",
    "Filter": {"Prefix": "glacier"},
    "Status": "Enabled",
    "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
    "Expiration": {"Days": 365},
}


@pytest.fixture
def bucket(aws: None) -> str:
    clients.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return BUCKET


def read(bucket: str) -> BucketSettings:
    return evidence_bucket.read_settings(bucket, account=ACCOUNT)


def test_a_new_bucket_has_no_settings_but_its_encryption(bucket: str) -> None:
    found = read(bucket)
    assert found.versioning == Versioning()
    assert found.encryption in {None, Encryption("AES256")}
    rest = {item.name for item in fields(found)} - {"versioning", "encryption", "ownership"}
    assert {name for name in rest if getattr(found, name) is not None} == set()


def test_each_setting_is_read_as_it_was_set(bucket: str) -> None:
    s3 = clients.s3()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
    )
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [VENDORS_RULE]})
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        ),
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "a-key"}}]
        },
    )
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    found = read(bucket)
    assert found.versioning == Versioning("Enabled")
    assert found.object_lock == ObjectLock("GOVERNANCE")
    assert isinstance(found.lifecycle, tuple)
    [rule] = found.lifecycle
    assert replace(rule, document={}) == LifecycleRule(
        "CadoGlacierRule",
        True,
        "glacier",
        {},
        expires_days=365,
        moves_from="all_storage_classes_128K",
    )
    assert json.loads(json.dumps(rule.document)) == VENDORS_RULE
    assert found.public_access_block == PublicAccessBlock(True, True, True, True)
    assert found.policy == policy
    assert found.encryption == Encryption("aws:kms")
    assert found.ownership == "BucketOwnerEnforced"


TAG = {"Key": "keep", "Value": "yes"}
WITH_KMS = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
REPLICATED: dict[str, Any] = {
    "Role": "arn:aws:iam::123456789012:role/replication",
    "Rules": [
        {
            "ID": "all",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Priority": 1,
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": "arn:aws:s3:::copy", "Account": "222222222222"},
        }
    ],
}


@pytest.mark.parametrize(
    ("method", "answer", "setting", "value"),
    [
        (
            "get_bucket_replication",
            {"ReplicationConfiguration": REPLICATED},
            "replication",
            (ReplicationRule(True),),
        ),
        (
            "get_bucket_replication",
            {
                "ReplicationConfiguration": REPLICATED
                | {"Rules": [REPLICATED["Rules"][0] | {"Filter": {"Tag": TAG}, "SourceSelectionCriteria": WITH_KMS}]}
            },
            "replication",
            (ReplicationRule(True, tags=(("keep", "yes"),), with_kms=True),),
        ),
        ("get_bucket_policy_status", {"PolicyStatus": {"IsPublic": True}}, "policy_is_public", True),
        (
            "get_bucket_lifecycle_configuration",
            {
                "Rules": [
                    {
                        "Status": "Disabled",
                        "Filter": {
                            "And": {
                                "Prefix": "a/",
                                "Tags": [{"Key": "k", "Value": "v"}],
                                "ObjectSizeGreaterThan": 10,
                            }
                        },
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 7, "NewerNoncurrentVersions": 2},
                    }
                ]
            },
            "lifecycle",
            (("a/", (("k", "v"),), 10, None, 7, 2),),
        ),
    ],
    ids=["replication", "of some tags", "policy status", "a rule with several filters"],
)
def test_what_moto_does_not_answer(  # noqa: PLR0917 - pytest passes them by name
    method: str, answer: dict[str, Any], setting: str, value: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer_with(monkeypatch, method, lambda stub: stub.add_response(method, answer))
    found = getattr(read(bucket), setting)
    if setting == "lifecycle":
        shown = ("prefix", "tags", "larger_than", "smaller_than", "noncurrent_days", "newer_noncurrent")
        found = tuple(tuple(getattr(rule, name) for name in shown) for rule in found)
    assert found == value


def _answer_with(monkeypatch: pytest.MonkeyPatch, method: str, prepare: Callable[[Stubber], None]) -> None:
    """Let botocore answer this one call from a stub, in S3's form; moto answers the others."""
    other = clients._session().client("s3")
    stub = Stubber(other)
    prepare(stub)
    stub.activate()
    monkeypatch.setattr(clients.s3(), method, getattr(other, method))


def test_a_refused_setting_has_the_words_of_aws_and_the_others_are_read(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer_with(
        monkeypatch,
        "get_bucket_policy",
        lambda stub: stub.add_client_error("get_bucket_policy", "AccessDenied", "no s3:GetBucketPolicy", 403),
    )
    found = read(bucket)
    assert found.policy == NotRead("AccessDenied: no s3:GetBucketPolicy")
    assert found.versioning == Versioning()


def test_a_throttled_call_is_no_answer(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _answer_with(
        monkeypatch,
        "get_bucket_policy",
        lambda stub: stub.add_client_error("get_bucket_policy", "SlowDown", "Please reduce your request rate.", 503),
    )
    with pytest.raises(AwsError, match="SlowDown"):
        read(bucket)


def test_the_region_of_a_bucket_and_of_none(bucket: str) -> None:
    assert evidence_bucket.find_region(bucket, account=ACCOUNT) == "eu-west-1"
    with pytest.raises(AwsError, match="NoSuchBucket"):
        evidence_bucket.find_region("there-is-none", account=ACCOUNT)


def test_a_listing_goes_on_anywhere_and_has_each_version_once(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_bucket, "PAGE", 2)
    s3 = clients.s3()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "b", "b", "b", "c é+/1"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"123", StorageClass="STANDARD_IA")
    s3.delete_object(Bucket=bucket, Key="a")
    whole = [item for page in evidence_bucket.list_all_versions(bucket, account=ACCOUNT) for item in page.versions]
    assert [(item.key, item.is_latest, item.delete_marker) for item in whole] == [
        ("a", True, True),
        ("a", False, False),
        ("b", True, False),
        ("b", False, False),
        ("b", False, False),
        ("c é+/1", True, False),
    ]
    assert len({(item.key, item.version_id) for item in whole}) == len(whole)
    assert (whole[2].size, whole[2].storage_class, whole[2].archived) == (3, "STANDARD_IA", False)
    first = evidence_bucket.list_versions(bucket, account=ACCOUNT)
    assert isinstance(first.next, Marker)
    rest = evidence_bucket.list_all_versions(bucket, account=ACCOUNT, after=first.next)
    assert [*first.versions, *(item for page in rest for item in page.versions)] == whole


def test_an_archived_object_is_seen(bucket: str) -> None:
    clients.s3().put_object(Bucket=bucket, Key="old", Body=b"1", StorageClass="DEEP_ARCHIVE")
    [item] = evidence_bucket.list_versions(bucket, account=ACCOUNT).versions
    assert (item.archived, item.version_id) == (True, "null")


def test_the_call_names_the_account(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    clients.s3().meta.events.register("provide-client-params.s3", lambda params, **_: asked.append(params))
    read(bucket)
    evidence_bucket.list_versions(bucket, account=ACCOUNT)
    evidence_bucket.find_region(bucket, account=ACCOUNT)
    assert len(asked) == 11
    assert {item["ExpectedBucketOwner"] for item in asked} == {ACCOUNT}
