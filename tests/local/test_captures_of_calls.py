"""Calls of EC2 that live accounts made (tests/fixtures/captures) are answered, or refused, here as there."""

from typing import Any

import pytest

from local.control import Control
from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.local.captures import ask, call, captured, contains, event, form, same, same_event
from tests.local.conftest import ZONE, Machine, new_snapshot, new_volume

OTHER = "444455556666"
VOLUMES = "EBS Volume Notification"


# --- CreateVolume: bounds, pages


@pytest.mark.parametrize(
    "label",
    [
        "bounds-Iops--1-dry-False",
        "bounds-Iops-0-dry-True",
        "bounds-Iops-500-dry-False",
        "bounds-Iops-500-dry-True",
        "bounds-Iops-501-dry-True",
        "bounds-Throughput--1-dry-False",
        "bounds-Throughput-0-dry-False",
    ],
)
def test_iops_and_throughput_are_raised_or_refused(ec2: Any, label: str) -> None:
    recorded = call("ec2_bounds", label)
    same(ask(ec2, recorded, AvailabilityZone=ZONE), recorded)


@pytest.mark.parametrize(
    ("kind", "iops", "size", "ok"),
    [
        *(("io1", 500, 10, True), ("io1", 501, 10, False), ("io2", 10_000, 10, True), ("io2", 10_001, 10, False)),
        *(("GP3", 3000, 10, True), ("gp3", 5_000, 10, True), ("gp3", 5_001, 10, False)),
    ],
)
def test_iops_have_a_ratio_to_the_size(ec2: Any, kind: str, iops: int, size: int, *, ok: bool) -> None:
    """In captures.md: 50, 1000 and 500 for each GiB; a type may be written in capitals."""
    asked = {"operation": "CreateVolume", "input": {"VolumeType": kind, "Iops": iops, "Size": size}}
    answer = ask(ec2, asked, AvailabilityZone=ZONE)
    if ok:
        assert (answer["Iops"], answer["VolumeType"]) == (iops, kind.lower())
    else:
        most = {"io1": 50, "io2": 1000, "gp3": 500}[kind]
        words = f"Iops to volume size ratio of {iops / size:.6f} is too high; maximum is {most}"
        assert answer == {"Code": "InvalidParameterValue", "Message": words}


@pytest.mark.parametrize(("throughput", "ok"), [(750, True), (751, False), (2_001, False)])
def test_throughput_has_a_ratio_to_iops(ec2: Any, throughput: int, *, ok: bool) -> None:
    asked = {"operation": "CreateVolume", "input": {"VolumeType": "gp3", "Size": 100, "Throughput": throughput}}
    answer = ask(ec2, asked, AvailabilityZone=ZONE)
    assert (answer.get("Throughput") == throughput) == ok
    assert (answer.get("Code") == "InvalidParameterValue") != ok


@pytest.mark.parametrize(("rate", "ok"), [(0, False), (99, False), (100, True), (300, True), (301, False)])
def test_an_initialization_rate_is_within_its_range(
    ec2: Any, volume: str, aws: LocalAws, rate: int, *, ok: bool
) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    values = {"SnapshotId": snapshot, "VolumeInitializationRate": rate}
    for dry_run in (True, False):
        answer = ask(ec2, {"operation": "CreateVolume"}, AvailabilityZone=ZONE, DryRun=dry_run, **values)
        words = "The value specified for VolumeInitializationRate is not in the allowed range."
        assert (answer.get("Message") == words) != ok


@pytest.mark.parametrize(
    "label",
    [
        "bounds-page-describe_volume_status-4",
        "bounds-page-describe_volume_status-1001",
        "bounds-page-describe_volumes-1001",
        "bounds-page-describe_volumes-bad-token",
        "bounds-deleted-describe_volume_status-dry-True",
    ],
)
def test_pages_are_answered_or_refused(ec2: Any, label: str) -> None:
    recorded = call("ec2_bounds", label)
    same(ask(ec2, recorded), recorded)


