"""Pre-flight, nouns: the observed facts, and the findings."""

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
    """Everything that a pre-flight depends on, observed before it.

    * `volumes`: those attached to the instance, by id.
    * `points`: the recovery points of this region that the request may mean.
    * `elsewhere`: those of this stack in the regions `restore_from`, in the order of these. In a vault also those that
      its sources share, under the names that their copies have in the vault.
    * `same_instance`: if the request names an unproven recovery point or its snapshots, all of the same instance here.
    * `unread_regions`, `unread_accounts`: those that could not be read, each with the reason.
    * `snapshots`: what EC2 shows of the snapshot ids in the request.
    * `too_many`: if not 0, a region has more snapshots than this that the request may mean, so none was read.
    * `open_restore`: the id of a restore that is open on the instance.
    * `dry_runs`: what the DryRun of each call answered, by the call. Empty when it is allowed, else AWS's words.
    * `kms_key_id`: for volumes whose source was not encrypted. None means the account's default key.
    * `vault_key`: the key of a vault's copies.
    * `instance_store`: GB of disks that the instance's host gives it. None if EC2 did not say.
    * `product_codes`: the Marketplace's product codes of each attached volume that has any.
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
    same_instance: tuple[RecoveryPoint, ...] = ()
    unread_regions: Mapping[str, str] = field(default_factory=dict)
    restore_from: tuple[str, ...] = ()
    completion_minutes: int = 0
    unread_accounts: Mapping[str, str] = field(default_factory=dict)
    vault_key: str | None = None
    instance_store: int | None = 0
    product_codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Severity(StrEnum):
    """Whether a finding forbids the restore or only warns."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a pre-flight found. `code` is a short kebab-case cause, `field` the field of the request."""

    code: str
    severity: Severity
    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """The result of a pre-flight. `plan` is None when a finding refuses. `text` is for people.

    `draft` is what could be planned in spite of the findings: the DryRun calls are made from it. `name` is the Name of
    the target instance.
    """

    findings: tuple[Finding, ...]
    plan: Restore | None
    text: str
    draft: Restore | None = None
    name: str = ""
