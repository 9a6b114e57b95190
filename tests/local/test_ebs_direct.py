"""The EBS direct APIs list and read the blocks of snapshots, as documented and recorded."""

import base64
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.contents import BLOCK_SIZE
from local.control import Control
from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.local.conftest import new_snapshot, new_volume

OTHER_REGION = "eu-central-1"
OTHER_ACCOUNT = "999900001111"
READABLE_AFTER = 60.0
WEEK = 7 * 24 * 3600.0


@pytest.fixture(scope="module")
def ebs(running_aws: LocalAws) -> Any:
    """A client that tries once."""
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    session = boto3.Session(aws_access_key_id=HOME_ACCOUNT, aws_secret_access_key="test")
    return session.client("ebs", region_name=REGION, endpoint_url=running_aws.endpoint, config=once)


@pytest.fixture
def written(control: Control, volume: str) -> str:
    """A volume of 4 GiB with four blocks on it, one of them zeros."""
    control.set_delays(readable=0)
    control.load_image(volume, {9: b"nine", 0: b"zero", 7: bytes(BLOCK_SIZE), 8191: b"last"})
    return volume


@pytest.fixture
def taken(aws: LocalAws, ec2: Any, written: str) -> str:
    return new_snapshot(aws, ec2, written)


def indices(answer: Mapping[str, Any]) -> list[int]:
    return [block["BlockIndex"] for block in answer.get("Blocks", []) + answer.get("ChangedBlocks", [])]


def token(ebs: Any, snapshot_id: str, index: int) -> str:
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, StartingBlockIndex=index)["Blocks"][0]
    assert listed["BlockIndex"] == index
    return str(listed["BlockToken"])


def block(ebs: Any, snapshot_id: str, index: int) -> dict[str, Any]:
    """The answer with the bytes of a block in it."""
    answer = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=token(ebs, snapshot_id, index))
    return {**answer, "BlockData": answer["BlockData"].read()}


def refused(call: Any, /, **arguments: Any) -> tuple[str, str]:
    """The code and the reason of a refusal."""
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    return refusal.value.response["Error"]["Code"], str(refusal.value.response.get("Reason", ""))


NOT_FOUND = ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
UNRELATED = ("ValidationException", "UNRELATED_SNAPSHOTS")
THROTTLED = ("RequestThrottledException", "ACCOUNT_THROTTLED")
BAD_PAGE = ("ValidationException", "INVALID_PAGE_TOKEN")
BAD_BLOCK = ("ValidationException", "INVALID_BLOCK_TOKEN")


# --- lists


def test_only_written_blocks_are_listed_in_their_order(ebs: Any, taken: str) -> None:
    listed = ebs.list_snapshot_blocks(SnapshotId=taken)
    assert indices(listed) == [0, 7, 9, 8191]
    assert (listed["VolumeSize"], listed["BlockSize"], "NextToken" in listed) == (4, BLOCK_SIZE, False)
    assert indices(ebs.list_snapshot_blocks(SnapshotId=taken, StartingBlockIndex=8)) == [9, 8191]


def test_a_volume_without_bytes_has_a_snapshot_without_blocks(
    aws: LocalAws, ec2: Any, control: Control, ebs: Any, volume: str
) -> None:
    control.set_delays(readable=0)
    listed = ebs.list_snapshot_blocks(SnapshotId=new_snapshot(aws, ec2, volume))
    assert (listed["Blocks"], listed["VolumeSize"]) == ([], 4)


def test_pages_follow_each_other_for_an_hour(aws: LocalAws, ec2: Any, control: Control, ebs: Any, written: str) -> None:
    control.load_image(written, {2 * number: b"x" for number in range(250)})
    taken = new_snapshot(aws, ec2, written)
    pages = [ebs.list_snapshot_blocks(SnapshotId=taken, MaxResults=100)]
    while "NextToken" in pages[-1]:
        following = {"NextToken": pages[-1]["NextToken"], "StartingBlockIndex": 0}
        pages.append(ebs.list_snapshot_blocks(SnapshotId=taken, MaxResults=100, **following))
    assert [len(page["Blocks"]) for page in pages] == [100, 100, 50]
    assert [index for page in pages for index in indices(page)] == [2 * number for number in range(250)]
    second = {"SnapshotId": taken, "NextToken": pages[0]["NextToken"]}
    control.advance(3599)
    assert len(ebs.list_snapshot_blocks(**second)["Blocks"]) == 150
    control.advance(1)
    assert refused(ebs.list_snapshot_blocks, **second) == BAD_PAGE


def test_a_page_may_be_empty_and_not_the_last(control: Control, ebs: Any, taken: str) -> None:
    control.configure(empty_pages=True)
    first = ebs.list_snapshot_blocks(SnapshotId=taken)
    assert first["Blocks"] == []
    assert indices(ebs.list_snapshot_blocks(SnapshotId=taken, NextToken=first["NextToken"])) == [0, 7, 9, 8191]