def test_a_page_may_be_empty_and_not_the_last(ec2: Any, control: Control, volume: str) -> None:
    recorded = call("ec2_bounds", "bounds-page-describe_volume_status-5")
    assert recorded["output"]["VolumeStatuses"] == []
    assert "NextToken" in recorded["output"]
    control.configure(empty_pages=True)
    for action, key in (("describe_volume_status", "VolumeStatuses"), ("describe_volumes", "Volumes")):
        first = getattr(ec2, action)(MaxResults=5)
        assert first[key] == []
        pages = list(ec2.get_paginator(action).paginate(PaginationConfig={"PageSize": 1000}))
        assert volume in {item["VolumeId"] for page in pages for item in page[key]}


@pytest.mark.parametrize("parameter", [{"MaxResults": 5}, {"NextToken": "x"}])
def test_ids_and_pages_exclude_each_other(ec2: Any, volume: str, parameter: dict[str, Any]) -> None:
    """In captures.md: InvalidParameterCombination, which names volumeIdsSet."""
    answer = ask(ec2, {"operation": "DescribeVolumes"}, VolumeIds=[volume], **parameter)
    assert answer["Code"] == "InvalidParameterCombination"
    assert "volumeIdsSet" in answer["Message"]


# --- CreateVolume: answer, token, key


def test_what_createvolume_answers_and_describevolumes_shows(ec2: Any, control: Control) -> None:
    created = call("ec2_createvolume_modifyvolume_timing", "events-source")
    made = ask(ec2, created, AvailabilityZone=ZONE)
    same(made, created)
    # On AWS the answer has none of these.
    assert {"Attachments", "OwnerId", "VolumeArn", "Operator"}.isdisjoint(made)
    first = call("ec2_createvolume_modifyvolume_timing", "available-vol-08ffcced0a45d47ad-0")
    same(ask(ec2, first, VolumeIds=[made["VolumeId"]]), first)
    control.settle()
    then = call("ec2_createvolume_modifyvolume_timing", "available-vol-08ffcced0a45d47ad-1")
    same(ask(ec2, then, VolumeIds=[made["VolumeId"]]), then)
    modified = call("ec2_createvolume_modifyvolume_timing", "events-modify-grow")
    same(ask(ec2, modified, VolumeId=made["VolumeId"]), modified)


def test_a_token_depends_neither_on_the_zones_name_nor_the_order_of_tags(ec2: Any, control: Control) -> None:
    """In captures.md; naming a default is another request, and a token has at most 64 characters."""
    one, other = {"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}
    token = control.mark()

    def create(tags: list[dict[str, str]], **more: Any) -> Any:
        values = {"Size": 1, "VolumeType": "gp3", "ClientToken": f"captured-{token}", **more}
        values["TagSpecifications"] = [{"ResourceType": "volume", "Tags": tags}]
        return ask(ec2, {"operation": "CreateVolume", "input": values})

    made = create([one, other], AvailabilityZone=ZONE)
    assert create([other, one], AvailabilityZoneId=made["AvailabilityZoneId"])["VolumeId"] == made["VolumeId"]
    assert create([one, other], AvailabilityZone=ZONE, Iops=3000)["Code"] == "IdempotentParameterMismatch"
    assert create([one], AvailabilityZone=ZONE, ClientToken="x" * 65)["Code"] == "InvalidParameterValue"


def test_a_restored_volume_takes_over_its_snapshots_key(aws: LocalAws, ec2: Any, control: Control) -> None:
    recorded = call("ebs_createvolume_keys_and_source_iam", "member-encrypted-inherited")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True, KmsKeyId=key))
    mark = control.mark()
    made = ask(ec2, recorded, SnapshotId=snapshot, AvailabilityZone=ZONE)
    same(made, recorded)
    control.settle()
    [found] = ec2.describe_volumes(VolumeIds=[made["VolumeId"]])["Volumes"]
    assert contains(found, recorded["terminal"])
    assert found["KmsKeyId"] == key
    name = "ebs_createvolume_kms_authority_and_events"
    created, initialized = control.events(mark, detail_type=VOLUMES)
    same_event(created, event(name, "createVolume", "available"))
    same_event(initialized, event(name, "initializeVolume", "succeeded"))
    assert created["detail"]["request-id"] == initialized["detail"]["request-id"]
    assert 60 < initialized["at"] - created["at"] < 90  # AWS published it 83 seconds after the creation


