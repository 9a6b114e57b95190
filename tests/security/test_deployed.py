"""The deployed stack, IAM enforced: the roles that it really has, calls with a role's own credentials, and locks."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from lifeboat.domain.error_codes import NOT_ALLOWED
from local.session import HOME_ACCOUNT, REGION, LocalAws
from local.stack import StackError, create
from tests.e2e.stage import CONSENT, SETTINGS, Stage, tags_of
from tests.security.battery import FUNCTIONS, differences
from tools.policy_roles import AWAY, EVIDENCE, READER, SOURCE, TRUSTED, VAULT, Asked

PARAMETERS = {
    "LockMode": "governance",
    "AllowAdoption": "true",
    "LargeRuns": "true",
    "RecycleBinDays": "14",
    "Verify": "full",
    "TrustedSnapshotOwners": TRUSTED,
    "CopyToRegions": AWAY,
    "RestoreFromRegions": AWAY,
    "VaultAccount": VAULT,
    "VaultSourceAccounts": SOURCE,
    "VaultReaderRoleArns": READER,
    "EvidenceBucket": EVIDENCE,
    "ManifestLockDays": "30",
    "NotificationEmail": "operator@example.com",
    "Chat": "nightly",
}

THIEF = "thief"
"""The session name of stolen credentials; it separates their calls from those of the function."""


@pytest.fixture(scope="module")
def stage():
    with LocalAws(SETTINGS) as aws:
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        let_the_vault_read(aws)
        yield Stage(aws, {**PARAMETERS, "KmsKeyArn": key, "VaultKmsKeyArn": key})


def let_the_vault_read(aws):
    """Create the role of a source account that this account, as a vault, assumes to read tags there."""
    iam = aws.client("iam", account=SOURCE)
    name = READER.rsplit("/", 1)[-1]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HOME_ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "ec2:DescribeSnapshots", "Resource": "*"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.put_role_policy(
        RoleName=name, PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    )


def role_of(stage, function):
    name = stage.outputs[f"{function}Function"]
    return stage.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"]


def documents(stage, function):
    """The policies of a deployed role, with this deployment's resources under the battery's names for them."""
    iam = stage.aws.client("iam")
    role = role_of(stage, function).rsplit("/", 1)[-1]
    found = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        if arn.startswith("arn:aws:iam::aws:"):  # SAM's: logs and traces
            assert arn.rsplit("/", 1)[-1] in {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}
            continue
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    text = json.dumps([json.loads(item) if isinstance(item, str) else item for item in found])
    text = text.replace(
        stage.outputs["NotificationTopicArn"], f"arn:aws:sns:{REGION}:{HOME_ACCOUNT}:lifeboat-NotificationTopic"
    )
    text = text.replace(stage.outputs["ManifestBucketName"], "lifeboat-manifestbucket")
    text = text.replace(stage.outputs["SnapshotWorkUrl"].rsplit("/", 1)[-1], "lifeboat-SnapshotWork")
    text = text.replace(stage.outputs["FailedEventsUrl"].rsplit("/", 1)[-1], "lifeboat-FailedEvents")
    return json.loads(text.replace(f"table/{stage.outputs['StateTableName']}", "table/lifeboat-StateTable"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_deployed_role_is_what_the_template_says(stage, function):
    found = documents(stage, function)
    assert len(found) >= 2
    assert differences(function, Asked(found)) == []


def client_of(stage, function, service="ec2"):
    taken = stage.aws.client("sts").assume_role(RoleArn=role_of(stage, function), RoleSessionName=THIEF)
    keys = taken["Credentials"]
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=stage.aws.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def refused(call, **arguments):
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    return refusal.value.response["Error"]["Code"]


@pytest.fixture(scope="module")
def machine(stage):
    [machine] = stage.launch(tags={"lifeboat:backup": "true"}, volume_tags={})
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id]})
    stage.control.settle()
    stage.reconcile("ConfirmSnapshotsFunction")
    return machine


def test_a_confirmed_recovery_point_is_locked(stage, machine):
    mine = [item["SnapshotId"] for item in stage.recovery_point_snapshots()]
    locked = stage.ec2.describe_locked_snapshots(SnapshotIds=mine)["Snapshots"]
    assert {item["SnapshotId"] for item in locked} == set(mine)
    assert {(item["LockState"], item["LockDuration"]) for item in locked} == {("governance", 7)}
    assert mine
    created = [item["LockCreatedOn"] for item in locked]
    stage.reconcile("ConfirmSnapshotsFunction")
    again = stage.ec2.describe_locked_snapshots(SnapshotIds=mine)["Snapshots"]
    assert [item["LockCreatedOn"] for item in again] == created
    assert refused(stage.ec2.delete_snapshot, SnapshotId=mine[0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_stolen_credentials_of_a_role_are_refused(stage, machine, function):
    thief = client_of(stage, function)
    snapshot = stage.recovery_point_snapshots()[0]["SnapshotId"]
    instance, volume = machine.instance_id, machine.volume_id
    permission = {"Add": [{"UserId": "999988887777"}]}
    lock = {"LockMode": "governance", "LockDuration": 8}
    asked = [
        (thief.modify_snapshot_attribute, {"SnapshotId": snapshot, "CreateVolumePermission": permission}),
        (thief.unlock_snapshot, {"SnapshotId": snapshot}),
        (thief.lock_snapshot, {"SnapshotId": snapshot, **lock}),
        (thief.copy_snapshot, {"SourceSnapshotId": snapshot, "SourceRegion": REGION}),
        (thief.create_tags, {"Resources": [snapshot], "Tags": [{"Key": "lifeboat:recovery-point", "Value": "x"}]}),
        (thief.create_tags, {"Resources": [instance], "Tags": [{"Key": "lifeboat:restore-target", "Value": "true"}]}),
        (thief.create_tags, {"Resources": [volume], "Tags": [{"Key": "lifeboat:restore", "Value": "x"}]}),
        (thief.delete_tags, {"Resources": [snapshot], "Tags": [{"Key": "lifeboat:stack"}]}),
        (thief.delete_volume, {"VolumeId": volume}),
        (thief.detach_volume, {"VolumeId": volume}),
        (thief.detach_volume, {"VolumeId": volume, "InstanceId": instance}),
        (thief.stop_instances, {"InstanceIds": [instance]}),
        (thief.terminate_instances, {"InstanceIds": [instance]}),
        (thief.create_snapshot, {"VolumeId": volume}),
        (thief.create_snapshots, {"InstanceSpecification": {"InstanceId": instance}}),
        (thief.create_volume, {"SnapshotId": snapshot, "AvailabilityZone": f"{REGION}a"}),
        (thief.modify_instance_attribute, {"InstanceId": instance, "UserData": {"Value": b"x"}}),
    ]
    codes = {f"{call.__name__} {arguments}": refused(call, **arguments) for call, arguments in asked}
    assert set(codes.values()) == {"UnauthorizedOperation"}, codes


def test_the_function_that_may_delete_cannot_delete_a_locked_snapshot(stage, machine):
    thief = client_of(stage, "PruneSnapshots")
    snapshot = stage.recovery_point_snapshots()[0]["SnapshotId"]
    assert refused(thief.delete_snapshot, SnapshotId=snapshot) != "UnauthorizedOperation"
    assert stage.recovery_point_snapshots()


def test_a_mistyped_owner_is_refused_at_deployment(stage):
    with pytest.raises(StackError, match="TrustedAmiOwners"):
        create(stage.aws, stack_name="other", parameters={**PARAMETERS, "TrustedAmiOwners": "5543091950"})


def test_every_call_that_a_function_makes_is_allowed(stage, show_figure):
    """Last: a backup with its locks and copies, retention, a restore there and back, and the owner's check."""
    [machine] = stage.launch(tags={"lifeboat:backup": "true", **CONSENT})
    mark = stage.control.mark()
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id]})
    stage.control.settle()
    stage.reconcile("ConfirmSnapshotsFunction")
    stage.reconcile("CopySnapshotsFunction")
    [snapshot] = stage.recovery_point_snapshots(("volume-id", machine.volume_id))
    point = tags_of(snapshot)["lifeboat:recovery-point"]
    assert stage.invoke("VerifySnapshotsFunction", {"recovery_point": point})["proven"]
    assert stage.invoke("DrillRestoresFunction", {"lineage": machine.volume_id})["opened"]
    stage.control.settle()
    assert [message["event"] for message in stage.published_about(recovery_point=point)].count("DrillPassed") == 1
    stage.invoke("PruneSnapshotsFunction", {"dry_run": True})
    stage.invoke("PruneSnapshotsFunction", {})
    stage.invoke("CheckAmiOwnerFunction", {})
    stage.aws.client("s3").create_bucket(
        Bucket=EVIDENCE, CreateBucketConfiguration={"LocationConstraint": stage.aws.client("s3").meta.region_name}
    )
    assert "not_read" not in [found["risk"] for found in stage.invoke("GuardEvidenceFunction", {})["findings"]]
    check = stage.invoke("CheckStackFunction", {})
    assert [line for line in check["lines"] if "not seen" in line["text"]] == []
    for name in check["rehearse"]:
        logical = "".join(word.title() for word in name.split("-"))
        refused = [
            line for line in stage.invoke(f"{logical}Function", {"rehearse": True})["lines"] if line["level"] != "ok"
        ]
        assert refused == [], name
    for asked in ({}, {"instance": machine.instance_id}, {"list": True}):
        assert stage.invoke("ShowStatusFunction", asked)["unread"] == []
    for asked in ({}, {"instance": machine.instance_id}):
        page = str(stage.invoke("ShowStatusFunction", {**asked, "widgetContext": {}}))
        assert "Not read:" not in page
        assert machine.instance_id in page
    assert stage.invoke("PruneSnapshotsFunction", {"hold": point})["snapshots"] == [snapshot["SnapshotId"]]
    begun = stage.restore(machine, "latest", reason="rehearsal")
    ended = stage.until_closed(begun["restore_id"])
    assert ended["status"] == "completed", ended
    for function in FUNCTIONS:
        role = role_of(stage, function).rsplit("/", 1)[-1]
        made = [call for call in stage.control.calls(mark, caller=role) if THIEF not in call["caller"]]
        denied = {
            f"{call['service']}:{call['action']} {call['error']}" for call in made if call["error"] in NOT_ALLOWED
        }
        assert not denied, function
        assert made, f"{function} has called nothing"
        show_figure(f"calls of {function}: {len(made)} made and allowed, {len({c['action'] for c in made})} actions")
