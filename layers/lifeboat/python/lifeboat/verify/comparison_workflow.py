"""Compare recovery points with their copies in CopyToRegions or in this vault, and publish each difference.

The stack that copied them does it, because it can read both sides. What a manifest knows is not read again; a block
that only one side has must be zeros. The checkpoint is saved after the manifest, as for a verification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lifeboat.aws import clock, ec2_snapshots, sharing
from lifeboat.aws.ebs_direct import WrongChecksumError
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import OutOfTime
from lifeboat.aws.table import Overtaken
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.message import Message
from lifeboat.domain.proof import Proof, Result, write_proof
from lifeboat.domain.recovery_point import RecoveryPoint, newest_proven
from lifeboat.domain.tags import Tag
from lifeboat.verify import comparison, messages, plan, points_workflow, reading_workflow
from lifeboat.verify import comparison_store as comparisons
from lifeboat.verify.comparison import Comparison, Pair
from lifeboat.verify.digests import ZEROS, Difference, read_digest
from lifeboat.verify.manifest_store import Bucket, Manifest
from lifeboat.verify.reading_workflow import Blocks, Calls
from lifeboat.verify.record import Verification


def is_due(invocation: Invocation) -> bool:
    """Whether a comparison may go on."""
    return bool(_due(invocation))


def _due(invocation: Invocation) -> list[Comparison]:
    if not invocation.config.manifest_bucket:
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
    point: RecoveryPoint | None = None

    def __post_init__(self) -> None:
        self.there = self.here if self._in_vault else Calls(self.invocation, self.record.region)
        self.bucket = Bucket(self.invocation.config.manifest_bucket, self.invocation.config.account)

    @property
    def _in_vault(self) -> bool:
        """Whether the recovery point is itself the copy, and another account shares the source."""
        return self.record.region == self.invocation.config.region

    def advance(self) -> tuple[str, str]:
        """Compare on. What came of it, and why. Raises AwsError and Overtaken."""
        record = self.record
        self.point = point = points_workflow.point_named(record.point_id, self.invocation)
        found = self._find_pairs(point) if point else "the recovery point was deleted"
        if point is None or isinstance(found, str):
            comparisons.drop_comparison(self.invocation.config.table, record)
            return "not_compared", str(found)
        if record.turns_done and self._is_superseded(point):
            comparisons.close_comparison(self.invocation.config.table, record, clock.now())
            return "equal", "in part: a newer copy is compared instead"
        if not record.pairs:
            self.record = replace(record, pairs=found)
        self._compare()
        if not self.record.done:
            return "comparing", self.record.reason
        return self._conclude(point)

    def _is_superseded(self, point: RecoveryPoint) -> bool:
        """Whether a newer copy of the same lineages is or was compared. Raises AwsError."""
        newer = comparison.newer_of_lineages(point, points_workflow.points_of_lineages(point, self.invocation))
        keys = (comparison.key_of(item.id, self.record.region) for item in newer)
        return any(comparisons.is_known(self.invocation.config.table, key) for key in keys)

    def _find_pairs(self, point: RecoveryPoint) -> tuple[Pair, ...] | str:
        """Raises AwsError."""
        if self._in_vault:
            return comparison.find_kept_pairs(point)
        named = self.record.point_id.partition("+")[0]
        asked: dict[str, str] = {Tag.STACK: self.invocation.config.stack, Tag.RECOVERY_POINT: named}
        return comparison.find_pairs(point, ec2_snapshots.copies_in(self.record.region, asked))

    def _compare(self) -> None:
        for first in self.record.pairs:
            pair = first
            try:
                for pair in self._compare_pair(first):
                    self._save(comparison.progress(self.record, pair))
            except OutOfTime:
                return
            except AwsError as problem:
                words, now = self._in_words(pair, problem), clock.now()
                refused = comparison.after_refusal(
                    self.record, pair, words, now, code=problem.code, passes=problem.passes
                )
                self._save(refused)
                if refused.not_before:
                    return

    def _in_words(self, pair: Pair, problem: AwsError) -> str:
        """What AWS said, after the reason that its words do not name: the source is gone. Raises AwsError.

        The policy asks for the owner of a snapshot, so AWS may call the missing right what is a missing snapshot.
        """
        account = comparison.source_account(self.point) if self.point and self._in_vault else ""
        if problem.passes or not account or sharing.is_shared_by(account, pair.source_id):
            return str(problem)
        return f"account {account} has deleted {pair.source_id} or no longer shares it; {problem}"

    def _save(self, record: Comparison) -> None:
        self.record = comparisons.save_comparison(self.invocation.config.table, record)

    def _compare_pair(self, pair: Pair) -> Iterator[Pair]:
        """Compare a pair on from its checkpoint. Yields each next one. Raises AwsError and OutOfTime."""
        sides = _Sides(pair, self.record, (self.here, self.there), self._manifests(pair))
        while not pair.done:
            try:
                pair = sides.compare_on(pair)
            except WrongChecksumError as wrong:
                of_source = wrong.snapshot_id == pair.source_id
                pair = comparison.after_wrong_bytes(pair, str(wrong), of_source=of_source)
            yield pair

    def _manifests(self, pair: Pair) -> tuple[Manifest, Manifest]:
        """What is known of the source and of the copy.

        In a vault, the manifest of the copy is that of its own verification, and that of the source is kept, too.
        """
        in_vault = self._in_vault
        of_source: Callable[[], Sequence[tuple[str, int]]] = tuple
        of_copy = partial(self._earlier_copies, pair)
        if in_vault:
            of_source = partial(self._earlier_kept, pair, comparison.earlier_sources)
            of_copy = partial(self._earlier_kept, pair, plan.earlier_proven)
        here, there = self.here.list_changed_blocks, self.there.list_changed_blocks
        region = "" if in_vault else self.record.region
        return (
            Manifest(self.bucket, pair.source_id, pair.gib, of_source, here),
            Manifest(self.bucket, pair.copy_id, pair.gib, of_copy, there, region=region),
        )

    def _earlier_copies(self, pair: Pair) -> Sequence[tuple[str, int]]:
        """Raises AwsError."""
        instance_id = self.point.instance_id if self.point else ""
        mine: dict[str, str] = {Tag.STACK: self.invocation.config.stack, Tag.INSTANCE: instance_id}
        points = read_catalogue(ec2_snapshots.copies_in(self.record.region, mine)).points
        return comparison.earlier_copies(points, pair.copy_id)

    def _earlier_kept(
        self,
        pair: Pair,
        choose: Callable[[RecoveryPoint, str, Sequence[RecoveryPoint]], Sequence[tuple[str, int]]],
    ) -> Sequence[tuple[str, int]]:
        """Raises AwsError."""
        lineage = points_workflow.points_of_lineages(self.point, self.invocation) if self.point else ()
        return choose(self.point, pair.copy_id, lineage) if self.point else ()

    def _conclude(self, point: RecoveryPoint) -> tuple[str, str]:
        """Publish what is not equal, and what a vault could not compare, then close. Raises AwsError.

        What cannot be compared any more is not published where a part of it was compared before.
        """
        config, record = self.invocation.config, self.record
        account = comparison.source_account(point) if self._in_vault else ""
        shown = comparison.as_verification(record, f"account {account}" if account else config.region)
        refused = {pair.copy_id for pair in record.pairs if pair.refused} if account else set()
        wrong = any(item.failure and item.snapshot_id not in refused for item in shown.readings)
        message: Message | None = None
        if wrong:
            message = self._differs(point, shown, account)
        elif refused and not record.turns_done:
            message = messages.copy_not_compared(**self.invocation.stamp(), point=point, account=account, record=shown)
        key = f"{record.key} {record.opened_at.isoformat()}"
        if message and not self.invocation.publish_once("published-verification", key, message):
            return "comparing", "another invocation publishes it"
        following = None if wrong or refused else comparison.next_turn(record, clock.now())
        if following:
            self._save(following)
        else:
            comparisons.close_comparison(config.table, record, clock.now())
        reason = "; ".join(f"{item.snapshot_id}: {item.failure}" for item in shown.readings if item.failure)
        return ("differ" if wrong else "not_compared" if refused else "equal"), reason

    def _differs(self, point: RecoveryPoint, shown: Verification, account: str) -> Message:
        """VerificationFailed, after a vault's copies were marked. Raises AwsError."""
        config = self.invocation.config
        unrecorded = self._mark_failed() if account else ""
        lineages = points_workflow.points_of_lineages(point, self.invocation)
        return messages.verification_failed(
            **self.invocation.stamp(),
            region=self.record.region,
            home="" if account else config.region,
            account=account,
            point=point,
            record=shown,
            proven=newest_proven(item for item in lineages if not account or item.id != point.id),
            unrecorded=unrecorded,
        )

    def _mark_failed(self) -> str:
        """Tag a vault's copies that are not equal, so that none is restored as proven. Why EC2 refused it, if it did.

        Raises AwsError for a refusal that may pass.
        """
        said: list[str] = []
        for pair in self.record.pairs:
            unequal = bool(pair.found.count)
            if pair.refused or not (pair.failure or unequal):
                continue
            try:
                failed = Proof(Result.FAILED, self.record.level, clock.now(), unequal=unequal)
                ec2_snapshots.tag_snapshot(pair.copy_id, write_proof(failed))
            except AwsError as problem:
                if problem.passes:
                    raise
                said.append(f"{pair.copy_id}: {problem}")
        return "; ".join(said)


