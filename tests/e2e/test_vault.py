"""The vault in another account: share, copy, lock; IAM is enforced in both accounts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lifeboat.domain.proof import Proof, read_proof
from local.session import HOME_ACCOUNT, REGION
from tests.e2e.migrate_cases import expect_fidelity
from tests.e2e.stage import DEVICE, Machine, events_of, tags_of
from tests.e2e.vault_cases import DISK, VAULT, Accounts, two_accounts

VERIFY = "VerifySnapshotsFunction"
FLIPPED = 17
BLOCKS = 24


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with two_accounts(Verify="full") as made:
        made.vault.control.set_delays(readable=60)
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


# --- the vault compares each copy with what is shared


def copied(accounts: Accounts, machine: Machine) -> str:
    """A complete copy of a machine's new recovery point, which the vault has not announced yet."""
    before = {item["SnapshotId"] for item in accounts.kept(machine)}
    accounts.save(machine)
    for stage in (accounts.source, accounts.vault):
        stage.control.advance(60)
        stage.reconcile("CopySnapshotsFunction")
    [copy] = [item for item in accounts.kept(machine) if item["SnapshotId"] not in before]
    assert copy["State"] == "completed"
    return str(copy["SnapshotId"])


def written(accounts: Accounts) -> Machine:
    """A machine in the source with bytes on its volume."""
    machine = accounts.launch()
    accounts.source.control.load_image(machine.volume_id, {index: bytes([index + 1]) * 4096 for index in range(BLOCKS)})
    accounts.vault.forget_messages()
    return machine


def announced(accounts: Accounts) -> None:
    """SnapshotsCopied is published, and the runs of an hour follow."""
    accounts.vault.reconcile("CopySnapshotsFunction")
    for _quarter in range(5):
        accounts.vault.control.advance(15 * 60)
        accounts.vault.reconcile(VERIFY)


def proof_of(accounts: Accounts, copy: str) -> Proof | None:
    [found] = accounts.vault.ec2.describe_snapshots(SnapshotIds=[copy])["Snapshots"]
    return read_proof(tags_of(found))


def about_proofs(accounts: Accounts) -> list[dict[str, Any]]:
    return [item for item in accounts.vault.messages() if item["event"] not in {"SnapshotsCopied", "CopyFailed"}]


def test_an_equal_copy_is_quiet_and_one_with_a_flipped_block_is_published_once_and_is_not_the_latest_proven(accounts):
    machine, mark = written(accounts), accounts.vault.control.mark()
    equal = copied(accounts, machine)
    announced(accounts)
    assert about_proofs(accounts) == []
    proof = proof_of(accounts, equal)
    assert proof
    assert (proof.result, proof.level) == ("proven", "full")
    reads = accounts.vault.control.counts(mark, service="ebs")["ebs:GetSnapshotBlock"]
    assert reads >= 2 * BLOCKS, "both sides were read"

    accounts.vault.control.advance(3600)
    mark = accounts.vault.control.mark()
    accounts.source.control.write(machine.volume_id, b"another", FLIPPED * 512 * 1024)
    unequal = copied(accounts, machine)
    accounts.vault.control.damage(unequal, FLIPPED)
    announced(accounts)
    [failed] = about_proofs(accounts)
    assert (failed["event"], failed["severity"]) == ("VerificationFailed", "critical")
    assert failed["subject"]["account"] == HOME_ACCOUNT
    [failure] = failed["details"]["failures"]
    assert failure["snapshot_id"] == unequal
    assert failure["failure"].endswith(f"of {BLOCKS} compared blocks differs: {FLIPPED}")
    assert f"in account {HOME_ACCOUNT}" in failure["failure"]
    assert f"--resources {equal} --tags" in failed["next_steps"][0], "the copy before is the newest proven one"
    proof = proof_of(accounts, unequal)
    assert proof
    assert (proof.result, proof.unequal) == ("failed", True)
    reads = accounts.vault.control.counts(mark, service="ebs")["ebs:GetSnapshotBlock"]
    assert reads < 2 * BLOCKS, "what is unchanged was not read again on either side"
    assert (accounts.source.denied(), accounts.vault.denied()) == ([], [])


def test_a_source_that_is_gone_is_published_once_and_the_copy_stays_proven(accounts):
    machine = written(accounts)
    copy = copied(accounts, machine)
    [point] = accounts.source.recovery_point_snapshots(("tag:lifeboat:instance", machine.instance_id))
    accounts.source.ec2.delete_snapshot(SnapshotId=point["SnapshotId"])
    announced(accounts)
    [message] = about_proofs(accounts)
    assert (message["event"], message["severity"]) == ("CopyNotCompared", "warning")
    [skipped] = message["details"]["not_compared"]
    assert skipped["snapshot_id"] == copy
    said = f"account {HOME_ACCOUNT} has deleted {point['SnapshotId']} or no longer shares it"
    assert said in skipped["reason"]
    proof = proof_of(accounts, copy)
    assert proof
    assert proof.proven


@pytest.fixture
def deaf(accounts) -> Iterator[None]:
    """SNS brings no message to the vault's verification meanwhile."""
    vault = accounts.vault
    sns, topic = vault.aws.client("sns", None, VAULT), vault.outputs["NotificationTopicArn"]
    [found] = [
        item
        for item in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if item["Endpoint"].endswith(vault.target_of(VERIFY))
    ]
    given = sns.get_subscription_attributes(SubscriptionArn=found["SubscriptionArn"])["Attributes"]
    sns.unsubscribe(SubscriptionArn=found["SubscriptionArn"])
    yield
    kept = {name: given[name] for name in ("FilterPolicy", "RedrivePolicy")}
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=found["Endpoint"], Attributes=kept)


def test_a_lost_message_costs_an_hour(accounts, deaf):
    machine = written(accounts)
    copy = copied(accounts, machine)
    accounts.vault.control.damage(copy, FLIPPED)
    announced(accounts)
    [failed] = about_proofs(accounts)
    assert failed["details"]["failures"][0]["snapshot_id"] == copy
    assert "compared blocks differs: 17" in failed["summary"]
