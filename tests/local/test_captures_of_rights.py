"""What live accounts showed of rights (tests/fixtures/captures): on keys, on resources, and by conditions."""

import re
from typing import Any

import pytest

from local.control import Control
from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.local.captures import acting, ask, call, captured, contains, event, form
from tests.local.conftest import ZONE, amazon_image, new_snapshot, new_volume

OTHER = "444455556666"
ALL = {"Action": ["ec2:*", "kms:*"], "Resource": "*"}


def words(text: str) -> str:
    """What is the same whichever kind of policy refuses, and whoever is refused; the encoded message is cut off."""
    text = re.sub(r" Encoded authorization failure message.*| \(encoded.*", "", form(text))
    text = re.sub(r"assumed-role/\S+", "ROLE", text).strip().rstrip(".")
    return re.sub(r"(a session|an identity-based|no session|no identity-based) policy", "A POLICY", text)


@pytest.fixture
def foreign(aws: LocalAws) -> tuple[str, str]:
    """Another account's snapshot under a key of its own, shared; and the key."""
    other = aws.client("ec2", account=OTHER)
    key = aws.client("kms", account=OTHER).create_key()["KeyMetadata"]["Arn"]
    snapshot = new_snapshot(aws, other, new_volume(aws, other, Encrypted=True, KmsKeyId=key))
    other.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": HOME_ACCOUNT}]})
    return snapshot, key


@pytest.fixture
def own_key(aws: LocalAws) -> str:
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


# --- rights on keys


@pytest.mark.parametrize(
    "label",
    [
        *("fresh-control", "fresh-source-create-grant", "fresh-source-decrypt", "fresh-source-describe"),
        *("fresh-source-reencrypt", "fresh-target-reencrypt", "fresh-target-create-grant", "fresh-target-generate"),
    ],
)
def test_a_volume_of_anothers_snapshot_needs_these_rights_on_its_keys(
    aws: LocalAws, ec2: Any, control: Control, foreign: tuple[str, str], *, own_key: str, label: str
) -> None:
    name = "ebs_createvolume_kms_authority_and_events"
    recorded = call(name, label)
    snapshot, its_key = foreign
    role = acting(aws, ALL)
    if recorded["denied"]:
        action, _, of = recorded["denied"].partition(" on the ")
        key = {"source key": its_key, "target key": own_key}[of]
        role.permit(ALL, {"Effect": "Deny", "Action": action, "Resource": key})
    mark = control.mark()
    values = {"SnapshotId": snapshot, "AvailabilityZone": ZONE, "Encrypted": True, "KmsKeyId": own_key}
    made = ask(role, {"operation": "CreateVolume"}, **values)
    assert made["State"] == "creating"
    control.settle()
    then = ask(ec2, {"operation": "DescribeVolumes"}, VolumeIds=[made["VolumeId"]])
    if "terminal" not in recorded:
        assert then["Volumes"][0]["State"] == recorded["terminal_state"]
        return
    assert then["Code"] == recorded["terminal"]["code"]
    failed, deleted = control.events(mark, detail_type="EBS Volume Notification")
    assert deleted["detail"]["event"] == event(name, "deleteVolume", "deleted")["detail"]["event"]
    published = [item["event"]["detail"] for item in captured(name)["events"]]
    causes = [item["cause"] for item in published if item.get("request-id") == recorded["request_id"] and item["cause"]]
    for cause in causes:  # of one label no event was recorded
        assert words(failed["detail"]["cause"]) == words(cause)
    assert bool(causes) == (label != "fresh-target-generate")


@pytest.mark.parametrize(
    "label",
    [
        *("fresh-baseline", "fresh-describe", "fresh-decrypt", "fresh-reencrypt"),
        *("fresh-generate-without-plaintext", "fresh-grant", "fresh-generate"),
        *("fresh-source-grant", "fresh-source-describe"),
    ],
)
def test_a_copy_of_anothers_snapshot_needs_these_rights_on_its_keys(
    aws: LocalAws, ec2: Any, control: Control, foreign: tuple[str, str], *, own_key: str, label: str
) -> None:
    both = captured("ebs_copysnapshot_kms_authority")
    [recorded, *_] = [item for item in both["every_key"] + both["source_key_alone"] if item["label"] == label]
    snapshot, its_key = foreign
    role = acting(aws, ALL)
    if recorded["denied"]:
        key = its_key if "source" in label else "*"
        role.permit(ALL, {"Effect": "Deny", "Action": recorded["denied"], "Resource": key})
    values = {"SourceRegion": REGION, "SourceSnapshotId": snapshot, "Encrypted": True, "KmsKeyId": own_key}
    answer = ask(role, {"operation": "CopySnapshot"}, **values)
    if "error" in recorded:
        assert form(answer) == form(recorded["error"])
        return
    control.settle()
    [found] = ec2.describe_snapshots(SnapshotIds=[answer["SnapshotId"]])["Snapshots"]
    assert (found["State"], found.get("StateMessage")) == (recorded["terminal_state"], recorded.get("StateMessage"))
    if found["State"] == "error":
        assert contains(found, both["error_copy_as_described"])


