"""Every fault does what it says, and the logs show the truth."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from local import stack
from local.control import Control, ControlError, NotSettledError
from local.session import LocalAws
from tests.local.conftest import Deploy, refusal


@pytest.fixture
def once(aws: LocalAws) -> Any:
    """An EC2 client that tries once, so that every call is one call."""
    return boto3.client(
        "ec2",
        region_name="eu-west-1",
        endpoint_url=aws.endpoint,
        aws_access_key_id="111122223333",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def snapshots_of(ec2: Any, volume: str) -> int:
    return len(
        ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]
    )


def test_the_nth_call_fails_and_is_not_carried_out(once: Any, control: Control, volume: str) -> None:
    control.fault("CreateSnapshot", "fail", nth=2, count=1, code="SnapshotLimitExceeded", message="enough")
    once.create_snapshot(VolumeId=volume)
    with pytest.raises(ClientError, match="enough") as refused:
        once.create_snapshot(VolumeId=volume)
    assert refused.value.response["Error"]["Code"] == "SnapshotLimitExceeded"
    once.create_snapshot(VolumeId=volume)
    assert snapshots_of(once, volume) == 2
    assert [(fault["seen"], fault["hits"]) for fault in control.faults()] == [(3, 1)]


def test_only_calls_about_one_resource(once: Any, control: Control, volume: str) -> None:
    control.fault("CreateSnapshot", code="InternalError", resource="vol-0aaaaaaaaaaaaaaaa", count=0)
    once.create_snapshot(VolumeId=volume)
    assert refusal(lambda: once.create_snapshot(VolumeId="vol-0aaaaaaaaaaaaaaaa")) == "InternalError"


def test_a_rehearsal_is_hit_only_on_purpose(once: Any, control: Control, volume: str) -> None:
    control.fault("DeleteVolume", code="UnauthorizedOperation")
    assert refusal(lambda: once.delete_volume(VolumeId=volume, DryRun=True)) == "DryRunOperation"
    assert refusal(lambda: once.delete_volume(VolumeId=volume)) == "UnauthorizedOperation"
    control.fault("DeleteVolume", code="UnauthorizedOperation", dry_run=True)
    assert refusal(lambda: once.delete_volume(VolumeId=volume, DryRun=True)) == "UnauthorizedOperation"
    once.delete_volume(VolumeId=volume)


def test_every_call(once: Any, control: Control) -> None:
    control.fault("DescribeVolumes", code="Unavailable", count=0)
    assert [refusal(once.describe_volumes) for _ in range(3)] == ["Unavailable"] * 3
    control.reset()
    once.describe_volumes()


def test_throttled_once_is_tried_again_by_boto3(ec2: Any, control: Control, volume: str, mark: int) -> None:
    control.fault("CreateSnapshot", "throttle")
    ec2.create_snapshot(VolumeId=volume)
    assert [call["error"] for call in control.calls(mark, action="CreateSnapshot")] == ["RequestLimitExceeded", None]


def test_carried_out_and_answered_with_an_error(once: Any, control: Control, volume: str) -> None:
    control.fault("CreateSnapshot", "answer_error")
    assert refusal(lambda: once.create_snapshot(VolumeId=volume)) == "InternalError"
    assert snapshots_of(once, volume) == 1


def test_a_lost_answer(once: Any, ec2: Any, control: Control, volume: str) -> None:
    control.fault("CreateSnapshot", "drop")
    with pytest.raises(ConnectionClosedError):
        once.create_snapshot(VolumeId=volume)
    assert snapshots_of(once, volume) == 1
    control.fault("CreateSnapshot", "drop")
    ec2.create_snapshot(VolumeId=volume)  # boto3 tries again, and there is one too many
    assert snapshots_of(once, volume) == 3


def test_a_slow_call(once: Any, control: Control, mark: int) -> None:
    before = control.now()
    control.fault("DescribeVolumes", "delay", seconds=40)
    once.describe_volumes()
    assert [call["status"] for call in control.calls(mark, action="DescribeVolumes")] == [200]
    assert control.now() - before == timedelta(seconds=40)


SNAPSHOT_AND_GO_ON = """
import boto3
def handler(event, context):
    ec2 = boto3.client("ec2")
    ec2.create_snapshot(VolumeId=event["volume"])
    return "went on"
