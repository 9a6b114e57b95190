"""Who may read blocks: IAM on each snapshot, KMS on its key, and functions under their own roles."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import stack
from local.session import LocalAws
from tests.local.captures import acting
from tests.local.conftest import Deploy, new_snapshot, new_volume, tagged

SNAPSHOTS = "arn:aws:ec2:eu-west-1::snapshot"
READS = ["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "ebs:ListChangedBlocks"]
ANY_SNAPSHOT = {"Action": READS, "Resource": f"{SNAPSHOTS}/*"}
OK = ""
NO_KEY = "DEPENDENCY_RESOURCE_NOT_FOUND"
BAD_REQUEST = "INVALID_DEPENDENCY_REQUEST"
VIA = "kms:ViaService"


@pytest.fixture
def key(aws: LocalAws) -> str:
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def encrypted(aws: LocalAws, ec2: Any, key: str) -> str:
    """A snapshot with one block under a customer's key."""
    return taken(aws, ec2, Encrypted=True, KmsKeyId=key)


def taken(aws: LocalAws, ec2: Any, **more: Any) -> str:
    aws.control.set_delays(readable=0)
    volume = new_volume(aws, ec2, **more)
    aws.control.write(volume, b"data")
    return new_snapshot(aws, ec2, volume, TagSpecifications=tagged("snapshot", ManagedBy="us"))


def said(call: Any, **arguments: Any) -> str:
    """Nothing, or the reason of a refusal; its words if it has none."""
    try:
        call(**arguments)
    except ClientError as refusal:
        return str(refusal.response.get("Reason") or refusal.response["Error"]["Message"])
    return OK


def list_and_get(aws: LocalAws, client: Any, snapshot_id: str) -> tuple[str, str]:
    """What is said to a client that lists the blocks, and reads one with the owner's token."""
    [block] = aws.client("ebs").list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    return (
        said(client.list_snapshot_blocks, SnapshotId=snapshot_id),
        said(client.get_snapshot_block, SnapshotId=snapshot_id, **block),
    )


@pytest.mark.parametrize(
    ("allowed", "condition", "wanted"),
    [
        ([], {}, (NO_KEY, NO_KEY)),
        (["kms:DescribeKey"], {}, (OK, NO_KEY)),
        (["kms:Decrypt"], {}, (NO_KEY, NO_KEY)),
        (["kms:DescribeKey", "kms:Decrypt"], {}, (OK, OK)),
        (["kms:DescribeKey", "kms:Decrypt"], {"StringEquals": {VIA: "ec2.eu-west-1.amazonaws.com"}}, (OK, OK)),
        (["kms:DescribeKey", "kms:Decrypt"], {"StringEquals": {VIA: "ebs.eu-west-1.amazonaws.com"}}, (NO_KEY, NO_KEY)),
    ],
)
def test_the_key_is_asked_for_as_recorded(
    aws: LocalAws,
    encrypted: str,
    key: str,
    allowed: list[str],
    *,
    condition: Mapping[str, Any],
    wanted: tuple[str, str],
) -> None:
    of_key = [{"Action": allowed, "Resource": key, **({"Condition": condition} if condition else {})}]
    client = acting(aws, ANY_SNAPSHOT, *(of_key if allowed else []), service="ebs")
    assert list_and_get(aws, client, encrypted) == wanted


def test_the_data_key_of_a_snapshot_is_its_volumes(aws: LocalAws, ec2: Any, encrypted: str, key: str) -> None:
    volume = ec2.describe_snapshots(SnapshotIds=[encrypted])["Snapshots"][0]["VolumeId"]
    describe, decrypt = ({"Action": action, "Resource": key} for action in ("kms:DescribeKey", "kms:Decrypt"))
    client = acting(aws, ANY_SNAPSHOT, describe, service="ebs")
    for data_key_of, wanted in ((volume, OK), (encrypted, NO_KEY)):
        condition = {"StringEquals": {"kms:EncryptionContext:aws:ebs:id": data_key_of}}
        client.permit(ANY_SNAPSHOT, describe, {**decrypt, "Condition": condition})
        assert list_and_get(aws, client, encrypted) == (OK, wanted)


