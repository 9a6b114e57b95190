"""guard_evidence through the handler: what it publishes and when, on moto. Its rights are shown in tests/e2e."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import time_machine
from botocore.exceptions import ClientError

from lifeboat import handler
from lifeboat.aws import clients, evidence_bucket
from lifeboat.aws.errors import AwsError
from lifeboat.evidence import workflow
from tests.functions.conftest import TABLE, TODAY, World, client

BUCKET = "cadoresponse-1"
DAILY = {"scheduled_time": "2026-11-28T03:00:00Z"}
RECONCILE = {"sweep": True}
FIVE = ["no_versioning", "objects_expire", "no_object_lock", "deletable", "no_second_copy"]
RULE = {"ID": "old", "Filter": {"Prefix": "glacier"}, "Status": "Enabled", "Expiration": {"Days": 365}}
ALL = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.fixture(autouse=True)
def _guards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFEBOAT_EVIDENCE_BUCKET", BUCKET)
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", "eu-central-1")
    handler.forget()


@pytest.fixture
def s3() -> Any:
    """The bucket as the vendor's Terraform makes it, with one object that expires in a year."""
    s3 = client("s3")
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectOwnership="BucketOwnerEnforced",
    )
    encrypted = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [encrypted]})
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [RULE]})
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(ALL, True))
    s3.put_object(Bucket=BUCKET, Key="glacier/a", Body=b"12345")
    return s3


