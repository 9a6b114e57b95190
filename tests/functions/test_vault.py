"""copy_snapshots between two accounts: begun once, published once, and a source that fails stops no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_describe, ec2_snapshots, sharing
from lifeboat.aws.errors import AwsError
from lifeboat.aws.snapshot_locks import TRIED_FOR
from lifeboat.copies.plan import VANISHED_AFTER
from lifeboat.copies.sharing_workflow import SNAPSHOTS_TO_SHARE
from lifeboat.copies.vault import MOST_SHARED
from lifeboat.copies.workflow import VaultIncomplete
from lifeboat.domain.ec2 import Snapshot
from tests.functions.restores import ask, fresh_platform
from tests.functions.vault_sources import (
    OTHER,
    RECONCILE,
    SOURCE,
    SharedBySources,
    read_shared,
    role,
    shared_snapshots,
)

__all__ = ["read_shared", "shared_snapshots"]


def observe(world) -> dict[str, Any]:
    return world.invoke("copy_snapshots", RECONCILE)[f"account {SOURCE}"]


def copies() -> list[dict[str, Any]]:
    return boto3.client("ec2").describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["lifeboat:source-account"]}]
    )["Snapshots"]


def refusal(code: str, status: int = 400) -> ClientError:
    said: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "Call")


def test_begun_once_and_published_once_under_the_vaults_key(world, read_shared):
    assert [item["snapshot"] for item in observe(world)["begun"]] == [read_shared]
    assert observe(world)["copied"]
    assert observe(world)["copied"] == []
    [copy] = copies()
    assert copy["Encrypted"]
    assert [item["event"] for item in world.messages()] == ["SnapshotsCopied"]


def test_a_lost_answer_makes_no_second_copy(world, read_shared, monkeypatch):
    real = ec2_snapshots.copy_snapshot

    def lost(*given: Any, **named: Any) -> str:
        real(*given, **named)
        raise AwsError("ReadTimeoutError", "lost", answered=False)

    monkeypatch.setattr(ec2_snapshots, "copy_snapshot", lost)
    assert observe(world)["failed"] == []
    monkeypatch.setattr(ec2_snapshots, "copy_snapshot", real)
    observe(world)
    observe(world)
    assert len(copies()) == 1
    assert [item["event"] for item in world.messages()] == ["SnapshotsCopied"]


def test_a_refused_copy_is_published_once_and_tried_again_when_asked(world, read_shared, monkeypatch):
    real = ec2_snapshots.copy_snapshot

    def refuse(*_: Any, **__: Any) -> str:
        raise AwsError("UnauthorizedOperation", "no", answered=True)

    monkeypatch.setattr(ec2_snapshots, "copy_snapshot", refuse)
    [failed] = observe(world)["failed"]
    assert failed["reason"] == f"CopySnapshot of {read_shared} was refused: UnauthorizedOperation: no"
    assert "the next attempt is at" in observe(world)["waiting"][0]["reason"]
    assert [item["event"] for item in world.messages()] == ["CopyFailed"]
    monkeypatch.setattr(ec2_snapshots, "copy_snapshot", real)
    assert world.invoke("copy_snapshots", {"retry": True})[f"account {SOURCE}"]["begun"]


def test_when_ec2_is_busy_nothing_has_failed(world, read_shared, monkeypatch):
    def busy(*_: Any, **__: Any) -> str:
        raise AwsError("ResourceLimitExceeded", "no", answered=True)

    monkeypatch.setattr(ec2_snapshots, "copy_snapshot", busy)
    assert observe(world)["failed"] == []
    assert world.messages() == []


def test_a_copy_that_vanishes_is_published(world, read_shared, monkeypatch):
    observe(world)
    [lost] = copies()
    world.ec2.delete_snapshot(SnapshotId=lost["SnapshotId"])
    later = clock.now() + VANISHED_AFTER + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    [failed] = observe(world)["failed"]
    assert "has vanished" in failed["reason"]


def test_a_lock_that_fails_is_published_and_tried_again(world, read_shared, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_LOCK_MODE", "governance")
    monkeypatch.setenv("LIFEBOAT_LOCK_DAYS", "7")
    handler.forget()
    asked: list[str] = []

    def refuse(snapshot_id: str, _: Any) -> None:
        asked.append(snapshot_id)
        raise AwsError("UnauthorizedOperation", "no", answered=True)

    monkeypatch.setattr(ec2_snapshots, "ever_locked", lambda _: frozenset())
    monkeypatch.setattr(ec2_snapshots, "lock_snapshot", refuse)
    for _ in range(3):
        observe(world)
    [copy] = copies()
    assert asked == [copy["SnapshotId"]] * 2
    assert [item["event"] for item in world.messages()] == ["SnapshotsCopied", "RecoveryPointNotLocked"]


def test_a_silent_source_is_published_once_and_its_snapshots_are_kept(
    world, shared_snapshots, read_shared, monkeypatch
):
    shared_snapshots.broken[role(SOURCE)] = AwsError("AccessDenied", "not yours", answered=True)
    noon = clock.now().replace(hour=12, minute=0)  # two hours later it is the same day: published once a day
    shared_snapshots.shared[SOURCE] = {
        name: replace(item, started_at=noon) for name, item in shared_snapshots.shared[SOURCE].items()
    }
    monkeypatch.setattr(clock, "now", lambda: noon)
    assert observe(world)["begun"] == [], "it may still speak"
    monkeypatch.setattr(clock, "now", lambda: noon + timedelta(hours=2))
    assert [item["snapshot"] for item in observe(world)["begun"]] == [read_shared]
    observe(world)
    [copy] = copies()
    assert "lifeboat:recovery-point" not in {tag["Key"] for tag in copy["Tags"]}
    silent = [item for item in world.messages() if item["event"] == "MetadataMissing"]
    assert [item["details"]["reason"] for item in silent] == [
        f"{role(SOURCE)} cannot be used: AccessDenied: not yours",
    ]


def test_metadata_that_comes_after_all_is_taken_too(world, shared_snapshots, read_shared, monkeypatch):
    shared_snapshots.broken[role(SOURCE)] = AwsError("AccessDenied", "not yours", answered=True)
    later = clock.now() + timedelta(hours=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    observe(world)
    del shared_snapshots.broken[role(SOURCE)]
    observe(world)
    assert observe(world)["copied"]
    assert sorted("lifeboat:recovery-point" in {tag["Key"] for tag in copy["Tags"]} for copy in copies()) == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (AwsError("RequestLimitExceeded", "slow down", answered=True), "RequestLimitExceeded: slow down"),
        (ec2_describe.TooMany(), f"more than {SNAPSHOTS_TO_SHARE} snapshots, expected fewer"),
    ],
)
def test_a_source_that_cannot_be_observed_stops_no_other(world, shared_snapshots, read_shared, problem, said):
    shared_snapshots.broken[OTHER] = problem
    with pytest.raises(VaultIncomplete, match=f"account {OTHER}: {said}"):
        world.invoke("copy_snapshots", RECONCILE)
    assert len(copies()) == 1


# --- a restore that does not wait for the vault


@pytest.fixture
def locked(monkeypatch) -> list[str]:
    """The copies that were locked, by a vault that locks; moto knows no locks."""
    monkeypatch.setenv("LIFEBOAT_LOCK_MODE", "governance")
    monkeypatch.setenv("LIFEBOAT_LOCK_DAYS", "7")
    handler.forget()
    made: list[str] = []
    monkeypatch.setattr(ec2_snapshots, "ever_locked", lambda ids: frozenset(made) & frozenset(ids))
    monkeypatch.setattr(ec2_snapshots, "lock_snapshot", lambda snapshot_id, _: made.append(snapshot_id))
    return made


def named(shared_snapshots: SharedBySources, way: str) -> Any:
    """What the source shares, as a person may name it in the vault."""
    [published] = shared_snapshots.described[SOURCE]
    tags = published.tags
    return {
        "instance": {"instance_id": f"{SOURCE}/{tags['lifeboat:instance']}"},
        "lineage": {"lineage": f"{SOURCE}/{published.volume_id}"},
        "id": f"{tags['lifeboat:recovery-point']}-{SOURCE}",
    }[way]


def unread_accounts(answer: dict[str, Any]) -> list[str]:
    return [item["finding"] for item in answer["findings"] if item["code"] == "account-not-read"]


@pytest.mark.parametrize("way", ["instance", "lineage", "id"])
def test_a_restore_copies_what_is_shared_and_the_vault_keeps_it(world, shared_snapshots, read_shared, locked, way):
    target = fresh_platform(world)
    shared_snapshots.broken[OTHER] = AwsError("AccessDenied", "not asked", answered=True)
    begun = world.invoke("restore_volume", ask(target, recovery_point=named(shared_snapshots, way)))
    assert begun["volumes"][0]["copied_from"] == f"account {SOURCE}", begun
    assert unread_accounts(begun) == [], "whose it cannot be is not asked"
    [copy] = copies()
    tags = {tag["Key"]: tag["Value"] for tag in copy["Tags"]}
    assert (tags["lifeboat:restore"], tags["lifeboat:copy-of"]) == (begun["restore_id"], read_shared)
    [made] = world.ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["lifeboat:restore"]}])["Volumes"]
    assert made["SnapshotId"] == copy["SnapshotId"]
    del shared_snapshots.broken[OTHER]
    for _ in range(2):
        assert observe(world)["begun"] == [], "it is the vault's own already"
    assert locked == [copy["SnapshotId"]], "though no record leads to it"


@pytest.mark.parametrize(
    ("problem", "said"),
    [(AwsError("AccessDenied", "no", answered=True), "AccessDenied: no"), (ec2_describe.TooMany(), "more than 10,000")],
)
def test_a_source_that_does_not_let_itself_be_read_is_named(world, shared_snapshots, read_shared, problem, said):
    observe(world)
    shared_snapshots.broken[role(SOURCE)] = problem
    found = world.invoke(
        "restore_volume", ask(fresh_platform(world), recovery_point=named(shared_snapshots, "id"), dry_run=True)
    )
    assert found["possible"], "what the vault holds can be restored all the same"
    assert unread_accounts(found) == [], "it is here: nobody had to be asked"
    found = world.invoke(
        "restore_volume", ask(fresh_platform(world), recovery_point=named(shared_snapshots, "instance"), dry_run=True)
    )
    assert found["possible"]
    [finding] = unread_accounts(found)
    assert said in finding


def test_a_shared_snapshot_by_its_own_id_is_copied_first(world, shared_snapshots, read_shared, monkeypatch):
    [published] = shared_snapshots.described[SOURCE]
    as_shared = Snapshot(
        **{**{name: getattr(published, name) for name in published.__slots__}, "owner_id": SOURCE, "tags": {}}
    )
    shared_snapshots.shared[SOURCE] = {read_shared: as_shared}
    monkeypatch.setattr(ec2_snapshots, "snapshots", lambda _: {read_shared: as_shared})
    found = world.invoke("restore_volume", ask(fresh_platform(world), recovery_point=[read_shared], dry_run=True))
    assert found["possible"], found
    assert f"copy {read_shared} from account {SOURCE}" in found["plan"]


# --- the source


@pytest.fixture
def point(world, monkeypatch) -> str:
    """A good recovery point here, to be shared; its snapshot."""
    monkeypatch.setenv("LIFEBOAT_VAULT_ACCOUNT", OTHER)
    # moto takes every snapshot for restorable by anybody
    monkeypatch.setattr(sharing, "shared_with", lambda *_: frozenset())
    world.launch()
    world.invoke("take_snapshots", {})
    world.invoke("confirm_snapshots", RECONCILE)
    world.messages()
    [made] = world.snapshots()
    return made["SnapshotId"]


def test_a_good_recovery_point_is_shared_with_the_vault_alone(world, point):
    assert world.invoke("copy_snapshots", RECONCILE)["vault"] == {"shared": [point], "failed": {}}
    observed = world.ec2.describe_snapshot_attribute(SnapshotId=point, Attribute="createVolumePermission")
    assert observed["CreateVolumePermissions"] == [{"UserId": OTHER}]


def test_what_is_shared_is_not_shared_again(world, point, monkeypatch):
    monkeypatch.setattr(sharing, "shared_with", lambda *_: frozenset({point}))
    assert world.invoke("copy_snapshots", RECONCILE)["vault"]["shared"] == []


def test_a_refused_share_is_published_once(world, point, monkeypatch):
    def refuse(**_: Any) -> Any:
        raise refusal("OperationNotPermitted")

    monkeypatch.setattr(clients.ec2_writes(), "modify_snapshot_attribute", refuse)
    for _ in range(2):
        assert world.invoke("copy_snapshots", RECONCILE)["vault"]["failed"]
    [published] = world.messages()
    assert (published["event"], published["subject"]["account"]) == ("SharingFailed", OTHER)


@pytest.mark.parametrize(("code", "status"), [("RequestLimitExceeded", 503), ("InternalError", 500)])
def test_what_passes_is_not_published(world, point, monkeypatch, code, status):
    def refuse(**_: Any) -> Any:
        raise refusal(code, status)

    monkeypatch.setattr(clients.ec2_writes(), "modify_snapshot_attribute", refuse)
    assert world.invoke("copy_snapshots", RECONCILE)["vault"] == {"shared": [], "failed": {}}
    assert world.messages() == []


def test_a_run_shares_a_bounded_number(world, point, monkeypatch):
    asked: list[str] = []
    points = [
        (ec2_snapshots.recovery_point_snapshots()[0], (f"snap-{number:08d}",)) for number in range(MOST_SHARED + 10)
    ]
    monkeypatch.setattr("lifeboat.copies.sharing_workflow.to_share", lambda *_: points)
    monkeypatch.setattr(sharing, "share", lambda snapshot_id, _: asked.append(snapshot_id))
    world.invoke("copy_snapshots", RECONCILE)
    assert len(asked) == MOST_SHARED


def test_with_more_than_can_be_held_nothing_is_shared_and_a_message_is_published(world, point, monkeypatch):
    monkeypatch.setattr("lifeboat.copies.sharing_workflow.SNAPSHOTS_TO_SHARE", 0)
    with pytest.raises(VaultIncomplete, match=r"the snapshots here: more than .*: nothing is shared"):
        world.invoke("copy_snapshots", RECONCILE)


def test_the_lock_of_a_copy_of_old_data_is_tried_again_like_any_other(
    world, shared_snapshots, read_shared, monkeypatch
):
    # A hundred recovery points that are shared at once take days to copy, and all are old when they are there.
    old = {
        item.id: replace(item, started_at=item.started_at - 2 * TRIED_FOR)
        for item in shared_snapshots.described[SOURCE]
    }
    shared_snapshots.described[SOURCE], shared_snapshots.shared[SOURCE] = tuple(old.values()), old
    refusals = [AwsError("RequestLimitExceeded", "Slow down.", answered=True)]
    locked = []

    def lock_snapshot(snapshot_id, _lock):
        if refusals:
            raise refusals.pop()
        locked.append(snapshot_id)

    monkeypatch.setattr(ec2_snapshots, "ever_locked", lambda _ids: frozenset())
    monkeypatch.setattr(ec2_snapshots, "lock_snapshot", lock_snapshot)
    monkeypatch.setenv("LIFEBOAT_LOCK_MODE", "governance")
    monkeypatch.setenv("LIFEBOAT_LOCK_DAYS", "7")
    handler.forget()
    for _ in range(3):
        observe(world)
    [copy] = copies()
    assert locked == [copy["SnapshotId"]]
    assert [message["event"] for message in world.messages()] == ["SnapshotsCopied"]
