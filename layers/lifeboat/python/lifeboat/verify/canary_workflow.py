"""The change canary: compare a recovery point with the one before, and raise a suspicion that a person closes.

It observes a recovery point that was read back. What it cannot read it leaves out and logs, so that it never delays a
proof: the next recovery point is compared with the last one that was observed, and shows the same change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clock, ec2_snapshots, metrics
from lifeboat.aws.ebs_direct import WrongChecksumError
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.error_codes import SNAPSHOT_GONE
from lifeboat.domain.recovery_point import Member, RecoveryPoint
from lifeboat.domain.suspicion import closed_suspicion, is_suspected, open_suspicion
from lifeboat.domain.tags import Tag, Tags
from lifeboat.verify import canary, canary_store, plan, points_workflow
from lifeboat.verify.canary import Observation, Sample
from lifeboat.verify.canary_messages import SuspectVolume, recovery_point_suspect
from lifeboat.verify.canary_record import History, Lists
from lifeboat.verify.canary_request import CloseSuspicionRequest
from lifeboat.verify.reading_workflow import Calls

METRIC = "ChangedShare"
"""Percent: the share of the written blocks of a volume that changed since the recovery point before."""

PAGES_A_CHECKPOINT = 20
"""After so many pages of lists the checkpoint is saved: some seconds."""


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


def observe(point: RecoveryPoint, calls: Calls, invocation: Invocation) -> bool:
    """Observe each volume of a recovery point, and publish once if it is suspect.

    Returns False while another invocation publishes it, because that may still fail.

    Raises OutOfTime with the checkpoint saved, AwsError if EC2 may record the suspicion later.
    """
    table = invocation.config.table
    suspects: list[SuspectVolume] = []
    histories: list[History] = []
    for member in point.members:
        history = canary_store.find_history(table, member.metadata.lineage)
        # An invocation that ended after it had recorded the observation left the rest to this one.
        observed = history.of(point.id) or _observe_volume(member, point, history, calls, invocation)
        if observed and observed.suspected:
            usual = canary.usual_before(observed, history.observations)
            suspects.append(SuspectVolume(history.lineage, member.metadata.device, observed, usual))
            histories.append(history)
    return not suspects or _raise_suspicion(point, suspects, histories, invocation)


def close(request: CloseSuspicionRequest, invocation: Invocation) -> dict[str, Any]:
    """Close the suspicion against one recovery point. Raises BadRequest if none is open, and AwsError."""
    wanted, config = request.close_suspicion, invocation.config
    point = points_workflow.point_named(wanted, invocation)
    if point is None or not point.suspected:
        raise BadRequest(
            f"close_suspicion is {wanted}, expected the id of a recovery point of the stack {config.stack} in "
            f"{config.region} against which a suspicion is open"
        )
    if request.expected:  # first: a run that is cut off here can be asked for again
        for lineage in point.lineages:
            canary_store.record_expected(config.table, lineage, point.id)
    closed = [member.snapshot for member in point.members if is_suspected(member.snapshot.tags)]
    for snapshot in closed:
        ec2_snapshots.tag_snapshot(snapshot.id, closed_suspicion(snapshot.tags, clock.now()))
    return {"closed": point.id, "snapshots": [snapshot.id for snapshot in closed], "expected": request.expected}


# --- one volume


def _observe_volume(
    member: Member, point: RecoveryPoint, history: History, calls: Calls, invocation: Invocation
) -> Observation | None:
    """The observation of one volume, recorded; None where there is none. Raises OutOfTime."""
    facts = {"recovery_point": point.id, "snapshot": member.snapshot.id, "lineage": history.lineage}
    try:
        earlier_id = _earlier_snapshot(point, history, invocation)
        if not earlier_id:
            _logger().info("change not observed", extra={**facts, "reason": "no earlier good recovery point"})
            return None
        lists = _read_lists(member.snapshot.id, earlier_id, calls, invocation)
        verdict = canary.judge(_read_sample(point, lists, calls), history.observations)
        canary_store.record_observation(invocation.config.table, history, verdict.observation)
    except (AwsError, WrongChecksumError, canary_store.Contended) as problem:
        _logger().warning("change not observed", extra={**facts, "reason": str(problem)})
        return None
    observed = verdict.observation
    numbers = {"changed": observed.changed, "bits_per_byte": observed.entropy, "scrambled": observed.scrambled}
    _logger().info("change observed", extra={**facts, "earlier": earlier_id, **numbers, "verdict": verdict.reason})
    metrics.percent(METRIC, 100 * observed.changed, config=invocation.config, facts=facts)
    return observed


def _earlier_snapshot(point: RecoveryPoint, history: History, invocation: Invocation) -> str:
    """The snapshot of the lineage to compare with, empty if there is none. Raises AwsError.

    It is that of the last recovery point that was observed, or else the last good one of its lineages. A change that
    could not be observed is then in the next comparison.
    """
    named = [item.point_id for item in history.observations]
    observed = plan.last_before(points_workflow.points_named(named, invocation), point, history.lineage)
    return observed or plan.last_before(points_workflow.points_of_lineages(point, invocation), point, history.lineage)


def _read_lists(snapshot_id: str, earlier_id: str, calls: Calls, invocation: Invocation) -> Lists:
    """Read both lists to their ends, from the checkpoint. Raises AwsError, and OutOfTime with the checkpoint saved."""
    table = invocation.config.table
    lists, pages = canary_store.find_lists(table, snapshot_id, earlier_id, clock.now()), 0
    try:
        while lists.changed.next_block is not None or lists.held.next_block is not None:
            lists, pages = _read_page(lists, calls), pages + 1
            if pages % PAGES_A_CHECKPOINT == 0:
                canary_store.save_lists(table, lists, clock.now())
    except OutOfTime:
        canary_store.save_lists(table, lists, clock.now())
        raise
    return lists


def _read_page(lists: Lists, calls: Calls) -> Lists:
    if lists.changed.next_block is not None:
        changed = calls.list_changed_blocks(lists.earlier_id, lists.snapshot_id, lists.changed.next_block)
        # Without a token in the second snapshot the block was discarded: there is nothing to read.
        written = ((index, tokens[1]) for index, tokens in changed.tokens.items() if tokens[1])
        return replace(lists, changed=lists.changed.after(written, changed.next_block))
    page = calls.list_blocks(lists.snapshot_id, lists.held.next_block or 0)
    return replace(lists, held=lists.held.after(page.tokens.items(), page.next_block))


def _read_sample(point: RecoveryPoint, lists: Lists, calls: Calls) -> Sample:
    def entropies(blocks: Iterable[tuple[int, str]]) -> tuple[float, ...]:
        read = (calls.read_block(lists.snapshot_id, index, token) for index, token in blocks)
        return tuple(entropy for block in read for entropy in canary.entropies(block))

    return Sample(
        point_id=point.id,
        taken_at=point.taken_at,
        changed_blocks=lists.changed.count,
        written_blocks=lists.held.count,
        changed=entropies(lists.changed.blocks),
        held=entropies(lists.held.blocks),
    )


# --- the suspicion


def _raise_suspicion(
    point: RecoveryPoint, volumes: Sequence[SuspectVolume], histories: Sequence[History], invocation: Invocation
) -> bool:
    """Tag the snapshots, then publish, each once. A suspicion that a person has closed is not raised again."""
    if any(Tag.SUSPECT in member.snapshot.tags for member in point.members) and not point.suspected:
        return True
    worst = max((item.observed for item in volumes), key=lambda item: item.scrambled)
    at = clock.now()
    tags = open_suspicion(at=at, changed=worst.changed, entropy=worst.entropy)
    config = invocation.config
    message = recovery_point_suspect(
        **invocation.stamp(),
        region=config.region,
        point=point,
        volumes=volumes,
        before=_newest_before(point, histories, invocation),
        has_copies=bool(config.copy_to or config.vault_account),
        unrecorded=_tag(point, tags),
    )
    return invocation.publish_once("published-suspicion", point.id, message)


def _tag(point: RecoveryPoint, tags: Tags) -> str:
    """Tag the snapshots that are not tagged yet. EC2's words where it refuses all of them; empty otherwise.

    One tagged snapshot is enough for retention. Raises AwsError for a refusal that may pass.
    """
    refused: list[str] = []
    tagged = 0
    for member in point.members:
        if is_suspected(member.snapshot.tags):
            tagged += 1
            continue
        try:
            ec2_snapshots.tag_snapshot(member.snapshot.id, tags)
        except AwsError as problem:
            if problem.passes and problem.code not in SNAPSHOT_GONE:
                raise
            refused.append(f"{member.snapshot.id}: {problem}")
        else:
            tagged += 1
    return "" if tagged else "; ".join(refused)


def _newest_before(point: RecoveryPoint, histories: Sequence[History], invocation: Invocation) -> RecoveryPoint | None:
    """The newest good recovery point that was observed before the change and is not suspect itself. Raises AwsError."""
    usual: Mapping[str, set[str]] = {
        history.lineage: {item.point_id for item in history.observations if not item.suspected} for history in histories
    }
    found = points_workflow.points_named(set().union(*usual.values()), invocation)
    before = [
        item
        for item in found
        if plan.is_good_before(item, point)
        and not item.suspected
        and all(item.id in known for lineage, known in usual.items() if lineage in item.lineages)
    ]
    return max(before, key=lambda item: (item.taken_at, item.id), default=None)