"""


@pytest.mark.parametrize(("effect", "snapshots"), [("kill", 1), ("kill_before", 0)])
def test_the_caller_dies(
    aws: LocalAws, once: Any, control: Control, deploy: Deploy, *, volume: str, effect: str, snapshots: int
) -> None:
    function = deploy(SNAPSHOT_AND_GO_ON, [{"Action": "ec2:*", "Resource": "*"}])
    control.fault("CreateSnapshot", effect, caller=function.name)
    answer = stack.invoke(aws, function.name, {"volume": volume})
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert snapshots_of(once, volume) == snapshots
    assert stack.invoke(aws, function.name, {"volume": volume}).payload == "went on"


def test_faults_of_other_services(aws: LocalAws, control: Control) -> None:
    topics = aws.client("sns")
    arn = topics.create_topic(Name="faulty")["TopicArn"]
    control.fault("Publish", service="sns", code="InternalFailure", count=0)
    assert refusal(lambda: topics.publish(TopicArn=arn, Message="x")) == "InternalFailure"
    control.reset()
    control.fault("ListTables", service="dynamodb", code="ValidationException")
    assert refusal(aws.client("dynamodb").list_tables) == "ValidationException"


def test_calls_are_counted_by_action_and_caller(aws: LocalAws, control: Control, deploy: Deploy, volume: str) -> None:
    function = deploy(SNAPSHOT_AND_GO_ON, [{"Action": "ec2:*", "Resource": "*"}])
    mark = control.mark()
    stack.invoke(aws, function.name, {"volume": volume})
    assert control.counts(mark, caller=function.name) == {"ec2:CreateSnapshot": 1}
    call = control.calls(mark, caller=function.name)[0]
    assert call["caller"] == f"arn:aws:sts::111122223333:assumed-role/{function.name}/{function.name}"
    assert volume in call["request"]


def test_settling_ends_when_nothing_moves_and_answers_what_is_under_way(
    aws: LocalAws, control: Control, deploy: Deploy, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    function = deploy("def handler(event, context):\n    open(event['gate']).read()\n")
    control.configure(stuck_seconds=0.5)
    stack.invoke(aws, function.name, {"gate": str(gate)}, asynchronous=True)
    with pytest.raises(NotSettledError, match=f"{function.name} runs"):
        control.settle()
    assert control.under_way() == [f"{function.name} runs"]
    gate.write_text("")  # now a person has opened the other end
    control.settle()


def test_what_is_under_way_is_answered(ec2: Any, control: Control, volume: str) -> None:
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert control.under_way() == [f"snapshot {snapshot}"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda control: control.fault("X", "explode"),
        lambda control: control.event_fault("vanish"),
        lambda control: control.configure(no_such_setting=1),
        lambda control: control.configure(throttling="yes"),
        lambda control: control.fail_creation("moon"),
        lambda control: control.fire_schedule("no such schedule"),
        lambda control: control.set_tags("vol-0aaaaaaaaaaaaaaaa", {"a": "b"}),
    ],
)
def test_control_refuses_what_it_does_not_know(control: Control, wrong: Any) -> None:
    with pytest.raises(ControlError):
        wrong(control)


def test_token_buckets(once: Any, control: Control) -> None:
    control.set_throttling(speed=0.0)
    codes = [refusal(lambda: once.start_instances(InstanceIds=["i-0aaaaaaaaaaaaaaaa"])) for _ in range(7)]
    assert codes == ["InvalidInstanceID.NotFound"] * 5 + ["RequestLimitExceeded"] * 2
    once.describe_volumes(MaxResults=5)  # another bucket
    control.set_throttling(speed=1000.0)
    codes = []
    for _ in range(12):
        codes.append(refusal(lambda: once.start_instances(InstanceIds=["i-0aaaaaaaaaaaaaaaa"])))
        control.advance(0.01)
    assert "RequestLimitExceeded" not in codes


def test_everything_at_once_costs_more_than_a_page(once: Any, control: Control) -> None:
    control.set_throttling(speed=0.0)
    refused = 0
    for _ in range(60):
        try:
            once.describe_snapshots()
        except ClientError as error:
            refused += error.response["Error"]["Code"] == "RequestLimitExceeded"
    assert refused == 10
    assert json.dumps(once.describe_snapshots(OwnerIds=["self"], MaxResults=5)["Snapshots"], default=str)
