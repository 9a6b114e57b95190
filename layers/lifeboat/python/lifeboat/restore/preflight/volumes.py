"""Pre-flight of the restored volumes: can they be created as requested?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from lifeboat.domain.copy_limits import completion_minutes
from lifeboat.domain.ec2_calls import CopySnapshot, origin
from lifeboat.domain.recovery_point import Member
from lifeboat.domain.recovery_point_tags import MAX_TAGS, name_left_out, tags_of_copy, without_reserved
from lifeboat.domain.tags import Tags
from lifeboat.restore.machine.history import restore_id
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.matching import Pair
from lifeboat.restore.preflight.source import Source
from lifeboat.restore.record import Fetch, RestoreVolume
from lifeboat.restore.request import RestoreRequest, VolumeOverrides


@dataclass(frozen=True, slots=True)
class TypeLimits:
    """The least and most GiB, IOPS and MiB/s of a volume type; None where the type has no such parameter.

    `iops_per_gib` bounds IOPS by the size. `iops_needed`: EC2 requires a number of IOPS.
    """

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    throughput: tuple[int, int] | None = None
    iops_per_gib: int | None = None
    iops_needed: bool = False


LIMITS: Mapping[str, TypeLimits] = {
    "gp3": TypeLimits((1, 65536), (3000, 80000), (125, 2000), iops_per_gib=500),
    "gp2": TypeLimits((1, 16384)),
    "io1": TypeLimits((4, 16384), (100, 64000), iops_per_gib=50, iops_needed=True),
    "io2": TypeLimits((4, 65536), (100, 256000), iops_per_gib=1000, iops_needed=True),
    "st1": TypeLimits((125, 16384)),
    "sc1": TypeLimits((125, 16384)),
    "standard": TypeLimits((1, 1024)),
}
"""https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html, gp3 as of 26 September 2025."""


GP3_FREE_IOPS = 3000
"""A gp3 volume of any size has these."""

GP3_IOPS_PER_MIBPS = 4
"""gp3 gives at most 0.25 MiB/s for each of its IOPS."""


class EncryptionSettings(Protocol):
    """The stack's settings for a volume whose source was not encrypted. The facts of a pre-flight have them, too."""

    @property
    def encrypt_restored(self) -> bool: ...

    @property
    def kms_key_id(self) -> str | None: ...


def plan_restored_volume(
    overrides: VolumeOverrides,
    facts: EncryptionSettings,
    zone: str,
    pair: Pair,
) -> RestoreVolume:
    """The volume to create: as it was backed up, with the request's overrides, at the displaced volume's device."""
    member, device, displaced = pair
    metadata, snapshot = member.metadata, member.snapshot
    kind = overrides.type or metadata.type
    limits = LIMITS.get(kind)
    same = kind == metadata.type
    iops = overrides.iops if overrides.iops is not None else metadata.iops if same else None
    throughput = overrides.throughput if overrides.throughput is not None else metadata.throughput if same else None
    encrypted_source = metadata.encrypted or snapshot.encrypted
    encrypted = (
        overrides.encrypted
        if overrides.encrypted is not None
        else encrypted_source or facts.encrypt_restored or bool(overrides.kms_key_id)
    )
    kept_key = (metadata.kms_key_id or snapshot.kms_key_id) if encrypted_source else facts.kms_key_id
    tags, left_out = _select_tags(metadata.tags)
    return RestoreVolume(
        snapshot_id=snapshot.id,
        device=device,
        zone=zone,
        type=kind,
        size=overrides.size or max(metadata.size, snapshot.size),
        encrypted=encrypted,
        lineage=metadata.lineage,
        # EC2 shows IOPS for gp2 too, and refuses them in CreateVolume.
        iops=iops if overrides.iops is not None or (limits and limits.iops) else None,
        throughput=throughput if overrides.throughput is not None or (limits and limits.throughput) else None,
        kms_key_id=(overrides.kms_key_id or kept_key) if encrypted else None,
        initialization_rate=overrides.initialization_rate,
        tags=tags,
        displaced_volume_id=displaced[1].id if displaced else None,
        displaced_delete_on_termination=(
            displaced[0].delete_on_termination if displaced else metadata.delete_on_termination
        ),
        tags_left_out=metadata.tags_left_out + len(left_out),
        left_out=(*metadata.left_out, *left_out),
    )


def plan_fetch(  # noqa: PLR0917 - the request, the facts
    volume: RestoreVolume,
    member: Member,
    source: Source,
    request: RestoreRequest,
    facts: PreflightFacts,
    now: datetime,
) -> RestoreVolume:
    """The same volume, made of a copy in this region and account.

    The source's key does not work here. The volume has the key of the request or the stack, else that of the copy.
    Raises MetadataError when the copy would have too many tags.
    """
    key = (request.volume.kms_key_id or _choose_copy_key(source, facts)) if volume.encrypted else None
    call = CopySnapshot(
        region=source.region,
        snapshot_id=member.snapshot.id,
        description=f"Lifeboat: {source.id}, copied from {origin(source.region, source.account)} "
        f"for {restore_id(request.request_id)}",
        tags=tags_of_copy(
            member, region=source.region, set_id=source.set_id, now=now, restore_id=restore_id(request.request_id)
        ),
        kms_key_id=key,
        completion_minutes=completion_minutes(facts.completion_minutes, member.snapshot.size),
        account=source.account,
    )
    return replace(volume, kms_key_id=key, fetch=Fetch(call))


