"""Verification: read recovery points back, record the proof in the tags of their snapshots, publish what fails.

One invocation at a time reads, with the newest recovery point first. It saves a checkpoint every few seconds and stops
when its time is over; the next event or reconcile run goes on from there. It changes nothing but two tags.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lifeboat.aws import clock, ec2_snapshots, ec2_volumes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime
from lifeboat.aws.table import Overtaken
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.error_codes import SNAPSHOT_GONE
from lifeboat.domain.message import Message
from lifeboat.domain.proof import Level, Proof, Result, write_proof
from lifeboat.domain.recovery_point import Condition, RecoveryPoint, newest_proven
from lifeboat.verify import (
    canary_workflow,
    comparison,
    comparison_workflow,
    copies_to_compare_workflow,
    lost_contents,
    messages,
    missed_workflow,
    plan,
    points_workflow,
)
from lifeboat.verify import store as verifications
from lifeboat.verify.canary_request import CloseSuspicionRequest
from lifeboat.verify.manifest_store import Bucket, Manifest
from lifeboat.verify.plan import NotYet, Stop
from lifeboat.verify.reading_workflow import Calls, read_on
from lifeboat.verify.record import Phase, Reading, Verification
from lifeboat.verify.request import ContinueRequest, PointCompleted, VerifyRequest

AT_ONCE = 100
"""So many verifications are carried out before the open ones are read again."""


class VerificationIncomplete(Exception):  # noqa: N818 - a fact; the next run tries again
    """EC2 refused to describe some recovery points. The others were read."""


class _DeletedError(Exception):
    """A snapshot was deleted while it was read; the message is its id."""


def run(
    request: VerifyRequest | CloseSuspicionRequest | PointCompleted | ContinueRequest, invocation: Invocation
) -> dict[str, Any]:
    """Open the verification that the request asks for, and read what is open while there is time.

    Raises BadRequest for a recovery point that cannot be read, VerificationIncomplete at the end if EC2 refused to
    describe some.
    """
    if isinstance(request, CloseSuspicionRequest):
        return canary_workflow.close(request, invocation)
    table, now, level = invocation.config.table, clock.now(), invocation.config.verify
    if level is None:
        return _refuse_or_ignore(request)
    only = problem = ""
    if isinstance(request, VerifyRequest):
        only = _open_by_hand(request, request.level or level, invocation)
    elif isinstance(request, PointCompleted):
        _open_completed(request, level, invocation)
    else:
        problem = missed_workflow.open_missed(level, invocation)
    reader = _Reader(invocation)
    reader.problems += [problem] if problem else []
    answer: dict[str, Any] = {}
    if plan.due(verifications.open_verifications(table), now) or comparison_workflow.is_due(invocation):
        until = invocation.ends + timedelta(seconds=1)
        if not verifications.become_reader(table, invocation.lease, now=now, until=until):
            return {"waits_for": "the invocation that reads now, or the next reconcile run"}
        try:
            reader.read_due(only)
            if not only:
                reader.compare_due()
        finally:
            verifications.cease_reading(table)
        answer = reader.answer
    if reader.problems:
        raise VerificationIncomplete("; ".join(reader.problems))
    return answer


def _refuse_or_ignore(request: VerifyRequest | PointCompleted | ContinueRequest) -> dict[str, Any]:
    """Without the parameter Verify the function has no permission to read. Raises BadRequest for a person's request."""
    if isinstance(request, VerifyRequest):
        raise BadRequest(
            f"recovery_point is {request.recovery_point}, and the stack's Verify is off, expected one of "
            f"{', '.join(Level)}; deploy the stack with one of them"
        )
    return {}


def _open_completed(request: PointCompleted, level: Level, invocation: Invocation) -> None:
    """Open the verification of a recovery point here, and the comparison of a copy with its source."""
    table = invocation.config.table
    if request.region:
        copies_to_compare_workflow.open_announced(request.point_id, request.region, invocation)
    if request.region not in {"", invocation.config.region}:
        return
    # A message may come again, long after its recovery point was read.
    if not verifications.ended_verifications(table, [request.point_id]):
        verifications.open_verification(table, plan.new_verification(request.point_id, level, clock.now()))


