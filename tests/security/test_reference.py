"""Every statement of the expanded template agrees with AWS's reference, and a planted fault of each kind is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.expanded_template import ACCOUNT, DEPLOYMENTS, EVERYTHING, expanded
from tools.policy_reference import Owner, can_match, findings, owners

SNAPSHOTS = "arn:aws:ec2:eu-west-1::snapshot/*"
VOLUMES = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:volume/*"
TARGET = {"StringEquals": {"aws:ResourceTag/lifeboat:restore-target": "true"}}


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def owners_of_policies(request):
    return list(owners(expanded(DEPLOYMENTS[request.param])))


def test_every_statement_agrees_with_the_reference(owners_of_policies, show_figure):
    statements = sum(len(owner.statements) for owner in owners_of_policies)
    show_figure(f"policy reference: {statements} statements of {len(owners_of_policies)} owners held against it")
    assert statements > 80
    assert {owner.kind for owner in owners_of_policies} == {"role", "trust", "managed policy", "resource policy"}
    assert [finding for owner in owners_of_policies for finding in findings(owner)] == []


def test_with_everything_on_every_resource_exists():
    template = (DEPLOYMENTS["everything on"], DEPLOYMENTS["defaults"])
    on, off = (set(expanded(parameters)) for parameters in template)
    assert off < on
    assert {"CopyEndedRule", "VaultReaderRole", "CopySharedSnapshots", "SnapshotWork", "RecoveryPointsBin"} <= on - off


def test_the_same_holds_in_the_other_partitions():
    for partition, region, suffix in (
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
    ):
        resources = expanded(
            {name: value.replace("arn:aws:", f"arn:{partition}:") for name, value in EVERYTHING.items()},
            region=region,
            partition=partition,
            suffix=suffix,
        )
        assert [finding for owner in owners(resources) for finding in findings(owner)] == []


def planted(**statement):
    statement = {"Effect": "Allow", "Sid": "Planted", **statement}
    return Owner("Role", "role", [{"Statement": [statement]}])


PLANTED = {
    "an action that does not exist": (
        planted(Action="ec2:CreateSnapshotz", Resource="*"),
        "Planted: there is no action ec2:CreateSnapshotz",
    ),
    "a service that does not exist": (
        planted(Action="ebs2:Copy", Resource="*"),
        "Planted: there is no action ebs2:Copy",
    ),
    "an action in another spelling": (
        planted(Action="kms:GenerateDatakey", Resource=f"arn:aws:kms:*:{ACCOUNT}:key/*"),
        "Planted: there is no action kms:GenerateDatakey",
    ),
    "an account in a snapshot's ARN": (
        planted(Action="ec2:DeleteSnapshot", Resource=f"arn:aws:ec2:eu-west-1:{ACCOUNT}:snapshot/*"),
        f"Planted: ec2:DeleteSnapshot is never asked about arn:aws:ec2:eu-west-1:{ACCOUNT}:snapshot/*",
    ),
    "no account in a volume's ARN": (
        planted(Action="ec2:DeleteVolume", Resource="arn:aws:ec2:eu-west-1::volume/*"),
        "Planted: ec2:DeleteVolume is never asked about arn:aws:ec2:eu-west-1::volume/*",
    ),
    "a resource for an action that has none": (
        planted(Action="ec2:DescribeSnapshots", Resource=SNAPSHOTS),
        f"Planted: ec2:DescribeSnapshots is never asked about {SNAPSHOTS}",
    ),
    "one resource too many": (
        planted(Action="ec2:DeleteVolume", Resource=[VOLUMES, SNAPSHOTS]),
        f"Planted: no action of it is ever asked about {SNAPSHOTS}",
    ),
    "the source's tags at CopySnapshot": (
        Owner(
            "Role",
            "managed policy",
            [
                {
                    "Statement": [
                        {"Sid": "Planted", "Action": "ec2:CopySnapshot", "Resource": SNAPSHOTS, "Condition": TARGET}
                    ]
                }
            ],
        ),
        "Planted: ec2:CopySnapshot on arn:${Partition}:ec2:${Region}::snapshot/${SnapshotId} is never asked with "
        "aws:ResourceTag/lifeboat:restore-target",
    ),
    "another service's key": (
        planted(
            Action="dynamodb:GetItem",
            Resource=f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/t",
            Condition={"StringEquals": {"ec2:Owner": ACCOUNT}},
        ),
        "Planted: dynamodb:GetItem on arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName} is never asked "
        "with ec2:Owner",
    ),
    "a number compared as a text": (
        planted(
            Action="ec2:LockSnapshot", Resource=SNAPSHOTS, Condition={"StringEquals": {"ec2:SnapshotLockDuration": "7"}}
        ),
        "Planted: ec2:SnapshotLockDuration is a Numeric and is never StringEquals",
    ),
    "several values compared as one": (
        planted(
            Action="ec2:CreateTags", Resource=VOLUMES, Condition={"StringEquals": {"aws:TagKeys": ["lifeboat:stack"]}}
        ),
        "Planted: aws:TagKeys has several values, and StringEquals is for one: ForAllValues or ForAnyValue",
    ),
    "one value compared as several": (
        planted(
            Action="ec2:DeleteSnapshot",
            Resource=SNAPSHOTS,
            Condition={"ForAnyValue:StringEquals": {"ec2:Owner": [ACCOUNT]}},
        ),
        "Planted: ec2:Owner has one value, and ForAnyValue:StringEquals is for several",
    ),
    "all of nothing": (
        planted(
            Action="ec2:CreateTags",
            Resource=VOLUMES,
            Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["lifeboat:stack"]}},
        ),
        "Planted: ForAllValues holds without any aws:TagKeys",
    ),
    "one of two resources": (
        planted(Action="ec2:AttachVolume", Resource=VOLUMES),
        "ec2:AttachVolume is always asked about arn:${Partition}:ec2:${Region}:${Account}:instance/${InstanceId}, too, "
        "and no statement has one",
    ),
    "an action without what it depends on": (
        planted(Action="ec2:CreateVolume", Resource=[VOLUMES, SNAPSHOTS]),
        "ec2:CreateVolume depends on ec2:CreateTags, which no statement has",
    ),
    "tags at the creation of nothing": (
        planted(
            Action="ec2:CreateTags",
            Resource=SNAPSHOTS,
            Condition={"StringEquals": {"ec2:CreateAction": "CopySnapshots"}},
        ),
        "tags at CopySnapshots, which no statement has",
    ),
    "a trust of nothing": (
        Owner("Role", "trust", [{"Statement": [{"Sid": "Planted", "Action": "sts:AssumeRoles"}]}]),
        "Planted: there is no action sts:AssumeRoles",
    ),
    "a policy too large": (
        replace(planted(Action="ec2:DescribeVolumes", Resource="*"), sizes={"managed policy": (6145, 6144)}),
        "its managed policy has 6145, IAM takes 6144",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name):
    owner, sentence = PLANTED[name]
    assert findings(owner) == [f"Role: {sentence}"]


def test_a_vault_of_too_many_sources_is_more_than_iam_takes():
    sources = [str(222233330000 + number) for number in range(600)]
    resources = expanded({**EVERYTHING, "VaultSourceAccounts": ",".join(sources)})
    found = [finding for owner in owners(resources) for finding in findings(owner)]
    assert any(finding.startswith("CopySharedSnapshots: its managed policy has") for finding in found)
    assert any("inline policies" in finding for finding in found)


@pytest.mark.parametrize(
    ("resource", "matches"),
    [
        ("*", True),
        ("arn:aws:ec2:*:*:snapshot/*", True),  # `*` is nothing, too
        ("arn:aws:ec2:eu-west-1::snapshot/snap-1", True),
        ("arn:aws:ec2:eu-west-1::snap*", True),
        ("arn:aws:ec2:eu-west-1::snapshot/", False),
        ("arn:aws:ec2:eu-west-1:111122223333:snapshot/*", False),
        ("arn:aws:ebs:eu-west-1::snapshot/*", False),
        ("arn:aws:ec2:eu-west-1::volume/*", False),
        ("arn:aws:ec2:eu-west-1", False),
    ],
)
def test_which_resources_can_be_a_snapshot(resource, matches):
    assert can_match(resource, "arn:${Partition}:ec2:${Region}::snapshot/${SnapshotId}") == matches
