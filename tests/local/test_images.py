"""Images: owner, ancestry and metadata behave as EC2 documents them."""

from typing import Any

from local.control import Control
from local.session import LocalAws
from tests.local.conftest import Machine, amazon_image, launch, refusal

VENDOR = "055430919509"


def metadata(ec2: Any, instance_id: str) -> dict[str, Any]:
    found = ec2.describe_instance_image_metadata(InstanceIds=[instance_id])["InstanceImageMetadata"]
    result: dict[str, Any] = found[0]["ImageMetadata"]
    return result


def test_the_metadata_of_a_deregistered_image_is_still_answered(aws: LocalAws, ec2: Any, control: Control) -> None:
    image = control.seed_image(owner=VENDOR, name="CadoResponse_v2", watermarks=[{"WatermarkName": "x"}])
    machine = launch(aws, ec2, ImageId=image)
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["OwnerId"] == VENDOR
    control.set_image(image, state="deregistered", public=False)
    assert refusal(lambda: ec2.describe_images(ImageIds=[image])) == "InvalidAMIID.NotFound"
    published = metadata(ec2, machine.instance_id)
    assert (published["OwnerId"], published["Name"], published["State"], published["IsPublic"]) == (
        VENDOR,
        "CadoResponse_v2",
        "deregistered",
        False,
    )


def test_a_private_image_of_another_account_cannot_be_used(ec2: Any, control: Control) -> None:
    image = control.seed_image(owner=VENDOR, name="private", public=False)
    run = lambda: ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)  # noqa: E731
    assert refusal(run) == "InvalidAMIID.NotFound"
    assert refusal(lambda: ec2.describe_images(ImageIds=[image])) == "InvalidAMIID.NotFound"


def test_who_makes_an_image_of_an_instance_owns_it(aws: LocalAws, ec2: Any, control: Control) -> None:
    vendor = control.seed_image(owner=VENDOR, name="CadoResponse_v3", product_codes=["abc"])
    machine = launch(aws, ec2, ImageId=vendor)
    clone = ec2.create_image(InstanceId=machine.instance_id, Name="a clone")["ImageId"]
    assert ec2.describe_images(ImageIds=[clone])["Images"][0]["State"] == "pending"
    control.settle()
    found = ec2.describe_images(ImageIds=[clone])["Images"][0]
    assert (found["State"], found["OwnerId"], found["SourceInstanceId"]) == (
        "available",
        "111122223333",
        machine.instance_id,
    )
    assert found["ProductCodes"][0]["ProductCodeId"] == "abc"
    assert {m["DeviceName"] for m in found["BlockDeviceMappings"]} == {"/dev/xvda", "/dev/sdh"}
    lineage = ec2.get_image_ancestry(ImageId=clone)["ImageAncestryEntries"]
    assert [entry["ImageId"] for entry in lineage] == [clone, vendor]
    assert metadata(ec2, launch(aws, ec2, ImageId=clone).instance_id)["OwnerId"] == "111122223333"


def test_the_lineage_crosses_regions_and_ends_where_nothing_is_recorded(
    aws: LocalAws, ec2: Any, control: Control
) -> None:
    far = control.seed_image(owner=VENDOR, name="far", region="us-east-1", ancestry_recorded=False)
    copy = ec2.copy_image(SourceRegion="us-east-1", SourceImageId=far, Name="copied")["ImageId"]
    control.settle()
    lineage = ec2.get_image_ancestry(ImageId=copy)["ImageAncestryEntries"]
    assert [(e["ImageId"], e.get("SourceImageId"), e.get("SourceImageRegion")) for e in lineage] == [
        (copy, far, "us-east-1"),
        (far, None, None),
    ]


def test_amazons_image_has_an_alias(ec2: Any, machine: Machine) -> None:
    published = metadata(ec2, machine.instance_id)
    assert (published["ImageId"], published["ImageOwnerAlias"], published["IsPublic"]) == (
        amazon_image(ec2),
        "amazon",
        True,
    )


def test_an_unknown_image(ec2: Any) -> None:
    assert refusal(lambda: ec2.describe_images(ImageIds=["ami-0aaaaaaaaaaaaaaaa"])) == "InvalidAMIID.NotFound"
    assert refusal(lambda: ec2.describe_images(ImageIds=["nope"])) == "InvalidAMIID.Malformed"
