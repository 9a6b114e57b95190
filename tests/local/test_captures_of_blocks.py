"""Calls of the EBS direct APIs that live accounts made (tests/fixtures/captures) are answered here as there."""

import re
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from local.contents import BLOCK_SIZE
from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.local.captures import acting, call, captured, form
from tests.local.conftest import new_snapshot, new_volume

BLOCKS, PAIRS = "ebs_direct_blocks", "ebs_direct_rights_and_pairs"
OTHER_ACCOUNT, OTHER_REGION = "999900001111", "us-west-2"
READS = ["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "ebs:ListChangedBlocks"]
WRITTEN = {0: b"b", 3: b"a", 7: bytes(BLOCK_SIZE), 2047: b"c"}


@pytest.fixture
def root(aws: LocalAws, ec2: Any) -> str:
    """A snapshot like the recorded one: of 1 GiB, with four blocks, one of them zeros."""
    aws.control.set_delays(readable=0)
    volume = new_volume(aws, ec2, Size=1)
    aws.control.load_image(volume, WRITTEN)
    return new_snapshot(aws, ec2, volume)


def unchecked(aws: LocalAws, account: str = HOME_ACCOUNT, region: str = REGION) -> Any:
    """A client that sends what botocore would refuse, as the recorded one did."""
    config = Config(parameter_validation=False, retries={"mode": "standard", "total_max_attempts": 1})
    session = boto3.Session(aws_access_key_id=account, aws_secret_access_key="test")
    return session.client("ebs", region_name=region, endpoint_url=aws.endpoint, config=config)


def same_refusal(client: Any, recorded: dict[str, Any], **replaced: Any) -> None:
    """It is refused with the same status, code, reason and words."""
    arguments = {**recorded["input"], **replaced}
    with pytest.raises(ClientError) as refusal:
        getattr(client, xform_name(recorded["operation"]))(**arguments)
    answer = refusal.value.response
    words = recorded["error"]["Message"]
    if "BlockToken" in replaced:
        words = words.replace(recorded["input"]["BlockToken"], replaced["BlockToken"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == recorded["http_status"]
    assert form({"Code": answer["Error"]["Code"], "Message": answer["Error"]["Message"]}) == form(
        {"Code": recorded["error"]["Code"], "Message": words}
    )
    assert answer.get("Reason") == recorded.get("reason")


def same_answer(answer: dict[str, Any], recorded: dict[str, Any]) -> None:
    """It has the same fields, and the same values where these are not tokens or times."""
    output = recorded["output"]
    answer = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    assert answer.keys() == output.keys()
    for name, value in output.items():
        if isinstance(value, list):
            assert [item.keys() for item in answer[name]] == [item.keys() for item in value]
            assert [item["BlockIndex"] for item in answer[name]] == [item["BlockIndex"] for item in value]
        elif name != "ExpiryTime":
            assert answer[name] == value


@pytest.mark.parametrize("label", ["list-pending-root", "get-pending-root-invalid-token", "changed-pending-root"])
def test_a_pending_snapshot_is_refused(aws: LocalAws, ec2: Any, volume: str, label: str) -> None:
    recorded = call(BLOCKS, label)
    pending = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    named = {name: pending for name in recorded["input"] if name.endswith("SnapshotId")}
    same_refusal(unchecked(aws), recorded, **named)


@pytest.mark.parametrize(
    "label",
    [
        "list-page-size-99",
        "list-page-size-10001",
        "list-start-negative",
        "list-invalid-next-token",
        "list-token-versus-start-precedence",
        "get-malformed-token",
        "get-token-empty",
        "get-negative-index",
    ],
)
def test_what_does_not_fit_is_refused_in_the_recorded_words(aws: LocalAws, root: str, label: str) -> None:
    same_refusal(unchecked(aws), call(BLOCKS, label), SnapshotId=root)


def test_the_token_of_another_block_is_refused(aws: LocalAws, root: str) -> None:
    client = unchecked(aws)
    token = client.list_snapshot_blocks(SnapshotId=root)["Blocks"][0]["BlockToken"]
    same_refusal(client, call(BLOCKS, "get-token-wrong-index"), SnapshotId=root, BlockToken=token)


def test_a_snapshot_is_not_found_in_another_region(aws: LocalAws, root: str) -> None:
    client = unchecked(aws, region=OTHER_REGION)
    same_refusal(client, call(BLOCKS, "region-isolation-list"), SnapshotId=root)


def test_a_list_is_as_recorded_and_its_tokens_are_good_for_as_long(aws: LocalAws, root: str) -> None:
    client, recorded = unchecked(aws), call(BLOCKS, "root-relist")
    listed = client.list_snapshot_blocks(SnapshotId=root)
    same_answer(listed, recorded)
    assert re.fullmatch(r"AlMB[\w-]+", recorded["output"]["Blocks"][0]["BlockToken"])
    assert re.fullmatch(r"AlMB[\w-]+", listed["Blocks"][0]["BlockToken"])
    lifetime = timedelta(seconds=round(captured(BLOCKS)["block_token_lifetime_seconds"]))
    assert listed["ExpiryTime"] - aws.control.now() == lifetime
    past = call(BLOCKS, "list-start-past-volume")
    empty = client.list_snapshot_blocks(SnapshotId=root, StartingBlockIndex=2048)
    same_answer(empty, past)
    assert empty["ExpiryTime"] == aws.control.now()
    begun = datetime.fromisoformat(past["started_at"])
    assert datetime.fromisoformat(past["output"]["ExpiryTime"]) - begun < timedelta(seconds=1)


def test_a_block_of_zeros_has_the_recorded_checksum(aws: LocalAws, root: str) -> None:
    client = unchecked(aws)
    [block] = client.list_snapshot_blocks(SnapshotId=root, StartingBlockIndex=7)["Blocks"][:1]
    answer = client.get_snapshot_block(SnapshotId=root, **block)
    recorded = call(BLOCKS, "root-get-7")["output"]
    assert {name: answer[name] for name in recorded} == recorded
    assert answer["BlockData"].read() == bytes(BLOCK_SIZE)


def test_copies_within_a_region_are_related_to_their_source(aws: LocalAws, ec2: Any, root: str) -> None:
    share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [OTHER_ACCOUNT]}
    ec2.modify_snapshot_attribute(SnapshotId=root, **share)
    for account, label in (
        (HOME_ACCOUNT, "plain-same-omitted-source-pair-forward"),
        (OTHER_ACCOUNT, "member-plain-source-pair-forward"),
    ):
        owner = aws.client("ec2", account=account)
        copied = owner.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=root)["SnapshotId"]
        aws.control.settle()
        client = aws.client("ebs", account=account)
        same_answer(client.list_changed_blocks(FirstSnapshotId=root, SecondSnapshotId=copied), call(PAIRS, label))
    # Of StartSnapshot with a parent; here of a volume that was made of the copy.
    child = new_volume(aws, owner, SnapshotId=copied, Size=1)
    aws.control.write(child, b"more", 9 * BLOCK_SIZE)
    later = new_snapshot(aws, owner, child)
    changed = client.list_changed_blocks(FirstSnapshotId=copied, SecondSnapshotId=later)
    same_answer(changed, call(PAIRS, "plain-same-omitted-child-vs-copy"))


def test_pairs_of_other_accounts_are_refused(aws: LocalAws, ec2: Any, root: str) -> None:
    other, member = aws.client("ebs", account=OTHER_ACCOUNT), aws.client("ec2", account=OTHER_ACCOUNT)
    share = {"Attribute": "createVolumePermission", "OperationType": "add"}
    ec2.modify_snapshot_attribute(SnapshotId=root, UserIds=[OTHER_ACCOUNT], **share)
    own = new_snapshot(aws, member, new_volume(aws, member))
    private = new_snapshot(aws, ec2, new_volume(aws, ec2, SnapshotId=root))
    same_refusal(other, call(PAIRS, "cross-owner-forward"), FirstSnapshotId=root, SecondSnapshotId=own)
    recorded = call(PAIRS, "shared-first-private-second")
    same_refusal(other, recorded, FirstSnapshotId=root, SecondSnapshotId=private)
    ec2.modify_snapshot_attribute(SnapshotId=root, GroupNames=["all"], **share)
    same_refusal(other, call(PAIRS, "member-public-and-private-list"), SnapshotId=root)
    ec2.delete_snapshot(SnapshotId=root)  # other tests list what all may see


def test_a_missing_right_is_refused_in_the_recorded_words(aws: LocalAws, ec2: Any, root: str) -> None:
    """The recorded ones lacked a session policy, those here lack one of the role's."""
    later = new_snapshot(aws, ec2, ec2.describe_snapshots(SnapshotIds=[root])["Snapshots"][0]["VolumeId"])
    pair = {"FirstSnapshotId": root, "SecondSnapshotId": later}
    arn = "arn:aws:ec2:eu-west-1::snapshot/"
    for label, named, statement in (
        (
            "resource-tag-mismatch-list",
            {"SnapshotId": root},
            {"Condition": {"StringEquals": {"aws:ResourceTag/a": "b"}}},
        ),
        ("changed-second-only", pair, {"Resource": arn + later}),
        ("changed-first-only", pair, {"Resource": arn + root}),
    ):
        recorded = call(PAIRS, label)
        client = acting(aws, {"Action": READS, "Resource": f"{arn}*", **statement}, service="ebs")
        with pytest.raises(ClientError) as refusal:
            getattr(client, xform_name(recorded["operation"]))(**named)
        words = recorded["error"]["Message"].replace("no session policy", "no identity-based policy")
        ours = refusal.value.response["Error"]
        assert ours["Code"] == recorded["error"]["Code"]
        assert form(re.sub(r"^User: \S+", "", ours["Message"])) == form(re.sub(r"^User: \S+", "", words))
        assert "Reason" not in refusal.value.response


def _of_key(key: str, *actions: str, via: str = "") -> list[dict[str, Any]]:
    condition = {"Condition": {"StringEquals": {"kms:ViaService": f"{via}.{REGION}.amazonaws.com"}}} if via else {}
    return [{"Action": list(actions), "Resource": key, **condition}] if actions else []


FULL = ("kms:DescribeKey", "kms:Decrypt", "kms:CreateGrant", "kms:ReEncrypt*")
GRANTED: dict[str, tuple[tuple[str, ...], str]] = {
    "kms-none": ((), ""),
    "kms-deny-describe": (("kms:Decrypt", "kms:CreateGrant", "kms:ReEncrypt*"), ""),
    "kms-deny-decrypt": (("kms:DescribeKey", "kms:CreateGrant", "kms:ReEncrypt*"), ""),
    "kms-decrypt-only": (("kms:Decrypt",), ""),
    "kms-full": (FULL, ""),
    "kms-via-ec2": (FULL, "ec2"),
    "kms-via-ebs": (FULL, "ebs"),
}


def test_the_rights_on_a_key_are_the_recorded_ones(aws: LocalAws, ec2: Any) -> None:
    aws.control.set_delays(readable=0)
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    volume = new_volume(aws, ec2, Encrypted=True, KmsKeyId=key)
    aws.control.write(volume, b"data")
    snapshot_id = new_snapshot(aws, ec2, volume)
    [block] = aws.client("ebs").list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    allowed = {"Action": READS, "Resource": "*"}
    client = acting(aws, allowed, service="ebs")
    recorded = {item["label"]: (item["list"], item["get"]) for item in captured(PAIRS)["keys"]}
    assert recorded.keys() == GRANTED.keys()
    for label, (actions, via) in GRANTED.items():
        client.permit(allowed, *_of_key(key, *actions, via=via))
        seen = tuple(
            _reason(ask, SnapshotId=snapshot_id, **more)
            for ask, more in ((client.list_snapshot_blocks, {}), (client.get_snapshot_block, block))
        )
        assert (label, seen) == (label, recorded[label])
    aws.client("kms").disable_key(KeyId=key)
    with pytest.raises(ClientError) as refusal:
        aws.client("ebs").get_snapshot_block(SnapshotId=snapshot_id, **block)
    request = r"(?<=Request ID: )[0-9a-f-]{36}"
    ours, words = refusal.value.response["Error"]["Message"], captured(PAIRS)["key_words"]["disabled"]
    assert form(re.sub(request, "", ours)) == form(re.sub(request, "", words))


def _reason(ask: Any, **arguments: Any) -> str:
    """`Success`, or why not: in the recorded words, the reason."""
    try:
        ask(**arguments)
    except ClientError as refusal:
        known = captured(PAIRS)["key_words"]["missing_right"] in refusal.response["Error"]["Message"]
        return str(refusal.response["Reason"]) if known else str(refusal)
    return "Success"