@pytest.mark.parametrize("label", ["invalid-key", "disabled-key"])
def test_a_bad_key_is_answered_with_creating_and_then_nothing(
    aws: LocalAws, ec2: Any, control: Control, volume: str, label: str
) -> None:
    recorded = call("ebs_createvolume_keys_and_source_iam", label)
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    gone = f"{key.rsplit('/', 1)[0]}/00000000-0000-0000-0000-999000999000"
    snapshot = new_snapshot(aws, ec2, volume)
    wanted = key if label == "disabled-key" else gone
    made = ask(ec2, recorded, SnapshotId=snapshot, AvailabilityZone=ZONE, KmsKeyId=wanted)
    same(made, recorded)
    control.settle()
    then = ask(ec2, {"operation": "DescribeVolumes"}, VolumeIds=[made["VolumeId"]])
    assert then["Code"] == recorded["terminal"]["code"]


def test_a_key_needs_encrypted(aws: LocalAws, ec2: Any, volume: str) -> None:
    recorded = call("ebs_createvolume_keys_and_source_iam", "key-without-encrypted")
    same(ask(ec2, recorded, SnapshotId=new_snapshot(aws, ec2, volume), AvailabilityZone=ZONE), recorded)


# --- deleting


def test_a_volume_is_deleting_for_a_moment(ec2: Any, control: Control) -> None:
    name = "ec2_deletevolume"
    created = call(name, "delete-creating-source")
    made = ask(ec2, created, AvailabilityZone=ZONE)
    same(made, created)
    same(ask(ec2, deleted := call(name, "delete-creating-immediate"), VolumeId=made["VolumeId"]), deleted)
    for label in ("delete-creating-after", "cleanup-vol-06f06ed95a5f4824e-immediate-describe_volumes"):
        same(ask(ec2, shown := call(name, label), VolumeIds=[made["VolumeId"]]), shown)
    same(ask(ec2, again := call(name, "cleanup-vol-06f06ed95a5f4824e-repeat"), VolumeId=made["VolumeId"]), again)
    control.advance(2)
    same(ask(ec2, again := call(name, "cleanup-vol-07c2eddfb92c27621"), VolumeId=made["VolumeId"]), again)
    assert ask(ec2, {"operation": "DescribeVolumes"}, VolumeIds=[made["VolumeId"]])["Code"] == "InvalidVolume.NotFound"


@pytest.mark.parametrize("volume_id", ["bad", "vol-00000000000000000"])
def test_a_malformed_volume_is_refused(ec2: Any, volume_id: str) -> None:
    """Recorded of EnableVolumeIO, which is not done here, and of zeros of DeleteVolume (captures.md)."""
    recorded = call("ec2_deletevolume", "enable-bad-dry-False")["error"]
    answer = ask(ec2, {"operation": "DeleteVolume"}, VolumeId=volume_id)
    assert answer == {"Code": recorded["Code"], "Message": recorded["Message"].replace("bad", volume_id)}