def test_a_snapshot_needs_no_right_on_the_volumes_key(aws: LocalAws, ec2: Any, control: Control, own_key: str) -> None:
    recorded = call("ebs_createvolume_kms_authority_and_events", "snapshot-deny-all-kms")
    volume = new_volume(aws, ec2, Encrypted=True, KmsKeyId=own_key)
    role = acting(aws, ALL, {"Effect": "Deny", "Action": "kms:*", "Resource": "*"})
    made = ask(role, recorded, VolumeId=volume)
    control.settle()
    [found] = ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"]
    assert found["State"] == recorded["terminal_state"]


# --- rights on resources


@pytest.mark.parametrize("label", ["source-iam-source-and-destination", "source-iam-destination-only"])
def test_a_volume_needs_the_right_on_its_snapshot_too(aws: LocalAws, ec2: Any, volume: str, label: str) -> None:
    recorded = call("ebs_createvolume_keys_and_source_iam", label)
    snapshot = new_snapshot(aws, ec2, volume)
    new = f"arn:aws:ec2:{REGION}:{HOME_ACCOUNT}:volume/*"
    source = f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"
    allowed = [new, source] if label.endswith("source-and-destination") else [new]
    role = acting(aws, {"Action": "ec2:CreateVolume", "Resource": allowed})
    answer = ask(role, recorded, SnapshotId=snapshot, AvailabilityZone=ZONE)
    assert answer["Code"] == recorded["code"]
    assert words(answer["Message"]) == words(recorded["error"]["Message"])


def test_a_refusal_names_the_resource_if_the_action_has_one(aws: LocalAws) -> None:
    name = "ec2_iam_createvolume_context"
    role = acting(aws, {"Action": "ec2:CreateVolume", "Resource": "arn:aws:ec2:*:*:volume/not-this"})
    new = {"AvailabilityZone": ZONE, "Size": 1, "VolumeType": "gp3"}
    answer = ask(role, recorded := call(name, "iam-create-wrong-resource-dry-False"), **new)
    assert (answer["Code"], words(answer["Message"])) == (recorded["code"], words(recorded["message"]))
    role.permit(ALL, {"Effect": "Deny", "Action": "ec2:DescribeVolumeStatus", "Resource": "*"})
    answer = ask(role, recorded := call(name, "iam-denied-describe_volume_status-dry"), DryRun=True)
    assert (answer["Code"], words(answer["Message"])) == (recorded["code"], words(recorded["message"]))


# --- conditions


def here(value: str) -> str:
    """A recorded value of a condition key as it is here."""
    value = value.replace("us-east-1", REGION).replace("use1-az6", "euw1-az1")
    return value.replace("000000000000", HOME_ACCOUNT)


def test_createvolume_is_judged_by_the_recorded_keys(aws: LocalAws) -> None:
    decoded = call("ec2_iam_createvolume_context", "iam-create-wrong-resource-dry-False")["decoded"]["conditions"]
    about = {"aws:Resource", "aws:Account", "aws:Region", "aws:Service", "aws:Type", "aws:ARN"}  # of the message
    known = {key: here(values[0]) for key, values in decoded.items() if key not in about}
    assert "ec2:VolumeID" in known
    new = {"AvailabilityZone": ZONE, "Size": 1, "VolumeType": "gp3", "DryRun": True}
    create = {"Action": "ec2:CreateVolume", "Resource": f"arn:aws:ec2:{REGION}:{HOME_ACCOUNT}:volume/*"}
    role = acting(aws, {**create, "Condition": {"StringEquals": known}})
    assert ask(role, {"operation": "CreateVolume"}, **new)["Code"] == "DryRunOperation"
    for key, value in known.items():
        role.permit({**create, "Condition": {"StringEquals": {**known, key: f"{value}-not"}}})
        assert ask(role, {"operation": "CreateVolume"}, **new)["Code"] == "UnauthorizedOperation", key


