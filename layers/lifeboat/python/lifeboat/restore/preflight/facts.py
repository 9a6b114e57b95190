"""What a pre-flight rests on, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lifeboat.ami.verdict import AmiVerdict
from lifeboat.domain.ec2 import Instance, Snapshot, Volume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.restore.record import Restore


@dataclass(frozen=True, slots=True)
class PreflightFacts:
    """All that a pre-flight rests on, looked up before it.

    `volumes` are those attached to the instance, by id. `points` are the recovery points of this region that may be
    meant, `snapshots` what EC2 shows of the snapshot ids that were asked for. `elsewhere` are those of this stack in
    the regions that may be fetched from, `restore_from`, in the order of those, and, in a vault, those that its
    sources share, under the names that they would have here; `unseen` the regions that could not be looked at and
    `unheard` the accounts, each with the reason. `too_many`: a region has more snapshots that may be meant than that,
    so none was looked at. `open_restore` is the id of a restore that is open on the instance. `dry_runs`: what each
    call's DryRun answered, by the call: empty when it would be allowed, else AWS's words. `kms_key_id` is for volumes
    whose source was not encrypted; None means the account's default key. `vault_key` is that of a vault's copies.
    `instance_store` is how many GB of disks the instance's host gives it, None if that could not be looked up.
    `product_codes` are the Marketplace's of each attached volume that has any.
    """

    instance: Instance | None
    volumes: Mapping[str, Volume]
    account: str
    region: str
    stack: str
    ami: AmiVerdict
    points: tuple[RecoveryPoint, ...] = ()
    too_many: int = 0
    stop_protected: bool = False
    open_restore: str | None = None
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    trusted_snapshot_owners: tuple[str, ...] = ()
    encrypt_restored: bool = True
    kms_key_id: str | None = None
    encryption_by_default: bool = False
    dry_runs: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[RecoveryPoint, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    restore_from: tuple[str, ...] = ()
    completion_minutes: int = 0
    unread_accounts: Mapping[str, str] = field(default_factory=dict)
    vault_key: str | None = None
    instance_store: int | None = 0
    product_codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Severity(StrEnum):
    """Whether a finding forbids the restore or only has to be read."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a pre-flight found. `code` is a short kebab-case cause, `field` what it is about."""

    code: str
    severity: Severity
    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """All findings at once. `plan` is None when any of them refuses; `draft` is what could be planned all the same,
    which is what DryRun calls are made of. `text` is for people."""

    findings: tuple[Finding, ...]
    plan: Restore | None
    text: str
    draft: Restore | None = None