class _Sides:
    """The blocks of a snapshot and of its copy, and what is known of them."""

    def __init__(
        self, pair: Pair, record: Comparison, calls: tuple[Calls, Calls], manifests: tuple[Manifest, Manifest]
    ) -> None:
        here, there = calls
        end = plan.block_count(pair.gib)
        self.level, self.turn = record.level, record.turn
        self.source = Blocks(pair.source_id, here, end)
        self.copy = Blocks(pair.copy_id, there, end)
        self.manifests = manifests
        self.read: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})

    def compare_on(self, pair: Pair) -> Pair:
        """The checkpoint after about reading_workflow.BLOCKS_A_MANIFEST reads of a side. Raises AwsError, OutOfTime,
        and WrongChecksumError.

        What was compared before a refusal, or before the time is over, is kept.
        """
        self.read = ({}, {})
        found, at = pair.found, pair.next_block
        end: int | None = at
        try:
            while end is not None and self._reads < reading_workflow.BLOCKS_A_MANIFEST:
                indexes, end = self._next_indexes(at)
                for at in indexes:
                    if self._reads == reading_workflow.BLOCKS_A_MANIFEST:
                        end = at
                        break
                    found = self._compare_block(at, found)
                at = at if end is None else end
        except (AwsError, OutOfTime):
            if at == pair.next_block:
                raise
            end = at
        for manifest, read in zip(self.manifests, self.read, strict=True):
            manifest.add(read)
        done = replace(pair, found=found, read=pair.read + self._reads)
        return replace(done, done=True) if end is None else replace(done, next_block=end)

    @property
    def _reads(self) -> int:
        """How many blocks were read since the last checkpoint of the side of which more were read."""
        return max(map(len, self.read))

    def _next_indexes(self, at: int) -> tuple[list[int], int | None]:
        """The blocks from `at` on that one side or both have, and where the lists go on."""
        pages = (self.source.list_page(at), self.copy.list_page(at))
        nexts = [page.next_block for page in pages if page.next_block is not None]
        stop = min(nexts, default=None)
        indexes = sorted({index for page in pages for index in page.tokens if stop is None or index < stop})
        return indexes, stop

    def _compare_block(self, index: int, found: Difference) -> Difference:
        source, copy = self.manifests
        known = (source.known.get(index), copy.known.get(index))
        in_both = index in self.source and index in self.copy
        if not comparison.is_compared(index, self.level, self.turn, in_both=in_both, both_known=all(known)):
            return found
        here = known[0] if known[0] and index in self.source else self._read(self.source, index)
        there = known[1] if known[1] and index in self.copy else self._read(self.copy, index)
        if here != there and any(known):  # read, not remembered, before it is published
            here, there = self._read(self.source, index), self._read(self.copy, index)
        for blocks, read, digest, before in zip((self.source, self.copy), self.read, (here, there), known, strict=True):
            if digest != before and index in blocks:
                read[index] = digest
        return found.with_block(index, equal=here == there)

    @staticmethod
    def _read(blocks: Blocks, index: int) -> bytes:
        return read_digest(blocks.read(index)) if index in blocks else ZEROS
