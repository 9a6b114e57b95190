"""Observe everything that the pre-flight of a restore needs, then decide. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.ami.workflow import judge
from lifeboat.aws import clock, ec2_calls, ec2_describe, ec2_instances, ec2_snapshots, ec2_volumes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.copies import shared_snapshots
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import VaultSource
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.restore import store as restores
from lifeboat.restore.machine.volumes import plan_first_calls
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import Preflight, PreflightFacts
from lifeboat.restore.preflight.selection import build_tag_filter, may_be_elsewhere, may_be_shared_by, select_named
from lifeboat.restore.request import RecoveryPointChoice, RestoreRequest

MAX_SNAPSHOTS = 20_000
"""Snapshots that a pre-flight reads in one region, in 20 answers of EC2. A person waits for the result."""

_NO_IMAGE = AmiVerdict(Trust.UNKNOWN, "no-instance", "there is no instance whose image could be looked up")


def run_preflight(request: RestoreRequest, invocation: Invocation) -> Preflight:
    """Check a request against what EC2 shows, with a DryRun of each call that the restore begins with.

    Raises AwsError when EC2 does not answer about the target instance or about this region.
    """
    now = clock.now()
    facts = _observe_facts(request, invocation)
    checked = preflight(request, facts, now)
    if checked.draft is None:
        return checked
    dry_runs = {
        f"{type(call).__name__} of {call.snapshot_id}": ec2_calls.rehearse(call)
        for call in plan_first_calls(checked.draft)
    }
    return preflight(request, replace(facts, dry_runs=dry_runs), now)


def _observe_facts(request: RestoreRequest, invocation: Invocation) -> PreflightFacts:
    instance = ec2_instances.instances([request.instance_id]).get(request.instance_id)
    attached = [item.volume_id for item in instance.attachments] if instance else []
    choice = request.recovery_point
    named = ec2_snapshots.snapshots(choice.snapshot_ids) if choice.snapshot_ids else {}
    facts = PreflightFacts(
        instance=instance,
        volumes=ec2_volumes.volumes(attached) if attached else {},
        account=invocation.config.account,
        region=invocation.config.region,
        stack=invocation.config.stack,
        ami=judge(instance, invocation) if instance else _NO_IMAGE,
        stop_protected=ec2_instances.stop_protected(instance.id) if instance else False,
        open_restore=restores.open_on(invocation.config.table, request.instance_id),
        snapshots=named,
        trusted_snapshot_owners=invocation.config.trusted_snapshot_owners,
        encrypt_restored=invocation.config.encrypt_restored,
        encryption_by_default=ec2_volumes.encryption_by_default(),
        kms_key_id=invocation.config.kms_key_id,
        completion_minutes=invocation.config.copy_completion_minutes,
        restore_from=invocation.config.restore_from,
        vault_key=invocation.config.vault_key or None,
        instance_store=ec2_instances.instance_store(instance.type) if instance else 0,
        product_codes=ec2_instances.product_codes(instance) if instance else {},
    )
    try:
        facts = replace(facts, points=_observe_here(build_tag_filter(choice, named.values())))
        if may_be_elsewhere(choice, facts):
            facts = _observe_elsewhere(facts, choice, invocation)
        return replace(facts, same_instance=_observe_same_instance(facts, choice))
    except ec2_describe.TooMany:
        return replace(facts, too_many=MAX_SNAPSHOTS)


def _observe_here(tags: Mapping[str, Sequence[str]] | None) -> tuple[RecoveryPoint, ...]:
    if tags is None:
        return ()
    return read_catalogue(ec2_snapshots.recovery_point_snapshots_tagged(tags, most=MAX_SNAPSHOTS)).points


def _observe_same_instance(facts: PreflightFacts, choice: RecoveryPointChoice) -> tuple[RecoveryPoint, ...]:
    """All recovery points here of the instances of an unproven one that the request names. Raises AwsError."""
    named = (*facts.points, *facts.elsewhere) if choice.id or choice.snapshot_ids else ()
    instances = sorted({point.instance_id for point in named if not point.proven and point.instance_id})
    try:
        return _observe_here({Tag.INSTANCE: instances}) if instances else ()
    except ec2_describe.TooMany:  # the plan then knows of none that is proven
        return ()


def _observe_elsewhere(facts: PreflightFacts, choice: RecoveryPointChoice, invocation: Invocation) -> PreflightFacts:
    """Add this stack's recovery points in other regions, and those that a vault's sources share.

    A region or an account that does not answer is added with the reason. Raises TooMany for a region.
    """
    found: list[RecoveryPoint] = []
    unread_regions, unread_accounts = {}, {}
    for region in invocation.config.restore_from:
        try:
            points = _observe_region(region, choice, invocation)
        except AwsError as problem:
            unread_regions[region] = str(problem)
        else:
            found += (replace(point, region=region) for point in points)
    for source in invocation.config.vault_sources:
        try:
            points = _observe_source(source, choice, invocation)
        except AwsError as problem:
            unread_accounts[source.account] = str(problem)
        except ec2_describe.TooMany:
            unread_accounts[source.account] = f"it is more than {shared_snapshots.SHARED_LISTED:,} snapshots"
        else:
            found += (replace(point, region=invocation.config.region, account=source.account) for point in points)
    if choice.snapshot_ids and found:
        # The request names snapshots of another place. Copies of their recovery points may be here.
        members = (member.snapshot for point in (*facts.points, *found) for member in point.members)
        facts = replace(facts, points=_observe_here(build_tag_filter(choice, members)))
    return replace(facts, elsewhere=tuple(found), unread_regions=unread_regions, unread_accounts=unread_accounts)


def _observe_region(region: str, choice: RecoveryPointChoice, invocation: Invocation) -> tuple[RecoveryPoint, ...]:
    """This stack's recovery points in another region. Raises AwsError and TooMany."""
    describe = partial(
        ec2_snapshots.recovery_point_snapshots_elsewhere, region, invocation.config.stack, most=MAX_SNAPSHOTS
    )
    tags = build_tag_filter(choice, describe({}, ids=choice.snapshot_ids) if choice.snapshot_ids else ())
    return () if tags is None else read_catalogue(describe(tags)).points


def _observe_source(
    source: VaultSource, choice: RecoveryPointChoice, invocation: Invocation
) -> tuple[RecoveryPoint, ...]:
    """What a vault's source shares, under the names that its copies have in the vault. Raises AwsError and TooMany."""
    if not may_be_shared_by(source.account, choice):
        return ()
    shared = shared_snapshots.described_by(source, shared_snapshots.shared_by(source), invocation)
    return select_named(choice, shared.points)
