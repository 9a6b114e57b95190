"""What a stop and a hibernation do to an instance, and which volumes it takes back."""

from typing import Any

import pytest

from local.session import LocalAws
from tests.local.conftest import Machine, launch, new_volume, refusal


def shown(ec2: Any, machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[machine.instance_id])["Reservations"][0]["Instances"][0]
    return found


def stop(aws: LocalAws, ec2: Any, machine: Machine, **how: bool) -> dict[str, Any]:
    ec2.stop_instances(InstanceIds=[machine.instance_id], **how)
    aws.control.settle()
    return shown(ec2, machine)


def flag(aws: LocalAws, machine: Machine, **flags: Any) -> None:
    aws.control._call("POST", "instance", {"instance_id": machine.instance_id, **flags})


def association(instance: dict[str, Any]) -> dict[str, Any]:
    [interface] = instance["NetworkInterfaces"]
    [address] = interface["PrivateIpAddresses"]
    assert address["Association"] == interface["Association"]
    found: dict[str, Any] = interface["Association"]
    return found


def test_a_hibernated_instance_is_stopped_for_that_reason(aws: LocalAws, ec2: Any) -> None:
    machine = launch(aws, ec2, HibernationOptions={"Configured": True})
    assert shown(ec2, machine)["HibernationOptions"] == {"Configured": True}
    asleep = stop(aws, ec2, machine, Hibernate=True)
    assert (asleep["State"]["Name"], asleep["StateReason"]["Code"]) == ("stopped", "Client.UserInitiatedHibernate")
    ec2.start_instances(InstanceIds=[machine.instance_id])
    aws.control.settle()
    assert "StateReason" not in shown(ec2, machine)
    assert stop(aws, ec2, machine)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_only_what_was_launched_so_can_be_hibernated(ec2: Any, machine: Machine) -> None:
    asked = {"InstanceIds": [machine.instance_id], "Hibernate": True}
    assert refusal(lambda: ec2.stop_instances(**asked)) == "UnsupportedHibernationConfiguration"
    assert shown(ec2, machine)["State"]["Name"] == "running"


def test_a_stop_takes_the_public_address_and_a_start_gives_another(aws: LocalAws, ec2: Any) -> None:
    machine = launch(aws, ec2, NetworkInterfaces=[{"DeviceIndex": 0, "AssociatePublicIpAddress": True}])
    before = association(shown(ec2, machine))
    assert before["IpOwnerId"] == "amazon"
    assert "PublicIpAddress" not in stop(aws, ec2, machine)
    ec2.start_instances(InstanceIds=[machine.instance_id])
    aws.control.settle()
    assert association(shown(ec2, machine))["PublicIp"] != before["PublicIp"]


def test_an_elastic_ip_address_stays(aws: LocalAws, ec2: Any) -> None:
    machine = launch(aws, ec2, NetworkInterfaces=[{"DeviceIndex": 0, "AssociatePublicIpAddress": True}])
    flag(aws, machine, elastic_ip=True)
    before = association(shown(ec2, machine))
    assert before["IpOwnerId"] == aws.client("sts").get_caller_identity()["Account"]
    assert association(stop(aws, ec2, machine)) == before


def test_an_instance_type_shows_the_disks_of_its_host(ec2: Any) -> None:
    with_disks, without = ec2.describe_instance_types(InstanceTypes=["m5d.4xlarge", "m5.4xlarge"])["InstanceTypes"]
    assert with_disks["InstanceStorageInfo"]["TotalSizeInGB"] == 600
    assert not without["InstanceStorageSupported"]
    assert "InstanceStorageInfo" not in without
    assert refusal(lambda: ec2.describe_instance_types(InstanceTypes=["nothing"])) == "InvalidInstanceType"


@pytest.fixture
def marketplace_volume(aws: LocalAws, ec2: Any) -> str:
    """An available volume that carries a Marketplace product's code."""
    snapshot = aws.control._call("POST", "seed/snapshot", {"size": 4, "product_codes": ["code-1"]})["snapshot_id"]
    return new_volume(aws, ec2, SnapshotId=snapshot)


def test_a_volume_shows_its_product_codes(ec2: Any, marketplace_volume: str, volume: str) -> None:
    def codes(volume_id: str) -> list[str]:
        found = ec2.describe_volume_attribute(VolumeId=volume_id, Attribute="productCodes")["ProductCodes"]
        return [code["ProductCodeId"] for code in found]

    assert (codes(marketplace_volume), codes(volume)) == (["code-1"], [])


def test_a_marketplace_volume_is_attached_to_a_stopped_instance_and_gives_it_its_code(
    aws: LocalAws, ec2: Any, machine: Machine, marketplace_volume: str
) -> None:
    wanted = {"VolumeId": marketplace_volume, "InstanceId": machine.instance_id, "Device": "/dev/sdf"}
    assert refusal(lambda: ec2.attach_volume(**wanted)) == "IncorrectInstanceState"
    stop(aws, ec2, machine)
    ec2.attach_volume(**wanted)
    aws.control.settle()
    assert [code["ProductCodeId"] for code in shown(ec2, machine)["ProductCodes"]] == ["code-1"]
    ec2.detach_volume(VolumeId=marketplace_volume)
    aws.control.settle()
    assert not shown(ec2, machine).get("ProductCodes")


def test_a_marketplace_volume_is_not_attached_once_the_subscription_has_ended(
    aws: LocalAws, ec2: Any, machine: Machine, marketplace_volume: str, volume: str
) -> None:
    stop(aws, ec2, machine)
    flag(aws, machine, ended_subscriptions=["code-1"])
    wanted = {"InstanceId": machine.instance_id, "Device": "/dev/sdf"}
    assert refusal(lambda: ec2.attach_volume(VolumeId=marketplace_volume, **wanted)) == "OptInRequired"
    assert ec2.attach_volume(VolumeId=volume, **wanted)["State"] == "attaching"


def test_what_was_made_in_the_region_is_not_attached_on_an_outpost(
    aws: LocalAws, ec2: Any, machine: Machine, volume: str
) -> None:
    arn = "arn:aws:outposts:eu-west-1:111122223333:outpost/op-0123456789abcdef0"
    flag(aws, machine, outpost_arn=arn)
    assert shown(ec2, machine)["OutpostArn"] == arn
    wanted = {"VolumeId": volume, "InstanceId": machine.instance_id, "Device": "/dev/sdf"}
    assert refusal(lambda: ec2.attach_volume(**wanted)) == "InvalidParameterValue"
