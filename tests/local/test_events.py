"""aws.ec2 events have the documented shapes, reach the bus, and go wrong on demand."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.control import Control
from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.local.conftest import Deploy, Machine, Queue, new_role, new_snapshot, rule_to, unique

SAMPLES = Path(__file__).parent.parent / "fixtures" / "events"
SNAPSHOT = "EBS Snapshot Notification"
SET = "EBS Multi-Volume Snapshots Completion Status"
VOLUME = "EBS Volume Notification"


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return found


def shape(value: Any) -> Any:
    """A value with its texts and numbers taken out, and the form of its ARNs left in."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str) and value.startswith("arn:") and " " not in value:
        parts = value.split(":")
        return [parts[2], bool(parts[3]), bool(parts[4]), parts[5].split("/")[0]]
    return type(value).__name__


def same_shape(published: dict[str, Any], name: str) -> None:
    wanted = sample(name)
    assert published["detail_type"] == wanted["detail-type"]
    assert shape(published["detail"]) == shape(wanted["detail"])
    assert [shape(arn) for arn in published["resources"]] == [
        shape(arn) for arn in wanted["resources"][: len(published["resources"])]
    ]


@pytest.mark.parametrize(
    ("outcome", "name"), [("", "ebs-createSnapshot-succeeded"), ("fail", "ebs-createSnapshot-failed")]
)
def test_create_snapshot(ec2: Any, control: Control, volume: str, mark: int, *, outcome: str, name: str) -> None:
    if outcome:
        control.fail_creation("snapshot", resource=volume)
    ec2.create_snapshot(VolumeId=volume)
    control.settle()
    published = control.events(mark, detail_type=SNAPSHOT)
    assert len(published) == 1
    same_shape(published[0], name)


@pytest.mark.parametrize(
    ("outcome", "name"), [("", "ebs-createSnapshots-succeeded"), ("fail", "ebs-createSnapshots-failed")]
)
def test_create_snapshots(ec2: Any, control: Control, machine: Machine, outcome: str, name: str) -> None:
    mark = control.mark()
    if outcome:
        control.fail_creation("snapshot", resource=machine.data_id)
    ec2.create_snapshots(InstanceSpecification={"InstanceId": machine.instance_id})
    control.settle()
    same_shape(control.events(mark, detail_type=SET)[0], name)
    assert len(control.events(mark, detail_type=SNAPSHOT)) == 2


def test_a_set_may_send_one_event_or_one_for_each(ec2: Any, control: Control, machine: Machine) -> None:
    mark = control.mark()
    control.configure(per_volume_events=False)
    ec2.create_snapshots(InstanceSpecification={"InstanceId": machine.instance_id})
    control.settle()
    assert [e["detail_type"] for e in control.events(mark)] == [SET]


def test_copy_snapshot_sends_its_event_to_the_destination(
    aws: LocalAws, ec2: Any, control: Control, volume: str
) -> None:
    source = new_snapshot(aws, ec2, volume)
    mark = control.mark()
    aws.client("ec2", "eu-central-1").copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=source)
    control.settle()
    published = control.events(mark, detail_type=SNAPSHOT)[0]
    assert published["region"] == "eu-central-1"
    same_shape(published, "ebs-copySnapshot-standard-succeeded")
    mark = control.mark()
    ec2.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=source, CompletionDurationMinutes=15)
    control.settle()
    same_shape(control.events(mark, detail_type=SNAPSHOT)[0], "ebs-copySnapshot-timebased-succeeded")
    control.fail_creation("copy")
    mark = control.mark()
    ec2.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=source)
    control.settle()
    same_shape(control.events(mark, detail_type=SNAPSHOT)[0], "ebs-copySnapshot-failed")


def test_volumes(ec2: Any, control: Control, mark: int) -> None:
    made = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    control.settle()
    ec2.delete_volume(VolumeId=made)
    control.fail_creation("volume")
    ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)
    control.settle()
    published = control.events(mark, detail_type=VOLUME)
    for event, name in zip(
        published, ["ebs-createVolume-available", "ebs-deleteVolume", "ebs-createVolume-failed"], strict=True
    ):
        same_shape(event, name)


@pytest.mark.parametrize("state", ["stopping", "stopped"])
def test_instances(ec2: Any, control: Control, machine: Machine, state: str) -> None:
    mark = control.mark()
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    published = {e["detail"]["state"]: e for e in control.events(mark)}
    same_shape(published[state], f"ec2-instance-state-{state}")


def test_locks_shares_and_images(aws: LocalAws, ec2: Any, control: Control, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    mark = control.mark()
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=365, CoolOffPeriod=24)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["444455556666"]
    )
    image = control.seed_image(owner="111122223333", name="mine")
    ec2.deregister_image(ImageId=image)
    control.settle()
    locked, shared, deregistered = control.events(mark)
    same_shape(locked, "ebs-lockSnapshot-succeeded")
    same_shape(shared, "ebs-shareSnapshot")
    assert shared["account"] == "444455556666"
    same_shape(deregistered, "ec2-ami-state-deregistered")


RECORD = "def handler(event, context):\n    return event\n"


def received(control: Control, mark: int, function: str) -> list[dict[str, Any]]:
    return [invocation["event"] for invocation in control.invocations(mark, function=function)]


def test_the_bus_delivers_the_whole_envelope(
    aws: LocalAws, ec2: Any, control: Control, volume: str, deploy: Deploy
) -> None:
    function = deploy(RECORD)
    rule_to(aws, function, {"source": ["aws.ec2"], "detail": {"event": ["createSnapshot"]}})
    mark = control.mark()
    snapshot = new_snapshot(aws, ec2, volume)
    published = received(control, mark, function.name)
    assert len(published) == 1
    wanted = sample("ebs-createSnapshot-succeeded")
    assert set(published[0]) == set(wanted)
    assert {k: published[0][k] for k in ("version", "source", "account", "region")} == {
        "version": "0",
        "source": "aws.ec2",
        "account": "111122223333",
        "region": "eu-west-1",
    }
    assert published[0]["detail"]["snapshot_id"].endswith(snapshot)