def test_a_snapshot_that_an_image_uses_is_not_deleted(aws: LocalAws, ec2: Any, volume: str) -> None:
    name = "ec2_deletesnapshot_in_use"
    other = aws.client("ec2", account=OTHER)
    root, data = new_snapshot(aws, ec2, volume), new_snapshot(aws, ec2, volume)
    image = ec2.register_image(
        Name=f"captured-{root}",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": root}},
            {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": data}},
        ],
    )["ImageId"]
    same(ask(ec2, dry := call(name, "owner-root-registered-dry"), SnapshotId=root), dry)
    same(ask(ec2, real := call(name, "owner-root-registered-actual"), SnapshotId=root), real)
    same(ask(ec2, real := call(name, "owner-data-only-registered-actual"), SnapshotId=data), real)

    ec2.modify_snapshot_attribute(SnapshotId=root, CreateVolumePermission={"Add": [{"UserId": OTHER}]})
    shown = call(name, "member-visible-snapshot")
    description = {"Description"}
    [found] = other.describe_snapshots(SnapshotIds=[root])["Snapshots"]
    [recorded] = shown["output"]["Snapshots"]
    assert "Tags" not in found
    # It is a copy there, and a volume's here.
    assert contains(found, {key: value for key, value in recorded.items() if key not in description})
    mappings = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": root}}]
    foreign = call(name, "member-root")
    same(ask(other, foreign, Name="captured-foreign", BlockDeviceMappings=mappings), foreign)

    same(ask(ec2, done := call(name, "deregister-owner-root"), ImageId=image), done)
    same(ask(ec2, again := call(name, "cleanup-image-ami-095e9c4c72b607fbe"), ImageId=image), again)
    ec2.delete_snapshot(SnapshotId=root)
    gone = call(name, "cleanup-check-snap-0ac92c45f7d768c7e")
    same(ask(ec2, gone, SnapshotIds=[root]), gone)


# --- CreateSnapshot


def test_a_snapshot_is_completed_as_recorded_and_may_be_taken_again(aws: LocalAws, ec2: Any, control: Control) -> None:
    name = "ebs_createsnapshot_states"
    control.configure(snapshot_limits=True)
    volume = new_volume(aws, ec2, Size=2)
    first = call(name, "snapshot-tagged-description")
    made = ask(ec2, first, VolumeId=volume)
    same(made, first)
    for number in range(5):
        pending = call(name, f"snapshot-tagged-description-snapshot-state-{number}")
        [recorded] = pending["output"]["Snapshots"]
        [found] = ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"]
        # AWS showed 99% from the start on, of a volume that was nearly empty.
        assert recorded.pop("Progress") == "99%"
        assert contains(found, recorded)
        control.advance(10)
    soon = call("ebs_createvolume_kms_authority_and_events", "control-snapshot")
    control.advance(30)
    same(ask(ec2, again := call(name, "snapshot-identical-request-after-complete"), VolumeId=volume), again)
    same(ask(ec2, soon, VolumeId=volume), soon)
    control.settle()
    completed = call(name, "snapshot-tagged-description-snapshot-state-5")
    same(ask(ec2, completed, SnapshotIds=[made["SnapshotId"]]), completed)


def test_the_event_of_a_snapshot(aws: LocalAws, ec2: Any, control: Control, volume: str, mark: int) -> None:
    new_snapshot(aws, ec2, volume)
    [published] = control.events(mark, detail_type="EBS Snapshot Notification")
    same_event(published, event("ebs_createvolume_kms_authority_and_events", "createSnapshot", "succeeded"))


# --- CopySnapshot


@pytest.mark.parametrize(
    ("label", "url"),
    [
        ("source-mismatch", "https://ec2.amazonaws.com/?SourceSnapshotId=snap-00000000000000000"),
        ("destination-mismatch", "https://ec2.amazonaws.com/?DestinationRegion=us-east-1"),
        ("malformed-presigned", "ftp://ec2.amazonaws.com/"),
    ],
)
def test_a_presigned_url_of_another_copy_is_refused(aws: LocalAws, ec2: Any, volume: str, label: str, url: str) -> None:
    recorded = call("ebs_copysnapshot_refusals", label)
    source = new_snapshot(aws, ec2, volume)
    same(ask(ec2, recorded, SourceRegion=REGION, SourceSnapshotId=source, PresignedUrl=url), recorded)


