"""The evidence bucket: its settings and the list of its object versions. Nothing here writes to it.

Each setting is read by a call of its own, so that one refusal hides no other setting. S3 answers some that are not
configured with an error: that is an answer, None. A refusal that does not pass is NotRead, with AWS's words.

Each call names the account: a bucket of another account is never taken for ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated
from lifeboat.domain.evidence import (
    BucketSettings,
    Encryption,
    LifecycleRule,
    Marker,
    NotRead,
    ObjectLock,
    ObjectVersion,
    PublicAccessBlock,
    ReplicationRule,
    Setting,
    Versioning,
    VersionPage,
)

PAGE = 1_000
"""The most versions in one answer
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html)."""

NO_BUCKET = "NoSuchBucket"

REFUSED = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
"""Codes of a missing permission, a denial and a bucket of another account."""

NOT_CONFIGURED = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "OwnershipControlsNotFoundError",
        "ReplicationConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
"""Codes with which S3 answers that a setting is not configured
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""


def find_region(bucket: str, *, account: str) -> str:
    """The bucket's region. Raises AwsError: NoSuchBucket, or AccessDenied also for a bucket of another account.

    S3 answers nothing for us-east-1, and EU for some old buckets of eu-west-1
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html).
    """
    with translated():
        answer = clients.s3().get_bucket_location(Bucket=bucket, ExpectedBucketOwner=account)
    place = answer.get("LocationConstraint") or "us-east-1"
    return "eu-west-1" if place == "EU" else str(place)


def read_settings(bucket: str, *, account: str) -> BucketSettings:
    """All settings. Raises AwsError for what passes, such as a call that S3 throttles, and for NO_BUCKET."""
    client, asked = clients.s3(), {"Bucket": bucket, "ExpectedBucketOwner": account}

    def read[Value](call: Callable[..., Any], build: Callable[[Any], Value]) -> Setting[Value]:
        try:
            with translated():
                answer = call(**asked)
        except AwsError as problem:
            if problem.code in NOT_CONFIGURED:
                return None
            if problem.passes or problem.code == NO_BUCKET:
                raise
            return NotRead(str(problem))
        return build(answer)

    return BucketSettings(
        versioning=read(client.get_bucket_versioning, _versioning),
        object_lock=read(client.get_object_lock_configuration, _object_lock),
        lifecycle=read(client.get_bucket_lifecycle_configuration, _lifecycle),
        public_access_block=read(client.get_public_access_block, _public_access_block),
        policy=read(client.get_bucket_policy, lambda answer: str(answer["Policy"])),
        policy_is_public=read(client.get_bucket_policy_status, lambda answer: bool(answer["PolicyStatus"]["IsPublic"])),
        encryption=read(client.get_bucket_encryption, _encryption),
        replication=read(client.get_bucket_replication, _replication),
        ownership=read(
            client.get_bucket_ownership_controls,
            lambda answer: str(answer["OwnershipControls"]["Rules"][0]["ObjectOwnership"]),
        ),
    )


def list_versions(bucket: str, *, account: str, after: Marker | None = None) -> VersionPage:
    """The next up to PAGE versions and delete markers, by key and the newest first. Raises AwsError.

    `after` is the `next` of the page before, also of another invocation: a marker does not expire.
    """
    asked: dict[str, Any] = {"Bucket": bucket, "ExpectedBucketOwner": account, "MaxKeys": PAGE}
    if after:
        asked |= {"KeyMarker": after.key, "VersionIdMarker": after.version_id}
    with translated():
        answer = clients.s3().list_object_versions(**asked)
    found = [_version(item) for item in answer.get("Versions", ())]
    found += [_delete_marker(item) for item in answer.get("DeleteMarkers", ())]
    # S3 answers versions and delete markers in two lists. Within a key the newest is first.
    found.sort(key=lambda item: (item.last_modified, item.is_latest), reverse=True)
    found.sort(key=lambda item: item.key.encode())
    more = answer.get("IsTruncated") and Marker(answer["NextKeyMarker"], answer["NextVersionIdMarker"])
    return VersionPage(tuple(found), more or None)


def list_all_versions(bucket: str, *, account: str, after: Marker | None = None) -> Iterator[VersionPage]:
    """The pages from `after` on, one at a time, to bound memory. A caller may stop at any page. Raises AwsError."""
    while True:
        page = list_versions(bucket, account=account, after=after)
        yield page
        after = page.next
        if after is None:
            return


