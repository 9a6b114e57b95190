"""Volumes and attachments behave as EBS documents them."""

from typing import Any

import pytest

from local.control import Control
from local.session import LocalAws
from tests.local.conftest import ZONE, Machine, new_snapshot, new_volume, refusal, tagged


def described(ec2: Any, volume_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
    return found


def devices(ec2: Any, instance_id: str) -> dict[str, dict[str, Any]]:
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return {mapping["DeviceName"]: mapping["Ebs"] for mapping in instance["BlockDeviceMappings"]}


def test_a_volume_is_creating_and_then_available(ec2: Any, control: Control) -> None:
    control.set_delays(volume=0.3)
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=7)
    assert (made["State"], made["VolumeType"]) == ("creating", "gp2")
    assert described(ec2, made["VolumeId"])["State"] == "creating"
    control.settle()
    assert described(ec2, made["VolumeId"])["State"] == "available"


def test_a_restored_volume_has_the_snapshots_size_and_encryption(aws: LocalAws, ec2: Any) -> None:
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Size=30, Encrypted=True))
    restored = described(ec2, new_volume(aws, ec2, SnapshotId=snapshot, Size=31))
    assert (restored["Size"], restored["Encrypted"], restored["SnapshotId"]) == (31, True, snapshot)
    assert ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot)["Size"] == 30


def test_a_customer_key_is_kept(aws: LocalAws, ec2: Any) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    volume = new_volume(aws, ec2, Encrypted=True, KmsKeyId=key)
    assert described(ec2, volume)["KmsKeyId"] == key
    snapshot = new_snapshot(aws, ec2, volume)
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["KmsKeyId"] == key
    assert described(ec2, new_volume(aws, ec2, SnapshotId=snapshot))["KmsKeyId"] == key


def test_encryption_by_default_takes_the_default_key_and_not_the_snapshots(aws: LocalAws) -> None:
    ec2 = aws.client("ec2", account="222233334444")
    key = aws.client("kms", account="222233334444").create_key()["KeyMetadata"]["Arn"]
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True, KmsKeyId=key))
    ec2.enable_ebs_encryption_by_default()
    default = ec2.get_ebs_default_kms_key_id()["KmsKeyId"]
    assert described(ec2, new_volume(aws, ec2))["Encrypted"]
    assert described(ec2, new_volume(aws, ec2, SnapshotId=snapshot))["KmsKeyId"] == default


@pytest.mark.parametrize("state", ["missing", "disabled"])
def test_a_bad_key_fails_later(aws: LocalAws, ec2: Any, control: Control, state: str) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"] if state == "disabled" else "00000000-0000-0000-0000-000000000001"
    if state == "disabled":
        kms.disable_key(KeyId=key)
    mark = control.mark()
    volume = ec2.create_volume(AvailabilityZone=ZONE, Size=1, Encrypted=True, KmsKeyId=key)["VolumeId"]
    control.settle()
    assert refusal(lambda: described(ec2, volume)) == "InvalidVolume.NotFound"
    detail = control.events(mark, detail_type="EBS Volume Notification")[0]["detail"]
    assert (detail["event"], detail["result"]) == ("createVolume", "failed")
    assert detail["cause"].endswith("is disabled." if state == "disabled" else "does not exist.")


BAD_VOLUMES = {
    "no such zone": ({"AvailabilityZone": "eu-west-1z"}, "InvalidZone.NotFound"),
    "no such snapshot": ({"SnapshotId": "snap-0aaaaaaaaaaaaaaaa"}, "InvalidSnapshot.NotFound"),
    "not a snapshot id": ({"SnapshotId": "nope"}, "InvalidParameterValue"),
    "no size": ({"Size": None}, "MissingParameter"),
    "no such type": ({"VolumeType": "gp9"}, "InvalidParameterValue"),
    "gp3 below its IOPS": ({"Iops": 99}, "InvalidParameterValue"),
    "gp3 above its IOPS": ({"Iops": 80_001}, "InvalidParameterValue"),
    "gp3 above its throughput": ({"Throughput": 2_001}, "InvalidParameterValue"),
    "gp3 too large": ({"Size": 65_537}, "InvalidParameterValue"),
    "gp2 with IOPS": ({"VolumeType": "gp2", "Iops": 3000}, "InvalidParameterCombination"),
    "gp2 too large": ({"VolumeType": "gp2", "Size": 16_385}, "InvalidParameterValue"),
    "io2 without IOPS": ({"VolumeType": "io2"}, "MissingParameter"),
    "io2 above its IOPS": ({"VolumeType": "io2", "Iops": 256_001}, "InvalidParameterValue"),
    "io2 too small": ({"VolumeType": "io2", "Iops": 100, "Size": 3}, "InvalidParameterValue"),
    "a key without encryption": ({"KmsKeyId": "alias/x"}, "InvalidParameterDependency"),
    "a tag of AWS": ({"TagSpecifications": tagged("volume", **{"aws:x": "1"})}, "InvalidParameterValue"),
    "a tag for a snapshot": ({"TagSpecifications": tagged("snapshot", x="1")}, "InvalidParameterValue"),
}