@pytest.mark.parametrize("said", [{}, {"Encrypted": False}])
def test_a_copy_of_what_is_encrypted_is_encrypted(aws: LocalAws, ec2: Any, said: dict[str, bool]) -> None:
    """In captures.md: under the destination's default key, whatever is said; and each call makes another copy."""
    own = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    source = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True, KmsKeyId=own))
    asked = {"SourceRegion": REGION, "SourceSnapshotId": source, **said}
    copies = [ec2.copy_snapshot(**asked)["SnapshotId"] for _ in range(2)]
    aws.control.settle()
    found = ec2.describe_snapshots(SnapshotIds=copies)["Snapshots"]
    default = ec2.get_ebs_default_kms_key_id()["KmsKeyId"]
    assert [(copy["Encrypted"], copy["KmsKeyId"]) for copy in found] == [(True, default)] * 2


def test_a_region_that_is_none_is_refused(aws: LocalAws, ec2: Any, volume: str) -> None:
    """In captures.md; also of a DryRun."""
    source = new_snapshot(aws, ec2, volume)
    for dry_run in (True, False):
        values = {"SourceSnapshotId": source, "DryRun": dry_run}
        nowhere = ask(
            ec2, {"operation": "CopySnapshot"}, SourceRegion="eu-nowhere-1", PresignedUrl="https://x", **values
        )
        assert nowhere == {"Code": "InvalidRegion", "Message": "eu-nowhere-1 is not a valid region name"}
        answer = ask(
            *(ec2, {"operation": "CopySnapshot"}),
            **{"SourceRegion": REGION, "DestinationRegion": "us-west-2", "PresignedUrl": "https://x", **values},
        )
        words = f"DestinationRegion 'us-west-2' does not match the current region ({REGION})."
        assert answer == {"Code": "InvalidParameterValue", "Message": words}


# --- sharing


@pytest.mark.parametrize(
    "label",
    [
        *("empty-canonical", "empty-add", "attribute-only", "canonical-add", "canonical-add-repeat", "self-add"),
        *("mixed-same-account", "aws-managed-completed-add", "aws-managed-self-add", "aws-managed-public-add"),
        *("aws-managed-remove", "customer-key-pending-add"),
    ],
)
def test_a_change_of_who_may_use_a_snapshot(aws: LocalAws, ec2: Any, control: Control, label: str) -> None:
    recorded = call("ec2_modifysnapshotattribute", label)
    more = {"Encrypted": True} if "managed" in label else {}
    if label.startswith("customer-key"):
        more = {"Encrypted": True, "KmsKeyId": aws.client("kms").create_key()["KeyMetadata"]["Arn"]}
    volume = new_volume(aws, ec2, **more)
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    if "pending" not in label:
        control.settle()
    permission = recorded["input"].get("CreateVolumePermission")
    if "self" in label:
        permission = {"Add": [{"UserId": HOME_ACCOUNT}]}
    times = 2 if "repeat" in label else 1
    mark = control.mark()
    for _ in range(times):
        same(ask(ec2, recorded, SnapshotId=snapshot, CreateVolumePermission=permission), recorded)
    shared = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    good = recorded["code"] == "Success" and "Add" in (permission or {}) and "self" not in label
    assert len(shared["CreateVolumePermissions"]) == good
    published = [e for e in control.events(mark) if e["detail"].get("event") == "shareSnapshot"]
    assert len(published) == good, "a repeated share publishes nothing"


