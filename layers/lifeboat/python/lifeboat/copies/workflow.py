"""The vault: what other accounts share is copied here under a key of ours, with its story, and locked.

What a source says is data (`rules.vault`). It decides which copies are made, and of nothing that is here already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.once import UnderWay
from lifeboat.aws.snapshot_locks import TRIED_FOR, lock, lock_all
from lifeboat.backup import messages as backup_messages
from lifeboat.backup.slot_store import others_are_open
from lifeboat.copies import messages as copies_messages
from lifeboat.copies import regions_workflow as regions
from lifeboat.copies import shared_snapshots
from lifeboat.copies.copy_workflow import Copying, vanished
from lifeboat.copies.plan import IN_FLIGHT, Copied, StartCopy
from lifeboat.copies.request import CopyRequest
from lifeboat.copies.sharing_workflow import SNAPSHOTS_TO_SHARE, share_all
from lifeboat.copies.vault import (
    SharedSnapshots,
    in_turn,
    read_shared,
    tags_without_metadata,
    without_metadata,
    without_record,
)
from lifeboat.domain.config import CopyDestination, VaultSource
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point_tags import MetadataError, taken_at
from lifeboat.domain.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


class VaultIncomplete(regions.CopyIncomplete):
    """Something could not even be looked at. All else was done."""


def run(request: CopyRequest, invocation: Invocation) -> dict[str, Any]:
    """Bring recovery points out of reach: to other regions, to the vault account; and take in what others share.

    Raises VaultIncomplete after all has been tried, when some of it could not be looked at.
    """
    if others_are_open(request.completed, invocation):
        return {"waits_for": "the other recovery points of the slot, or the sweep"}
    answer: dict[str, Any] = {}
    problems: list[str] = []
    if invocation.config.copy_to:
        try:
            answer = regions.copy(request, invocation)
        except regions.CopyIncomplete as problem:
            problems.append(str(problem))
    if invocation.config.vault_account and not request.ended:
        try:
            answer["vault"] = share_all(invocation)
        except AwsError as problem:
            problems.append(f"the snapshots here: {problem}")
        except ec2_describe.TooMany:
            problems.append(f"the snapshots here: more than {SNAPSHOTS_TO_SHARE}, expected fewer: nothing is shared")
    if not (request.ended or request.completed):
        problems += _take_in(request, invocation, answer)
    if problems:
        raise VaultIncomplete("; ".join(problems))
    return answer


def _take_in(request: CopyRequest, invocation: Invocation, answer: dict[str, Any]) -> Iterator[str]:
    """Look at each source, and say of which it was not possible, and why."""
    for source in in_turn(invocation.config.vault_sources, clock.now()):
        try:
            answer[f"account {source.account}"] = _Run(source, invocation).carry_out(retry=request.retry)
        except AwsError as problem:
            yield f"account {source.account}: {problem}"
        except ec2_describe.TooMany:
            yield f"account {source.account}: more than {shared_snapshots.SHARED_LISTED} snapshots, expected fewer"


class _Run(Copying):
    """One look at what one source shares, and what is done about it."""

    def __init__(self, source: VaultSource, invocation: Invocation) -> None:
        super().__init__(
            invocation,
            label=f"vault-{source.account}",
            to=CopyDestination(invocation.config.region, invocation.config.vault_key),
            home=f"account {source.account}",
        )
        self._source = source

    def carry_out(self, *, retry: bool) -> dict[str, Any]:
        shared = shared_snapshots.shared_by(self._source)
        marks: dict[str, str] = {Tag.SOURCE_ACCOUNT: self._source.account, Tag.STACK: self._invocation.config.stack}
        there = ec2_snapshots.copies_in(self._invocation.config.region, marks)
        offer, silence = self._heard(shared)
        with_metadata = [copy for copy in there if Tag.RECOVERY_POINT in copy.tags]
        if not silence:
            self._decide(offer.points, with_metadata, self._records(retry=retry), forget=True)
        self._lock_unrecorded(there)
        self._keep_untold(offer.untold, there)
        self._publish_missing(offer, silence)
        return self._answer

    def _heard(self, shared: Mapping[str, Snapshot]) -> tuple[SharedSnapshots, str]:
        """What the source tells; or, with the reason, that it tells nothing."""
        try:
            return shared_snapshots.described_by(self._source, shared, self._invocation), ""
        except AwsError as problem:
            silence = f"{self._source.reader} cannot be used: {problem}"
        return read_shared((), shared, source=self._source.account, stack=self._invocation.config.stack), silence

    def _complete_action(self, done: Copied) -> bool:
        """Locked first, then told, then noted: what is not noted is seen again."""
        locking = lock(done.point, self._invocation)
        told = self._publish_copied(done)
        if locking.worth_publishing:
            problem = backup_messages.recovery_point_not_locked(
                stack=self._invocation.config.stack, at=clock.now(), point=done.point, reason=locking.problem
            )
            self._publish_once("told-not-locked", done.record.point_id, problem)
        return told and not locking.again

    def _start(self, call: StartCopy) -> str:
        marks: dict[str, str] = {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id}
        made = self._copy_once(call.snapshot_id, call.attempt, marks, call.description, call.tags)
        return vanished(made, call.snapshot_id)

    def _copy_once(
        self, snapshot_id: str, attempt: int | str, marks: Mapping[str, str], description: str, tags: Mapping[str, str]
    ) -> dict[str, Any]:
        ours = {**marks, Tag.STACK: self._invocation.config.stack, Tag.SOURCE_ACCOUNT: self._source.account}
        made = self._begun_once(snapshot_id, attempt, ours, lambda: self._copy(snapshot_id, description, tags))
        self._answer["begun"].append({"snapshot": snapshot_id, "copy": made["copy"]})
        return made

    def _lock_unrecorded(self, there: Sequence[Snapshot]) -> None:
        """Lock what no record leads to: copies without a story, and those that a restore has made.

        A restore's copy may be whole before it is seen here, and then no record of it is opened.
        """
        for copy in without_record(there, clock.now(), TRIED_FOR):
            lock_all([copy.id], _data_of(copy), self._invocation, begun_at=copy.started_at)

    def _keep_untold(self, untold: Sequence[Snapshot], there: Sequence[Snapshot]) -> None:
        """Silence keeps: what nobody tells of is copied as it is, once."""
        waiting = without_metadata(untold, there, clock.now())
        free = (
            max(0, IN_FLIGHT - len(ec2_snapshots.pending_copies_in(self._invocation.config.region))) if waiting else 0
        )
        for snapshot in waiting[:free]:
            tags = tags_without_metadata(
                snapshot,
                source=self._source.account,
                region=self._invocation.config.region,
                stack=self._invocation.config.stack,
                now=clock.now(),
            )
            try:
                self._copy_once(
                    snapshot.id,
                    "untold",
                    {Tag.COPY_OF: snapshot.id},
                    f"Lifeboat: {snapshot.id} of account {self._source.account}, of which no story is told",
                    tags,
                )
            except UnderWay:
                continue
            except AwsError as problem:
                self._answer["failed"].append({"snapshot": snapshot.id, "reason": str(problem)})

    def _publish_missing(self, offer: SharedSnapshots, silence: str) -> None:
        unread_accounts = without_metadata(offer.untold, (), clock.now())
        refused = [point_id for point_id, _ in offer.refused]
        if not (silence or refused or unread_accounts):
            return
        reason = silence or (offer.refused[0][1] if refused else "its snapshots carry no readable story")
        message = copies_messages.metadata_missing(
            stack=self._invocation.config.stack,
            at=clock.now(),
            source=self._source.account,
            reason=reason,
            recovery_point_ids=refused,
            snapshot_ids=[snapshot.id for snapshot in unread_accounts],
        )
        self._publish_once("told-no-story", f"{clock.now():%Y-%m-%d}", message)
        self._answer["story_missing"] = reason


def _data_of(copy: Snapshot) -> datetime:
    """When its data is of; if it does not tell, when it was begun: then a lock lasts longer, not shorter."""
    try:
        return taken_at(copy)
    except MetadataError:
        return copy.started_at