def _version(item: Mapping[str, Any]) -> ObjectVersion:
    return ObjectVersion(
        key=item["Key"],
        version_id=item.get("VersionId") or "null",
        size=item["Size"],
        storage_class=item.get("StorageClass") or "STANDARD",
        last_modified=item["LastModified"],
        is_latest=item["IsLatest"],
        etag=item.get("ETag", "").strip('"'),
        checksum=next(iter(item.get("ChecksumAlgorithm", ())), ""),
    )


def _delete_marker(item: Mapping[str, Any]) -> ObjectVersion:
    return ObjectVersion(
        key=item["Key"],
        version_id=item.get("VersionId") or "null",
        size=0,
        storage_class="",
        last_modified=item["LastModified"],
        is_latest=item["IsLatest"],
        delete_marker=True,
    )


def _versioning(answer: Mapping[str, Any]) -> Versioning:
    return Versioning(answer.get("Status", ""))


def _object_lock(answer: Mapping[str, Any]) -> ObjectLock:
    retention = answer["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
    return ObjectLock(retention.get("Mode", ""))


def _public_access_block(answer: Mapping[str, Any]) -> PublicAccessBlock:
    found = answer["PublicAccessBlockConfiguration"]
    return PublicAccessBlock(
        block_acls=bool(found.get("BlockPublicAcls")),
        ignore_acls=bool(found.get("IgnorePublicAcls")),
        block_policy=bool(found.get("BlockPublicPolicy")),
        restrict_buckets=bool(found.get("RestrictPublicBuckets")),
    )


def _encryption(answer: Mapping[str, Any]) -> Encryption:
    [rule, *_] = answer["ServerSideEncryptionConfiguration"]["Rules"]
    return Encryption(rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", ""))


def _replication(answer: Mapping[str, Any]) -> tuple[ReplicationRule, ...]:
    return tuple(
        ReplicationRule(
            enabled=rule["Status"] == "Enabled",
            prefix=_prefix(rule),
            tags=_tag_pairs(rule),
            with_kms=rule.get("SourceSelectionCriteria", {}).get("SseKmsEncryptedObjects", {}).get("Status")
            == "Enabled",
        )
        for rule in answer["ReplicationConfiguration"]["Rules"]
    )


def _lifecycle(answer: Mapping[str, Any]) -> tuple[LifecycleRule, ...]:
    moves_from = answer.get("TransitionDefaultMinimumObjectSize", "")
    return tuple(_lifecycle_rule(rule, moves_from) for rule in answer["Rules"])


def _lifecycle_rule(rule: Mapping[str, Any], moves_from: str) -> LifecycleRule:
    expiration = rule.get("Expiration", {})
    noncurrent = rule.get("NoncurrentVersionExpiration", {})
    return LifecycleRule(
        id=rule.get("ID", ""),
        enabled=rule["Status"] == "Enabled",
        prefix=_prefix(rule),
        document=_as_text(rule),
        tags=_tag_pairs(rule),
        larger_than=_narrowing(rule, "ObjectSizeGreaterThan"),
        smaller_than=_narrowing(rule, "ObjectSizeLessThan"),
        expires_days=expiration.get("Days"),
        expires_at=expiration.get("Date"),
        noncurrent_days=noncurrent.get("NoncurrentDays"),
        newer_noncurrent=noncurrent.get("NewerNoncurrentVersions", 0),
        moves_from=moves_from,
    )


def _prefix(rule: Mapping[str, Any]) -> str:
    """A rule has its prefix in its filter, in the filter's `And`, or, as in old configurations, beside them."""
    return str(_narrowing(rule, "Prefix") or rule.get("Prefix") or "")


def _narrowing(rule: Mapping[str, Any], name: str) -> Any:
    chosen = rule.get("Filter", {})
    return chosen.get("And", {}).get(name, chosen.get(name))


def _tag_pairs(rule: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    chosen = rule.get("Filter", {})
    tags = [*([chosen["Tag"]] if "Tag" in chosen else []), *chosen.get("And", {}).get("Tags", [])]
    return tuple((tag["Key"], tag["Value"]) for tag in tags)


def _as_text(value: Any) -> Any:
    """The value with its times as texts, as a command line takes them."""
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
