"""Moving the platform to another account, by the very commands of docs/guide/migrate.md."""

from __future__ import annotations

from local.session import HOME_ACCOUNT, REGION, LocalAws
from tests.e2e.migrate_cases import DISK, OTHER_ZONE, OWN_TAGS, expect_running_on_the_restored, fresh_platform, wipe_out
from tests.e2e.migrate_page import Operator
from tests.e2e.stage import DEVICE, SETTINGS, Stage, tag_list, tags_of
from tests.e2e.vault_cases import VAULT


def test_to_another_account_by_the_commands_of_the_page():
    with LocalAws(SETTINGS) as aws:
        operator = Operator(aws, "To another account")
        operator.next(f"make deploy VaultAccount={VAULT}")
        source = operator.stage()
        source_key = aws.client("kms").create_key(Description="data")["KeyMetadata"]["Arn"]
        vault_key = aws.client("kms", REGION, VAULT).create_key(Description="vault")["KeyMetadata"]["Arn"]
        operator.names |= {
            f"arn:aws:iam::{HOME_ACCOUNT}:role/...": source.outputs["VaultReaderRoleArn"],
            f"arn:aws:kms:{REGION}:{VAULT}:key/...": vault_key,
        }
        operator.next("make deploy PARAMETERS=parameters-vault.toml VaultSourceAccounts=", VAULT)
        vault = operator.stage(account=VAULT)
        [platform] = source.launch(disks={DEVICE: {**DISK, "KmsKeyId": source_key}})
        source.ec2.create_tags(Resources=[platform.volume_id], Tags=tag_list(OWN_TAGS))
        operator.knows(platform)
        observation = "sam remote invoke CopySnapshotsFunction"
        operator.again(observation)
        operator.next(observation, VAULT)

        operator.next("sam remote invoke TakeSnapshotsFunction")
        source.control.settle()  # BackupCompleted has woken the sharing
        for _ in range(2):
            vault.reconcile("CopySnapshotsFunction")
        [published] = [item for item in vault.messages() if item["event"] == "SnapshotsCopied"]
        assert published["subject"]["instance_id"] == f"{HOME_ACCOUNT}/{platform.instance_id}"
        wipe_out(source)

        fresh = fresh_platform(vault, zone=OTHER_ZONE)
        operator.knows(fresh=fresh)
        operator.next("aws ec2 create-tags", VAULT)
        plan = operator.next("sam remote invoke RestoreVolumeFunction", VAULT)
        assert plan["possible"], plan
        begun = operator.next("sam remote invoke RestoreVolumeFunction", VAULT)
        ended = vault.until_closed(begun["restore_id"])
        restored = expect_running_on_the_restored(vault, fresh, ended)
        assert restored["KmsKeyId"] == vault_key
        lineage = f"{HOME_ACCOUNT}/{platform.volume_id}"
        assert tags_of(restored)["lifeboat:chain"] == lineage

        operator.next("aws ec2 create-tags", VAULT)
        taken = vault.back_up(fresh.instance_id)
        assert tags_of(taken[restored["VolumeId"]])["lifeboat:chain"] == lineage
        assert vault.denied() == []
        come_back(operator, vault, published["subject"]["recovery_point"], source_key)
        assert operator.finished


def come_back(operator: Operator, vault: Stage, point: str, source_key: str) -> None:
    """What only the vault has is restored where it came from, by the rest of the page."""
    [copy] = vault.recovery_point_snapshots(("tag:lifeboat:recovery-point", point))
    operator.names |= {
        "snap-COPY": copy["SnapshotId"],
        f"arn:aws:kms:{REGION}:{HOME_ACCOUNT}:key/...": source_key,
    }
    operator.next("aws ec2 modify-snapshot-attribute", VAULT)
    operator.next("make deploy VaultAccount=")
    source = operator.stage()
    fresh = fresh_platform(source, zone=OTHER_ZONE, disk=DISK)
    operator.knows(fresh=fresh)
    operator.next("aws ec2 create-tags")
    plan = operator.next("sam remote invoke RestoreVolumeFunction")
    assert plan["possible"], plan
    begun = operator.next("sam remote invoke RestoreVolumeFunction")
    restored = expect_running_on_the_restored(source, fresh, source.until_closed(begun["restore_id"]), tags={})
    assert (restored["SnapshotId"], restored["KmsKeyId"]) == (copy["SnapshotId"], source_key)
    assert source.denied() == []
