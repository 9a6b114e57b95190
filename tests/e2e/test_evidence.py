"""The guard of the evidence bucket, with its own rights: each printed command mends, and nothing is repeated."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.session import ROOT
from tests.e2e.stage import Stage, staged
from tests.operator_commands import run_command

PAGE = ROOT / "docs" / "guide" / "lose-everything-but-the-bucket.md"
GUARD = "GuardEvidenceFunction"
BUCKET = "cadoresponse-1a2b3c"
QUARTER = 900.0
FIVE = ["no_versioning", "objects_expire", "no_object_lock", "deletable", "no_second_copy"]
RULE = {
    "ID": "CadoGlacierRule",
    "Filter": {"Prefix": "glacier"},
    "Status": "Enabled",
    "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
    "Expiration": {"Days": 365},
}
KEYS = ("glacier/1/disk.e01", "imports/2/disk.e01")
COMMAND = re.compile(r"(To mend (?P<risk>[\w ]+)[^:]*|Then): (?P<line>aws .*)")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"EvidenceBucket": BUCKET, "CopyToRegions": "eu-central-1", "ManifestLockDays": "30"}) as made:
        yield made


@pytest.fixture(scope="module")
def s3(stage: Stage) -> Any:
    """The bucket as the vendor's Terraform makes it, with an object under each prefix."""
    s3 = stage.aws.client("s3")
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": stage.region},
        ObjectOwnership="BucketOwnerEnforced",
    )
    encrypted = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [encrypted]})
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [RULE]})
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    for key in KEYS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * 1000)
    return s3


def guard(stage: Stage, *, after: float = QUARTER, schedule: str = "Daily") -> list[dict[str, Any]]:
    """What is published of the bucket when a schedule has fired once more, so many seconds later.

    A quarter of an hour stands for the day: the local AWS takes seconds for a whole one.
    """
    stage.forget_messages()
    stage.control.advance(after)
    stage.control.fire_schedule(f"GuardEvidenceFunction{schedule}")
    stage.control.settle()
    return stage.published_about(bucket=BUCKET)


def commands(message: dict[str, Any]) -> dict[str, list[str]]:
    """The printed commands by risk, each as a person would paste it."""
    found: dict[str, list[str]] = {}
    risk = ""
    for step in filter(None, map(COMMAND.fullmatch, message["next_steps"])):
        risk = (step["risk"] or "").strip().replace(" ", "_") or risk
        found.setdefault(risk, []).append(step["line"])
    return found


def new_risks(message: dict[str, Any]) -> list[str]:
    return [item["risk"] for item in message["details"]["risks"] if item["new"]]


def test_a_bucket_of_another_account_is_one_sentence_and_so_is_none(stage: Stage) -> None:
    """First, before the bucket is there."""
    stranger = stage.aws.client("s3", account="999988887777")
    stranger.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": stage.region})
    [message] = guard(stage)
    [found] = message["details"]["risks"]
    assert (found["risk"], found["subject"], message["severity"]) == ("not_read", "bucket", "critical")
    assert found["text"].startswith(f"Nothing of the bucket {BUCKET} can be seen: it belongs to another account")
    stranger.delete_bucket(Bucket=BUCKET)
    [message] = guard(stage)
    assert [item["text"].split(":")[0] for item in message["details"]["risks"]] == [
        f"The bucket {BUCKET} does not exist"
    ]


def test_the_vendors_bucket_is_mended_by_the_printed_commands(stage: Stage, s3: Any) -> None:
    mark = stage.control.mark()
    [message] = guard(stage)
    assert (message["event"], message["severity"], new_risks(message)) == ("EvidenceAtRisk", "critical", FIVE)
    assert [item["risk"] for item in message["details"]["gone"]] == ["no_bucket"]
    assert (message["details"]["objects"], message["details"]["bytes"]) == (2, 2000)
    assert guard(stage, after=96 * QUARTER) == [], "once, not every day"
    printed = commands(message)
    assert list(printed) == FIVE
    for left, (risk, lines) in enumerate(printed.items(), 1):
        for line in lines:
            run_command(line, stage.aws.client)
        [mended] = guard(stage)
        assert (mended["event"], [item["risk"] for item in mended["details"]["gone"]]) == (
            "EvidenceRiskRemoved",
            [risk],
        )
        assert [item["risk"] for item in mended["details"]["risks"]] == FIVE[left:]
    assert guard(stage) == []
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["Transitions"] == RULE["Transitions"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    [undone] = guard(stage)
    assert (undone["event"], undone["severity"], new_risks(undone)) == ("EvidenceAtRisk", "warning", ["deletable"])
    assert guard(stage) == []
    made = {call["action"] for call in stage.control.calls(mark, service="s3", caller="guard-evidence")}
    writes = {"PutObject", "DeleteObject"}  # of manifests, into the stack's own bucket
    assert {action for action in made if not action.startswith(("Get", "List"))} == writes
    assert {item["Key"] for item in s3.list_object_versions(Bucket=BUCKET)["Versions"]} == set(KEYS)
    assert stage.denied(mark) == []
    assert stage.failed_events() == []


def test_what_a_bucket_policy_denies_is_a_finding(stage: Stage, s3: Any) -> None:
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:GetBucketPublicAccessBlock", "s3:ListBucketVersions"],
        "Resource": f"arn:aws:s3:::{BUCKET}",
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied]}))
    [message] = guard(stage)
    found = {item["subject"]: item["text"] for item in message["details"]["risks"] if item["risk"] == "not_read"}
    assert found.keys() == {"public_access_block", "versions"}
    assert all("S3 said: AccessDenied: " in text for text in found.values())
    s3.delete_bucket_policy(Bucket=BUCKET)
    [message] = guard(stage)
    assert [item["subject"] for item in message["details"]["gone"]] == ["public_access_block", "versions"]


