"""Device names: EC2 takes those of its list, and two names of one device are one device."""

from typing import Any

import pytest

from tests.local.conftest import ZONE, Machine, amazon_image, refusal

MAPPING = {"VolumeSize": 5, "VolumeType": "gp3"}


def attach(ec2: Any, volume_id: str, machine: Machine, device: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.attach_volume(VolumeId=volume_id, InstanceId=machine.instance_id, Device=device)
    return found


@pytest.mark.parametrize("device", ["/dev/sdf", "/dev/xvdf", "xvdf", "/dev/xvdb", "/dev/xvdba", "xvdcz", "/dev/sda1"])
def test_ec2_attaches_at_the_names_of_its_list(ec2: Any, machine: Machine, volume: str, device: str) -> None:
    assert attach(ec2, volume, machine, device)["Device"] == device


@pytest.mark.parametrize(
    "device", ["/dev/nvme1n1", "/dev/sdzz", "/dev/xvdzz", "/dev/sdk1", "/dev/hdf", "Disk_D", "", "/dev/sdf\n"]
)
def test_ec2_attaches_at_no_other_name(ec2: Any, machine: Machine, volume: str, device: str) -> None:
    assert refusal(lambda: attach(ec2, volume, machine, device)) == "InvalidParameterValue"


@pytest.mark.parametrize("device", ["/dev/sdh", "/dev/xvdh", "xvdh", "/dev/sda", "xvda"])
def test_every_name_of_a_device_in_use_is_in_use(ec2: Any, machine: Machine, volume: str, device: str) -> None:
    """The machine's volumes are at /dev/xvda and /dev/sdh."""
    with pytest.raises(ec2.exceptions.ClientError) as refused:
        attach(ec2, volume, machine, device)
    assert refused.value.response["Error"] == {
        "Code": "InvalidParameterValue",
        "Message": f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
    }


def test_the_first_partition_of_the_root_s_letter_is_another_device(ec2: Any, machine: Machine, volume: str) -> None:
    assert attach(ec2, volume, machine, "/dev/sda1")["State"] == "attaching"


def test_one_device_cannot_be_mapped_twice_at_launch(ec2: Any) -> None:
    wanted = {"ImageId": amazon_image(ec2), "MinCount": 1, "MaxCount": 1, "Placement": {"AvailabilityZone": ZONE}}
    with pytest.raises(ec2.exceptions.ClientError) as refused:
        ec2.run_instances(**wanted, BlockDeviceMappings=[{"DeviceName": "xvda", "Ebs": MAPPING}])
    assert refused.value.response["Error"] == {
        "Code": "InvalidBlockDeviceMapping",
        "Message": "The device 'xvda' is used in more than one block-device mapping",
    }
