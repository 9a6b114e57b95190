"""The commands of the AWS CLI that mend a finding. Each is one line that a POSIX shell runs as it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.evidence import LifecycleRule
from lifeboat.evidence.bucket_policy import statements_of

RETENTION_DAYS = 30
"""How long a new version stays locked in GOVERNANCE mode, which a person with the right can lift."""

MOVES_FROM = "all_storage_classes_128K"
"""What S3 takes for the size from which on objects change their class, where a command does not say
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html)."""

KEEP_SID = "LifeboatKeepEvidence"

_BLOCKED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ACTIONS = (
    *("Expiration", "Transitions", "AbortIncompleteMultipartUpload"),
    *("NoncurrentVersionExpiration", "NoncurrentVersionTransitions"),
)
"""A rule has at least one of these."""


@dataclass(frozen=True, slots=True)
class Place:
    """The bucket that the commands are for, with its region, account and partition (`aws`).

    `copy_region` is where a second copy goes: the first of CopyToRegions, or the bucket's own region.
    """

    bucket: str
    region: str
    account: str
    partition: str
    copy_region: str

    @property
    def copy_bucket(self) -> str:
        """The name of a bucket for the second copy; a name has at most 63 characters."""
        ending = f"-copy-{self.account}"
        return self.bucket[: 63 - len(ending)].rstrip("-.") + ending

    @property
    def arn(self) -> str:
        return self.arn_of(self.bucket)

    def arn_of(self, bucket: str) -> str:
        return f"arn:{self.partition}:s3:::{bucket}"

    @property
    def replication_role(self) -> str:
        """The name of the role that S3 replicates with; a name has at most 64 characters."""
        return f"replicate-{self.bucket}"[:64].rstrip("-.")


def enable_versioning(place: Place) -> str:
    return _s3(place, "put-bucket-versioning", ("versioning-configuration", {"Status": "Enabled"}))


def lock_objects(place: Place) -> str:
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": RETENTION_DAYS}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": retention}
    return _s3(place, "put-object-lock-configuration", ("object-lock-configuration", configuration))


def block_public_access(place: Place) -> str:
    return _s3(place, "put-public-access-block", ("public-access-block-configuration", dict.fromkeys(_BLOCKED, True)))


def own_all_objects(place: Place) -> str:
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    return _s3(place, "put-bucket-ownership-controls", ("ownership-controls", rules))


def encrypt(place: Place) -> str:
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    return _s3(place, "put-bucket-encryption", ("server-side-encryption-configuration", rules))


def keep_versions(place: Place, policy: str) -> str:
    """Deny everyone to delete versions for good. The rest of the bucket policy stays."""
    others = [item for item in statements_of(policy) if item.get("Sid") != KEEP_SID]
    denial = {
        "Sid": KEEP_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:DeleteBucket"],
        "Resource": [place.arn, f"{place.arn}/*"],
    }
    document = {**_outside_statements(policy), "Statement": [*others, denial]}
    return _s3(place, "put-bucket-policy", ("policy", document))


def keep_objects(place: Place, rules: Sequence[LifecycleRule], expiries: Collection[tuple[str, bool]]) -> str:
    """Take these expiries out of the lifecycle configuration. All else stays as it is.

    Each is the id of a rule, and whether its expiry of noncurrent versions is meant. S3 takes the configuration as a
    whole only, so a command for each rule would undo the one before.
    """
    left = [_without(rule, expiries) for rule in rules]
    left = [item for item in left if any(item.get(name) for name in _ACTIONS)]
    if not left:
        return _s3(place, "delete-bucket-lifecycle")
    kept = {rule.moves_from for rule in rules} - {"", MOVES_FROM}
    sizes = (("transition-default-minimum-object-size", size) for size in kept)
    return _s3(place, "put-bucket-lifecycle-configuration", ("lifecycle-configuration", {"Rules": left}), *sizes)


def _without(rule: LifecycleRule, expiries: Collection[tuple[str, bool]]) -> dict[str, Any]:
    names = {False: "Expiration", True: "NoncurrentVersionExpiration"}
    dropped = {names[noncurrent] for rule_id, noncurrent in expiries if rule_id == rule.id}
    return {key: value for key, value in rule.document.items() if key not in dropped}


def replicate(place: Place) -> tuple[str, ...]:
    """Make a second bucket, and let S3 copy every new object to it. Its deletions are not copied.

    It has Object Lock without a default retention: from a bucket with Object Lock, S3 copies to no other
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-failure-codes.html), and whoever mends
    this finding may lock the objects later.
    """
    copy, region = place.copy_bucket, place.copy_region
    constraint = () if region == "us-east-1" else (("create-bucket-configuration", {"LocationConstraint": region}),)
    trust = _document({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = place.replication_role
    rule = {
        "ID": "all",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": place.arn_of(copy)},
    }
    configuration = {"Role": f"arn:{place.partition}:iam::{place.account}:role/{role}", "Rules": [rule]}
    return (
        _line(region, "s3api", "create-bucket", ("bucket", copy), *constraint),
        _line(
            region,
            "s3api",
            "put-bucket-versioning",
            ("bucket", copy),
            ("versioning-configuration", {"Status": "Enabled"}),
        ),
        _line(
            region,
            "s3api",
            "put-object-lock-configuration",
            ("bucket", copy),
            ("object-lock-configuration", {"ObjectLockEnabled": "Enabled"}),
        ),
        _line(place.region, "iam", "create-role", ("role-name", role), ("assume-role-policy-document", trust)),
        _line(
            place.region,
            "iam",
            "put-role-policy",
            ("role-name", role),
            ("policy-name", "replicate"),
            ("policy-document", _replicating(place)),
        ),
        _s3(place, "put-bucket-replication", ("replication-configuration", configuration)),
    )


def _replicating(place: Place) -> dict[str, Any]:
    """What S3 needs to replicate, also from a bucket with Object Lock
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html).
    """
    return _document(
        {
            "Effect": "Allow",
            "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"],
            "Resource": place.arn,
        },
        {
            "Effect": "Allow",
            "Action": [
                *("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"),
                *("s3:GetObjectRetention", "s3:GetObjectLegalHold"),
            ],
            "Resource": f"{place.arn}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["s3:ReplicateObject", "s3:ReplicateTags"],
            "Resource": f"{place.arn_of(place.copy_bucket)}/*",
        },
    )


def _document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _outside_statements(policy: str) -> dict[str, Any]:
    """The policy's Id, and the version of the language that it is written in: another one could change its meaning."""
    try:
        return {"Version": "2008-10-17", **json.loads(policy)}
    except (ValueError, TypeError):
        return {"Version": "2012-10-17"}


def bring_back(bucket: str, region: str, key: str, marker: str) -> str:
    """Remove the delete marker that hides an object."""
    return _line(region, "s3api", "delete-object", ("bucket", bucket), ("key", key), ("version-id", marker))


def _s3(place: Place, call: str, *options: tuple[str, Any]) -> str:
    return _line(place.region, "s3api", call, ("bucket", place.bucket), *options)


def _line(region: str, service: str, call: str, *options: tuple[str, Any]) -> str:
    words = ["aws", service, call, "--region", region]
    for name, value in options:
        words += [f"--{name}", value if isinstance(value, str) else _as_json(value)]
    return shlex.join(words)


def _as_json(value: Any) -> str:
    """The value in JSON, which survives an e-mail: of blanks in a row, each second one is escaped."""
    return json.dumps(value, separators=(",", ":")).replace("  ", " \\u0020")
