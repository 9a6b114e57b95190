"""The vault: what other accounts share is copied here under a key of ours, with its story, and locked.

What a source says is data (`rules.vault`). It decides which copies are made, and of nothing that is here already.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifeboat import news
from lifeboat.aws import clock, copies, ec2, sharing
from lifeboat.aws.errors import AwsError
from lifeboat.aws.once import UnderWay, once
from lifeboat.chains import copies as regions
from lifeboat.chains.locking import lock, lock_all
from lifeboat.chains.settled import others_are_open
from lifeboat.chains.sharing import AT_ONCE, share_all
from lifeboat.chains.telling import tell_once
from lifeboat.config import Config
from lifeboat.model import CopyDestination, CopyRecord, CopyState, Snapshot, Tag, VaultSource
from lifeboat.requests import CopyRequest
from lifeboat.rules.catalogue import iso, read_catalogue
from lifeboat.rules.copies import (
    IN_FLIGHT,
    VANISHED_AFTER,
    Copied,
    CopyEndedBadly,
    CopyFacts,
    StartCopy,
    after_failure,
    plan,
)
from lifeboat.rules.vault import Offered, in_turn, offered, tags_without_story, without_story

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext


class VaultIncomplete(regions.CopyIncomplete):
    """Something could not even be looked at. All else was done."""


def carry_away(request: CopyRequest, config: Config, context: LambdaContext | None = None) -> dict[str, Any]:
    """Bring recovery points out of reach: to other regions, to the vault account; and take in what others share.

    Raises VaultIncomplete after all has been tried, when some of it could not be looked at.
    """
    if others_are_open(request.completed, config):
        return {"waits_for": "the other recovery points of the slot, or the sweep"}
    answer: dict[str, Any] = {}
    problems: list[str] = []
    if config.copy_to:
        try:
            answer = regions.copy(request, config, context)
        except regions.CopyIncomplete as problem:
            problems.append(str(problem))
    if config.vault_account and not request.ended:
        try:
            answer["vault"] = share_all(config, context)
        except AwsError as problem:
            problems.append(f"the snapshots here: {problem}")
        except ec2.TooMany:
            problems.append(f"the snapshots here: more than {AT_ONCE}, expected fewer: nothing is shared")
    if not (request.ended or request.completed):
        problems += _take_in(request, config, context, answer)
    if problems:
        raise VaultIncomplete("; ".join(problems))
    return answer


def _take_in(
    request: CopyRequest, config: Config, context: LambdaContext | None, answer: dict[str, Any]
) -> Iterator[str]:
    """Look at each source, and say of which it was not possible, and why."""
    for source in in_turn(config.vault_sources, clock.now()):
        try:
            answer[f"account {source.account}"] = _Run(source, config, context).carry_out(retry=request.retry)
        except AwsError as problem:
            yield f"account {source.account}: {problem}"
        except ec2.TooMany:
            yield f"account {source.account}: more than {AT_ONCE} snapshots, expected fewer"


class _Run:
    """One look at what one source shares, and what is done about it."""

    def __init__(self, source: VaultSource, config: Config, context: LambdaContext | None) -> None:
        self._source = source
        self._config = config
        self._context = context
        self._here = CopyDestination(config.region, config.vault_key)
        self._label = f"vault-{source.account}"
        """What the records of this source are kept under, where those of copies have their region."""
        self._answer: dict[str, Any] = {"begun": [], "copied": [], "failed": [], "waiting": []}

    def carry_out(self, *, retry: bool) -> dict[str, Any]:
        shared = sharing.shared_by(self._source.account, most=AT_ONCE)
        marks: dict[str, str] = {Tag.SOURCE_ACCOUNT: self._source.account, Tag.STACK: self._config.stack}
        there = ec2.copies_in(self._config.region, marks)
        offer, silence = self._heard(shared)
        with_story = [copy for copy in there if Tag.RECOVERY_POINT in copy.tags]
        if not silence:
            self._decide(offer, with_story, retry=retry)
        self._keep_untold(offer.untold, there)
        self._tell_missing(offer, silence)
        return self._answer

    def _heard(self, shared: Mapping[str, Snapshot]) -> tuple[Offered, str]:
        """What the source tells; or, with the reason, that it tells nothing."""
        try:
            told = sharing.told_by(self._source.reader, most=AT_ONCE)
            silence = ""
        except AwsError as problem:
            told, silence = (), f"{self._source.reader} cannot be used: {problem}"
        points = read_catalogue(told).points

        return offered(points, shared, source=self._source.account, stack=self._config.stack), silence

    def _decide(self, offer: Offered, there: Sequence[Snapshot], *, retry: bool) -> None:
        records = copies.records(self._config.table, self._label)
        if retry:
            records = {name: self._reopened(record) for name, record in records.items()}
        decided = plan(
            CopyFacts(
                points=offer.points,
                copies=there,
                records=records,
                in_flight=len(ec2.pending_copies_in(self._config.region)),
                destination=CopyDestination(self._label, self._config.vault_key),
                home=self._config.region,
                stack=self._config.stack,
                now=clock.now(),
                copy_existing=self._config.copy_existing,
            )
        )
        for record in decided.opened:
            copies.save(self._config.table, record, None)
        for record in decided.gone:
            copies.forget(self._config.table, record)
        for done in decided.copied:
            self._finish(done)
        for failure in decided.failed:
            self._fail(failure)
        known = {**records, **{record.point_id: record for record in decided.opened}}
        self._start_all(decided.start, known)
        self._answer["waiting"] = [{"recovery_point": item.point_id, "reason": item.reason} for item in decided.waiting]

    def _reopened(self, record: CopyRecord) -> CopyRecord:
        if record.state is CopyState.COPIED or (record.state is CopyState.OPEN and not record.not_before):
            return record
        fresh = replace(record, state=CopyState.OPEN, not_before=None)
        copies.save(self._config.table, fresh, record)
        return fresh

    def _finish(self, done: Copied) -> None:
        """Locked first, then told, then noted: what is not noted is seen again."""
        point = done.point
        locking = lock(point, self._config)
        message = news.snapshots_copied(
            stack=self._config.stack,
            at=clock.now(),
            point=point,
            region=self._config.region,
            home=f"account {self._source.account}",
        )
        told = self._tell_once("told-copied", done.record.point_id, message)
        if locking.worth_telling:
            problem = news.recovery_point_not_locked(
                stack=self._config.stack, at=clock.now(), point=point, reason=locking.problem
            )
            self._tell_once("told-not-locked", done.record.point_id, problem)
        if told and not locking.again:
            copies.save(self._config.table, replace(done.record, state=CopyState.COPIED), done.record)
        self._answer["copied"].append(done.record.point_id)

    def _fail(self, failure: CopyEndedBadly) -> None:
        after = after_failure(failure.record, clock.now())
        message = news.copy_failed(
            stack=self._config.stack,
            at=clock.now(),
            recovery_point_id=failure.record.point_id,
            region=self._config.region,
            reason=failure.reason,
            snapshot_ids=failure.copies,
            next_attempt=after.not_before,
        )
        if self._tell_once("told-not-copied", failure.record.point_id, message):
            copies.save(self._config.table, after, failure.record)
        self._answer["failed"].append({"recovery_point": failure.record.point_id, "reason": failure.reason})

    def _tell_once(self, kind: str, key: str, message: news.News) -> bool:
        return tell_once(kind, f"{self._label}/{key}", message, self._config, self._context)

    def _start_all(self, calls: Sequence[StartCopy], records: Mapping[str, CopyRecord]) -> None:
        """Begin the copies in their order. One that is refused fails its recovery point and stops no other."""
        failed: set[str] = set()
        for call in calls:
            if call.point_id in failed:
                continue
            try:
                made = self._start(call)
            except UnderWay:
                continue
            except AwsError as problem:
                if problem.throttled or problem.code == regions.TOO_MANY:
                    return
                if not problem.answered:
                    continue  # it may have begun all the same: the next sweep looks
                cause = f"CopySnapshot of {call.snapshot_id} was refused: {problem}"
            else:
                cause = self._vanished(made, call.snapshot_id)
            if cause:
                failed.add(call.point_id)
                self._fail(CopyEndedBadly(records[call.point_id], cause))

    def _start(self, call: StartCopy) -> dict[str, Any]:
        """Begin one copy, once. Raises AwsError and UnderWay."""
        seen: dict[str, str] = {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id}
        key = f"{self._label}/{call.snapshot_id}/{call.attempt}"
        return self._copy_once(key, call.snapshot_id, seen, call.description, call.tags)

    def _copy_once(
        self, key: str, snapshot_id: str, seen: Mapping[str, str], description: str, tags: Mapping[str, str]
    ) -> dict[str, Any]:
        ours = {**seen, Tag.STACK: self._config.stack, Tag.SOURCE_ACCOUNT: self._source.account}

        def begin() -> dict[str, Any]:
            there = ec2.copies_in(self._config.region, ours)
            copy_id = (
                there[0].id
                if there
                else ec2.copy_snapshot(
                    snapshot_id, from_region=self._config.region, to=self._here, description=description, tags=tags
                )
            )
            return {"copy": copy_id, "at": iso(clock.now())}

        made = once(self._config.table, "copy-begun", key, begin, self._context)
        self._answer["begun"].append({"snapshot": snapshot_id, "copy": made["copy"]})
        return made

    @staticmethod
    def _vanished(made: Mapping[str, str], snapshot_id: str) -> str:
        if clock.now() - datetime.fromisoformat(made["at"]) > VANISHED_AFTER:
            return f"the copy {made['copy']} of {snapshot_id} has vanished, as it does when a key may not be used"
        return ""

    def _keep_untold(self, untold: Sequence[Snapshot], there: Sequence[Snapshot]) -> None:
        """Silence keeps: what nobody tells of is copied as it is, once, and locked for as long as all else is."""
        for copy in there:
            if Tag.RECOVERY_POINT not in copy.tags and copy.state == "completed":
                lock_all([copy.id], copy.started_at, self._config)
        waiting = without_story(untold, there, clock.now())
        free = max(0, IN_FLIGHT - len(ec2.pending_copies_in(self._config.region))) if waiting else 0
        for snapshot in waiting[:free]:
            tags = tags_without_story(
                snapshot, source=self._source.account, region=self._config.region, stack=self._config.stack
            )
            try:
                self._copy_once(
                    f"{self._label}/{snapshot.id}/untold",
                    snapshot.id,
                    {Tag.COPY_OF: snapshot.id},
                    f"Lifeboat: {snapshot.id} of account {self._source.account}, of which no story is told",
                    tags,
                )
            except UnderWay:
                continue
            except AwsError as problem:
                self._answer["failed"].append({"snapshot": snapshot.id, "reason": str(problem)})

    def _tell_missing(self, offer: Offered, silence: str) -> None:
        unheard = without_story(offer.untold, (), clock.now())
        refused = [point_id for point_id, _ in offer.refused]
        if not (silence or refused or unheard):
            return
        reason = silence or (offer.refused[0][1] if refused else "its snapshots carry no readable story")
        message = news.story_missing(
            stack=self._config.stack,
            at=clock.now(),
            source=self._source.account,
            reason=reason,
            recovery_point_ids=refused,
            snapshot_ids=[snapshot.id for snapshot in unheard],
        )
        self._tell_once("told-no-story", f"{clock.now():%Y-%m-%d}", message)
        self._answer["story_missing"] = reason
