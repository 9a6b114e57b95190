"""What endangers the evidence bucket is found, and each printed command mends its finding when it is run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lifeboat.aws import clients, evidence_bucket
from lifeboat.domain.evidence import (
    BucketSettings,
    Encryption,
    LifecycleRule,
    NotRead,
    ObjectLock,
    ObjectVersion,
    ReplicationRule,
)
from lifeboat.evidence.bucket_policy import denies_deletion_for_good, others_who_may_delete
from lifeboat.evidence.commands import Place, keep_versions
from lifeboat.evidence.expiry import Tally, add_page, begin_tally, next_midnight
from lifeboat.evidence.findings import Finding, Risk, judge
from tests.operator_commands import run_command

ACCOUNT = "123456789012"  # moto's own
BUCKET = "cadoresponse-1"
PLACE = Place(BUCKET, "eu-west-1", ACCOUNT, "aws", "eu-central-1")
NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
VENDORS_RULE = {
    "ID": "CadoGlacierRule",
    "Filter": {"Prefix": "glacier"},
    "Status": "Enabled",
    "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
    "Expiration": {"Days": 365},
}
FIVE = {Risk.VERSIONING, Risk.LIFECYCLE, Risk.LOCK, Risk.DELETION, Risk.REPLICATION}
"""The risks of a bucket as the vendor's Terraform makes it."""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients.forget()
    with mock_aws():
        yield as_the_vendor_makes_it()
    clients.forget()


def as_the_vendor_makes_it() -> Any:
    client = clients.s3()
    client.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectOwnership="BucketOwnerEnforced",
    )
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    client.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [VENDORS_RULE]})
    switches = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    client.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(switches, True))
    return client


def policy(**statement: Any) -> str:
    usual = {"Effect": "Deny", "Principal": "*", "Action": "s3:Delete*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [usual | statement]})


def findings() -> dict[Risk, Finding]:
    found = judge(evidence_bucket.read_settings(BUCKET, account=ACCOUNT), Tally(), PLACE)
    return {item.risk: item for item in found}


def run(line: str) -> None:
    run_command(line, lambda service, region: boto3.client(service, region_name=region))


def test_the_risks_of_the_vendors_bucket_are_found(s3: Any) -> None:
    found = findings()
    assert set(found) == FIVE
    assert {risk for risk, item in found.items() if item.critical} == {Risk.VERSIONING}
    assert "CadoGlacierRule" in found[Risk.LIFECYCLE].text


@pytest.mark.parametrize("risk", sorted(FIVE))
def test_the_commands_of_each_finding_alone_mend_it(s3: Any, risk: Risk) -> None:
    for line in findings()[risk].commands:
        run(line)
    assert risk not in findings()


def test_all_commands_in_their_order_leave_nothing(s3: Any) -> None:
    for item in findings().values():
        for line in item.commands:
            run(line)
    assert findings() == {}
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule == {key: value for key, value in VENDORS_RULE.items() if key != "Expiration"}, "it still archives"


def test_a_bucket_with_object_lock_is_replicated_too(s3: Any) -> None:
    """S3 copies from a bucket with Object Lock only to another one, and only for a role that may read the locks."""
    for line in findings()[Risk.REPLICATION].commands:
        run(line)
    copy = s3.get_object_lock_configuration(Bucket=PLACE.copy_bucket)["ObjectLockConfiguration"]
    assert copy == {"ObjectLockEnabled": "Enabled"}
    iam = boto3.client("iam")
    allowed = iam.get_role_policy(RoleName=PLACE.replication_role, PolicyName="replicate")["PolicyDocument"]
    actions = {action for statement in allowed["Statement"] for action in statement["Action"]}
    assert {"s3:GetObjectRetention", "s3:GetObjectLegalHold"} <= actions


def test_the_commands_of_several_rules_work_in_any_order(s3: Any) -> None:
    other = {"ID": "other", "Filter": {"Prefix": "a"}, "Status": "Enabled", "Expiration": {"Days": 9}}
    versions = {"ID": "versions", "Filter": {"Prefix": ""}, "Status": "Enabled"}
    versions["NoncurrentVersionExpiration"] = {"NoncurrentDays": 3}
    s3.put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration={"Rules": [VENDORS_RULE, other, versions]}
    )
    found = judge(evidence_bucket.read_settings(BUCKET, account=ACCOUNT), Tally(), PLACE)
    expiring = [item for item in found if item.risk in {Risk.LIFECYCLE, Risk.NONCURRENT}]
    assert [item.subject for item in expiring] == ["CadoGlacierRule", "other", "versions"]
    for item in reversed(expiring):
        for line in item.commands:
            run(line)
    assert findings().keys() == FIVE - {Risk.LIFECYCLE}
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["Transitions"] == VENDORS_RULE["Transitions"]