@pytest.mark.parametrize(("wanted", "code"), BAD_VOLUMES.values(), ids=BAD_VOLUMES.keys())
def test_a_bad_volume_is_refused(ec2: Any, wanted: dict[str, Any], code: str) -> None:
    request = {"AvailabilityZone": ZONE, "Size": 10, "VolumeType": "gp3"} | wanted
    assert refusal(lambda: ec2.create_volume(**{k: v for k, v in request.items() if v is not None})) == code


def test_a_size_below_the_snapshots_is_raised_and_a_pending_one_refused(
    aws: LocalAws, ec2: Any, control: Control, volume: str
) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    create = lambda s, size: ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=s, Size=size)  # noqa: E731
    assert create(snapshot, 3)["Size"] == 4
    control.set_delays(snapshot=0.3)
    assert refusal(lambda: create(ec2.create_snapshot(VolumeId=volume)["SnapshotId"], 4)) == "IncorrectState"


def test_a_client_token_makes_one_volume(ec2: Any) -> None:
    create = lambda size: ec2.create_volume(AvailabilityZone=ZONE, Size=size, ClientToken="once")["VolumeId"]  # noqa: E731
    assert create(1) == create(1)
    assert refusal(lambda: create(2)) == "IdempotentParameterMismatch"


def test_attaching_and_detaching(ec2: Any, control: Control, machine: Machine, volume: str) -> None:
    control.set_delays(attach=0.3, detach=0.3)
    answer = ec2.attach_volume(VolumeId=volume, InstanceId=machine.instance_id, Device="/dev/sdg")
    assert answer["State"] == "attaching"
    assert described(ec2, volume)["State"] == "in-use"
    control.settle()
    attachment = described(ec2, volume)["Attachments"][0]
    assert (attachment["State"], attachment["DeleteOnTermination"]) == ("attached", False)
    assert devices(ec2, machine.instance_id)["/dev/sdg"]["VolumeId"] == volume
    assert ec2.detach_volume(VolumeId=volume)["State"] == "detaching"
    assert described(ec2, volume)["Attachments"][0]["State"] == "detaching"
    assert refusal(lambda: ec2.detach_volume(VolumeId=volume)) == "IncorrectState"
    control.settle()
    assert (described(ec2, volume)["State"], described(ec2, volume)["Attachments"]) == ("available", [])
    assert "/dev/sdg" not in devices(ec2, machine.instance_id)
    assert refusal(lambda: ec2.detach_volume(VolumeId=volume)) == "IncorrectState"


def test_attaching_is_refused(aws: LocalAws, ec2: Any, control: Control, machine: Machine, volume: str) -> None:
    attach = lambda v, device="/dev/sdg", i=machine.instance_id: ec2.attach_volume(  # noqa: E731
        VolumeId=v, InstanceId=i, Device=device
    )
    assert refusal(lambda: attach(machine.data_id)) == "VolumeInUse"
    assert refusal(lambda: attach(volume, "/dev/sdh")) == "InvalidParameterValue"
    assert refusal(lambda: attach(volume, "sdnope")) == "InvalidParameterValue"
    assert refusal(lambda: attach(volume, i="i-0aaaaaaaaaaaaaaaa")) == "InvalidInstanceID.NotFound"
    assert refusal(lambda: attach("vol-0aaaaaaaaaaaaaaaa")) == "InvalidVolume.NotFound"
    assert refusal(lambda: attach(new_volume(aws, ec2, AvailabilityZone="eu-west-1b"))) == "InvalidVolume.ZoneMismatch"
    control.set_delays(volume=0.5, stop=0.5)
    creating = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    assert refusal(lambda: attach(creating)) == "IncorrectState"
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    assert refusal(lambda: attach(volume)) == "IncorrectState"


