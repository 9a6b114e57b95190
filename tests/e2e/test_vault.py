"""The vault in another account: share, copy, lock; IAM is enforced in both accounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.session import HOME_ACCOUNT, REGION
from tests.e2e.migrate_cases import expect_fidelity
from tests.e2e.stage import DEVICE, events_of, tags_of
from tests.e2e.vault_cases import DISK, VAULT, Accounts, two_accounts


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with two_accounts() as made:
        yield made


def test_shared_copied_under_the_vaults_key_with_the_metadata_and_locked(accounts):
    machine = accounts.launch()
    accounts.save(machine)
    [point] = accounts.source.recovery_point_snapshots(("tag:lifeboat:instance", machine.instance_id))
    accounts.reconcile()
    [copy] = accounts.kept(machine)
    tags = tags_of(copy)
    assert (copy["State"], copy["OwnerId"], copy["KmsKeyId"]) == ("completed", VAULT, accounts.vault_key)
    assert tags["lifeboat:copy-of"] == point["SnapshotId"]
    assert tags["lifeboat:chain"] == f"{HOME_ACCOUNT}/{machine.volume_id}"
    [lock] = accounts.vault.ec2.describe_locked_snapshots(SnapshotIds=[copy["SnapshotId"]])["Snapshots"]
    assert (lock["LockState"], lock["LockDuration"]) == ("governance", 7)
    published = accounts.vault.published_about(instance_id=f"{HOME_ACCOUNT}/{machine.instance_id}")
    assert events_of(published) == ["SnapshotsCopied"]

    accounts.reconcile()
    assert len(accounts.kept(machine)) == 1, "copied once"
    assert len(accounts.vault.published_about(instance_id=f"{HOME_ACCOUNT}/{machine.instance_id}")) == 1, (
        "published once"
    )
    assert (accounts.source.denied(), accounts.vault.denied()) == ([], [])


def test_what_is_under_aws_ebs_is_refused_with_the_reason_and_no_copy_begins(accounts):
    other_disk = {**DISK, "KmsKeyId": accounts.source_key}
    [machine] = accounts.source.launch(disks={DEVICE: other_disk, "/dev/sdi": {"VolumeSize": 1, "Encrypted": True}})
    fine = accounts.launch()
    accounts.save(machine)
    accounts.save(fine)
    accounts.reconcile()
    accounts.reconcile()
    assert accounts.kept(machine) == []
    assert len(accounts.kept(fine)) == 1, "others go on"
    published = [
        item for item in accounts.source.published_about(instance_id=machine.instance_id) if "Failed" in item["event"]
    ]
    assert events_of(published) == ["SharingFailed"], "published once"
    assert "EBS default key cannot be shared" in published[0]["details"]["reason"]


def test_a_key_of_the_source_that_may_not_be_used_is_published_within_a_reconcile_run_and_others_go_on(accounts):
    kms = accounts.source.aws.client("kms")
    key = kms.create_key(Description="withdrawn")["KeyMetadata"]["Arn"]
    [machine] = accounts.source.launch(disks={DEVICE: {**DISK, "KmsKeyId": key}})
    fine = accounts.launch()
    accounts.save(machine)
    accounts.save(fine)
    kms.disable_key(KeyId=key)
    accounts.reconcile()
    published = [item for item in accounts.vault.messages() if item["event"] == "CopyFailed"]
    assert [item["subject"]["recovery_point"].split("-", 2)[2] for item in published] == [
        f"{machine.instance_id}-{HOME_ACCOUNT}"
    ]
    assert "not accessible" in published[0]["details"]["reason"]
    assert [item["State"] for item in accounts.kept(fine)] == ["completed"]


def test_a_restore_in_the_vault_copies_what_it_has_not_got_yet(accounts):
    source, vault = accounts.source, accounts.vault
    machine, mark = accounts.launch(), vault.control.mark()
    accounts.save(machine)
    [point] = source.recovery_point_snapshots(("tag:lifeboat:instance", machine.instance_id))
    [fresh] = vault.launch(zone=f"{REGION}b", disks={DEVICE: {"VolumeSize": 20, "VolumeType": "gp3"}})
    choice = {"instance_id": f"{HOME_ACCOUNT}/{machine.instance_id}"}
    plan = vault.restore(fresh, choice, dry_run=True)
    assert f"copy {point['SnapshotId']} from account {HOME_ACCOUNT}" in plan["plan"], plan

    begun = vault.restore(fresh, choice)
    assert (begun["step"], begun["volumes"][0]["copied_from"]) == ("copies", f"account {HOME_ACCOUNT}")
    ended = vault.until_closed(begun["restore_id"])
    assert ended["status"] == "completed", ended
    [copy] = accounts.kept(machine)
    [(volume_id, _)] = vault.disks(fresh.instance_id).values()
    restored = vault.volume(volume_id)
    assert (restored["SnapshotId"], restored["KmsKeyId"]) == (copy["SnapshotId"], accounts.vault_key)
    expect_fidelity(restored, DISK, {})
    assert tags_of(restored)["lifeboat:chain"] == f"{HOME_ACCOUNT}/{machine.volume_id}"

    accounts.reconcile()
    assert [item["SnapshotId"] for item in accounts.kept(machine)] == [copy["SnapshotId"]], (
        "the vault takes it for its own"
    )
    [lock] = vault.ec2.describe_locked_snapshots(SnapshotIds=[copy["SnapshotId"]])["Snapshots"]
    assert lock["LockState"] == "governance"
    published = vault.published_about(restore_id=begun["restore_id"])
    assert events_of(published) == ["RestoreStarted", "RestoreCompleted"]
    assert (source.denied(mark), vault.denied(mark)) == ([], [])


def test_a_restore_whose_copy_may_not_be_made_rolls_back_with_nothing_touched(accounts):
    vault, kms = accounts.vault, accounts.source.aws.client("kms")
    key = kms.create_key(Description="withdrawn")["KeyMetadata"]["Arn"]
    [machine] = accounts.source.launch(disks={DEVICE: {**DISK, "KmsKeyId": key}})
    accounts.save(machine)
    kms.disable_key(KeyId=key)
    [fresh] = vault.launch(disks={DEVICE: {"VolumeSize": 20, "VolumeType": "gp3"}})
    launched = vault.instance(fresh.instance_id)["LaunchTime"]
    begun = vault.restore(fresh, {"instance_id": f"{HOME_ACCOUNT}/{machine.instance_id}"})
    ended = vault.until_closed(begun["restore_id"])
    assert ended["status"] == "rolled_back", ended
    assert f"from account {HOME_ACCOUNT} " in ended["failure"]
    assert "not accessible" in ended["failure"]
    assert (vault.power(fresh.instance_id), vault.instance(fresh.instance_id)["LaunchTime"]) == ("running", launched)
    assert vault.disks(fresh.instance_id)[DEVICE][0] == fresh.volume_id


def test_what_is_shared_without_metadata_is_kept_and_published(accounts):
    shared = accounts.source.control.seed_snapshot(
        start_time="2026-01-01T00:00:00Z", volume_id="vol-0123456789abcdef0", size=7
    )
    accounts.source.ec2.modify_snapshot_attribute(
        SnapshotId=shared, Attribute="createVolumePermission", OperationType="add", UserIds=[VAULT]
    )
    accounts.vault.reconcile("CopySnapshotsFunction")
    accounts.vault.reconcile("CopySnapshotsFunction")
    [copy] = [item for item in accounts.kept() if tags_of(item)["lifeboat:copy-of"] == shared]
    assert "lifeboat:recovery-point" not in tags_of(copy)
    assert (copy["KmsKeyId"], copy["VolumeSize"]) == (accounts.vault_key, 7)
    assert accounts.vault.ec2.describe_locked_snapshots(SnapshotIds=[copy["SnapshotId"]])["Snapshots"]
    [published] = [item for item in accounts.vault.messages() if item["event"] == "MetadataMissing"]
    assert published["subject"] == {"account": HOME_ACCOUNT}
    assert published["details"]["snapshots"] == [shared]
    accounts.vault.invoke("PruneSnapshotsFunction", {})
    assert copy["SnapshotId"] in {item["SnapshotId"] for item in accounts.kept()}
    assert accounts.vault.region == REGION
