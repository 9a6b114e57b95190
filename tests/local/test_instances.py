"""Instances behave as EC2 documents them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local.control import Control
from local.session import LocalAws
from tests.local.conftest import Machine, amazon_image, launch, refusal

STATE_CHANGE = "EC2 Instance State-change Notification"


def described(ec2: Any, instance_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return found


def state(ec2: Any, instance_id: str) -> str:
    return str(described(ec2, instance_id)["State"]["Name"])


def states_sent(control: Control, mark: int, instance_id: str) -> list[str]:
    answer = control.events(mark, detail_type=STATE_CHANGE)
    return [event["detail"]["state"] for event in answer if event["detail"]["instance-id"] == instance_id]


def test_its_life_and_the_events_of_it(aws: LocalAws, ec2: Any, control: Control, mark: int) -> None:
    control.set_delays(0.2)
    launched = ec2.run_instances(ImageId=amazon_image(ec2), MinCount=1, MaxCount=1)["Instances"][0]
    instance = launched["InstanceId"]
    assert launched["State"]["Name"] == "pending"
    control.settle()
    stopping = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (stopping["PreviousState"]["Name"], stopping["CurrentState"]["Name"]) == ("running", "stopping")
    control.settle()
    assert state(ec2, instance) == "stopped"
    assert ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    control.settle()
    assert ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]["CurrentState"]["Code"] == 32
    control.settle()
    life = ["pending", "running", "stopping", "stopped", "pending", "running", "shutting-down", "terminated"]
    assert states_sent(control, mark, instance) == life


def test_block_device_mappings_are_honoured(aws: LocalAws, ec2: Any, machine: Machine) -> None:
    found = described(ec2, machine.instance_id)
    assert found["RootDeviceName"] == "/dev/xvda"
    flags = {m["DeviceName"]: m["Ebs"]["DeleteOnTermination"] for m in found["BlockDeviceMappings"]}
    assert flags == {"/dev/xvda": True, "/dev/sdh": False}
    volumes = {v["VolumeId"]: v for v in ec2.describe_volumes(VolumeIds=[machine.root_id, machine.data_id])["Volumes"]}
    data = volumes[machine.data_id]
    assert (data["Size"], data["VolumeType"], data["Encrypted"]) == (20, "gp3", True)
    assert (volumes[machine.root_id]["Size"], volumes[machine.root_id]["Encrypted"]) == (10, False)
    assert data["Tags"] == [{"Key": "Backup", "Value": "daily"}]


def test_terminating_deletes_only_what_it_shall(ec2: Any, control: Control, machine: Machine) -> None:
    ec2.terminate_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert refusal(lambda: ec2.describe_volumes(VolumeIds=[machine.root_id])) == "InvalidVolume.NotFound"
    assert ec2.describe_volumes(VolumeIds=[machine.data_id])["Volumes"][0]["State"] == "available"
    assert refusal(lambda: ec2.start_instances(InstanceIds=[machine.instance_id])) == "IncorrectInstanceState"


def test_a_client_token_launches_once(ec2: Any) -> None:
    run = lambda count: ec2.run_instances(  # noqa: E731
        ImageId=amazon_image(ec2), MinCount=1, MaxCount=count, ClientToken="launch-once"
    )["Instances"][0]["InstanceId"]
    assert run(1) == run(1)
    assert refusal(lambda: run(2)) == "IdempotentParameterMismatch"


def test_protections(ec2: Any, machine: Machine) -> None:
    ec2.modify_instance_attribute(InstanceId=machine.instance_id, DisableApiStop={"Value": True})
    ec2.modify_instance_attribute(InstanceId=machine.instance_id, DisableApiTermination={"Value": True})
    attribute = ec2.describe_instance_attribute(InstanceId=machine.instance_id, Attribute="disableApiStop")
    assert attribute["DisableApiStop"] == {"Value": True}
    assert refusal(lambda: ec2.stop_instances(InstanceIds=[machine.instance_id])) == "OperationNotPermitted"
    assert refusal(lambda: ec2.terminate_instances(InstanceIds=[machine.instance_id])) == "OperationNotPermitted"


def test_no_capacity(aws: LocalAws, ec2: Any, control: Control, machine: Machine) -> None:
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    # As in AWS it is an HTTP 500, which botocore tries three times by itself.
    control.set_instance(machine.instance_id, capacity_refusals=3)
    assert refusal(lambda: ec2.start_instances(InstanceIds=[machine.instance_id])) == "InsufficientInstanceCapacity"
    ec2.start_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert state(ec2, machine.instance_id) == "running"


def test_falling_back_to_stopped(ec2: Any, control: Control, machine: Machine, mark: int) -> None:
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    control.set_instance(machine.instance_id, falls_back=1)
    ec2.start_instances(InstanceIds=[machine.instance_id])
    control.settle()
    found = described(ec2, machine.instance_id)
    assert (found["State"]["Name"], found["StateReason"]["Code"]) == ("stopped", "Client.InternalError")
    assert states_sent(control, mark, machine.instance_id)[-2:] == ["pending", "stopped"]


def test_a_disabled_key_makes_it_fall_back(aws: LocalAws, ec2: Any, control: Control, machine: Machine) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1, Encrypted=True, KmsKeyId=key)["VolumeId"]
    control.settle()
    ec2.attach_volume(VolumeId=volume, InstanceId=machine.instance_id, Device="/dev/sdk")
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    kms.disable_key(KeyId=key)
    ec2.start_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert state(ec2, machine.instance_id) == "stopped"


def test_status_checks(ec2: Any, control: Control, machine: Machine) -> None:
    status = lambda: ec2.describe_instance_status(InstanceIds=[machine.instance_id])["InstanceStatuses"][0]  # noqa: E731
    control.set_delays(status=60)
    assert status()["InstanceStatus"]["Status"] == "initializing"
    control.set_delays(status=0)
    assert status()["InstanceStatus"]["Status"] == "ok"
    control.set_instance(machine.instance_id, impaired=True)
    assert status()["InstanceStatus"]["Status"] == "impaired"
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    assert ec2.describe_instance_status(InstanceIds=[machine.instance_id])["InstanceStatuses"] == []
    stopped = ec2.describe_instance_status(InstanceIds=[machine.instance_id], IncludeAllInstances=True)
    assert stopped["InstanceStatuses"][0]["InstanceStatus"]["Status"] == "not-applicable"


def test_an_instance_that_will_not_stop(ec2: Any, control: Control, machine: Machine) -> None:
    control.set_instance(machine.instance_id, stuck_stopping=True)
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert state(ec2, machine.instance_id) == "stopping"
    assert refusal(lambda: ec2.start_instances(InstanceIds=[machine.instance_id])) == "IncorrectInstanceState"
    ec2.stop_instances(InstanceIds=[machine.instance_id], Force=True)
    control.settle()
    assert state(ec2, machine.instance_id) == "stopped"


def test_spot_and_auto_scaling_can_be_seeded(ec2: Any, control: Control, machine: Machine) -> None:
    control.set_instance(machine.instance_id, lifecycle="spot")
    control.set_tags(machine.instance_id, {"aws:autoscaling:groupName": "large_run"})
    found = described(ec2, machine.instance_id)
    assert found["InstanceLifecycle"] == "spot"
    assert {"Key": "aws:autoscaling:groupName", "Value": "large_run"} in found["Tags"]
    assert refusal(lambda: ec2.stop_instances(InstanceIds=[machine.instance_id])) == "UnsupportedOperation"


def test_it_can_have_had_its_volumes_for_longer(ec2: Any, control: Control, machine: Machine) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    control.set_instance(machine.instance_id, attach_time=long_ago)
    mappings = described(ec2, machine.instance_id)["BlockDeviceMappings"]
    assert len(mappings) == 2
    assert {item["Ebs"]["AttachTime"] for item in mappings} == {long_ago}


def test_stopping_twice_is_harmless(ec2: Any, control: Control, machine: Machine, mark: int) -> None:
    for _ in range(2):
        ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert states_sent(control, mark, machine.instance_id)[-2:] == ["stopping", "stopped"]


def test_tags_of_aws_are_refused_from_callers(ec2: Any, machine: Machine) -> None:
    tag = lambda key: ec2.create_tags(Resources=[machine.instance_id], Tags=[{"Key": key, "Value": "x"}])  # noqa: E731
    assert refusal(lambda: tag("aws:autoscaling:groupName")) == "InvalidParameterValue"
    tag("mine")
    assert {"Key": "mine", "Value": "x"} in described(ec2, machine.instance_id)["Tags"]
    ec2.delete_tags(Resources=[machine.instance_id], Tags=[{"Key": "mine", "Value": "other"}])
    assert {"Key": "mine", "Value": "x"} in described(ec2, machine.instance_id)["Tags"]
    ec2.delete_tags(Resources=[machine.instance_id], Tags=[{"Key": "mine"}])
    assert "mine" not in {t["Key"] for t in described(ec2, machine.instance_id)["Tags"]}


def test_waiters_of_boto3_work(aws: LocalAws, ec2: Any) -> None:
    machine = launch(aws, ec2)
    aws.control.settle()
    aws.control.advance(120)
    quick = {"Delay": 1, "MaxAttempts": 3}
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[machine.instance_id], WaiterConfig=quick)
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    aws.control.settle()
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[machine.instance_id], WaiterConfig=quick)
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[machine.data_id], WaiterConfig=quick)


@pytest.mark.parametrize("action", ["describe_fleets", "import_snapshot", "copy_fpga_image"])
def test_what_is_not_done_is_refused_in_ec2s_words(ec2: Any, action: str) -> None:
    arguments = {"copy_fpga_image": {"SourceFpgaImageId": "afi-1", "SourceRegion": "eu-west-1"}}.get(action, {})
    assert refusal(lambda: getattr(ec2, action)(**arguments)) == "InvalidAction"
