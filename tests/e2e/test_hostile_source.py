"""A source account in an enemy's control: all roles of its stack taken over, and then the whole account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.session import HOME_ACCOUNT, REGION
from tests.e2e.stage import Machine, tag_list, tags_of
from tests.e2e.vault_cases import NEVER_AGAIN, VAULT, Accounts, roles_of, taken_over, two_accounts

STRANGER = "999988887777"


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with two_accounts(**NEVER_AGAIN) as made:
        yield made


@pytest.fixture(scope="module")
def machine(accounts: Accounts) -> Machine:
    """A platform whose recovery point the vault holds."""
    made = accounts.launch()
    accounts.save(made)
    accounts.reconcile()
    return made


def answer(call: Any, **arguments: Any) -> str:
    """EC2's refusal, or nothing if it did as it was asked."""
    try:
        call(**arguments)
    except ClientError as problem:
        return problem.response["Error"]["Code"]
    return ""


def attacks(ec2: Any, snapshot: str) -> dict[str, str]:
    """All that would delete, unlock, alter or give away a snapshot, and what EC2 says to it."""
    tags = tag_list({"lifeboat:chain": "vol-00000000", "lifeboat:hold": "x"})
    share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [STRANGER]}
    lock = {"LockMode": "governance", "LockDuration": 1}
    return {
        "delete": answer(ec2.delete_snapshot, SnapshotId=snapshot),
        "unlock": answer(ec2.unlock_snapshot, SnapshotId=snapshot),
        "lock for less": answer(ec2.lock_snapshot, SnapshotId=snapshot, **lock),
        "tag": answer(ec2.create_tags, Resources=[snapshot], Tags=tags),
        "untag": answer(ec2.delete_tags, Resources=[snapshot], Tags=[{"Key": "lifeboat:recovery-point"}]),
        "share": answer(ec2.modify_snapshot_attribute, SnapshotId=snapshot, **share),
        "reset": answer(ec2.reset_snapshot_attribute, SnapshotId=snapshot, Attribute="createVolumePermission"),
        "archive": answer(ec2.modify_snapshot_tier, SnapshotId=snapshot, StorageTier="archive"),
    }


def held(accounts: Accounts) -> dict[str, Any]:
    """What the vault holds, to the last tag, and the locks on it."""
    locks = accounts.vault.ec2.describe_locked_snapshots()["Snapshots"]
    return {
        **{item["SnapshotId"]: {**item, "Tags": tags_of(item)} for item in accounts.kept()},
        "locks": {item["SnapshotId"]: (item["LockState"], item["LockExpiresOn"]) for item in locks},
    }


def test_no_role_of_the_source_can_touch_what_the_vault_holds(accounts, machine):
    [copy] = accounts.kept(machine)
    before = held(accounts)
    roles = roles_of(accounts.source)
    assert len(roles) >= 8
    for role in roles:
        said = attacks(taken_over(accounts.source, role), copy["SnapshotId"])
        assert all(said.values()), (role, said)
    everything = boto3.client(
        "ec2", REGION, endpoint_url=accounts.source.aws.endpoint, **root_of(accounts, HOME_ACCOUNT)
    )
    said = attacks(everything, copy["SnapshotId"])
    assert all(said.values()), said
    assert held(accounts) == before


def root_of(accounts: Accounts, account: str) -> dict[str, str]:
    """The credentials of an account's root, which no policy of its own binds."""
    environment = accounts.source.aws.environment(account=account)
    return {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
    }


def test_the_vaults_own_role_can_neither_delete_nor_unlock(accounts, machine):
    [copy] = accounts.kept(machine)
    for role in roles_of(accounts.vault):
        said = attacks(taken_over(accounts.vault, role), copy["SnapshotId"])
        assert said["delete"], role
        assert said["unlock"], role
        assert said["tag"], role
        assert said["share"], role


def test_a_role_of_the_source_shares_with_the_vault_alone_and_takes_nothing_back(accounts, machine):
    [point] = accounts.source.recovery_point_snapshots(("tag:lifeboat:instance", machine.instance_id))
    [role] = [name for name in roles_of(accounts.source) if "CopySnapshotsFunctionRole" in name]
    ec2 = taken_over(accounts.source, role)
    permission = {"SnapshotId": point["SnapshotId"], "Attribute": "createVolumePermission"}
    assert answer(ec2.modify_snapshot_attribute, **permission, OperationType="add", UserIds=[VAULT]) == ""
    for change in (
        {"OperationType": "add", "UserIds": [STRANGER]},
        {"OperationType": "add", "UserIds": [VAULT, STRANGER]},
        {"OperationType": "add", "GroupNames": ["all"]},
        {"OperationType": "remove", "UserIds": [VAULT]},
    ):
        assert answer(ec2.modify_snapshot_attribute, **permission, **change) == "UnauthorizedOperation", change


def test_a_flood_of_false_recovery_points_lets_the_vault_delete_nothing_that_is_locked(accounts, machine):
    """The false ones claim the lineage, with the very names of what is there; retention keeps one point of a
    lineage."""
    [copy] = accounts.kept(machine)
    [point] = accounts.source.recovery_point_snapshots(("tag:lifeboat:instance", machine.instance_id))
    before = held(accounts)
    for number in range(3):
        tags = {**tags_of(point), "lifeboat:retention": "last=1"}
        if number:
            tags["lifeboat:recovery-point"] += f"-{number}"
            tags["lifeboat:set"] += str(number)
        if number == 2:
            tags["lifeboat:volumes"] = "*"
        false = accounts.source.ec2.create_snapshot(
            VolumeId=machine.volume_id, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tag_list(tags)}]
        )["SnapshotId"]
        accounts.source.control.settle()
        accounts.source.ec2.modify_snapshot_attribute(
            SnapshotId=false, Attribute="createVolumePermission", OperationType="add", UserIds=[VAULT]
        )
    accounts.reconcile()
    accounts.vault.invoke("PruneSnapshotsFunction", {})
    accounts.vault.control.settle()
    after = held(accounts)
    assert after[copy["SnapshotId"]] == before[copy["SnapshotId"]]
    assert after["locks"][copy["SnapshotId"]] == before["locks"][copy["SnapshotId"]]
    assert [call for call in accounts.vault.denied() if "/thief" not in call] == []


def test_unshared_deleted_and_silenced_the_copies_stay_and_the_vault_says_so(accounts, machine):
    copies = accounts.kept(machine)
    for snapshot in accounts.source.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        permission = {"SnapshotId": snapshot["SnapshotId"], "Attribute": "createVolumePermission"}
        accounts.source.ec2.modify_snapshot_attribute(**permission, OperationType="remove", UserIds=[VAULT])
        accounts.source.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    iam = accounts.source.aws.client("iam")
    [reader] = [name for name in roles_of(accounts.source) if "VaultReader" in name]
    for policy in iam.list_role_policies(RoleName=reader)["PolicyNames"]:
        iam.delete_role_policy(RoleName=reader, PolicyName=policy)
    iam.delete_role(RoleName=reader)
    accounts.vault.reconcile("CopySnapshotsFunction")
    accounts.vault.invoke("PruneSnapshotsFunction", {})
    assert copies
    assert [item for item in accounts.kept(machine) if item in copies] == copies
    assert {item["State"] for item in copies} == {"completed"}
    reasons = [item["details"]["reason"] for item in accounts.vault.messages() if item["event"] == "MetadataMissing"]
    assert "AssumeRole" in reasons[-1]
    assert accounts.vault.failed_events() == []