def guard(world: World, event: Any = DAILY) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the function answers, and what it has published."""
    return world.invoke("guard_evidence", event), world.messages()


def risks(message: dict[str, Any]) -> list[str]:
    return [item["risk"] for item in message["details"]["risks"]]


def refuse(monkeypatch: pytest.MonkeyPatch, *calls: str, code: str = "AccessDenied") -> None:
    """Let S3 refuse these calls, or all."""

    def answer(params: Any, model: Any, **_: Any) -> None:
        if not calls or model.name in calls:
            said: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(said, model.name)

    clients.s3().meta.events.register("provide-client-params.s3", answer)


def version(s3: Any, status: str = "Enabled") -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})


def test_the_risks_are_published_once_with_their_commands(world: World, s3: Any) -> None:
    answer, [message] = guard(world)
    assert (message["event"], message["severity"]) == ("EvidenceAtRisk", "critical")
    assert message["subject"] == {"bucket": BUCKET}
    assert risks(message) == FIVE
    assert answer["new"] == [risk.replace("_", " ").replace("expire", "expire (old)") for risk in FIVE]
    assert message["summary"].startswith(f"The evidence bucket {BUCKET} has 5 new or changed risks, 1 of them critical")
    assert (message["details"]["objects"], message["details"]["bytes"]) == (1, 5)
    first_at = {item["risk"]: item["first_at"] for item in message["details"]["risks"]}
    assert first_at["objects_expire"] == "2027-11-29T00:00:00Z"
    steps = " ".join(message["next_steps"])
    assert [item["mends"] for item in answer["commands"]] == [[risk] for risk in answer["new"]]
    assert all(line in steps for item in answer["commands"] for line in item["run"])
    lock = next(number for number, step in enumerate(message["next_steps"]) if "no object lock" in step)
    assert "uploads with a checksum" in message["next_steps"][lock - 1], "S3 would refuse the platform's imports"
    for _ in range(2):
        assert guard(world)[1] == []


def test_what_is_mended_and_undone_is_published_each_time(world: World, s3: Any) -> None:
    guard(world)
    version(s3)
    answer, [message] = guard(world)
    assert (message["event"], message["severity"]) == ("EvidenceRiskRemoved", "info")
    assert [item["risk"] for item in message["details"]["gone"]] == ["no_versioning"]
    assert answer["gone"] == ["no versioning"]
    assert "4 risks left" in message["summary"]
    version(s3, "Suspended")
    _, [message] = guard(world)
    assert (message["event"], message["severity"]) == ("EvidenceAtRisk", "critical")
    assert [item["risk"] for item in message["details"]["risks"] if item["new"]] == ["no_versioning"]
    assert message["next_steps"][-1].startswith("For the commands of the other risks")
    version(s3)
    assert guard(world)[1][0]["event"] == "EvidenceRiskRemoved", "the same as before, and published again"


def test_a_date_that_comes_nearer_becomes_critical_and_one_that_moves_later_is_quiet(world: World, s3: Any) -> None:
    guard(world)
    with time_machine.travel(datetime(2027, 11, 5, tzinfo=UTC)):
        s3.put_object(Bucket=BUCKET, Key="glacier/b", Body=b"1")
        _, [message] = guard(world)
        assert [item["risk"] for item in message["details"]["risks"] if item["new"]] == ["objects_expire"]
        assert message["severity"] == "critical"
        s3.put_object(Bucket=BUCKET, Key="glacier/a", Body=b"1")  # the first one is now due a year later
        _, [message] = guard(world)
        assert message["severity"] == "warning", "it is not critical any more"
        s3.delete_object(Bucket=BUCKET, Key="glacier/a")
        s3.put_object(Bucket=BUCKET, Key="glacier/b", Body=b"1")
        assert guard(world)[1] == []


def test_a_shorter_rule_is_published(world: World, s3: Any) -> None:
    guard(world)
    shorter = {**RULE, "Expiration": {"Days": 300}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [shorter]})
    _, [message] = guard(world)
    assert [item["risk"] for item in message["details"]["risks"] if item["new"]] == ["objects_expire"]


@pytest.mark.parametrize(
    ("call", "not_read"),
    [
        ("GetBucketVersioning", {"versioning": "no_versioning"}),
        ("GetBucketLifecycleConfiguration", {"lifecycle": "objects_expire"}),
        ("GetBucketPolicy", {"policy": "deletable"}),
        ("GetBucketReplication", {"replication": "no_second_copy"}),
        ("ListObjectVersions", {"versions": ""}),
        ("GetBucketLocation", {"region": ""}),
    ],
)
def test_a_refused_read_is_a_finding_and_no_risk_is_gone(
    world: World, s3: Any, monkeypatch: pytest.MonkeyPatch, call: str, not_read: dict[str, str]
) -> None:
    guard(world)
    [(subject, hidden)] = not_read.items()
    refuse(monkeypatch, call)
    answer, [message] = guard(world)
    assert (message["event"], message["severity"], answer["gone"]) == ("EvidenceAtRisk", "warning", [])
    [found] = [item for item in message["details"]["risks"] if item["new"]]
    assert (found["risk"], found["subject"]) == ("not_read", subject)
    assert found["text"].endswith("cannot be seen, so it is not judged. S3 said: AccessDenied: no")
    assert any("find the policy that denies it" in step for step in message["next_steps"])
    assert hidden not in risks(message)
    clients.forget()
    answer, [message] = guard(world)
    assert (message["event"], answer["gone"]) == ("EvidenceRiskRemoved", [f"not read ({subject})"])


def test_a_bucket_that_shows_nothing_is_one_critical_risk(
    world: World, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard(world)
    refuse(monkeypatch)
    _, [message] = guard(world)
    assert message["severity"] == "critical"
    assert [item["text"] for item in message["details"]["risks"] if item["new"]][-1].startswith(
        f"Nothing of the bucket {BUCKET} can be seen: it belongs to another account than 123456789012"
    )
    assert message["details"]["gone"] == []
    assert guard(world)[1] == []


def test_a_setting_that_was_not_read_is_not_gone_with_the_bucket(
    world: World, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "GetBucketPolicy")
    guard(world)
    refuse(monkeypatch)
    _, [message] = guard(world)
    assert ([item["subject"] for item in message["details"]["risks"]], message["details"]["gone"]) == (["bucket"], [])


def test_a_bucket_that_does_not_exist_is_one_critical_risk(world: World) -> None:
    _, [message] = guard(world)
    assert message["severity"] == "critical"
    [found] = message["details"]["risks"]
    assert found["text"].startswith(f"The bucket {BUCKET} does not exist")
    assert guard(world)[1] == []


def test_a_bucket_in_another_region_is_not_guarded(world: World) -> None:
    there = boto3.client("s3", region_name="eu-central-1")
    there.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    _, [message] = guard(world)
    [found] = message["details"]["risks"]
    assert (found["risk"], found["subject"]) == ("other_region", "eu-central-1")
    assert "Deploy a stack in eu-central-1" in found["text"]


def test_a_name_that_s3_refuses_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, code="InvalidBucketName")
    _, [message] = guard(world)
    [found] = message["details"]["risks"]
    assert found["text"].endswith("S3 said: InvalidBucketName: no")


@pytest.mark.parametrize("call", ["GetBucketLocation", "GetBucketPolicy", "ListObjectVersions"])
def test_a_throttled_call_publishes_nothing_and_the_next_run_goes_on(
    world: World, s3: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    refuse(monkeypatch, call, code="SlowDown")
    with pytest.raises(AwsError, match="SlowDown"):
        guard(world)
    clients.forget()
    _, [message] = guard(world, RECONCILE)
    assert risks(message) == FIVE
    assert guard(world, RECONCILE) == ({}, [])


def test_a_long_listing_goes_on_in_the_reconcile_run(world: World, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_bucket, "PAGE", 1)  # and each invocation has 60 seconds, which is one page
    for key in "bc":
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"12345")
    for event in (DAILY, RECONCILE):
        answer, published = guard(world, event)
        assert published == []
        assert "goes on in the next reconcile run" in answer["waits_for"]
    answer, [message] = guard(world, RECONCILE)
    assert message["details"]["objects"] == answer["objects"] == 3
    assert guard(world, RECONCILE) == ({}, [])


def test_a_second_invocation_waits_for_the_first(world: World, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    find_region, answers = evidence_bucket.find_region, []

    def meanwhile(bucket: str, *, account: str) -> str:
        if not answers:
            answers.append(world.invoke("guard_evidence", {}))
        return find_region(bucket, account=account)

    monkeypatch.setattr(evidence_bucket, "find_region", meanwhile)
    assert len(guard(world)[1]) == 1
    assert answers == [{"waits_for": "the invocation that judges now, or the next reconcile run"}]


def test_what_is_published_is_not_published_again_if_it_was_not_noted(
    world: World, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """Lambda ends the invocation."""

    def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as cut:
        cut.setattr(workflow.store, "save_risks", killed)
        with pytest.raises(KilledError):
            guard(world)
    assert len(world.messages()) == 1
    assert guard(world, RECONCILE)[1] == []
    assert guard(world)[1] == []


def test_a_publication_by_another_invocation_is_waited_for(
    world: World, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as busy:
        busy.setattr(workflow.Invocation, "publish_once", lambda *_: False)
        assert "waits_for" in guard(world)[0]
    assert len(guard(world, RECONCILE)[1]) == 1


def test_a_command_too_long_for_a_message_is_in_the_answer(world: World, s3: Any) -> None:
    many = [{**RULE, "ID": f"{number:0200}", "Filter": {"Prefix": f"{number}"}} for number in range(200)]
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": many[:-1]})
    many[0]["Transitions"] = [{"Days": 30, "StorageClass": "GLACIER"}]
    kept = [{**rule, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]} for rule in many]
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": kept})
    answer, [message] = guard(world)
    assert any("too long for a message, and the answer has it" in step for step in message["next_steps"])
    assert [len(item["mends"]) for item in answer["commands"]] == [1, 200, 1, 1, 1]
    assert max(len(line) for item in answer["commands"] for line in item["run"]) > 20_000
    assert len(json.dumps(answer)) < 500_000, "an answer of Lambda has at most 6 MB"
    assert len(json.dumps(message)) < 200_000


def test_the_record_is_the_buckets_own(world: World, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guard(world)
    monkeypatch.setenv("LIFEBOAT_EVIDENCE_BUCKET", "another")
    handler.forget()
    _, [message] = guard(world)
    assert message["details"]["gone"] == []
    kept = client("dynamodb").get_item(TableName=TABLE, Key={"pk": {"S": "evidence"}, "sk": {"S": BUCKET}})["Item"]
    assert int(kept["expiration"]["N"]) == int((TODAY + timedelta(days=400)).timestamp())