def _open_by_hand(request: VerifyRequest, level: Level, invocation: Invocation) -> str:
    """Open the verification of one recovery point for a person; its id. Raises BadRequest and AwsError."""
    table, wanted = invocation.config.table, request.recovery_point
    point = points_workflow.point_named(wanted, invocation)
    if point is None or point.condition is not Condition.GOOD:
        found = f", which is {point.condition}" if point else ""
        raise BadRequest(
            f"recovery_point is {wanted}{found}, expected the id of a good one of the stack "
            f"{invocation.config.stack} in {invocation.config.region}"
        )
    copies_to_compare_workflow.open_by_hand(point, level, invocation)
    record = plan.new_verification(point.id, level, clock.now(), by_hand=True, expected=request.expected)
    if not verifications.open_verification(table, record):
        under_way = verifications.find_verification(table, point.id)
        if under_way and request.level not in {None, under_way.level}:
            raise BadRequest(
                f"level is {request.level}, and {wanted} is being read at the level {under_way.level}, expected "
                "another try when that has ended"
            )
        asked = plan.asked_for(under_way, expected=request.expected) if under_way else None
        if asked and asked != under_way:
            with suppress(Overtaken):  # an invocation reads it right now
                verifications.save_verification(table, asked)
    return point.id


@dataclass(slots=True)
class _Reader:
    """The reads of one invocation."""

    invocation: Invocation
    answer: dict[str, Any] = field(default_factory=lambda: {"proven": [], "failed": [], "stopped": [], "open": []})
    problems: list[str] = field(default_factory=list)
    _calls: Calls = field(init=False)

    def __post_init__(self) -> None:
        self._calls = Calls(self.invocation)

    def read_due(self, only: str = "") -> None:
        """Carry out the verifications that may go on, each once. `only`: this recovery point and no other."""
        tried: set[str] = set()
        while True:
            found = verifications.open_verifications(self.invocation.config.table)
            due = [
                record
                for record in plan.due(found, clock.now())
                if record.key not in tried and only in {"", record.point_id}
            ]
            if not due:
                return
            for record in due[:AT_ONCE]:
                if not self.invocation.has_time():
                    return
                tried.add(record.key)
                self._carry_out(record)

    def compare_due(self) -> None:
        """Compare recovery points with their copies in other regions, after all that is to be read here."""
        answer, problems = comparison_workflow.compare_due(self._calls, self.invocation)
        self.answer.update(answer)
        self.problems += problems

    def _carry_out(self, record: Verification) -> None:
        try:
            ended = self._advance(record)
        except Overtaken:
            return
        except AwsError as problem:  # the others go on
            self.problems.append(f"{record.point_id}: {problem}")
            return
        if not ended:
            left = verifications.find_verification(self.invocation.config.table, record.point_id)
            self.answer["open"].append({"recovery_point": record.point_id, "reason": left.reason if left else ""})

    def _advance(self, record: Verification) -> bool:
        """Read a recovery point on. Whether its verification has ended. Raises AwsError and Overtaken."""
        points = points_workflow.points_named([record.point_id], self.invocation)
        point = plan.find_point(record, points)
        verdict = plan.judge_point(record, point)
        if isinstance(verdict, Stop):
            return self._stop(record, verdict.reason)
        if isinstance(verdict, NotYet) or point is None:
            reason = verdict.reason if isinstance(verdict, NotYet) else ""
            self._save(plan.not_complete_yet(record, reason, clock.now()))
            return False
        record = self._read(verdict.record, point)
        if not record.read_to_the_end:
            return False
        # A snapshot that was deleted while it was read is not a failure.
        if any(item.failure for item in record.readings):
            points = points_workflow.points_named([record.point_id], self.invocation)
            left = plan.judge_point(record, plan.find_point(record, points))
            if isinstance(left, Stop):
                return self._stop(record, left.reason)
        return self._conclude(record, point)

    def _read(self, record: Verification, point: RecoveryPoint) -> Verification:
        """Read each snapshot from its checkpoint, as far as there is time and AWS lets it. Raises Overtaken."""
        for first in record.readings:
            if first.phase is Phase.DONE:
                continue
            reading, manifest = first, self._manifest(first, point, record)
            try:
                for reading in read_on(first, record.level, record.turn, self._calls, manifest):
                    record = self._save(plan.progress(record, reading))
            except OutOfTime:
                return record
            except AwsError as problem:
                refused = plan.after_refusal(
                    record, reading, str(problem), clock.now(), code=problem.code, passes=problem.passes
                )
                record = self._save(refused)
                if record.not_before:
                    return record
        return record

    def _manifest(self, reading: Reading, point: RecoveryPoint, record: Verification) -> Manifest | None:
        """The manifest of a snapshot; None where nothing is kept. A person who asks has each block read again."""
        config = self.invocation.config
        if record.level is Level.READ or not config.manifest_bucket:
            return None
        return Manifest(
            Bucket(config.manifest_bucket, config.account),
            reading.snapshot_id,
            reading.gib,
            lambda: plan.earlier_proven(
                point, reading.snapshot_id, points_workflow.points_of_lineages(point, self.invocation)
            ),
            self._calls.list_changed_blocks,
            again=record.by_hand,
        )

    def _save(self, record: Verification) -> Verification:
        return verifications.save_verification(self.invocation.config.table, record)

    def _stop(self, record: Verification, reason: str) -> bool:
        """Publish it once. It is not noted as ended: from an archive or the Recycle Bin it may come back, unread."""
        message = messages.verification_stopped(**self.invocation.stamp(), record=record, reason=reason)
        if not self.invocation.publish_once("published-verification", f"{record.point_id} stopped", message):
            return False
        verifications.drop_verification(self.invocation.config.table, record.point_id)
        self.answer["stopped"].append({"recovery_point": record.point_id, "reason": reason})
        return True

    def _conclude(self, record: Verification, point: RecoveryPoint) -> bool:
        """Record the result in the tags, and publish it. Raises AwsError where a later run may record it."""
        record = comparison.fail_unequal(self._compare(record, point), point)
        try:
            unrecorded = self._record_proof(record, comparison.find_unequal(point))
        except _DeletedError as deleted:
            return self._stop(record, f"{deleted} was deleted")
        try:  # also of a failed one: an attacker may encrypt the file system's own records
            observed = canary_workflow.observe(point, self._calls, self.invocation)
        except OutOfTime:
            return False
        if not observed:
            return False
        if any(item.failure for item in record.readings):
            others = points_workflow.points_of_lineages(point, self.invocation)
            proven = newest_proven(item for item in others if item.id != point.id)
            message = messages.verification_failed(
                **self.invocation.stamp(),
                region=self.invocation.config.region,
                point=point,
                record=record,
                proven=proven,
                unrecorded=unrecorded,
            )
            reason = "; ".join(f"{item.snapshot_id}: {item.failure}" for item in record.readings if item.failure)
            return self._publish_and_close(record, "failed", message, reason)
        verified = messages.recovery_point_verified(
            **self.invocation.stamp(), point=point, record=record, unrecorded=unrecorded
        )
        asked = verifications.find_verification(self.invocation.config.table, record.point_id)  # perhaps since the save
        loud = (asked or record).by_hand or unrecorded or self.invocation.config.verified_messages
        return self._publish_and_close(record, "proven", verified if loud else None)

    def _compare(self, record: Verification, point: RecoveryPoint) -> Verification:
        """Fail what lost a file system since the last proven recovery point. Raises AwsError."""
        if record.expected or not any(map(lost_contents.may_have_lost, record.readings)):
            return record
        others = points_workflow.points_of_lineages(point, self.invocation)
        restored = ec2_volumes.volumes(lost_contents.restored_volumes(record, point, others))
        sources = {item.id: item.snapshot_id for item in restored.values() if item.snapshot_id}
        return lost_contents.compare_with_proven(record, point, others, sources)

    def _record_proof(self, record: Verification, unequal: Collection[str]) -> str:
        """Tag each snapshot with what it has shown. Why the proof is not recorded, in AWS's words, or an empty text.

        Raises _DeletedError, and AwsError for a refusal that may pass.
        """
        refused: list[str] = []
        for item in record.readings:
            result = Result.FAILED if item.failure else Result.PROVEN
            holds = "" if item.failure else item.types
            proof = Proof(result, record.level, clock.now(), holds, unequal=item.snapshot_id in unequal)
            try:
                ec2_snapshots.tag_snapshot(item.snapshot_id, write_proof(proof))
            except AwsError as problem:
                if problem.code in SNAPSHOT_GONE:
                    raise _DeletedError(item.snapshot_id) from problem
                if problem.passes:
                    raise
                refused.append(f"{item.snapshot_id}: {problem}")
        return "; ".join(refused)

    def _publish_and_close(self, record: Verification, outcome: str, message: Message | None, reason: str = "") -> bool:
        """Publish once, then close. While another invocation publishes, the verification stays open."""
        if message is not None and not self.invocation.publish_once("published-verification", record.key, message):
            return False
        verifications.close_verification(self.invocation.config.table, record, clock.now())
        answered = {"recovery_point": record.point_id, **({"reason": reason} if reason else {})}
        self.answer[outcome].append(answered)
        return True
