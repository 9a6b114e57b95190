"""Compare recovery points with their copies in CopyToRegions, block by block, and publish each difference.

The stack that copied them does it, because it can read both sides. What a manifest knows is not read again; a block
that only one side has must be zeros. The checkpoint is saved after the manifest, as for a verification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.ebs_direct import WrongChecksumError
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime
from lifeboat.aws.table import Overtaken
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import RecoveryPoint, newest_proven
from lifeboat.domain.tags import Tag
from lifeboat.verify import comparison, messages, plan, points_workflow, reading_workflow
from lifeboat.verify import comparison_store as comparisons
from lifeboat.verify.comparison import Comparison, Pair
from lifeboat.verify.digests import ZEROS, Difference, Digests, read_digest
from lifeboat.verify.manifest_store import Bucket, Manifest
from lifeboat.verify.reading_workflow import Blocks, Calls


def open_for(point_id: str, region: str, invocation: Invocation) -> None:
    """Open the comparison with a complete copy, if this stack makes copies there and reads blocks at all."""
    config, now = invocation.config, clock.now()
    if config.verify is None or config.verify is Level.READ or not config.manifest_bucket:
        return
    if region in {destination.region for destination in config.copy_to}:
        record = Comparison(point_id, region, config.verify, now, plan.turn_of(now.date()))
        comparisons.open_comparison(config.table, record)


def is_due(invocation: Invocation) -> bool:
    """Whether a comparison may go on."""
    return bool(_due(invocation))


def _due(invocation: Invocation) -> list[Comparison]:
    if not (invocation.config.copy_to and invocation.config.manifest_bucket):
        return []
    return comparison.due(comparisons.open_comparisons(invocation.config.table), clock.now())


def compare_due(calls: Calls, invocation: Invocation) -> tuple[dict[str, list[Any]], list[str]]:
    """Carry out the comparisons that may go on, each once; what they have shown, and what EC2 refused to describe."""
    answer: dict[str, list[Any]] = {}
    problems: list[str] = []
    for record in _due(invocation):
        if not invocation.has_time():
            break
        try:
            outcome, reason = _Comparer(record, calls, invocation).advance()
        except Overtaken:
            continue
        except AwsError as problem:  # the others go on
            problems.append(f"{record.key}: {problem}")
            continue
        shown = {"recovery_point": record.point_id, "region": record.region}
        answer.setdefault(outcome, []).append({**shown, **({"reason": reason} if reason else {})})
    return answer, problems


@dataclass(slots=True)
class _Comparer:
    """One comparison in one invocation."""

    record: Comparison
    here: Calls
    invocation: Invocation
    there: Calls = field(init=False)
    bucket: Bucket = field(init=False)
    instance_id: str = ""

    def __post_init__(self) -> None:
        self.there = Calls(self.invocation, self.record.region)
        self.bucket = Bucket(self.invocation.config.manifest_bucket, self.invocation.config.account)

    def advance(self) -> tuple[str, str]:
        """Compare on. What came of it, and why. Raises AwsError and Overtaken."""
        config, record = self.invocation.config, self.record
        point = points_workflow.point_named(record.point_id, self.invocation)
        copies = ec2_snapshots.copies_in(
            record.region, {Tag.STACK: config.stack, Tag.RECOVERY_POINT: record.point_id.partition("+")[0]}
        )
        found = comparison.find_pairs(point, copies) if point else "the recovery point was deleted"
        if point is None or isinstance(found, str):
            comparisons.close_comparison(config.table, record, clock.now())
            return "not_compared", str(found)
        self.instance_id = point.instance_id
        if not record.pairs:
            self.record = replace(record, pairs=found)
        self._compare()
        if not self.record.done:
            return "comparing", self.record.reason
        return self._conclude(point)

    def _compare(self) -> None:
        for first in self.record.pairs:
            pair = first
            try:
                for pair in self._compare_pair(first):
                    self._save(comparison.progress(self.record, pair))
            except OutOfTime:
                return
            except AwsError as problem:
                now = clock.now()
                refused = comparison.after_refusal(
                    self.record, pair, str(problem), now, code=problem.code, passes=problem.passes
                )
                self._save(refused)
                if refused.not_before:
                    return

    def _save(self, record: Comparison) -> None:
        self.record = comparisons.save_comparison(self.invocation.config.table, record)

    def _compare_pair(self, pair: Pair) -> Iterator[Pair]:
        """Compare a pair on from its checkpoint. Yields each next one. Raises AwsError and OutOfTime."""
        sides = _Sides(pair, self.record, (self.here, self.there), self.bucket, lambda: self._earlier_copies(pair))
        while not pair.done:
            try:
                pair = sides.compare_on(pair)
            except WrongChecksumError as wrong:
                pair = replace(pair, done=True, failure=str(wrong))
            yield pair

    def _earlier_copies(self, pair: Pair) -> Sequence[tuple[str, int]]:
        """Raises AwsError."""
        mine: dict[str, str] = {Tag.STACK: self.invocation.config.stack, Tag.INSTANCE: self.instance_id}
        points = read_catalogue(ec2_snapshots.copies_in(self.record.region, mine)).points
        return comparison.earlier_copies(points, pair.copy_id)

    def _conclude(self, point: RecoveryPoint) -> tuple[str, str]:
        config, record = self.invocation.config, self.record
        shown = comparison.as_verification(record, config.region)
        wrong = [f"{item.snapshot_id}: {item.failure}" for item in shown.readings if item.failure]
        if wrong:
            message = messages.verification_failed(
                **self.invocation.stamp(),
                region=record.region,
                home=config.region,
                point=point,
                record=shown,
                proven=newest_proven(points_workflow.points_of_lineages(point, self.invocation)),
                unrecorded="",
            )
            key = f"{record.key} {record.opened_at.isoformat()}"
            if not self.invocation.publish_once("published-verification", key, message):
                return "comparing", "another invocation publishes it"
        comparisons.close_comparison(config.table, record, clock.now())
        return ("differ", "; ".join(wrong)) if wrong else ("equal", "")


class _Sides:
    """The blocks of a snapshot and of its copy, and what is known of them."""

    def __init__(
        self,
        pair: Pair,
        record: Comparison,
        calls: tuple[Calls, Calls],
        bucket: Bucket,
        earlier: Callable[[], Sequence[tuple[str, int]]],
    ) -> None:
        here, there = calls
        end = plan.block_count(pair.gib)
        self.level, self.turn = record.level, record.turn
        self.source = Blocks(pair.source_id, here, end)
        self.copy = Blocks(pair.copy_id, there, end)
        self.known = bucket.find(pair.source_id, pair.gib) or Digests()
        self.manifest = Manifest(
            bucket, pair.copy_id, pair.gib, earlier, there.list_changed_blocks, region=record.region
        )

    def compare_on(self, pair: Pair) -> Pair:
        """The checkpoint after about reading_workflow.BLOCKS_A_MANIFEST reads. Raises AwsError, OutOfTime, and
        WrongChecksumError.

        What was compared before a refusal, or before the time is over, is kept.
        """
        read: dict[int, bytes] = {}
        found, at = pair.found, pair.next_block
        end: int | None = at
        try:
            while end is not None and len(read) < reading_workflow.BLOCKS_A_MANIFEST:
                indexes, end = self._next_indexes(at)
                for at in indexes:
                    if len(read) == reading_workflow.BLOCKS_A_MANIFEST:
                        end = at
                        break
                    found = self._compare_block(at, found, read)
                at = at if end is None else end
        except (AwsError, OutOfTime):
            if at == pair.next_block:
                raise
            end = at
        self.manifest.add(read)
        done = replace(pair, found=found, read=pair.read + len(read))
        return replace(done, done=True) if end is None else replace(done, next_block=end)

    def _next_indexes(self, at: int) -> tuple[list[int], int | None]:
        """The blocks from `at` on that one side or both have, and where the lists go on."""
        pages = (self.source.list_page(at), self.copy.list_page(at))
        nexts = [page.next_block for page in pages if page.next_block is not None]
        stop = min(nexts, default=None)
        indexes = sorted({index for page in pages for index in page.tokens if stop is None or index < stop})
        return indexes, stop

    def _compare_block(self, index: int, found: Difference, read: dict[int, bytes]) -> Difference:
        known = (self.known.get(index), self.manifest.known.get(index))
        in_both = index in self.source and index in self.copy
        if not comparison.is_compared(index, self.level, self.turn, in_both=in_both, both_known=all(known)):
            return found
        here = known[0] if known[0] and index in self.source else self._read(self.source, index)
        there = known[1] if known[1] and index in self.copy else self._read(self.copy, index)
        if here != there and any(known):  # read, not remembered, before it is published
            here, there = self._read(self.source, index), self._read(self.copy, index)
        if there != known[1] and index in self.copy:
            read[index] = there
        return found.with_block(index, equal=here == there)

    @staticmethod
    def _read(blocks: Blocks, index: int) -> bytes:
        return read_digest(blocks.read(index)) if index in blocks else ZEROS
