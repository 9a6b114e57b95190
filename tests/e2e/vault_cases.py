"""A source account and its vault, as docs/guide/migrate.md has them deployed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.e2e.stage import DEVICE, SETTINGS, Machine, Stage

VAULT = "777788889999"
DISK = {"VolumeSize": 40, "VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Encrypted": True}
NEVER_AGAIN = {"Retention": "last=1", "MinimumKept": "1", "GraceHours": "0", "MaximumDeletePercent": "100"}


@dataclass(frozen=True)
class Accounts:
    """The stack that saves a platform, the vault's, and what each encrypts with."""

    source: Stage
    vault: Stage
    source_key: str
    vault_key: str

    def launch(self, **facts: Any) -> Machine:
        """A platform in the source whose data volume is under a customer key."""
        [machine] = self.source.launch(disks={DEVICE: {**DISK, "KmsKeyId": self.source_key}}, **facts)
        return machine

    def save(self, machine: Machine) -> None:
        """A recovery point, confirmed, and shared by what BackupCompleted wakes."""
        self.source.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id]})
        self.source.control.settle()

    def reconcile(self) -> None:
        """A minute goes by in both accounts, twice: what is begun in the first is seen in the second."""
        for stage in (self.source, self.vault, self.vault):
            stage.reconcile("CopySnapshotsFunction")

    def kept(self, machine: Machine | None = None) -> list[dict[str, Any]]:
        """The vault's copies, of a machine or of all, those without metadata, too."""
        wanted = [{"Name": "tag-key", "Values": ["lifeboat:source-account"]}]
        if machine:
            wanted.append({"Name": "tag:lifeboat:instance", "Values": [f"{HOME_ACCOUNT}/{machine.instance_id}"]})
        found: list[dict[str, Any]] = self.vault.ec2.describe_snapshots(OwnerIds=["self"], Filters=wanted)["Snapshots"]
        return found


@contextmanager
def two_accounts(**vault: str) -> Iterator[Accounts]:
    """Both stacks, deployed in the order that the documentation says."""
    with LocalAws(SETTINGS) as aws:
        source_key = aws.client("kms").create_key(Description="data")["KeyMetadata"]["Arn"]
        vault_key = aws.client("kms", REGION, VAULT).create_key(Description="vault")["KeyMetadata"]["Arn"]
        source = Stage(aws, {"VaultAccount": VAULT})
        settings = {
            "VaultSourceAccounts": HOME_ACCOUNT,
            "VaultReaderRoleArns": source.outputs["VaultReaderRoleArn"],
            "VaultKmsKeyArn": vault_key,
            "LockMode": "governance",
            "LockDays": "7",
            **vault,
        }
        yield Accounts(source, Stage(aws, settings, account=VAULT), source_key, vault_key)


def roles_of(stage: Stage) -> list[str]:
    """Every role of the deployed stack, and whoever has one has its rights."""
    stack = stage.aws.client("cloudformation", stage.region, stage.account)
    resources = stack.describe_stack_resources(StackName="lifeboat")["StackResources"]
    return [item["PhysicalResourceId"] for item in resources if item["ResourceType"] == "AWS::IAM::Role"]


def taken_over(stage: Stage, role: str, service: str = "ec2") -> Any:
    """A client with a role's own credentials, its trust opened as an account's administrator can."""
    iam = stage.aws.client("iam", None, stage.account)
    opened = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{stage.account}:root"}, "Action": "sts:AssumeRole"}
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    if opened not in trust["Statement"]:
        trust["Statement"].append(opened)
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    keys = stage.aws.client("sts", None, stage.account).assume_role(RoleArn=arn, RoleSessionName="thief")["Credentials"]
    return boto3.client(
        service,
        region_name=stage.region,
        endpoint_url=stage.aws.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