def _choose_copy_key(source: Source, facts: PreflightFacts) -> str | None:
    return facts.vault_key if source.account else facts.kms_key_id


def _select_tags(tags: Tags) -> tuple[dict[str, str], tuple[str, ...]]:
    """The volume's own tags that fit beside the restore's two, Name first, and the keys of the rest."""
    own = sorted(without_reserved(tags).items(), key=lambda tag: (tag[0] != "Name", tag))
    return dict(own[: MAX_TAGS - 2]), tuple(key for key, _ in own[MAX_TAGS - 2 :])


def check_volume(
    volume: RestoreVolume, member: Member, overrides: VolumeOverrides, facts: PreflightFacts, report: Report
) -> None:
    """Refuse a volume that EC2 would not create. Warn of tags and encryption that differ from the request."""
    snapshot = member.snapshot
    if volume.size < snapshot.size:
        report.refuse(
            "too-small",
            "volume.size",
            f"volume.size is {volume.size} GiB, expected at least the {snapshot.size} GiB of {snapshot.id}",
        )
    if snapshot.encrypted and not volume.encrypted:
        report.refuse(
            "cannot-decrypt",
            "volume.encrypted",
            f"volume.encrypted is false, and {snapshot.id} is encrypted: EBS cannot undo that",
        )
    if overrides.encrypted is False and facts.encryption_by_default and not snapshot.encrypted:
        report.warn(
            "encrypted-by-default",
            "volume.encrypted",
            "volume.encrypted is false, and this account encrypts every new "
            f"volume in {facts.region}: it will be encrypted",
        )
    _check_limits(volume, report)
    _check_key(volume, facts, report)
    if volume.tags_left_out:
        named = name_left_out(volume.tags_left_out, volume.left_out)
        report.warn(
            "tags-left-out",
            "recovery_point",
            f"the new volume does not get these tags of {member.metadata.volume_id}, because they did not fit: {named}",
        )


def _check_key(volume: RestoreVolume, facts: PreflightFacts, report: Report) -> None:
    parts = (volume.kms_key_id or "").split(":")
    if len(parts) < 6:  # an id, an alias or none is always of this account and region
        return
    region, account = parts[3], parts[4]
    if region != facts.region:
        report.refuse(
            "key-of-another-region",
            "volume.kms_key_id",
            f"the key {volume.kms_key_id} is of {region}, expected one of {facts.region}",
        )
    if account != facts.account:
        report.warn(
            "key-of-another-account",
            "volume.kms_key_id",
            f"the key {volume.kms_key_id} belongs to {account}: its policy must let this account use it and make "
            "grants, or the volume ends in error",
        )


def _check_limits(volume: RestoreVolume, report: Report) -> None:
    limits = LIMITS.get(volume.type)
    if limits is None:
        report.refuse(
            "unknown-type", "volume.type", f"volume.type is {volume.type}, expected one of {', '.join(LIMITS)}"
        )
        return
    for name, value, bounds, unit in (
        ("size", volume.size, limits.size, "GiB"),
        ("iops", volume.iops, limits.iops, "IOPS"),
        ("throughput", volume.throughput, limits.throughput, "MiB/s"),
    ):
        if value is None:
            continue
        if bounds is None:
            report.refuse("not-for-type", f"volume.{name}", f"volume.{name} is {value}, and {volume.type} takes none")
        elif not bounds[0] <= value <= bounds[1]:
            report.refuse(
                "beyond-type",
                f"volume.{name}",
                f"volume.{name} is {value}, expected {bounds[0]} to {bounds[1]} {unit} for {volume.type}",
            )
    _check_ratios(volume, limits, report)


def _check_ratios(volume: RestoreVolume, limits: TypeLimits, report: Report) -> None:
    if limits.iops_needed and volume.iops is None:
        report.refuse("iops-needed", "volume.iops", f"volume.iops is missing, expected a number for {volume.type}")
    most = max(volume.size * (limits.iops_per_gib or 0), GP3_FREE_IOPS if volume.type == "gp3" else 0)
    if volume.iops and limits.iops_per_gib and volume.iops > most:
        report.refuse(
            "iops-for-size",
            "volume.iops",
            f"volume.iops is {volume.iops}, expected at most {most} for {volume.size} GiB of {volume.type}",
        )
    if (
        volume.type == "gp3"
        and volume.throughput
        and volume.throughput * GP3_IOPS_PER_MIBPS > (volume.iops or GP3_FREE_IOPS)
    ):
        report.refuse(
            "throughput-for-iops",
            "volume.throughput",
            f"volume.throughput is {volume.throughput}, expected at most a quarter of the "
            f"{volume.iops or GP3_FREE_IOPS} IOPS",
        )
