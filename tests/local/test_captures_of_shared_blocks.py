"""Reading the blocks that another account shares is allowed and refused here as live accounts have recorded it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.session import HOME_ACCOUNT, LocalAws
from tests.local.captures import acting, captured
from tests.local.conftest import new_snapshot, new_volume

CONTRACTS = captured("ebs_direct_shared")["contracts"]
SOURCE = "999900001111"
READS = ["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "ebs:ListChangedBlocks"]
MAY_READ = {"Action": READS, "Resource": "arn:aws:ec2:eu-west-1::snapshot/*"}
KEYS = {"Action": ["kms:DescribeKey", "kms:Decrypt"], "Resource": f"arn:aws:kms:eu-west-1:{SOURCE}:key/*"}
NO_KEY = "DEPENDENCY_RESOURCE_NOT_FOUND"
REFUSED = "AccessDeniedException"
NOT_FOUND = "SNAPSHOT_NOT_FOUND"


def of_account(account: str) -> dict[str, Any]:
    return {**MAY_READ, "Condition": {"StringEquals": {"aws:ResourceAccount": account}}}


class Source:
    """An account with a snapshot, which it shares with the home account or not."""

    def __init__(self, aws: LocalAws, **volume: Any) -> None:
        aws.control.set_delays(readable=0)
        self.ec2, self.ebs = aws.client("ec2", account=SOURCE), aws.client("ebs", account=SOURCE)
        volume_id = new_volume(aws, self.ec2, **volume)
        aws.control.write(volume_id, b"data")
        self.snapshot = new_snapshot(aws, self.ec2, volume_id)
        [self.block] = self.ebs.list_snapshot_blocks(SnapshotId=self.snapshot)["Blocks"]

    def share(self, operation: str = "add", snapshot: str = "") -> None:
        self.ec2.modify_snapshot_attribute(
            SnapshotId=snapshot or self.snapshot,
            Attribute="createVolumePermission",
            OperationType=operation,
            UserIds=[HOME_ACCOUNT],
        )

    def said_to(self, client: Any) -> tuple[str, str]:
        """The reasons for which a list, and a block by the source's own token, are refused; empty if they are not."""
        return (
            why(client.list_snapshot_blocks, SnapshotId=self.snapshot),
            why(client.get_snapshot_block, SnapshotId=self.snapshot, **self.block),
        )


def why(call: Any, **arguments: Any) -> str:
    try:
        call(**arguments)
    except ClientError as refusal:
        return str(refusal.response.get("Reason") or refusal.response["Error"]["Code"])
    return ""


def test_only_what_is_shared_can_be_read_and_a_token_is_good_again_when_it_is_shared_again(aws: LocalAws) -> None:
    source, home = Source(aws), aws.client("ebs")
    assert NOT_FOUND in CONTRACTS["private_visibility"]
    assert NOT_FOUND in CONTRACTS["revocation"]
    for operation, said in (("", NOT_FOUND), ("add", ""), ("remove", NOT_FOUND), ("add", "")):
        if operation:
            source.share(operation)
        assert source.said_to(home) == (said, said)
    source.ec2.delete_snapshot(SnapshotId=source.snapshot)
    assert source.said_to(home) == (NOT_FOUND, NOT_FOUND)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([MAY_READ], ""),
        ([], REFUSED),
        ([of_account(SOURCE)], ""),
        ([of_account(HOME_ACCOUNT)], REFUSED),
        ([MAY_READ, {"Effect": "Deny", "Action": "ec2:DescribeSnapshots", "Resource": "*"}], ""),
        ([MAY_READ, {"Effect": "Deny", "Action": "ebs:*", "Resource": "*"}], REFUSED),
    ],
    ids=["allowed", "not allowed", "of the source's account", "of the reader's account", "not described", "denied"],
)
def test_sharing_does_not_replace_the_readers_own_rights(
    aws: LocalAws, statements: list[dict[str, Any]], said: str
) -> None:
    assert "ResourceAccount=source owner allows" in CONTRACTS["iam"]
    source = Source(aws)
    source.share()
    client = acting(aws, *(statements or [{"Action": "s3:GetObject", "Resource": "*"}]), service="ebs")
    assert source.said_to(client) == (said, said)


def test_the_sources_key_is_asked_for_both(aws: LocalAws) -> None:
    assert NO_KEY in CONTRACTS["kms"]
    key = aws.client("kms", account=SOURCE).create_key()["KeyMetadata"]["Arn"]
    source = Source(aws, Encrypted=True, KmsKeyId=key)
    source.share()
    client = acting(aws, MAY_READ, service="ebs")
    assert source.said_to(client) == (NO_KEY, NO_KEY)
    client.permit(MAY_READ, {**KEYS, "Action": "kms:DescribeKey"})
    assert source.said_to(client) == (NO_KEY, NO_KEY)
    client.permit(MAY_READ, KEYS)
    assert source.said_to(client) == ("", "")


def test_two_shared_snapshots_of_a_lineage_can_be_compared_and_one_that_is_not_shared_is_not_found(
    aws: LocalAws,
) -> None:
    source, home = Source(aws), aws.client("ebs")
    volume = source.ec2.describe_snapshots(SnapshotIds=[source.snapshot])["Snapshots"][0]["VolumeId"]
    later = new_snapshot(aws, source.ec2, volume)
    source.share()
    forward = {"FirstSnapshotId": source.snapshot, "SecondSnapshotId": later}
    backward = {"FirstSnapshotId": later, "SecondSnapshotId": source.snapshot}
    assert NOT_FOUND in CONTRACTS["changed_blocks"]
    for pair in (forward, backward):
        assert why(home.list_changed_blocks, **pair) == NOT_FOUND
    source.share(snapshot=later)
    assert why(home.list_changed_blocks, **forward) == ""
