"""Rehearse calls: EC2 answers a DryRun whether the caller may make the call, and does nothing
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html)."""

from __future__ import annotations

from botocore import xform_name

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated
from lifeboat.domain.error_codes import NOT_ALLOWED, NOT_SUBSCRIBED
from lifeboat.domain.rehearsal import Outcome, ReadRehearsal, Rehearsal, Rehearsed, RoleRehearsal

WOULD_SUCCEED = "DryRunOperation"
DENIED = NOT_ALLOWED | {NOT_SUBSCRIBED}
SESSION_SECONDS = 900
BLOCKS = 100
"""The fewest that ListSnapshotBlocks takes for a page
(https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html)."""


def rehearse(call: Rehearsal | RoleRehearsal | ReadRehearsal) -> Rehearsed:
    """Ask AWS whether this function may make the call. Nothing is changed."""
    match call:
        case Rehearsal(action, on, _, region):
            where = f"{on} in {region}" if region else on
        case RoleRehearsal(role):
            action, where = "AssumeRole", role
        case ReadRehearsal(snapshot_id):
            action, where = "ListSnapshotBlocks", snapshot_id
    try:
        with translated():
            _ask(call)
    except AwsError as answer:
        if answer.code == WOULD_SUCCEED:
            return Rehearsed(action, where, Outcome.ALLOWED)
        outcome = Outcome.REFUSED if answer.code in DENIED else Outcome.UNKNOWN
        return Rehearsed(action, where, outcome, str(answer))
    return Rehearsed(action, where, Outcome.ALLOWED)


def _ask(call: Rehearsal | RoleRehearsal | ReadRehearsal) -> None:
    match call:
        case Rehearsal(action, _, arguments, region):
            asked = {**arguments, "DryRun": True}  # last, so that nothing overrides it
            getattr(clients.ec2_writes(region or None), xform_name(action))(**asked)
        case RoleRehearsal(role):
            clients.sts().assume_role(
                RoleArn=role, RoleSessionName="lifeboat-rehearsal", DurationSeconds=SESSION_SECONDS
            )
        case ReadRehearsal(snapshot_id):
            clients.ebs().list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=BLOCKS)
