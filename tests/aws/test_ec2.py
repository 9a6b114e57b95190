"""The adapters of EC2: reads and mutating calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lifeboat.aws import clients, ec2_images, ec2_instances, ec2_snapshots, ec2_volumes
from lifeboat.aws.errors import AwsError, code_of, message_of, was_answered
from lifeboat.domain.ec2 import Attachment, Instance
from lifeboat.domain.image import LaunchImage

WHEN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def launch(**tags: str) -> str:
    client = boto3.client("ec2")
    image = client.describe_images(Owners=["amazon"])["Images"][0]
    answer = client.run_instances(
        ImageId=image["ImageId"],
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        BlockDeviceMappings=[
            {"DeviceName": image["RootDeviceName"], "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "DeleteOnTermination": False}},
        ],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in {"Name": "x", **tags}.items()]}
        ],
    )
    return answer["Instances"][0]["InstanceId"]


def test_instances_are_found_by_their_tag(aws):
    mine, _ = launch(backup="true"), launch(backup="false")
    [found] = ec2_instances.instances_with_tag("backup", "true")
    assert found.id == mine
    assert found.state == "running"
    assert {item.device: item.delete_on_termination for item in found.attachments}["/dev/sdh"] is False
    assert ec2_instances.instances([mine, "i-0123456789abcdef0"]).keys() == {mine}


def test_a_filter_escapes_stars(ec2_reads):
    ec2_reads.add_response(
        "describe_instances",
        {"Reservations": []},
        {"Filters": [{"Name": "tag:Name", "Values": ["a\\*b\\?\\\\"]}], "MaxResults": 1000},
    )
    assert ec2_instances.instances_with_tag("Name", "a*b?\\") == ()


def test_volumes_have_their_attachments(aws):
    instance_id = launch()
    [instance] = ec2_instances.instances([instance_id]).values()
    data = next(item for item in instance.attachments if item.device == "/dev/sdh")
    volume = ec2_volumes.volumes([data.volume_id])[data.volume_id]
    assert (volume.size, volume.type, volume.state) == (20, "gp3", "in-use")
    assert volume.attachments[0].instance_id == instance_id
    assert ec2_volumes.all_volume_ids() >= {data.volume_id}


def test_existing_volumes_are_their_ids_and_lineages(aws):
    boto3.client("ec2").create_volume(
        AvailabilityZone="eu-west-1a",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "lifeboat:chain", "Value": "vol-0origin"}]}],
    )
    assert "vol-0origin" in ec2_volumes.all_volume_ids()


def test_the_volumes_of_a_restore_are_found_by_its_tag(aws):
    made = boto3.client("ec2").create_volume(
        AvailabilityZone="eu-west-1a",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "lifeboat:restore", "Value": "rs-1"}]}],
    )["VolumeId"]
    assert ec2_volumes.volumes_of_restore("rs-1").keys() == {made}
    assert ec2_volumes.volumes_of_restore("rs-2") == {}


def test_a_set_has_snapshots_of_data_volumes_only_with_all_tags(aws):
    instance_id = launch()
    made = ec2_snapshots.create_snapshots(instance_id, "why", {"lifeboat:recovery-point": "rp-1", "lifeboat:slot": "s"})
    found = ec2_snapshots.recovery_point_snapshots({"tag:lifeboat:recovery-point": ["rp-1"]})
    assert {item.volume_id: item.id for item in found} == made
    assert len(made) == 1
    assert found[0].tags["lifeboat:slot"] == "s"
    assert ec2_snapshots.snapshots([found[0].id]).keys() == {found[0].id}


def test_only_our_own_snapshots_are_listed_and_all_pages_read(ec2_reads):
    item = {"SnapshotId": "snap-1", "State": "completed", "StartTime": WHEN, "VolumeId": "vol-1"}
    asked = {
        "OwnerIds": ["self"],
        "Filters": [{"Name": "tag-key", "Values": ["lifeboat:recovery-point"]}],
        "MaxResults": 1000,
    }
    ec2_reads.add_response("describe_snapshots", {"Snapshots": [item], "NextToken": "more"}, asked)
    ec2_reads.add_response(
        "describe_snapshots", {"Snapshots": [{**item, "SnapshotId": "snap-2"}]}, {**asked, "NextToken": "more"}
    )
    assert [found.id for found in ec2_snapshots.recovery_point_snapshots()] == ["snap-1", "snap-2"]


def test_botocore_never_repeats_create_snapshots():
    # CreateSnapshots has no idempotency token: botocore's retry after a lost answer would make a second set.
    assert clients.ec2_writes().meta.config.retries["total_max_attempts"] == 1
    assert clients.ec2_reads().meta.config.retries["mode"] == "adaptive"


def test_locked_snapshots_without_the_expired_ones(ec2_reads):
    ec2_reads.add_response(
        "describe_locked_snapshots",
        {
            "Snapshots": [
                {"SnapshotId": "snap-1", "LockState": "governance"},
                {"SnapshotId": "snap-2", "LockState": "expired"},
            ],
            "NextToken": "more",
        },
        {"MaxResults": 1000},
    )
    ec2_reads.add_response(
        "describe_locked_snapshots",
        {"Snapshots": [{"SnapshotId": "snap-3", "LockState": "compliance-cooloff"}]},
        {"MaxResults": 1000, "NextToken": "more"},
    )
    assert ec2_snapshots.locked_snapshot_ids() == {"snap-1", "snap-3"}


def test_of_some_snapshots_the_locked_ones_without_the_expired_ones(ec2_reads):
    found = [{"SnapshotId": "snap-1", "LockState": "governance"}, {"SnapshotId": "snap-2", "LockState": "expired"}]
    ec2_reads.add_response("describe_locked_snapshots", {"Snapshots": found}, {"SnapshotIds": ["snap-1", "snap-2"]})
    assert ec2_snapshots.locked_among(["snap-2", "snap-1"]) == {"snap-1"}


def test_snapshots_that_images_are_made_of(ec2_reads):
    mappings: Any = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1"}}, {"DeviceName": "/dev/sdb"}]
    ec2_reads.add_response("describe_images", {"Images": [{"ImageId": "ami-1", "BlockDeviceMappings": mappings}]})
    assert ec2_images.image_snapshot_ids() == {"snap-1"}


def test_public_snapshots(ec2_reads):
    wanted: Any = {"OwnerIds": ["self"], "RestorableByUserIds": ["all"], "MaxResults": 1000}
    ec2_reads.add_response("describe_snapshots", {"Snapshots": [{"SnapshotId": "snap-1"}], "NextToken": "more"}, wanted)
    ec2_reads.add_response(
        "describe_snapshots", {"Snapshots": [{"SnapshotId": "snap-2"}]}, {**wanted, "NextToken": "more"}
    )
    assert ec2_snapshots.public_snapshot_ids() == {"snap-1", "snap-2"}


@pytest.mark.parametrize(
    ("instance", "system", "word"),
    [
        ("ok", "ok", "ok"),
        ("initializing", "ok", "initializing"),
        ("initializing", "impaired", "impaired"),
        ("not-applicable", "not-applicable", "unknown"),
    ],
)
def test_status_checks_are_one_word(ec2_reads, instance, system, word):
    answer = {"InstanceStatuses": [{"InstanceStatus": {"Status": instance}, "SystemStatus": {"Status": system}}]}
    ec2_reads.add_response("describe_instance_status", answer)
    assert ec2_instances.status_checks("i-1") == word


def test_an_instance_without_status_is_unknown(ec2_reads):
    ec2_reads.add_response("describe_instance_status", {"InstanceStatuses": []})
    assert ec2_instances.status_checks("i-1") == "unknown"


def test_stop_protection(ec2_reads):
    ec2_reads.add_response("describe_instance_attribute", {"DisableApiStop": {"Value": True}})
    assert ec2_instances.stop_protected("i-1")


def described(**more: Any) -> dict[str, Any]:
    """What DescribeInstances answers of one instance."""
    known = {
        "InstanceId": "i-1",
        "State": {"Code": 80, "Name": "stopped"},
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "ImageId": "ami-1",
    }
    return {"Reservations": [{"Instances": [{**known, **more}]}]}


def test_an_instance_has_what_a_stop_takes(ec2_reads):
    elastic = {"PublicIp": "203.0.113.1", "IpOwnerId": "111122223333"}
    given = [{"PublicIp": f"203.0.113.{number}", "IpOwnerId": "amazon"} for number in (7, 8)]
    interfaces = [
        {"Association": elastic, "PrivateIpAddresses": [{"Association": elastic}, {"PrivateIpAddress": "10.0.0.4"}]},
        {"Association": given[0], "PrivateIpAddresses": [{"Association": given[0]}, {"Association": given[1]}]},
        {},
    ]
    ec2_reads.add_response(
        "describe_instances",
        described(
            NetworkInterfaces=interfaces,
            RootDeviceType="instance-store",
            StateReason={"Code": "Client.UserInitiatedHibernate", "Message": "User initiated hibernate"},
            OutpostArn="arn:aws:outposts:eu-west-1:111122223333:outpost/op-1",
        ),
    )
    [found] = ec2_instances.instances(["i-1"]).values()
    assert found.given_addresses == ("203.0.113.7", "203.0.113.8")
    assert found.hibernated
    assert found.has_instance_store_root
    assert found.outpost.endswith("outpost/op-1")


def test_an_ordinary_instance_loses_nothing_by_a_stop(ec2_reads):
    ec2_reads.add_response("describe_instances", described(RootDeviceType="ebs"))
    [found] = ec2_instances.instances(["i-1"]).values()
    assert (found.given_addresses, found.hibernated, found.has_instance_store_root) == ((), False, False)


@pytest.mark.parametrize(
    ("answer", "size"),
    [({"InstanceStorageInfo": {"TotalSizeInGB": 900}}, 900), ({"InstanceStorageSupported": False}, 0)],
)
def test_an_instance_type_has_an_instance_store(ec2_reads, answer, size):
    ec2_reads.add_response("describe_instance_types", {"InstanceTypes": [answer]}, {"InstanceTypes": ["m5d.large"]})
    assert ec2_instances.instance_store("m5d.large") == size


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "InvalidInstanceType"])
def test_the_instance_store_of_an_unknown_type_is_unknown(ec2_reads, code):
    ec2_reads.add_client_error("describe_instance_types", code)
    assert ec2_instances.instance_store("x9.large") is None


def test_product_codes_are_read_where_the_instance_has_any(ec2_reads):
    places = [Attachment(f"vol-{number}", "i-1", f"/dev/sd{number}", "attached", False) for number in "ab"]
    machine = Instance("i-1", "running", "eu-west-1a", "ami-1", "/dev/sda", tuple(places))
    assert ec2_instances.product_codes(machine) == {}
    for volume_id, codes in (("vol-a", ["code-1"]), ("vol-b", [])):
        answer = {"VolumeId": volume_id, "ProductCodes": [{"ProductCodeId": code} for code in codes]}
        asked = {"VolumeId": volume_id, "Attribute": "productCodes"}
        ec2_reads.add_response("describe_volume_attribute", answer, asked)
    assert ec2_instances.product_codes(replace(machine, product_codes=("code-1",))) == {"vol-a": ("code-1",)}


@pytest.mark.parametrize("on", [True, False])
def test_encryption_by_default(ec2_reads, on):
    ec2_reads.add_response("get_ebs_encryption_by_default", {"EbsEncryptionByDefault": on})
    assert ec2_volumes.encryption_by_default() is on


VENDOR_IMAGE = Instance(id="i-0a", state="running", zone="eu-west-1a", ami_id="ami-1", product_codes=("code-1",))


def test_the_evidence_on_an_image_has_all_facts(ec2_reads):
    ec2_reads.add_response(
        "describe_instance_image_metadata",
        {
            "InstanceImageMetadata": [
                {
                    "InstanceId": "i-0a",
                    "ImageMetadata": {"ImageId": "ami-1", "OwnerId": "111122223333", "State": "available"},
                }
            ],
        },
    )
    ec2_reads.add_response(
        "describe_images",
        {
            "Images": [
                {
                    "ImageId": "ami-1",
                    "OwnerId": "111122223333",
                    "SourceInstanceId": "i-0source",
                    "ProductCodes": [{"ProductCodeId": "code-1"}, {"ProductCodeId": "code-2"}],
                }
            ]
        },
    )
    ec2_reads.add_response("get_image_ancestry", {"ImageAncestryEntries": [{"ImageId": "ami-1"}, {"ImageId": "ami-0"}]})
    ec2_reads.add_response("describe_images", {"Images": [{"ImageId": "ami-0", "OwnerId": "055430919509"}]})

    evidence = ec2_images.image_evidence(VENDOR_IMAGE)

    assert (evidence.owner_id, evidence.source_instance_id) == ("111122223333", "i-0source")
    ancestors = [(item.image_id, item.owner_id) for item in evidence.ancestors]
    assert ancestors == [
        ("ami-1", None),
        ("ami-0", "055430919509"),
    ]
    assert evidence.product_codes == ("code-1", "code-2")
    assert evidence.problems == ()


def test_a_refused_read_is_a_problem_in_the_evidence(ec2_reads):
    for action in ("describe_instance_image_metadata", "describe_images", "get_image_ancestry"):
        ec2_reads.add_client_error(action, "UnauthorizedOperation", "no", http_status_code=403)
    evidence = ec2_images.image_evidence(VENDOR_IMAGE)
    assert evidence.owner_id is None
    assert [problem.split(":")[0] for problem in evidence.problems] == [
        "DescribeInstanceImageMetadata",
        "DescribeImages",
        "GetImageAncestry",
    ]


def test_launch_images_of_many_instances_over_pages(ec2_reads):
    def page(instance_id: str, named: dict[str, str], **more: Any) -> dict[str, Any]:
        metadata = {"ImageId": "ami-1", "OwnerId": "055430919509", **named}
        return {"InstanceImageMetadata": [{"InstanceId": instance_id, "ImageMetadata": metadata}], **more}

    ec2_reads.add_response(
        "describe_instance_image_metadata", page("i-1", {"Name": "CadoResponse_v2.324.0"}, NextToken="more")
    )
    ec2_reads.add_response("describe_instance_image_metadata", page("i-2", {}))
    assert ec2_images.launch_images(["i-1", "i-2"]) == {
        "i-1": LaunchImage("055430919509", "CadoResponse_v2.324.0"),
        "i-2": LaunchImage("055430919509"),
    }


def test_deleting_a_deleted_snapshot_raises(aws):
    with pytest.raises(AwsError, match=r"InvalidSnapshot\.NotFound") as refusal:
        ec2_snapshots.delete_snapshot("snap-0123456789abcdef0")
    assert refusal.value.answered
    assert not refusal.value.throttled


@pytest.mark.parametrize(
    ("code", "status", "answered"),
    [
        ("UnauthorizedOperation", 403, True),
        ("RequestLimitExceeded", 503, True),
        ("InsufficientInstanceCapacity", 500, True),
        ("Server.InsufficientVolumeCapacity", 500, True),
        ("InternalError", 500, False),
        ("Unavailable", 503, False),
    ],
)
def test_a_lost_answer_differs_from_a_refusal(code, status, answered):
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert was_answered(ClientError(response, "CreateSnapshots")) is answered


def test_no_answer_at_all_is_not_a_refusal():
    assert not was_answered(TimeoutError("read timeout"))
    assert code_of(TimeoutError()) == "TimeoutError"
    assert message_of(TimeoutError("read timeout")) == "read timeout"