def test_a_key_that_cannot_be_used_is_refused_when_a_block_is_read(aws: LocalAws, encrypted: str, key: str) -> None:
    kms, ebs = aws.client("kms"), aws.client("ebs")
    [block] = ebs.list_snapshot_blocks(SnapshotId=encrypted)["Blocks"]
    for disable, words in (
        (kms.disable_key, f"DisabledException: {key} is disabled. (Service: AWSKMS; Status Code: 400;"),
        (kms.schedule_key_deletion, f"KMSInvalidStateException: {key} is pending deletion. (Service: AWSKMS;"),
    ):
        disable(KeyId=key)
        assert list_and_get(aws, ebs, encrypted) == (OK, BAD_REQUEST)
        with pytest.raises(ClientError) as refusal:
            ebs.get_snapshot_block(SnapshotId=encrypted, **block)
        wrapped = "Invalid parameters for a dependent service: com.amazonaws.services.kms.model."
        assert wrapped + words in refusal.value.response["Error"]["Message"]


def test_rights_follow_the_tags_of_a_snapshot(aws: LocalAws, ec2: Any) -> None:
    snapshot_id = taken(aws, ec2)
    tag = "aws:ResourceTag/ManagedBy"
    client = acting(aws, {**ANY_SNAPSHOT, "Condition": {"StringEquals": {tag: "us"}}}, service="ebs")
    assert list_and_get(aws, client, snapshot_id) == (OK, OK)
    refused = (
        f" is not authorized to perform: ebs:ListSnapshotBlocks on resource: {SNAPSHOTS}/{snapshot_id} because no "
        "identity-based policy allows the ebs:ListSnapshotBlocks action"
    )
    for statement in (
        {**ANY_SNAPSHOT, "Condition": {"StringEquals": {tag: "them"}}},
        {**ANY_SNAPSHOT, "Condition": {"StringEquals": {"aws:ResourceAccount": "444455556666"}}},
        {**ANY_SNAPSHOT, "Resource": f"arn:aws:ec2:eu-west-1:111122223333:snapshot/{snapshot_id}"},
    ):
        client.permit(statement)
        answers = list_and_get(aws, client, snapshot_id)
        assert answers[0].endswith(refused)
        assert "ebs:GetSnapshotBlock" in answers[1]


def test_a_comparison_needs_the_right_on_both_snapshots(aws: LocalAws, ec2: Any) -> None:
    first = taken(aws, ec2)
    second = new_snapshot(aws, ec2, ec2.describe_snapshots(SnapshotIds=[first])["Snapshots"][0]["VolumeId"])
    client = acting(aws, ANY_SNAPSHOT, service="ebs")
    pair = {"FirstSnapshotId": first, "SecondSnapshotId": second}
    assert said(client.list_changed_blocks, **pair) == OK
    for only, missing in ((first, second), (second, first)):
        client.permit({**ANY_SNAPSHOT, "Resource": f"{SNAPSHOTS}/{only}"})
        assert f"on resource: {SNAPSHOTS}/{missing} " in said(client.list_changed_blocks, **pair)


SOURCE = """
import boto3
def handler(event, context):
    ebs = boto3.client("ebs")
    [block] = ebs.list_snapshot_blocks(SnapshotId=event["snapshot"])["Blocks"]
    answer = ebs.get_snapshot_block(SnapshotId=event["snapshot"], **block)
    return answer["BlockData"].read()[:4].decode()
"""


def test_a_function_reads_blocks_under_its_role(aws: LocalAws, ec2: Any, deploy: Deploy) -> None:
    function = deploy(SOURCE, [ANY_SNAPSHOT])
    assert stack.invoke(aws, function.name, {"snapshot": taken(aws, ec2)}).payload == "data"
