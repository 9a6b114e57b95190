"""Snapshots behave as EBS documents them."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.control import Control
from local.session import REGION, LocalAws
from tests.local.conftest import Machine, launch, new_snapshot, new_volume, refusal, tagged


def described(ec2: Any, snapshot_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    return found


def test_a_snapshot_is_pending_and_then_completed(ec2: Any, control: Control, volume: str) -> None:
    control.set_delays(snapshot=0.3)
    taken = ec2.create_snapshot(VolumeId=volume)
    assert (taken["State"], taken["VolumeSize"]) == ("pending", 4)
    assert described(ec2, taken["SnapshotId"])["State"] == "pending"
    control.settle()
    done = described(ec2, taken["SnapshotId"])
    assert (done["State"], done["Progress"]) == ("completed", "100%")
    assert done["CompletionTime"] > done["StartTime"]
    assert done["FullSnapshotSizeInBytes"] == 4 * 1024**3


def test_an_infinite_delay_ends_on_demand(ec2: Any, control: Control, volume: str) -> None:
    control.set_delays(snapshot=math.inf)
    taken = [ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(3)]
    control.settle()  # it is not waited for
    assert {described(ec2, item)["State"] for item in taken} == {"pending"}
    assert control.finish("volume") == 0
    assert control.finish(f"snapshot {taken[0]}") == 1
    control.settle()
    assert [described(ec2, item)["State"] for item in taken] == ["completed", "pending", "pending"]
    assert control.finish(most=1) == 1
    control.settle()
    assert [described(ec2, item)["State"] for item in taken] == ["completed", "completed", "pending"]
    assert (control.finish(), control.finish()) == (1, 0)
    control.settle()
    assert described(ec2, taken[2])["State"] == "completed"


def test_its_size_is_the_volumes_when_it_was_taken(aws: LocalAws, ec2: Any, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    ec2.modify_volume(VolumeId=volume, Size=9)
    assert described(ec2, snapshot)["VolumeSize"] == 4


def test_a_set_has_one_start_time_and_the_volumes_tags(ec2: Any, control: Control, machine: Machine) -> None:
    taken = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": machine.instance_id},
        CopyTagsFromSource="volume",
        TagSpecifications=tagged("snapshot", run="1"),
    )["Snapshots"]
    assert {s["VolumeId"] for s in taken} == {machine.root_id, machine.data_id}
    assert len({s["StartTime"] for s in taken}) == 1
    assert all({t["Key"]: t["Value"] for t in s["Tags"]} == {"Backup": "daily", "run": "1"} for s in taken)
    control.settle()
    assert {described(ec2, s["SnapshotId"])["State"] for s in taken} == {"completed"}


def test_a_set_leaves_out_boot_and_named_data_volumes(ec2: Any, machine: Machine) -> None:
    without_boot = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": machine.instance_id, "ExcludeBootVolume": True}
    )["Snapshots"]
    assert [s["VolumeId"] for s in without_boot] == [machine.data_id]
    without_data = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": machine.instance_id, "ExcludeDataVolumeIds": [machine.data_id]}
    )["Snapshots"]
    assert [s["VolumeId"] for s in without_data] == [machine.root_id]


def test_if_one_of_a_set_fails_all_fail(ec2: Any, control: Control, machine: Machine) -> None:
    control.fail_creation("snapshot", resource=machine.data_id)
    taken = ec2.create_snapshots(InstanceSpecification={"InstanceId": machine.instance_id})["Snapshots"]
    control.settle()
    assert {described(ec2, s["SnapshotId"])["State"] for s in taken} == {"error"}


@pytest.mark.parametrize("nth", [1, 3])
def test_the_nth_snapshot_fails(ec2: Any, control: Control, volume: str, nth: int) -> None:
    control.fail_creation("snapshot", resource=volume, nth=nth)
    taken = [ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(4)]
    control.settle()
    states = [described(ec2, snapshot)["State"] for snapshot in taken]
    assert [index + 1 for index, state in enumerate(states) if state == "error"] == [nth]


def test_a_stuck_snapshot_stays_pending(ec2: Any, control: Control, volume: str) -> None:
    control.fail_creation("snapshot", resource=volume, stuck=True)
    taken = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    control.settle()
    assert described(ec2, taken)["State"] == "pending"


def test_limits_of_one_volume(ec2: Any, control: Control, volume: str) -> None:
    control.configure(snapshot_limits=True)
    ec2.create_snapshot(VolumeId=volume)
    assert refusal(lambda: ec2.create_snapshot(VolumeId=volume)) == "SnapshotCreationPerVolumeRateExceeded"


def test_deleting(aws: LocalAws, ec2: Any, volume: str) -> None:
    used = new_snapshot(aws, ec2, volume)
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": used}}
    image = ec2.register_image(Name=f"of {used}", RootDeviceName="/dev/xvda", BlockDeviceMappings=[mapping])["ImageId"]
    assert refusal(lambda: ec2.delete_snapshot(SnapshotId=used)) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=used)
    assert refusal(lambda: described(ec2, used)) == "InvalidSnapshot.NotFound"
    assert refusal(lambda: ec2.delete_snapshot(SnapshotId=used)) == "InvalidSnapshot.NotFound"
    assert refusal(lambda: ec2.delete_snapshot(SnapshotId="nope")) == "InvalidParameterValue"


def test_a_pending_snapshot_goes_when_it_is_completed(ec2: Any, control: Control, volume: str) -> None:
    control.set_delays(snapshot=0.3)
    taken = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=taken)
    assert described(ec2, taken)["State"] == "pending"
    control.settle()
    assert refusal(lambda: described(ec2, taken)) == "InvalidSnapshot.NotFound"


def test_a_locked_snapshot_is_not_deleted(aws: LocalAws, ec2: Any, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    locked = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)
    assert (locked["LockState"], locked["LockDuration"]) == ("governance", 1)
    refusal(lambda: ec2.delete_snapshot(SnapshotId=snapshot))
    found = ec2.describe_locked_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert [s["LockState"] for s in found] == ["governance"]
    ec2.unlock_snapshot(SnapshotId=snapshot)
    ec2.delete_snapshot(SnapshotId=snapshot)


def test_a_compliance_lock_cools_off_and_is_then_final(aws: LocalAws, ec2: Any, volume: str) -> None:
    cooling = new_snapshot(aws, ec2, volume)
    final = new_snapshot(aws, ec2, volume)
    state = ec2.lock_snapshot(SnapshotId=cooling, LockMode="compliance", LockDuration=1, CoolOffPeriod=24)["LockState"]
    assert state == "compliance-cooloff"
    ec2.unlock_snapshot(SnapshotId=cooling)
    assert ec2.lock_snapshot(SnapshotId=final, LockMode="compliance", LockDuration=2)["LockState"] == "compliance"
    refusal(lambda: ec2.unlock_snapshot(SnapshotId=final))
    shorter = lambda: ec2.lock_snapshot(SnapshotId=final, LockMode="compliance", LockDuration=1)  # noqa: E731
    assert refusal(shorter) == "InvalidParameterValue"
    ec2.lock_snapshot(SnapshotId=final, LockMode="compliance", LockDuration=3)


def test_the_lock_of_a_pending_snapshot_begins_when_it_is_completed(ec2: Any, control: Control, volume: str) -> None:
    control.set_delays(snapshot=0.3)
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)
    control.settle()
    lock = ec2.describe_locked_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert lock["LockDurationStartTime"] > lock["LockCreatedOn"]
    assert lock["LockExpiresOn"] - lock["LockDurationStartTime"] == timedelta(days=1)


def test_a_copy_keeps_nothing_of_the_sources_tags_and_volume(aws: LocalAws, ec2: Any, volume: str) -> None:
    source = new_snapshot(aws, ec2, volume, TagSpecifications=tagged("snapshot", mine="1"))
    far = aws.client("ec2", "us-east-1")
    copy = far.copy_snapshot(
        SourceRegion="eu-west-1",
        SourceSnapshotId=source,
        Description="far away",
        TagSpecifications=tagged("snapshot", copied="1"),
    )["SnapshotId"]
    assert described(far, copy)["State"] == "pending"
    aws.control.settle()
    found = described(far, copy)
    assert (found["State"], found["VolumeId"], found["VolumeSize"]) == ("completed", "vol-ffffffff", 4)
    assert found["Tags"] == [{"Key": "copied", "Value": "1"}]
    assert refusal(lambda: described(ec2, copy)) == "InvalidSnapshot.NotFound"


def test_a_copy_of_a_pending_snapshot_ends_in_error(ec2: Any, control: Control, volume: str) -> None:
    control.fail_creation("snapshot", resource=volume, stuck=True)
    pending = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    copy = ec2.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=pending)["SnapshotId"]
    control.settle()
    found = described(ec2, copy)
    assert (found["State"], found["StateMessage"], found["VolumeSize"]) == (
        "error",
        "Source snapshot is not complete",
        0,
    )


@pytest.mark.parametrize(
    ("gib", "minutes", "code"),
    [(1, 15, ""), (1, 2880, ""), (1, 20, "no"), (1, 2895, "no"), (400, 15, ""), (500, 15, "no"), (500, 30, "")],
)
def test_a_time_based_copy_in_steps_of_15_minutes_as_fast_as_it_may_be(
    aws: LocalAws, ec2: Any, control: Control, *, gib: int, minutes: int, code: str
) -> None:
    source = control.seed_snapshot(size=gib)
    ask = {"SourceRegion": "eu-west-1", "SourceSnapshotId": source, "CompletionDurationMinutes": minutes}
    if code:
        assert refusal(lambda: ec2.copy_snapshot(**ask)) == "InvalidParameterValue"
        return
    copy = described(ec2, ec2.copy_snapshot(**ask)["SnapshotId"])
    assert (copy["TransferType"], copy["CompletionDurationMinutes"]) == ("time-based", minutes)


def test_twenty_copies_at_once(aws: LocalAws, ec2: Any, control: Control, volume: str) -> None:
    control.set_delays(copy=1.0)
    source = new_snapshot(aws, ec2, volume)
    copy: Callable[[], object] = lambda: aws.client("ec2", "eu-west-2").copy_snapshot(  # noqa: E731
        SourceRegion="eu-west-1", SourceSnapshotId=source
    )
    for _ in range(20):
        copy()
    assert refusal(copy) == "ResourceLimitExceeded"


def test_a_copy_under_a_key_that_does_not_exist_fails_later(aws: LocalAws, ec2: Any, volume: str) -> None:
    source = new_snapshot(aws, ec2, volume)
    copy = ec2.copy_snapshot(
        SourceRegion="eu-west-1",
        SourceSnapshotId=source,
        Encrypted=True,
        KmsKeyId="00000000-0000-0000-0000-000000000000",
    )["SnapshotId"]
    aws.control.settle()
    found = described(ec2, copy)
    assert (found["State"], found["StateMessage"]) == ("error", "Given key ID is not accessible")


def test_sharing(aws: LocalAws, ec2: Any, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume, TagSpecifications=tagged("snapshot", secret="tag"))
    other = aws.client("ec2", account="555566667777")
    assert other.describe_snapshots(RestorableByUserIds=["self"])["Snapshots"] == []
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["555566667777"]
    )
    shared = other.describe_snapshots(OwnerIds=["111122223333"])["Snapshots"]
    assert [(s["SnapshotId"], s["OwnerId"]) for s in shared] == [(snapshot, "111122223333")]
    assert "Tags" not in shared[0]
    assert other.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    permissions = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    assert permissions["CreateVolumePermissions"] == [{"UserId": "555566667777"}]
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]
    )
    assert {"Group": "all"} in ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")[
        "CreateVolumePermissions"
    ]


def test_a_snapshot_under_the_managed_key_cannot_be_shared(aws: LocalAws, ec2: Any) -> None:
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True))
    share: Callable[[], object] = lambda: ec2.modify_snapshot_attribute(  # noqa: E731
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["444455556666"]
    )
    assert refusal(share) == "OperationNotPermitted"


def test_it_is_the_managed_key_that_forbids_to_share_not_the_default_one(aws: LocalAws, ec2: Any) -> None:
    own = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    managed = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True))
    ec2.modify_ebs_default_kms_key_id(KmsKeyId=own)
    under_own = new_snapshot(aws, ec2, new_volume(aws, ec2, Encrypted=True))
    share: Callable[[str], object] = lambda snapshot: ec2.modify_snapshot_attribute(  # noqa: E731
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["444455556666"]
    )
    share(under_own)
    assert refusal(lambda: share(managed)) == "OperationNotPermitted"


def test_a_shared_snapshot_is_copied_by_who_sees_it_and_the_copy_outlives_the_share(
    aws: LocalAws, ec2: Any, volume: str
) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    vault = aws.client("ec2", account="555566667777")
    copy: Callable[[], Any] = lambda: vault.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=snapshot)  # noqa: E731

    def ends_as_not_found() -> bool:
        made = copy()["SnapshotId"]
        aws.control.settle()
        [found] = vault.describe_snapshots(SnapshotIds=[made])["Snapshots"]
        return bool(found["State"] == "error" and found["StateMessage"] == "Source snapshot is not found")

    assert ends_as_not_found()
    share = {"SnapshotId": snapshot, "Attribute": "createVolumePermission", "UserIds": ["555566667777"]}
    ec2.modify_snapshot_attribute(**share, OperationType="add")
    copied = copy()["SnapshotId"]
    aws.control.settle()
    ec2.modify_snapshot_attribute(**share, OperationType="remove")
    assert ends_as_not_found()
    ec2.delete_snapshot(SnapshotId=snapshot)
    [found] = vault.describe_snapshots(SnapshotIds=[copied])["Snapshots"]
    assert (found["State"], found["OwnerId"]) == ("completed", "555566667777")
    assert refusal(lambda: ec2.delete_snapshot(SnapshotId=copied)) == "InvalidSnapshot.NotFound"


def test_a_seeded_snapshot_has_the_age_of_its_seed(ec2: Any, control: Control) -> None:
    old = datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)
    seeded = control.seed_snapshot(start_time=old, volume_id="vol-0123456789abcdef0", size=100, tags={"aws:x": "y"})
    found = described(ec2, seeded)
    assert (found["StartTime"], found["VolumeId"], found["VolumeSize"]) == (old, "vol-0123456789abcdef0", 100)
    assert found["Tags"] == [{"Key": "aws:x", "Value": "y"}]
    stranger = control.seed_snapshot(owner="999988887777", groups=["all"])
    mine = {s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert seeded in mine
    assert stranger not in mine
    assert stranger in {s["SnapshotId"] for s in ec2.describe_snapshots()["Snapshots"]}


def test_dry_run_makes_nothing(ec2: Any, volume: str) -> None:
    assert refusal(lambda: ec2.create_snapshot(VolumeId=volume, DryRun=True)) == "DryRunOperation"
    found = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [volume]}])
    assert found["Snapshots"] == []


def test_two_machines_do_not_mix(aws: LocalAws, ec2: Any, machine: Machine) -> None:
    other = launch(aws, ec2)
    taken = ec2.create_snapshots(InstanceSpecification={"InstanceId": other.instance_id})["Snapshots"]
    assert {s["VolumeId"] for s in taken} == {other.root_id, other.data_id}
    assert machine.data_id not in {s["VolumeId"] for s in taken}