def test_runinstances_is_judged_by_the_recorded_keys(aws: LocalAws, ec2: Any) -> None:
    contexts = captured("ec2_iam_runinstances_context")["contexts"]
    snapshot = new_snapshot(aws, ec2, new_volume(aws, ec2, Size=8))
    image = amazon_image(ec2)
    kinds = {}
    for arn, context in contexts.items():
        kind = arn.split(":")[5].split("/")[0]
        known = {key: here(values[0]) for key, values in context.items() if key.startswith("ec2:")}
        known |= {"aws:ResourceBeingCreated": "true"} if "aws:ResourceBeingCreated" in context else {}
        known |= {"ec2:ParentSnapshot": f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"} if kind == "volume" else {}
        known |= {"ec2:ImageID": image} if kind == "image" else {}
        kinds[kind] = known
    [profile] = [value for key, value in kinds["instance"].items() if key == "ec2:InstanceProfile"]
    run = {
        "ImageId": image,
        "MinCount": 1,
        "MaxCount": 1,
        "InstanceType": "t3.nano",
        "DryRun": True,
        "Placement": {"AvailabilityZone": ZONE},
        "IamInstanceProfile": {"Name": profile.rsplit("/", 1)[1]},
        "MetadataOptions": {"HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8, "VolumeType": "gp3"}}
        ],
    }

    def statements(**changed: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "Action": "ec2:RunInstances",
                "Resource": f"arn:aws:ec2:*:*:{kind}/*",
                "Condition": {"StringEquals": changed.get(kind, known)},
            }
            for kind, known in kinds.items()
        ]

    role = acting(aws, *statements())
    assert ask(role, {"operation": "RunInstances"}, **run)["Code"] == "DryRunOperation"
    for kind, known in kinds.items():
        for key, value in known.items():
            role.permit(*statements(**{kind: {**known, key: f"{value}-not"}}))
            assert ask(role, {"operation": "RunInstances"}, **run)["Code"] == "UnauthorizedOperation", key


def test_whose_a_copys_source_is_and_where_decides(aws: LocalAws, foreign: tuple[str, str]) -> None:
    """In captures.md: aws:ResourceAccount and ec2:Owner of the source, ec2:SourceRegion of both."""
    snapshot, _key = foreign
    new, source = f"arn:aws:ec2:{REGION}::snapshot/*", f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"
    copy = {"Action": "ec2:CopySnapshot"}
    of_both = {"ec2:SourceRegion": REGION}
    values = {"SourceRegion": REGION, "SourceSnapshotId": snapshot, "DryRun": True}

    def answer(on_new: dict[str, str], on_source: dict[str, str]) -> str:
        # The ARN of the new one has a star, so it is the same pattern as that of every snapshot.
        role.permit(
            {**copy, "Resource": new, "Condition": {"StringEquals": on_new}},
            {**copy, "Resource": source, "Condition": {"StringEquals": on_source}},
        )
        return str(ask(role, {"operation": "CopySnapshot"}, **values)["Code"])

    role = acting(aws, ALL)
    theirs = {"aws:ResourceAccount": OTHER, "ec2:Owner": OTHER}
    assert answer({**of_both, "aws:ResourceAccount": HOME_ACCOUNT}, {**of_both, **theirs}) == "DryRunOperation"
    assert answer({**of_both, "aws:ResourceAccount": HOME_ACCOUNT}, {"ec2:Owner": HOME_ACCOUNT}) != "DryRunOperation"
    assert answer({**of_both, "ec2:Owner": HOME_ACCOUNT}, {**of_both, **theirs}) != "DryRunOperation"
    assert answer({"ec2:SourceRegion": "us-east-1"}, {**of_both, **theirs}) != "DryRunOperation"


def test_a_recipients_own_tags_count_in_its_policies(aws: LocalAws, ec2: Any, foreign: tuple[str, str]) -> None:
    """So a policy that trusts a snapshot's tags must ask whose it is as well (template.yaml does)."""
    snapshot, _key = foreign
    tagged = {"Null": {"aws:ResourceTag/lifeboat:recovery-point": "false"}}
    create = {"Action": "ec2:CreateVolume", "Resource": "*"}
    new = {"Action": "ec2:CreateVolume", "Resource": f"arn:aws:ec2:{REGION}:{HOME_ACCOUNT}:volume/*"}
    values = {"SnapshotId": snapshot, "AvailabilityZone": ZONE, "DryRun": True}
    role = acting(aws, new, {**create, "Condition": tagged})
    assert ask(role, {"operation": "CreateVolume"}, **values)["Code"] == "UnauthorizedOperation"
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "lifeboat:recovery-point", "Value": "mine now"}])
    assert ask(role, {"operation": "CreateVolume"}, **values)["Code"] == "DryRunOperation"
    role.permit(new, {**create, "Condition": {**tagged, "StringEquals": {"ec2:Owner": HOME_ACCOUNT}}})
    assert ask(role, {"operation": "CreateVolume"}, **values)["Code"] == "UnauthorizedOperation"
