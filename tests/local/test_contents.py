"""Volumes hold the bytes that were written to them, and so do their snapshots, copies and restored volumes."""

from collections.abc import Callable
from typing import Any

import pytest

from local.contents import BLOCK_SIZE
from local.control import Control, ControlError
from local.session import LocalAws
from tests.local.conftest import ZONE, Machine, launch, new_snapshot, new_volume

OTHER_REGION = "eu-central-1"
OTHER_ACCOUNT = "999900001111"
LETTER = b"Dear Jo, "
ACROSS = BLOCK_SIZE - 4
"""An offset from which the letter lies in two blocks."""


@pytest.fixture
def written(control: Control, volume: str) -> str:
    """A volume with a letter on it, across two blocks."""
    control.write(volume, LETTER, ACROSS)
    return volume


def test_what_was_written_is_read_and_all_else_is_zero(control: Control, written: str) -> None:
    assert control.read(written, len(LETTER) + 8, ACROSS - 4) == bytes(4) + LETTER + bytes(4)
    control.write(written, b"Ann", ACROSS + 5)
    assert control.read(written, len(LETTER), ACROSS) == b"Dear Ann "
    assert control.read(written, 2 * BLOCK_SIZE, 1024 * BLOCK_SIZE) == bytes(2 * BLOCK_SIZE)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (4 * 1024**3, 1), (4 * 1024**3 - 1, 2)])
def test_nothing_lies_outside_of_a_volume(control: Control, volume: str, offset: int, length: int) -> None:
    with pytest.raises(ControlError, match="do not lie within 4 GiB"):
        control.write(volume, bytes(length), offset)
    with pytest.raises(ControlError, match="do not lie within 4 GiB"):
        control.read(volume, length, offset)


def test_an_image_takes_the_place_of_what_was_there(control: Control, written: str) -> None:
    control.load_image(written, {3: b"superblock", 4095: b"\0" * BLOCK_SIZE})
    assert control.read(written, 16, 3 * BLOCK_SIZE) == b"superblock" + bytes(6)
    assert control.read(written, 2 * BLOCK_SIZE) == bytes(2 * BLOCK_SIZE)
    with pytest.raises(ControlError, match="do not lie within 4 GiB"):
        control.load_image(written, {8192: b"x"})
    with pytest.raises(ControlError, match="expected at most 524288"):
        control.load_image(written, {0: b"x" * (BLOCK_SIZE + 1)})


def test_a_snapshot_has_the_bytes_of_the_moment_of_the_call(ec2: Any, control: Control, written: str) -> None:
    pending = ec2.create_snapshot(VolumeId=written)["SnapshotId"]
    control.write(written, b"lost", ACROSS)
    assert control.read(pending, len(LETTER), ACROSS) == LETTER
    control.settle()
    assert control.read(pending, len(LETTER), ACROSS) == LETTER
    assert control.read(written, 4, ACROSS) == b"lost"


def test_a_set_has_the_bytes_of_one_moment(ec2: Any, control: Control, machine: Machine) -> None:
    control.write(machine.root_id, b"root")
    control.write(machine.data_id, b"data")
    taken = ec2.create_snapshots(InstanceSpecification={"InstanceId": machine.instance_id})["Snapshots"]
    control.write(machine.data_id, b"lost")
    assert [control.read(item["SnapshotId"], 4) for item in taken] == [b"data", b"root"]


def _restored(aws: LocalAws, ec2: Any, snapshot_id: str) -> tuple[str, str | None]:
    return new_volume(aws, ec2, SnapshotId=snapshot_id), None


def _copied(aws: LocalAws, ec2: Any, snapshot_id: str) -> tuple[str, str | None]:
    copied = ec2.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=snapshot_id)["SnapshotId"]
    return copied, None


def _copied_away(aws: LocalAws, ec2: Any, snapshot_id: str) -> tuple[str, str | None]:
    away = aws.client("ec2", OTHER_REGION)
    copied = away.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=snapshot_id)["SnapshotId"]
    aws.control.settle()
    made = away.create_volume(AvailabilityZone=f"{OTHER_REGION}a", SnapshotId=copied)["VolumeId"]
    return made, OTHER_REGION


def _copied_by_another_account(aws: LocalAws, ec2: Any, snapshot_id: str) -> tuple[str, str | None]:
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot_id, OperationType="add", UserIds=[OTHER_ACCOUNT], Attribute="createVolumePermission"
    )
    other = aws.client("ec2", account=OTHER_ACCOUNT)
    return other.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=snapshot_id)["SnapshotId"], None


@pytest.mark.parametrize("make", [_restored, _copied, _copied_away, _copied_by_another_account])
def test_what_is_made_of_a_snapshot_has_its_bytes(
    aws: LocalAws, ec2: Any, written: str, make: Callable[[LocalAws, Any, str], tuple[str, str | None]]
) -> None:
    snapshot_id = new_snapshot(aws, ec2, written)
    made, region = make(aws, ec2, snapshot_id)
    aws.control.settle()
    assert aws.control.read(made, len(LETTER), ACROSS, region=region) == LETTER
    if made.startswith("vol-"):
        aws.control.write(made, b"lost", ACROSS, region=region)
    assert aws.control.read(snapshot_id, len(LETTER), ACROSS) == LETTER


def test_an_instance_of_an_image_has_the_bytes_of_the_imaged_one(
    aws: LocalAws, ec2: Any, control: Control, machine: Machine
) -> None:
    control.write(machine.data_id, LETTER)
    image = ec2.create_image(InstanceId=machine.instance_id, Name="with-a-letter")["ImageId"]
    control.settle()
    clone = launch(aws, ec2, ImageId=image, BlockDeviceMappings=[], Placement={"AvailabilityZone": ZONE})
    assert control.read(clone.data_id, len(LETTER)) == LETTER


def test_damage_is_in_one_snapshot_alone(aws: LocalAws, ec2: Any, control: Control, written: str) -> None:
    rotten, sound = new_snapshot(aws, ec2, written), new_snapshot(aws, ec2, written)
    control.damage(rotten, 0, at=BLOCK_SIZE - 4)
    assert control.read(rotten, 4, ACROSS) == bytes([ord("D") ^ 0xFF]) + LETTER[1:4]
    assert control.read(sound, 4, ACROSS) == control.read(written, 4, ACROSS) == b"Dear"
    with pytest.raises(ControlError, match="has no byte 0 of block 2"):
        control.damage(rotten, 2)


def test_only_what_was_written_counts_as_the_size_of_a_snapshot(aws: LocalAws, ec2: Any, written: str) -> None:
    described = ec2.describe_snapshots(SnapshotIds=[new_snapshot(aws, ec2, written)])["Snapshots"][0]
    assert described["FullSnapshotSizeInBytes"] == 2 * BLOCK_SIZE
