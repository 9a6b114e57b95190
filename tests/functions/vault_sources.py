"""A vault's sources: the snapshots are moto's own, and what the sources share and show is said here."""

from __future__ import annotations

import pytest

from lifeboat import handler
from lifeboat.aws import ec2_snapshots, sharing
from lifeboat.domain.ec2 import Snapshot
from tests.functions.conftest import ACCOUNT

RECONCILE = {"sweep": True}
SOURCE, OTHER = "222233334444", "333344445555"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"


class SharedBySources:
    """What the sources share and show, in place of their accounts; the snapshots themselves are moto's."""

    def __init__(self) -> None:
        self.shared: dict[str, dict[str, Snapshot]] = {}
        self.described: dict[str, tuple[Snapshot, ...]] = {}
        self.broken: dict[str, Exception] = {}

    def shared_by(self, account: str, **_: int) -> dict[str, Snapshot]:
        if account in self.broken:
            raise self.broken[account]
        return self.shared.get(account, {})

    def is_shared_by(self, account: str, snapshot_id: str) -> bool:
        return snapshot_id in self.shared_by(account)

    def described_by(self, role: str, **_: int) -> tuple[Snapshot, ...]:
        if role in self.broken:
            raise self.broken[role]
        return self.described.get(role.split(":")[4], ())


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/reader"


@pytest.fixture
def shared_snapshots(world, monkeypatch) -> SharedBySources:
    """This account is the vault of two others; moto's own snapshots stand for what the first of them has."""
    made = SharedBySources()
    monkeypatch.setattr(sharing, "shared_by", made.shared_by)
    monkeypatch.setattr(sharing, "is_shared_by", made.is_shared_by)
    monkeypatch.setattr(sharing, "described_by", made.described_by)
    monkeypatch.setenv("LIFEBOAT_VAULT_SOURCE_ACCOUNTS", f"{SOURCE},{OTHER}")
    monkeypatch.setenv("LIFEBOAT_VAULT_READER_ROLES", f"{role(SOURCE)},{role(OTHER)}")
    monkeypatch.setenv("LIFEBOAT_VAULT_KMS_KEY", KEY)
    monkeypatch.setenv("LIFEBOAT_STACK", "strongroom")
    return made


@pytest.fixture
def read_shared(world, shared_snapshots, monkeypatch) -> str:
    """A recovery point that the first source shares; its snapshot."""
    monkeypatch.setenv("LIFEBOAT_STACK", "lifeboat")
    handler.forget()
    world.launch()
    world.invoke("take_snapshots", {})
    world.invoke("confirm_snapshots", RECONCILE)
    world.messages()
    monkeypatch.setenv("LIFEBOAT_STACK", "strongroom")
    handler.forget()
    published = ec2_snapshots.recovery_point_snapshots()
    shared_snapshots.described[SOURCE] = published
    shared_snapshots.shared[SOURCE] = {item.id: item for item in published}
    return published[0].id
