"""The local AWS says what live accounts said: the states, words and events recorded in tests/fixtures/captures.

What of them is not asserted is listed in `LEFT_OUT`, with the reason; a recording that is in neither fails.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.control import Control
from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.local.captures import call, captured, event, form, same_event, same_fields
from tests.local.conftest import ZONE, new_snapshot, new_volume

NOBODY = "snap-0123456789abcdef0"


def described(ec2: Any, snapshot: str) -> Any:
    [found] = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    return found


def refused(ask: Any) -> Any:
    with pytest.raises(ClientError) as refusal:
        ask()
    return refusal.value.response["Error"]


def test_a_snapshot_of_a_volume_has_a_transfer_type_when_it_is_shown_and_not_when_it_is_made(
    ec2: Any, control: Control, volume: str
) -> None:
    control.fail_creation("snapshot", resource=volume, stuck=True)
    made = ec2.create_snapshot(VolumeId=volume)
    answered = captured("ebs_createsnapshot_states")["calls"][2]
    assert answered["operation"] == "CreateSnapshot"
    assert made["Progress"] == answered["output"]["Progress"] == ""
    assert {"TransferType", "StorageTier", "KmsKeyId"}.isdisjoint(made)
    assert {"TransferType", "StorageTier", "KmsKeyId"}.isdisjoint(answered["output"])
    pending = captured("ebs_createsnapshot_states")["calls"][3]["output"]["Snapshots"][0]
    same_fields(described(ec2, made["SnapshotId"]), pending, without=frozenset({"Tags", "Description", "Progress"}))


def test_a_pending_copy_knows_nothing_of_its_source_yet(aws: LocalAws, ec2: Any, control: Control) -> None:
    source = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True))
    control.fail_creation("copy", resource=source, stuck=True)
    copy = described(ec2, ec2.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=source)["SnapshotId"])
    words = captured("ebs_copysnapshot_states_and_events")["pending_words_of_the_contract"]
    assert "StateMessage Metadata not updated" in words
    assert (copy["StateMessage"], copy["VolumeSize"], copy["Encrypted"]) == ("Metadata not updated", 0, False)
    assert "KmsKeyId" not in copy
    assert (copy["State"], copy["VolumeId"], copy["TransferType"]) == ("pending", "vol-ffffffff", "standard")


@pytest.mark.parametrize("words", ["Source snapshot is not found", "Source snapshot is not complete"])
def test_a_copy_of_a_bad_source_is_begun_and_ends_in_error_with_size_0(
    ec2: Any, control: Control, volume: str, words: str
) -> None:
    source = NOBODY
    if "complete" in words:
        control.fail_creation("snapshot", resource=volume, stuck=True)
        source = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    mark = control.mark()
    copy = ec2.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=source)["SnapshotId"]
    control.settle()
    found = described(ec2, copy)
    [recorded, *_] = [
        item for item in captured("ebs_copysnapshot_states_and_events")["terminal"] if item.get("StateMessage") == words
    ]
    same_fields(found, recorded)
    assert found["VolumeSize"] == recorded["VolumeSize"] == 0
    [answer] = control.events(mark, detail_type="EBS Snapshot Notification")
    same_event(answer, event("ebs_copysnapshot_states_and_events", "copySnapshot", "failed", cause=words))


@pytest.mark.parametrize("minutes", [None, 15])
def test_a_copy_ends_as_recorded(aws: LocalAws, ec2: Any, control: Control, volume: str, minutes: int | None) -> None:
    source = new_snapshot(aws, ec2, volume)
    mark = control.mark()
    more = {"CompletionDurationMinutes": minutes} if minutes else {}
    copy = ec2.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=source, **more)["SnapshotId"]
    control.settle()
    kind = "time-based" if minutes else "standard"
    [recorded, *_] = [
        item
        for item in captured("ebs_copysnapshot_states_and_events")["terminal"]
        if (item["TransferType"], item["State"]) == (kind, "completed")
    ]
    same_fields(described(ec2, copy), recorded)
    [answer] = control.events(mark, detail_type="EBS Snapshot Notification")
    recorded = event("ebs_copysnapshot_states_and_events", "copySnapshot", "succeeded", transferType=kind)
    same_event(answer, recorded, without=("incremental",))
    assert answer["detail"]["incremental"] in {"true", "false"}


def test_a_bad_key_of_a_copy_is_refused_at_once_in_the_recorded_words(aws: LocalAws, ec2: Any, volume: str) -> None:
    source = new_snapshot(aws, ec2, volume)
    ask: Any = {"SourceRegion": REGION, "SourceSnapshotId": source, "Encrypted": True}
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    recorded = call("ebs_copysnapshot_refusals", "disabled-target-key")["error"]
    assert form(refused(lambda: ec2.copy_snapshot(**ask, KmsKeyId=key))) == form(recorded)
    recorded = call("ebs_copysnapshot_refusals", "missing-key-alias")
    alias = recorded["input"]["KmsKeyId"]
    assert refused(lambda: ec2.copy_snapshot(**ask, KmsKeyId=alias)) == recorded["error"]


def test_values_come_before_a_dry_run(ec2: Any) -> None:
    """CreateVolume and CopySnapshot only; of a source that is not there a DryRun knows nothing."""
    ask: Any = {"SourceRegion": REGION, "SourceSnapshotId": NOBODY, "DryRun": True}
    assert refused(lambda: ec2.copy_snapshot(**ask))["Code"] == "DryRunOperation"
    assert refused(lambda: ec2.copy_snapshot(**ask, CompletionDurationMinutes=16))["Code"] == "InvalidParameterValue"
    bad: Any = {"AvailabilityZone": ZONE, "Size": 1, "VolumeType": "gp3", "Iops": 99, "DryRun": True}
    assert refused(lambda: ec2.create_volume(**bad))["Code"] == "InvalidParameterValue"
    good: Any = {**bad, "Iops": 500}
    assert refused(lambda: ec2.create_volume(**good))["Code"] == "DryRunOperation"
    for wrong in (
        {"AvailabilityZone": "eu-west-1z"},
        {"Size": 65_537},
        {"VolumeType": "gp9"},
        {"TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "aws:x", "Value": ""}]}]},
    ):
        assert refused(lambda: ec2.create_volume(**{**good, **wrong}))["Code"] != "DryRunOperation"  # noqa: B023
    # Its token is no such value, and of other calls EC2 checks nothing.
    assert refused(lambda: ec2.create_volume(**good, ClientToken="x" * 65))["Code"] == "DryRunOperation"
    gone = "vol-0123456789abcdef0"
    assert refused(lambda: ec2.delete_volume(VolumeId=gone, DryRun=True))["Code"] == "DryRunOperation"


def test_a_volume_smaller_than_its_snapshot_is_as_large_as_it(aws: LocalAws, ec2: Any) -> None:
    recorded = call("ebs_createsnapshot_states", "size-smaller-than-source")
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Size=recorded["output"]["Size"]))
    made = ec2.create_volume(
        SnapshotId=snapshot, AvailabilityZone=ZONE, VolumeType="gp3", Size=recorded["input"]["Size"]
    )
    same = ("Size", "Iops", "Throughput", "State", "Encrypted", "VolumeType")
    assert {name: made[name] for name in same} == {name: recorded["output"][name] for name in same}


def test_a_volume_that_is_being_created_may_be_deleted(ec2: Any, control: Control) -> None:
    control.fail_creation("volume", stuck=True)
    volume = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    ec2.delete_volume(VolumeId=volume)
    control.settle()
    recorded = call("ec2_deletevolume", "cleanup-vol-07c2eddfb92c27621")["error"]
    assert form(refused(lambda: ec2.delete_volume(VolumeId=volume))) == form(recorded)


@pytest.mark.parametrize("label", ["mixed-same-account", "aws-managed-completed-add", "aws-managed-public-add"])
def test_what_may_not_be_shared_is_refused_in_the_recorded_words(aws: LocalAws, ec2: Any, label: str) -> None:
    recorded = call("ec2_modifysnapshotattribute", label)
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted="managed" in label))
    permission = recorded["input"]["CreateVolumePermission"]
    said = refused(lambda: ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=permission))
    assert said == recorded["error"]


def test_the_recipient_gets_the_event_of_a_share_as_recorded(
    aws: LocalAws, ec2: Any, control: Control, volume: str
) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    mark = control.mark()
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": "444455556666"}]})
    control.settle()
    [answer] = control.events(mark, detail_type="EBS Snapshot Notification")
    same_event(answer, event("ebs_createvolume_kms_authority_and_events", "shareSnapshot", "succeeded"))
    other = aws.client("ec2", account="444455556666")

    def observed(by: str) -> set[str]:
        found = other.describe_snapshots(RestorableByUserIds=[by])["Snapshots"]
        return {item["SnapshotId"] for item in found}

    assert snapshot not in observed(HOME_ACCOUNT)
    assert snapshot in observed("self")


def test_a_volume_under_a_bad_key_sends_two_events_in_the_recorded_form(
    aws: LocalAws, ec2: Any, control: Control
) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    mark = control.mark()
    ec2.create_volume(AvailabilityZone=ZONE, Size=1, Encrypted=True, KmsKeyId=key)
    control.settle()
    failed, deleted = control.events(mark, detail_type="EBS Volume Notification")
    name = "ebs_createvolume_kms_authority_and_events"
    same_event(failed, event(name, "createVolume", "failed"), without=("cause",))
    same_event(deleted, event(name, "deleteVolume", "deleted"))


def test_an_alarm_counts_the_last_real_data_before_missing_ones_unless_they_are_filled(aws: LocalAws) -> None:
    """In a stack, as FILL cannot be set by PutMetricAlarm here: missing data are zeros then, and come first."""
    [recorded] = [
        case
        for case in captured("cloudwatch_alarm_missing_data")["cases"]
        if case["name"] == "dense-real-over-breaching"
    ]
    assert "1 out of the last 3 datapoints" in recorded["stateReason"]
    metric = {"Namespace": "Captures", "MetricName": "Beats", "Dimensions": [{"Name": "Of", "Value": "captures"}]}
    rest = {"EvaluationPeriods": 2, "Threshold": 1, "ComparisonOperator": "LessThanThreshold"}
    stat = {"Metric": metric, "Stat": "Sum", "Period": 300}
    filled = {"Id": "filled", "Expression": "FILL(beats, 0)"}
    measured = {"Id": "beats", "ReturnData": False, "MetricStat": stat}
    alarms = {
        "Plain": {**metric, "Statistic": "Sum", "Period": 300, "TreatMissingData": "breaching", **rest},
        "Filled": {"Metrics": [filled, measured], "TreatMissingData": "ignore", **rest},
    }
    resources = {name: {"Type": "AWS::CloudWatch::Alarm", "Properties": item} for name, item in alarms.items()}
    outputs = {name: {"Value": {"Ref": name}} for name in alarms}
    stacks, watch = aws.client("cloudformation"), aws.client("cloudwatch")
    template = json.dumps({"Resources": resources, "Outputs": outputs})
    stacks.create_stack(StackName="captured-alarms", TemplateBody=template)
    stacks.get_waiter("stack_create_complete").wait(StackName="captured-alarms", WaiterConfig={"Delay": 1})
    [stack] = stacks.describe_stacks(StackName="captured-alarms")["Stacks"]
    names = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}

    def states() -> dict[str, str]:
        found = watch.describe_alarms(AlarmNames=list(names.values()))["MetricAlarms"]
        by_name = {item["AlarmName"]: item["StateValue"] for item in found}
        return {name: by_name[alarm] for name, alarm in names.items()}

    assert states() == {"Plain": "INSUFFICIENT_DATA", "Filled": "INSUFFICIENT_DATA"}
    past = aws.control.now() - timedelta(seconds=700)
    datum: Any = {"MetricName": "Beats", "Dimensions": metric["Dimensions"], "Value": 1, "Timestamp": past}
    watch.put_metric_data(Namespace="Captures", MetricData=[datum])
    aws.control.advance(60)  # alarms are evaluated each minute
    assert states() == {"Plain": "OK", "Filled": "ALARM"}