def test_detaching_is_refused(ec2: Any, machine: Machine) -> None:
    assert refusal(lambda: ec2.detach_volume(VolumeId=machine.root_id)) == "OperationNotPermitted"
    elsewhere = lambda: ec2.detach_volume(VolumeId=machine.data_id, InstanceId="i-0aaaaaaaaaaaaaaaa")  # noqa: E731
    assert refusal(elsewhere) == "InvalidAttachment.NotFound"
    assert (
        refusal(lambda: ec2.detach_volume(VolumeId=machine.data_id, Device="/dev/sdz")) == "InvalidAttachment.NotFound"
    )


def test_detaching_a_mounted_volume_hangs_until_forced(ec2: Any, control: Control, machine: Machine) -> None:
    control.configure(busy_detach=True)
    assert ec2.detach_volume(VolumeId=machine.data_id)["State"] == "busy"
    control.settle()
    assert described(ec2, machine.data_id)["Attachments"][0]["State"] == "busy"
    ec2.detach_volume(VolumeId=machine.data_id, Force=True)
    control.settle()
    assert described(ec2, machine.data_id)["State"] == "available"


def test_a_busy_volume_goes_when_the_instance_stops(ec2: Any, control: Control, machine: Machine) -> None:
    control.configure(busy_detach=True)
    ec2.detach_volume(VolumeId=machine.data_id)
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    assert described(ec2, machine.data_id)["State"] == "available"


def test_the_root_of_a_stopped_instance_can_be_detached_and_is_needed_to_start(
    ec2: Any, control: Control, machine: Machine
) -> None:
    ec2.stop_instances(InstanceIds=[machine.instance_id])
    control.settle()
    ec2.detach_volume(VolumeId=machine.root_id)
    control.settle()
    assert refusal(lambda: ec2.start_instances(InstanceIds=[machine.instance_id])) == "IncorrectState"


def test_deleting(ec2: Any, control: Control, machine: Machine, volume: str, mark: int) -> None:
    assert refusal(lambda: ec2.delete_volume(VolumeId=machine.data_id)) == "VolumeInUse"
    ec2.delete_volume(VolumeId=volume)
    assert described(ec2, volume)["State"] == "deleting"
    attach = lambda: ec2.attach_volume(VolumeId=volume, InstanceId=machine.instance_id, Device="/dev/sdg")  # noqa: E731
    assert refusal(attach) == "IncorrectState"
    control.settle()
    assert refusal(lambda: described(ec2, volume)) == "InvalidVolume.NotFound"
    details = [e["detail"] for e in control.events(mark) if volume in str(e["resources"])]
    assert [(d["event"], d["result"]) for d in details] == [("deleteVolume", "deleted")]


def test_delete_on_termination_is_true_when_it_is_not_said(ec2: Any, machine: Machine) -> None:
    flag = lambda: devices(ec2, machine.instance_id)["/dev/sdh"]["DeleteOnTermination"]  # noqa: E731
    modify = lambda ebs: ec2.modify_instance_attribute(  # noqa: E731
        InstanceId=machine.instance_id, BlockDeviceMappings=[{"DeviceName": "/dev/sdh", "Ebs": ebs}]
    )
    assert flag() is False
    modify({"VolumeId": machine.data_id})
    assert flag() is True
    modify({"DeleteOnTermination": False})
    assert flag() is False


def test_the_nth_volume_fails_or_hangs(ec2: Any, control: Control, aws: LocalAws, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    control.fail_creation("volume", resource=snapshot, nth=2)
    control.fail_creation("volume", resource=snapshot, nth=3, stuck=True)
    states = [described(ec2, new_volume(aws, ec2, SnapshotId=snapshot))["State"] for _ in range(4)]
    assert states == ["available", "error", "creating", "available"]