def test_at_most_500_at_once(ec2: Any, aws: LocalAws, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    many = [{"UserId": f"{number:012}"} for number in range(501)]
    modify = {"operation": "ModifySnapshotAttribute"}
    answer = ask(ec2, modify, SnapshotId=snapshot, CreateVolumePermission={"Add": many})
    words = "Modification size must not be greater than 500"
    assert answer == {"Code": "InvalidParameterValue", "Message": words}
    assert "Code" not in ask(ec2, modify, SnapshotId=snapshot, CreateVolumePermission={"Add": many[:500]})


def test_a_recipient_sets_and_sees_its_own_tags_only(aws: LocalAws, ec2: Any, volume: str) -> None:
    """In captures.md: they outlive the share, and the owner's are never seen."""
    other = aws.client("ec2", account=OTHER)
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "whose", "Value": "owner's"}]}]
    snapshot = new_snapshot(aws, ec2, volume, TagSpecifications=tags)
    share = {"SnapshotId": snapshot, "Attribute": "createVolumePermission", "UserIds": [OTHER]}
    ec2.modify_snapshot_attribute(OperationType="add", **share)

    def found(client: Any, value: str) -> list[str]:
        wanted = [{"Name": "tag:whose", "Values": [value]}, {"Name": "snapshot-id", "Values": [snapshot]}]
        items = client.describe_snapshots(Filters=wanted)["Snapshots"]
        return [tag["Value"] for item in items for tag in item["Tags"]]

    assert found(other, "*") == []
    other.create_tags(Resources=[snapshot], Tags=[{"Key": "whose", "Value": "recipient's"}])
    assert (found(other, "owner's"), found(other, "recipient's")) == ([], ["recipient's"])
    assert (found(ec2, "owner's"), found(ec2, "recipient's")) == (["owner's"], [])
    ec2.modify_snapshot_attribute(OperationType="remove", **share)
    assert found(other, "*") == []
    refused = ask(other, {"operation": "CreateTags"}, Resources=[snapshot], Tags=[{"Key": "a", "Value": "b"}])
    assert refused["Code"] == "InvalidSnapshot.NotFound"
    ec2.modify_snapshot_attribute(OperationType="add", **share)
    assert found(other, "*") == ["recipient's"]


# --- instances


def test_an_instance_is_stopped_started_and_terminated_as_recorded(
    aws: LocalAws, ec2: Any, control: Control, machine: Machine, mark: int
) -> None:
    name, ids = "ec2_instances_stop_start", [machine.instance_id]

    def same_as(label: str) -> None:
        same(ask(ec2, recorded := call(name, label), InstanceIds=ids), recorded)

    same_as("dry-reboot_instances")
    same_as("start-already-running")
    same_as("stop-primary")
    observed = call(name, "primary-stopped-0")["output"]["instance"]
    [found] = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]
    mappings = {mapping["DeviceName"]: mapping["Ebs"] for mapping in found["BlockDeviceMappings"]}
    assert {m["Status"] for m in mappings.values()} == {m["Ebs"]["Status"] for m in observed["BlockDeviceMappings"]}
    assert {m["EbsCardIndex"] for m in mappings.values()} == {0}
    assert contains(found, {key: value for key, value in observed.items() if key != "BlockDeviceMappings"})
    control.settle()
    same_as("stop-already-stopped")
    same_as("reboot-stopped")
    launched = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]["LaunchTime"]
    same_as("start-primary")
    control.settle()
    again = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]["LaunchTime"]
    assert again > launched
    ec2.stop_instances(InstanceIds=ids)
    control.settle()
    same_as("terminate-primary")
    same_as("terminate-again")
    same_as("terminated-start_instances")
    same_as("terminated-stop_instances")
    assert "Code" not in ask(ec2, {"operation": "RebootInstances"}, InstanceIds=ids)  # captures.md
    published = [item["detail"]["state"] for item in control.events(mark) if "state" in item["detail"]]
    assert published[-2:] == ["stopped", "terminated"]


def test_a_running_instance_is_shut_down_first(ec2: Any, machine: Machine) -> None:
    recorded = call("ec2_instances_stop_start", "terminate-derived")
    same(ask(ec2, recorded, InstanceIds=[machine.instance_id]), recorded)


@pytest.mark.parametrize(
    ("label", "wrong"),
    [
        ("admission-dry-bad-image", {"ImageId": "bad"}),
        ("admission-dry-missing-image", {"ImageId": None}),
        ("admission-dry-min-greater-max", {"MinCount": 2}),
        ("admission-dry-token-too-long", {"ClientToken": "x" * 65}),
        ("run-owner-dry", {}),
    ],
)
def test_values_of_runinstances_come_before_a_dry_run(ec2: Any, label: str, wrong: dict[str, Any]) -> None:
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    asked = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "DryRun": True, **wrong}
    answer = ask(ec2, {"operation": "RunInstances"}, **asked)
    assert answer["Code"] == captured("ec2_iam_runinstances_context")["codes"][label]
    assert form(answer["Message"])