def test_the_size_from_which_on_objects_move_stays() -> None:
    rule = LifecycleRule("old", True, "", VENDORS_RULE, expires_days=365, moves_from="varies_by_storage_class")
    found = {item.risk: item for item in judge(replace(OPEN, lifecycle=(rule,)), Tally(), PLACE)}
    [line] = found[Risk.LIFECYCLE].commands
    assert line.endswith(" --transition-default-minimum-object-size varies_by_storage_class")


SAID = NotRead("AccessDenied: Access Denied")
OPEN = BucketSettings(*[None] * len(fields(BucketSettings)))
EXPIRING = LifecycleRule("old", True, "", {"ID": "old"}, expires_days=30)
SETTINGS: dict[str, tuple[dict[str, Any], Risk, bool, str]] = {
    "a public policy": ({"policy_is_public": True}, Risk.PUBLIC, True, "makes the bucket public"),
    "no block of public access": ({}, Risk.PUBLIC, False, "does not block all public access"),
    "no encryption": ({}, Risk.ENCRYPTION, False, "has no default encryption"),
    "objects of others": ({"ownership": "ObjectWriter"}, Risk.OWNERSHIP, False, "belongs to that account"),
    "Object Lock alone": ({"object_lock": ObjectLock()}, Risk.LOCK, False, "without a default retention"),
    "another account": (
        {"policy": policy(Effect="Allow", Principal={"AWS": "444455556666"})},
        Risk.DELETION,
        True,
        "allows it to 444455556666",
    ),
    "a part is replicated": (
        {"replication": (ReplicationRule(True, "glacier"),)},
        Risk.REPLICATION,
        False,
        "Only the objects under glacier are replicated",
    ),
    "without KMS is replicated": (
        {
            "replication": (ReplicationRule(True),),
            "encryption": Encryption("aws:kms"),
        },
        Risk.REPLICATION,
        False,
        "No replication rule copies objects that are encrypted with a KMS key",
    ),
    "with KMS nothing is replicated": (
        {"encryption": Encryption("aws:kms:dsse")},
        Risk.REPLICATION,
        False,
        "No replication rule copies objects that are encrypted with a KMS key",
    ),
    "some tags are replicated": (
        {"replication": (ReplicationRule(True, tags=(("keep", "yes"),)),)},
        Risk.REPLICATION,
        False,
        "Only the objects with the tags keep=yes are replicated",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_that_is_a_risk(name: str) -> None:
    settings, risk, critical, words = SETTINGS[name]
    [found] = [item for item in judge(replace(OPEN, **settings), Tally(), PLACE) if item.risk is risk]
    assert found.critical is critical
    assert words in found.text
    assert bool(found.commands) == (not name.endswith("replicated")), "a command would take the rules' place"


def test_a_rule_that_copies_what_is_encrypted_is_a_second_copy() -> None:
    rule = ReplicationRule(True, with_kms=True)
    found = judge(replace(OPEN, replication=(rule,), encryption=Encryption("aws:kms")), Tally(), PLACE)
    assert Risk.REPLICATION not in {item.risk for item in found}


# --- what S3 refuses to show


def test_a_bucket_of_which_nothing_is_shown_is_one_critical_finding() -> None:
    [found] = judge(BucketSettings(*[SAID] * len(fields(BucketSettings))), SAID, PLACE)
    assert (found.risk, found.subject, found.critical) == (Risk.NOT_READ, "bucket", True)
    assert "another account than 123456789012" in found.text
    assert found.text.endswith("S3 said: AccessDenied: Access Denied")


def test_an_expiry_that_is_not_counted_says_no_number() -> None:
    found = {item.risk: item for item in judge(replace(OPEN, lifecycle=(EXPIRING,)), SAID, PLACE)}
    assert found[Risk.NOT_READ].text.startswith("The list of object versions cannot be seen")
    assert found[Risk.LIFECYCLE].text.endswith("deletes for good the objects 30 days after their creation")
    assert (found[Risk.LIFECYCLE].critical, found[Risk.LIFECYCLE].at) == (False, None)


def test_without_the_versioning_it_is_not_said_what_a_deletion_means() -> None:
    denied = policy(Action="s3:DeleteObjectVersion")
    settings = replace(OPEN, versioning=SAID, lifecycle=(EXPIRING,), policy=denied)
    found = {item.risk: item for item in judge(settings, Tally(), PLACE)}
    assert "old deletes the objects" in found[Risk.LIFECYCLE].text
    assert found.keys().isdisjoint({Risk.VERSIONING, Risk.DELETION})


def test_a_refused_setting_is_a_finding_and_not_a_guess(s3: Any) -> None:
    settings = replace(evidence_bucket.read_settings(BUCKET, account=ACCOUNT), policy=NotRead("AccessDenied: no"))
    found = {item.risk: item for item in judge(settings, Tally(), PLACE)}
    assert found[Risk.NOT_READ].subject == "policy"
    assert "AccessDenied: no" in found[Risk.NOT_READ].text
    assert Risk.DELETION not in found


# --- who may delete


def only_if(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


@pytest.mark.parametrize(
    ("changed", "denied"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}, "Action": ["s3:GetObject", "s3:deleteobjectversion"]}, True),
        ({"Resource": "*"}, True),
        (only_if("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::1:role/admin"), True),
        (only_if("StringNotLike", "aws:userId", "AROAEXAMPLE:*"), True),
        (only_if("BoolIfExists", "aws:MultiFactorAuthPresent", "false"), True),
        (only_if("Null", "aws:MultiFactorAuthAge", True), True),
        (only_if("Bool", "aws:SecureTransport", "false"), False),
        (only_if("ArnLike", "aws:PrincipalArn", "arn:aws:iam::1:role/guest"), False),
        (only_if("ArnNotLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:*"), False),
        (only_if("StringNotEquals", "aws:PrincipalAccount", ACCOUNT), False),
        (only_if("StringNotEquals", "aws:PrincipalOrgID", "o-1234567890"), False),
        (only_if("Bool", "aws:MultiFactorAuthPresent", "false"), False),
        (only_if("BoolIfExists", "aws:MultiFactorAuthPresent", "true"), False),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}}, False),
        ({"Action": "s3:DeleteObject"}, False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/a/*"}, False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/?"}, False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/a*"}, False),
        ({"Effect": "Allow"}, False),
    ],
    ids=[
        *("plain", "listed", "any resource", "but for", "but for a session", "without MFA", "without MFA's age"),
        *("without TLS", "one role only", "but for all", "other accounts", "other organizations"),
        *("not access keys", "with MFA", "one role", "not versions", "a folder", "short keys", "a prefix"),
        "allow",
    ],
)
def test_which_policy_denies_deletion_for_good(changed: dict[str, Any], denied: bool) -> None:
    assert denies_deletion_for_good(policy(**changed), BUCKET) is denied


@pytest.mark.parametrize(
    ("principal", "others"),
    [
        ("*", ("*",)),
        ({"AWS": ["arn:aws:iam::444455556666:root", ACCOUNT]}, ("arn:aws:iam::444455556666:root",)),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}, ()),
        ({"Service": "logging.s3.amazonaws.com"}, ()),
        ({"AWS": "AROAEXAMPLEID12345678"}, ()),
    ],
)
def test_who_outside_may_delete(principal: Any, others: tuple[str, ...]) -> None:
    assert others_who_may_delete(policy(Effect="Allow", Principal=principal), ACCOUNT) == others


def test_the_command_for_deletion_keeps_the_rest_of_the_policy() -> None:
    before = {"Version": "2008-10-17", "Id": "evidence", "Statement": {"Sid": "a", "Effect": "Allow"}}
    after = json.loads(shlex.split(keep_versions(PLACE, json.dumps(before)))[-1])
    assert (after["Version"], after["Id"], after["Statement"][0]) == ("2008-10-17", "evidence", before["Statement"])


# --- what goes, and when


def version(key: str, age: timedelta, **more: Any) -> ObjectVersion:
    return replace(ObjectVersion(key, "1", 10, "STANDARD", NOW - age, True), **more)


def test_what_goes_is_counted_the_same_in_any_pages() -> None:
    rule = LifecycleRule("old", True, "glacier", {}, expires_days=365, noncurrent_days=7)
    day = timedelta(days=1)
    listed = [
        version("a", 400 * day),
        version("glacier/a", 340 * day, storage_class="GLACIER"),
        version("glacier/b", 5 * day),
        version("glacier/b", 100 * day, is_latest=False),
        version("glacier/c", 3 * day, delete_marker=True, size=0),
        version("glacier/c", 50 * day, is_latest=False),
    ]
    whole = add_page(begin_tally([rule]), listed, [rule], NOW)
    parts = begin_tally([rule])
    for item in listed:
        parts = add_page(parts, [item], [rule], NOW)
    assert parts == whole
    expiring, removed = whole.going
    assert (expiring.objects, expiring.size, expiring.soon_objects) == (2, 20, 1)
    assert expiring.first_at == datetime(2026, 12, 24, tzinfo=UTC)
    assert (removed.objects, removed.first_at) == (2, datetime(2026, 12, 1, tzinfo=UTC))
    assert (whole.objects, whole.archived_size, whole.archived_percent, whole.noncurrent) == (3, 10, 33, 2)


def test_midnight_is_the_next_one_in_utc() -> None:
    assert next_midnight(datetime(2026, 1, 15, 10, 30, tzinfo=UTC)) == datetime(2026, 1, 16, tzinfo=UTC)