@pytest.fixture
def listener(aws: LocalAws, deploy: Deploy) -> str:
    """A function that receives the events of stopping and stopped instances."""
    function = deploy(RECORD)
    rule_to(
        aws,
        function,
        {"detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": [{"prefix": "stop"}]}},
    )
    return function.name


def states(control: Control, mark: int, listener: str) -> list[str]:
    return [event["detail"]["state"] for event in received(control, mark, listener)]


def test_a_dropped_event(ec2: Any, control: Control, machine: Machine, listener: str) -> None:
    mark = control.mark()
    control.event_fault("drop", containing=f"instance/{machine.instance_id}")
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert states(control, mark, listener) == ["stopped"]
    assert [e["fate"] for e in control.events(mark)] == ["drop", "sent"]


def test_all_events_dropped(ec2: Any, control: Control, machine: Machine, listener: str) -> None:
    mark = control.mark()
    control.event_fault("drop", count=0)
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert states(control, mark, listener) == []


def test_a_doubled_event_keeps_its_id(ec2: Any, control: Control, machine: Machine, listener: str) -> None:
    mark = control.mark()
    control.event_fault("double", containing='"state": "stopped"')
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    twice = [event for event in received(control, mark, listener) if event["detail"]["state"] == "stopped"]
    assert len(twice) == 2
    assert twice[0]["id"] == twice[1]["id"]


def test_a_late_event(ec2: Any, control: Control, machine: Machine, listener: str) -> None:
    mark = control.mark()
    control.event_fault("delay", containing='"state": "stopping"', seconds=600)
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert states(control, mark, listener) == ["stopped", "stopping"]


def test_held_events_come_when_released_in_any_order(
    ec2: Any, control: Control, machine: Machine, listener: str
) -> None:
    mark = control.mark()
    control.event_fault("hold", count=0)
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert (control.held_events(), states(control, mark, listener)) == (2, [])
    assert control.release_events(newest_first=True) == 2
    control.settle()
    assert sorted(states(control, mark, listener)) == ["stopped", "stopping"]


def test_any_event_can_be_put(control: Control, listener: str, mark: int) -> None:
    wanted = {**sample("ec2-instance-state-stopped"), "region": "eu-west-1", "id": "fixed"}
    control.put_event(wanted)
    control.settle()
    published = received(control, mark, listener)
    assert [(e["id"], e["source"], e["detail"]) for e in published] == [("fixed", "aws.ec2", wanted["detail"])]


def test_callers_cannot_put_events_of_aws(aws: LocalAws) -> None:
    entry = {"Source": "aws.ec2", "DetailType": "x", "Detail": "{}"}
    answer = aws.client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


AWAY = "eu-central-1"


def forwarding_rule(aws: LocalAws, *, may: bool, dead_letters: str) -> None:
    """A rule in another region that sends the ends of copies to the default bus at home."""
    name = unique("forward")
    bus = f"arn:aws:events:{REGION}:{HOME_ACCOUNT}:event-bus/default"
    role = new_role(
        aws, name, "events.amazonaws.com", [{"Action": "events:PutEvents", "Resource": bus if may else f"{bus}-not"}]
    )
    events = aws.client("events", AWAY)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.ec2"], "detail": {"event": ["copySnapshot"]}}))
    target = {"Id": "home", "Arn": bus, "RoleArn": role, "DeadLetterConfig": {"Arn": dead_letters}}
    events.put_targets(Rule=name, Targets=[target])


@pytest.mark.parametrize("may", [True, False])
def test_an_event_is_forwarded_to_another_region_as_it_is_if_the_role_may(
    aws: LocalAws, control: Control, deploy: Deploy, volume: str, *, mark: int, may: bool
) -> None:
    sqs = aws.client("sqs", AWAY)
    lost = sqs.create_queue(QueueName=unique("lost"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=lost, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    Queue(lost, arn, sqs).allow("events.amazonaws.com")
    forwarding_rule(aws, may=may, dead_letters=arn)
    function = deploy("def handler(event, context):\n    return event\n")
    rule_to(aws, function, {"source": ["aws.ec2"], "detail": {"event": ["copySnapshot"]}})
    source = new_snapshot(aws, aws.client("ec2"), volume)

    copy = aws.client("ec2", AWAY).copy_snapshot(SourceRegion=REGION, SourceSnapshotId=source)["SnapshotId"]
    control.settle()

    arrived = [item["event"] for item in control.invocations(mark, function=function.name)]
    assert len(arrived) == may
    for event in arrived:
        assert (event["source"], event["region"], event["detail-type"]) == ("aws.ec2", AWAY, SNAPSHOT)
        assert event["detail"]["snapshot_id"].endswith(copy)
        # Recorded (eventbridge_bus_target_retry_policy): "cross-region forwarding changes id/time but retains the
        # ORIGINAL account/region".
        [there] = [published for published in control.events(mark, detail_type=SNAPSHOT) if published["region"] == AWAY]
        assert event["id"] != there["event_id"]
        assert event["account"] == there["account"]
    failed = Queue(lost, arn, sqs).messages()
    assert [item["MessageAttributes"]["ERROR_CODE"]["StringValue"] for item in failed] == (
        [] if may else ["NO_PERMISSIONS"]
    )
    for rule in aws.client("events", AWAY).list_rules()["Rules"]:
        aws.client("events", AWAY).disable_rule(Name=rule["Name"])
