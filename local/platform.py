"""The machines that Lifeboat protects first, laid out as the vendor's two deployments lay them out.

The layouts are facts of the vendor's public templates: names, devices, sizes and flags differ on purpose, because a
restore must not rely on any of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.session import REGION, LocalAws

VENDOR = "055430919509"
NAME = "CadoResponse"
DATA_VOLUME_NAME = "CadoResponseDataVolume"


@dataclass(frozen=True)
class Platform:
    """A running platform.

    Attributes:
        instance_id: the main instance.
        root_id: its root volume.
        data_id: its data volume.
        device: where the data volume is attached.
        zone: the availability zone.
        image_id: what it was launched from.
    """

    instance_id: str
    root_id: str
    data_id: str
    device: str
    zone: str
    image_id: str


def vendor_image(aws: LocalAws, version: str = "2.100.0", *, region: str = REGION, **more: Any) -> str:
    """The vendor's public AMI of a version; `more` goes to `Control.seed_image`."""
    return aws.control.seed_image(
        owner=VENDOR, name=f"{NAME}_v{version}", root_size=10, **{"public": True, "region": region, **more}
    )


def terraform_platform(
    aws: LocalAws,
    image_id: str | None = None,
    *,
    zone: str = f"{REGION}a",
    size: int = 100,
    root_size: int = 10,
    key: str | None = None,
    tags: Mapping[str, str] | None = None,
    region: str = REGION,
) -> Platform:
    """Deployed by Terraform: the data volume made and attached by itself, encrypted, at /dev/sdh.

    Args:
        size: of the data volume, in GiB.
        root_size: 10, 30 and 100 have been seen; with 100 the size shows nothing.
        key: the KMS key of the data volume; without one it is the account's default key.
        tags: more tags of the instance.
    """
    image = image_id or vendor_image(aws, region=region)
    ec2 = aws.client("ec2", region)
    launched = _launch(
        aws,
        image,
        zone,
        {"Name": NAME, **(tags or {})},
        [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": root_size, "VolumeType": "gp3"}}],
        instance_type="m5.4xlarge",
        region=region,
    )
    data = ec2.create_volume(
        AvailabilityZone=zone,
        Size=size,
        VolumeType="gp3",
        Encrypted=True,
        **({"KmsKeyId": key} if key else {}),
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": DATA_VOLUME_NAME}]}],
    )["VolumeId"]
    aws.control.settle()
    ec2.attach_volume(VolumeId=data, InstanceId=launched["InstanceId"], Device="/dev/sdh")
    aws.control.settle()
    return _platform(aws, launched["InstanceId"], "/dev/sdh", region)


def console_platform(
    aws: LocalAws,
    image_id: str | None = None,
    *,
    name: str = "Cado",
    zone: str = f"{REGION}a",
    tags: Mapping[str, str] | None = None,
    region: str = REGION,
) -> Platform:
    """Deployed by hand: the data volume launched with the instance, not encrypted, at /dev/sdb, untagged."""
    image = image_id or vendor_image(aws, region=region)
    launched = _launch(
        aws,
        image,
        zone,
        {"Name": name, **(tags or {})},
        [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}},
            {
                "DeviceName": "/dev/sdb",
                "Ebs": {
                    "VolumeSize": 100,
                    "VolumeType": "gp3",
                    "Iops": 3000,
                    "Throughput": 125,
                    "DeleteOnTermination": False,
                },
            },
        ],
        instance_type="t3.2xlarge",
        region=region,
    )
    return _platform(aws, launched["InstanceId"], "/dev/sdb", region)


def worker(
    aws: LocalAws,
    image_id: str,
    *,
    name: str = f"{NAME}Worker",
    zone: str = f"{REGION}a",
    tags: Mapping[str, str] | None = None,
    region: str = REGION,
) -> str:
    """A worker: the same image, and a name that begins as the platform's does. Returns the instance's id."""
    launched = _launch(
        aws,
        image_id,
        zone,
        {"Name": name, **(tags or {})},
        [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}}],
        instance_type="m5.xlarge",
        region=region,
    )
    return str(launched["InstanceId"])


def clone(
    aws: LocalAws,
    of: Platform,
    *,
    zone: str | None = None,
    tags: Mapping[str, str] | None = None,
    region: str = REGION,
) -> Platform:
    """An instance launched from an image of the platform's own VM: it works, and the vendor says never to."""
    ec2 = aws.client("ec2", region)
    image = ec2.create_image(InstanceId=of.instance_id, Name=f"copy of {of.instance_id}")["ImageId"]
    aws.control.settle()
    launched = _launch(
        aws, image, zone or of.zone, {"Name": NAME, **(tags or {})}, [], instance_type="m5.4xlarge", region=region
    )
    return _platform(aws, launched["InstanceId"], of.device, region)


def _launch(
    aws: LocalAws,
    image: str,
    zone: str,
    tags: Mapping[str, str],
    mappings: Sequence[Mapping[str, Any]],
    *,
    instance_type: str,
    region: str,
) -> dict[str, Any]:
    """Launch one instance and wait until it runs."""
    launched: dict[str, Any] = aws.client("ec2", region).run_instances(
        ImageId=image,
        InstanceType=instance_type,
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": zone},
        BlockDeviceMappings=list(mappings),
        MetadataOptions={"HttpTokens": "required"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )["Instances"][0]
    aws.control.settle()
    return launched


def _platform(aws: LocalAws, instance_id: str, device: str, region: str) -> Platform:
    described = aws.client("ec2", region).describe_instances(InstanceIds=[instance_id])
    instance = described["Reservations"][0]["Instances"][0]
    volumes = {mapping["DeviceName"]: mapping["Ebs"]["VolumeId"] for mapping in instance["BlockDeviceMappings"]}
    return Platform(
        instance_id=instance_id,
        root_id=volumes[instance["RootDeviceName"]],
        data_id=volumes[device],
        device=device,
        zone=instance["Placement"]["AvailabilityZone"],
        image_id=instance["ImageId"],
    )