def test_a_snapshot_is_readable_a_minute_after_it_is_completed(
    ec2: Any, control: Control, ebs: Any, volume: str
) -> None:
    control.set_delays(snapshot=math.inf)
    pending = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    control.advance(READABLE_AFTER)
    assert refused(ebs.list_snapshot_blocks, SnapshotId=pending) == NOT_FOUND
    control.finish()
    control.settle()
    assert refused(ebs.list_snapshot_blocks, SnapshotId=pending) == NOT_FOUND
    control.advance(READABLE_AFTER)
    assert ebs.list_snapshot_blocks(SnapshotId=pending)["Blocks"] == []


# --- blocks


def test_a_block_comes_with_its_checksum(ebs: Any, taken: str) -> None:
    for index, content in {0: b"zero", 7: b"", 9: b"nine", 8191: b"last"}.items():
        answer = block(ebs, taken, index)
        assert answer["BlockData"] == content.ljust(BLOCK_SIZE, b"\0")
        assert base64.b64decode(answer["Checksum"]) == hashlib.sha256(answer["BlockData"]).digest()
        assert (answer["DataLength"], answer["ChecksumAlgorithm"]) == (BLOCK_SIZE, "SHA256")


def test_a_token_is_for_one_block_of_one_snapshot_for_a_week(
    aws: LocalAws, ec2: Any, ebs: Any, taken: str, written: str
) -> None:
    of_nine = token(ebs, taken, 9)
    later = new_snapshot(aws, ec2, written)
    for snapshot_id, index in ((taken, 7), (taken, 8), (later, 9)):
        call = {"SnapshotId": snapshot_id, "BlockIndex": index, "BlockToken": of_nine}
        assert refused(ebs.get_snapshot_block, **call) == BAD_BLOCK
    call = {"SnapshotId": taken, "BlockIndex": 9, "BlockToken": of_nine}
    token(ebs, taken, 9)  # another list makes others, and this one stays good
    aws.control.configure(alarm_seconds=WEEK)  # the clock need not stop for them
    aws.control.advance(6 * WEEK / 7)
    assert ebs.get_snapshot_block(**call)["DataLength"] == BLOCK_SIZE
    aws.control.advance(WEEK / 7)
    assert refused(ebs.get_snapshot_block, **call) == BAD_BLOCK


@pytest.mark.parametrize(("on_the_way", "agree"), [(False, True), (True, False)])
def test_a_damaged_block_is_seen_and_counts_as_unchanged(
    aws: LocalAws, ec2: Any, ebs: Any, taken: str, written: str, *, on_the_way: bool, agree: bool
) -> None:
    sound = new_snapshot(aws, ec2, written)
    aws.control.damage(taken, 9, at=1, on_the_way=on_the_way)
    answer = block(ebs, taken, 9)
    assert answer["BlockData"][:4] == b"n" + bytes([ord("i") ^ 0xFF]) + b"ne"
    assert (base64.b64decode(answer["Checksum"]) == hashlib.sha256(answer["BlockData"]).digest()) is agree
    assert ebs.list_changed_blocks(FirstSnapshotId=sound, SecondSnapshotId=taken)["ChangedBlocks"] == []


# --- changes


def test_what_was_written_in_between_is_a_change_even_the_same_bytes(
    aws: LocalAws, ec2: Any, ebs: Any, taken: str, written: str
) -> None:
    aws.control.write(written, b"nine", 9 * BLOCK_SIZE)
    aws.control.write(written, b"new", 100 * BLOCK_SIZE)
    later = new_snapshot(aws, ec2, written)
    changed = ebs.list_changed_blocks(FirstSnapshotId=taken, SecondSnapshotId=later)
    assert indices(changed) == [9, 100]
    assert ["FirstBlockToken" in item for item in changed["ChangedBlocks"]] == [True, False]
    second = changed["ChangedBlocks"][1]["SecondBlockToken"]
    read = ebs.get_snapshot_block(SnapshotId=later, BlockIndex=100, BlockToken=second)
    assert read["BlockData"].read(3) == b"new"
    reverse = ebs.list_changed_blocks(FirstSnapshotId=later, SecondSnapshotId=taken)["ChangedBlocks"]
    assert "SecondBlockToken" not in reverse[1]


def test_pages_of_changes_are_pieces_of_all_blocks(
    aws: LocalAws, ec2: Any, control: Control, ebs: Any, written: str
) -> None:
    control.load_image(written, dict.fromkeys(range(250), b"x"))
    first = new_snapshot(aws, ec2, written)
    control.write(written, b"y", 240 * BLOCK_SIZE)
    pair = {"FirstSnapshotId": first, "SecondSnapshotId": new_snapshot(aws, ec2, written), "MaxResults": 100}
    pages = [ebs.list_changed_blocks(**pair)]
    while "NextToken" in pages[-1]:
        pages.append(ebs.list_changed_blocks(**pair, NextToken=pages[-1]["NextToken"]))
    assert [indices(page) for page in pages] == [[], [], [240]]
    assert refused(ebs.list_snapshot_blocks, SnapshotId=first, NextToken=pages[0]["NextToken"]) == BAD_PAGE


