"""The EBS direct APIs make a snapshot without a volume, and a volume of it holds its bytes, as documented."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.contents import BLOCK_SIZE
from local.control import Control
from local.session import LocalAws
from tests.local.conftest import ZONE, unique

WORD = b"known".ljust(BLOCK_SIZE, b"\0")


@pytest.fixture
def ebs(aws: LocalAws) -> Any:
    return aws.client("ebs")


def put(ebs: Any, snapshot_id: str, index: int, content: bytes = WORD, **more: Any) -> None:
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    call = {"SnapshotId": snapshot_id, "BlockIndex": index, "BlockData": content, "DataLength": BLOCK_SIZE}
    ebs.put_snapshot_block(**{**call, "Checksum": checksum, "ChecksumAlgorithm": "SHA256", **more})


def test_a_volume_of_it_holds_the_bytes_that_were_put(aws: LocalAws, control: Control, ec2: Any, ebs: Any) -> None:
    mark = control.mark()
    tags = [{"Key": "team", "Value": "forensics"}]
    started = ebs.start_snapshot(VolumeSize=1, Description="known bytes", ClientToken=unique("token"), Tags=tags)
    assert (started["Status"], started["BlockSize"], started["Tags"]) == ("pending", BLOCK_SIZE, tags)
    snapshot_id = started["SnapshotId"]
    put(ebs, snapshot_id, 0)
    put(ebs, snapshot_id, 2047, b"end".ljust(BLOCK_SIZE, b"\0"))
    assert ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=2)["Status"] == "pending"
    control.settle()

    [snapshot] = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    assert (snapshot["State"], snapshot["VolumeId"], snapshot["VolumeSize"]) == ("completed", "vol-ffffffff", 1)
    [event] = control.events(mark, detail_type="EBS Snapshot Notification")
    assert event["detail"]["source"] == event["detail"]["snapshot_id"]
    volume = ec2.create_volume(SnapshotId=snapshot_id, AvailabilityZone=ZONE)["VolumeId"]
    assert control.read(volume, 8, 0) == b"known\0\0\0"
    assert control.read(volume, 3, 2047 * BLOCK_SIZE) == b"end"


def test_one_token_starts_one_snapshot(ebs: Any) -> None:
    token = unique("token")
    first = ebs.start_snapshot(VolumeSize=1, ClientToken=token)["SnapshotId"]
    assert ebs.start_snapshot(VolumeSize=1, ClientToken=token)["SnapshotId"] == first
    assert refused(lambda: ebs.start_snapshot(VolumeSize=2, ClientToken=token)) == "ConflictException"


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda ebs, one: put(ebs, one, 2048), id="a block beyond the volume"),
        pytest.param(lambda ebs, one: put(ebs, one, 0, Checksum="AAAA"), id="another checksum"),
        pytest.param(lambda ebs, one: put(ebs, one, 0, WORD[1:]), id="too few bytes"),
        pytest.param(lambda ebs, one: ebs.complete_snapshot(SnapshotId=one, ChangedBlocksCount=1), id="a wrong count"),
        pytest.param(lambda ebs, _one: ebs.start_snapshot(VolumeSize=70_000), id="too large"),
    ],
)
def test_what_does_not_fit_is_refused(ebs: Any, call: Callable[[Any, str], object]) -> None:
    started = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    assert refused(lambda: call(ebs, started)) == "ValidationException"


def test_a_snapshot_that_is_sealed_takes_no_more_blocks(control: Control, ebs: Any) -> None:
    started = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    ebs.complete_snapshot(SnapshotId=started, ChangedBlocksCount=0)
    assert refused(lambda: put(ebs, started, 0)) == "ValidationException"
    control.settle()
    assert refused(lambda: put(ebs, started, 0)) == "ValidationException"


def test_a_program_waits_for_a_message_on_the_simulated_clock(aws: LocalAws, control: Control, ec2: Any) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName=unique("waiting"))["QueueUrl"]
    began = control.now()
    assert "Messages" not in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)
    assert (control.now() - began).total_seconds() == 20
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=7)
    assert "Messages" in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)
    assert (control.now() - began).total_seconds() == 27


def test_an_event_is_altered_on_demand(control: Control, ec2: Any, volume: str, mark: int) -> None:
    control.event_fault("alter", detail_type="EBS Snapshot Notification", changes={"cause": "an untruth"})
    ec2.create_snapshot(VolumeId=volume)
    control.settle()
    [event] = control.events(mark, detail_type="EBS Snapshot Notification")
    assert (event["detail"]["cause"], event["detail"]["result"]) == ("an untruth", "succeeded")