def test_what_expires_is_named_as_lost_by_the_next_manifest(stage: Stage, s3: Any) -> None:
    expiring = [f"expiring/{number}/disk.e01" for number in range(12)]
    for key in (*expiring, *(f"imports/{number}/disk.e01" for number in range(3, 31))):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    midnight = (stage.now() + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
    rule = {"ID": "day", "Filter": {"Prefix": "expiring/"}, "Status": "Enabled", "Expiration": {"Date": midnight}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    mark = stage.control.mark()
    guard(stage)
    published = guard(stage, after=86_400)
    [message] = [item for item in published if item["event"] == "EvidenceLost"]
    details = message["details"]
    assert message["severity"] == "warning"
    assert [item["key"] for item in details["lost"]] == sorted(expiring)
    assert {(item["rule"], item["kept"]) for item in details["lost"]} == {("day", True)}
    assert (details["lost_objects"], details["expired_objects"], details["kept_objects"]) == (12, 12, 12)
    assert details["much_smaller"][0] == "30 objects instead of 42"
    assert [item["event"] for item in guard(stage) if item["event"] == "EvidenceLost"] == [], "once"

    [line] = [step.split(": ", 1)[1] for step in message["next_steps"] if step.startswith("To bring back")]
    run_command(line, stage.aws.client)
    assert s3.head_object(Bucket=BUCKET, Key=details["lost"][0]["key"])
    assert stage.invoke(GUARD, {})["objects"] == 31
    compared = stage.invoke(GUARD, {"compare": details["compared_with"]})
    assert [item["key"] for item in compared["lost"]] == sorted(expiring)[1:]

    own = stage.outputs["ManifestBucketName"]
    key = f"evidence/{BUCKET}/index/{compared['compared_with']}.json"
    found = s3.head_object(Bucket=own, Key=key)
    assert found["ObjectLockMode"] == "GOVERNANCE"
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=own, Key=key, VersionId=found["VersionId"])
    assert stage.denied(mark) == []
    assert stage.failed_events() == []


def test_the_page_for_the_day_when_only_the_bucket_is_left_can_be_followed(stage: Stage, s3: Any) -> None:
    text = PAGE.read_text()
    shown, removed, restored = re.findall(r"^ *(aws s3api .*)$", text, re.MULTILINE)
    lost, archived = "expiring/5/disk.e01", "glacier/9/disk.e01"

    def run(line: str, **words: str) -> None:
        for name, word in {"BUCKET": BUCKET, **words}.items():
            line = line.replace(name, word)
        run_command(f"{line} --region {stage.region}", stage.aws.client)

    run(shown.split(" --query")[0], KEY=lost)
    [found] = s3.list_object_versions(Bucket=BUCKET, Prefix=lost)["DeleteMarkers"]
    run(removed, KEY=lost, MARKER=found["VersionId"])
    assert s3.get_object(Bucket=BUCKET, Key=lost)["Body"].read() == lost.encode()
    s3.put_object(Bucket=BUCKET, Key=archived, Body=b"1", StorageClass="GLACIER")
    run(restored, KEY=archived)
    assert 'ongoing-request="true"' in s3.head_object(Bucket=BUCKET, Key=archived)["Restore"]

    answer = stage.invoke(GUARD, {})
    newest = stage.invoke(GUARD, {"compare": "oldest"})["manifests"][-1]
    assert newest == answer["manifest"]
    own = stage.outputs["ManifestBucketName"]
    [source] = re.findall(r"s3://(MANIFEST-BUCKET/\S+)", text)
    folder = source.replace("MANIFEST-BUCKET/", "").replace("BUCKET", BUCKET).replace("ID", newest)
    lines: list[dict[str, Any]] = []
    for item in s3.list_objects_v2(Bucket=own, Prefix=f"{folder}objects-")["Contents"]:
        data = gzip.decompress(s3.get_object(Bucket=own, Key=item["Key"])["Body"].read())
        lines += [json.loads(line) for line in data.splitlines()]
    objects = {line["key"] for line in lines if line.get("latest") and not line.get("deleted")}
    assert {lost, archived} <= objects
    assert len(objects) == answer["objects"]


def test_a_listing_that_is_killed_goes_on_from_its_checkpoint(stage: Stage, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    objects = stage.invoke(GUARD, {})["objects"]
    for page in range(8):  # a delete marker is a version, too, and one call makes a thousand
        keys = [{"Key": f"many/{page:02}/{number:03}"} for number in range(1000)]
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})
    mark = stage.control.mark()
    stage.control.fault("ListBucketVersions", "kill", service="s3", nth=7, caller="guard-evidence")
    guard(stage)
    assert pages(stage, mark) == 7
    guard(stage, schedule="Continue")
    assert pages(stage, mark) == 7 + 4, "from the sixth on"
    guard(stage, schedule="Continue")
    assert pages(stage, mark) == 11, "it has ended"
    assert stage.invoke(GUARD, {})["objects"] == objects
    assert stage.denied(mark) == []


def pages(stage: Stage, mark: int) -> int:
    calls = stage.control.calls(mark, service="s3", caller="guard-evidence")
    return sum(call["action"] == "ListBucketVersions" for call in calls)