def test_restored_volumes_and_copies_within_a_region_are_of_the_lineage(
    aws: LocalAws, ec2: Any, control: Control, ebs: Any, taken: str
) -> None:
    restored = new_volume(aws, ec2, SnapshotId=taken)
    control.write(restored, b"after", 5 * BLOCK_SIZE)
    ec2.delete_volume(VolumeId=ec2.describe_snapshots(SnapshotIds=[taken])["Snapshots"][0]["VolumeId"])
    later = new_snapshot(aws, ec2, restored)
    copied = ec2.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=later)["SnapshotId"]
    control.settle()
    for first, second, changed in ((taken, later, [5]), (taken, copied, [5]), (later, copied, [])):
        assert indices(ebs.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)) == changed


def test_other_volumes_and_copies_in_another_region_are_not(
    aws: LocalAws, ec2: Any, ebs: Any, taken: str, written: str
) -> None:
    other = new_snapshot(aws, ec2, new_volume(aws, ec2))
    assert refused(ebs.list_changed_blocks, FirstSnapshotId=taken, SecondSnapshotId=other) == UNRELATED
    away, later = aws.client("ec2", OTHER_REGION), new_snapshot(aws, ec2, written)
    copies = [
        away.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=source)["SnapshotId"] for source in (taken, later)
    ]
    aws.control.settle()
    pair = {"FirstSnapshotId": copies[0], "SecondSnapshotId": copies[1]}
    assert refused(aws.client("ebs", OTHER_REGION).list_changed_blocks, **pair) == UNRELATED
    assert refused(ebs.list_changed_blocks, **pair) == NOT_FOUND


# --- other accounts


def test_another_account_reads_what_is_shared_with_it_and_nothing_public(
    aws: LocalAws, ec2: Any, ebs: Any, taken: str, written: str
) -> None:
    other, call = aws.client("ebs", account=OTHER_ACCOUNT), {"SnapshotId": taken}
    later = new_snapshot(aws, ec2, written)
    assert refused(other.list_snapshot_blocks, **call) == NOT_FOUND
    share = {"Attribute": "createVolumePermission", "OperationType": "add", **call}
    ec2.modify_snapshot_attribute(UserIds=[OTHER_ACCOUNT], **share)
    owners = {"BlockIndex": 9, "BlockToken": token(ebs, taken, 9)}
    assert other.get_snapshot_block(**call, **owners)["BlockData"].read(4) == b"nine"
    assert refused(other.list_changed_blocks, FirstSnapshotId=taken, SecondSnapshotId=later) == NOT_FOUND
    ec2.modify_snapshot_attribute(GroupNames=["all"], **share)
    public = ("ValidationException", "INVALID_SNAPSHOT_ID")
    assert refused(other.list_snapshot_blocks, **call) == public
    assert refused(other.get_snapshot_block, **call, **owners) == public
    assert indices(ebs.list_snapshot_blocks(**call)) == [0, 7, 9, 8191]
    ec2.delete_snapshot(**call)  # other tests list what all may see


# --- quotas and faults


def test_lists_have_a_quota_in_a_second(control: Control, ebs: Any, taken: str) -> None:
    control.set_throttling()
    for _ in range(50):
        ebs.list_snapshot_blocks(SnapshotId=taken)
    assert refused(ebs.list_snapshot_blocks, SnapshotId=taken) == THROTTLED
    control.advance(1)
    assert ebs.list_snapshot_blocks(SnapshotId=taken)["Blocks"]


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ({"effect": "throttle"}, THROTTLED),
        ({"code": "AccessDeniedException"}, ("AccessDeniedException", "")),
        ({"code": "ResourceNotFoundException"}, NOT_FOUND),
        ({"effect": "answer_error", "code": "InternalServerException"}, ("InternalServerException", "")),
    ],
)
def test_faults_refuse_calls_as_the_service_would(
    control: Control, ebs: Any, taken: str, *, fault: dict[str, Any], wanted: tuple[str, str]
) -> None:
    mark = control.mark()
    control.fault("ListSnapshotBlocks", service="ebs", resource=taken, **{"effect": "fail", **fault})
    assert refused(ebs.list_snapshot_blocks, SnapshotId=taken) == wanted
    assert {call["error"] for call in control.calls(mark, service="ebs")} == {wanted[0]}
    assert ebs.list_snapshot_blocks(SnapshotId=taken)["Blocks"]


def test_a_lost_answer_is_asked_for_again(aws: LocalAws, control: Control, taken: str, mark: int) -> None:
    control.fault("GetSnapshotBlock", "drop", service="ebs")
    assert block(aws.client("ebs"), taken, 9)["BlockData"][:4] == b"nine"
    assert control.counts(mark)["ebs:GetSnapshotBlock"] == 2
