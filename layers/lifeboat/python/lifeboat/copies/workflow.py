"""Bring recovery points to other regions and the vault account; copy what other accounts share with this vault.

The vault encrypts its copies with its own key and locks them. It treats what a source says as data (see
`lifeboat.copies.vault`): a source decides which copies are made, and cannot change a copy that exists.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lifeboat.aws import clock, ec2_describe, ec2_snapshots, wakes
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.once import UnderWay
from lifeboat.aws.snapshot_locks import TRIED_FOR, lock, lock_all
from lifeboat.backup import messages as backup_messages
from lifeboat.backup.slot_store import others_are_open
from lifeboat.copies import messages as copies_messages
from lifeboat.copies import regions_workflow as regions
from lifeboat.copies import shared_snapshots
from lifeboat.copies import store as copies
from lifeboat.copies.copy_workflow import Copying, vanished
from lifeboat.copies.plan import IN_FLIGHT, Copied, StartCopy
from lifeboat.copies.request import CopyRequest
from lifeboat.copies.sharing_workflow import SNAPSHOTS_TO_SHARE, share_all
from lifeboat.copies.vault import (
    SharedSnapshots,
    read_shared,
    rotate_sources,
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


SCHEDULED_EVERY = timedelta(minutes=15)
"""The schedule of the reconcile runs, but in a vault (template.yaml)."""


class VaultIncomplete(regions.CopyIncomplete):
    """EC2 did not show a region, a source, or the snapshots here. All other work was done."""


def run(request: CopyRequest, invocation: Invocation) -> dict[str, Any]:
    """Copy recovery points to other regions, share them with the vault account, and copy what sources share.

    Raises VaultIncomplete, after everything was tried, when EC2 did not show some of it.
    """
    if others_are_open(request.completed, invocation):
        return {"waits_for": "the other recovery points of the slot, or the reconcile run"}
    answer: dict[str, Any] = {}
    problems: list[str] = []
    if invocation.config.copy_to:
        try:
            answer = _copy_to_regions(request, invocation)
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
        problems += _copy_shared(request, invocation, answer)
    if problems:
        raise VaultIncomplete("; ".join(problems))
    return answer


def _copy_to_regions(request: CopyRequest, invocation: Invocation) -> dict[str, Any]:
    """Raises CopyIncomplete, and what the table and the topic raise. The next run is asked for in any case."""
    if not request.ended:  # before the work, so that a run that is cut short is followed by another
        _wake_for_open_copies(invocation)
    answer: dict[str, Any] = {}
    try:
        answer = regions.copy(request, invocation)
    finally:
        if "waits_for" not in answer:  # for those that it has begun
            _wake_for_open_copies(invocation)
    return answer


def _wake_for_open_copies(invocation: Invocation) -> None:
    """Ask for the next run if copies are open. Those that pause for longer are found by the schedule."""
    until = clock.now() + SCHEDULED_EVERY
    for destination in invocation.config.copy_to:
        records = copies.open_records(invocation.config.table, destination.region).values()
        if any(record.not_before is None or record.not_before < until for record in records):
            wakes.wake_while_open("copy-snapshots", invocation)
            return


def _copy_shared(request: CopyRequest, invocation: Invocation, answer: dict[str, Any]) -> Iterator[str]:
    """Copy what each source shares. Yields a sentence for each source that EC2 did not show."""
    for source in rotate_sources(invocation.config.vault_sources, clock.now()):
        try:
            answer[f"account {source.account}"] = _Run(source, invocation).carry_out(retry=request.retry)
        except AwsError as problem:
            yield f"account {source.account}: {problem}"
        except ec2_describe.TooMany:
            yield f"account {source.account}: more than {shared_snapshots.SHARED_LISTED} snapshots, expected fewer"


class _Run(Copying):
    """One run for one source: observe what it shares, decide, copy, lock, publish."""

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
        tags: dict[str, str] = {Tag.SOURCE_ACCOUNT: self._source.account, Tag.STACK: self._invocation.config.stack}
        there = ec2_snapshots.copies_in(self._invocation.config.region, tags)
        described, unreadable = self._read_descriptions(shared)
        with_metadata = [copy for copy in there if Tag.RECOVERY_POINT in copy.tags]
        if not unreadable:
            self._decide(described.points, with_metadata, self._records(retry=retry), forget=True)
        self._lock_unrecorded(there)
        self._copy_undescribed(described.undescribed, there)
        self._publish_missing(described, unreadable)
        return self._answer

    def _read_descriptions(self, shared: Mapping[str, Snapshot]) -> tuple[SharedSnapshots, str]:
        """The shared snapshots with the source's metadata; without it, and the reason, if its role cannot be used."""
        try:
            return shared_snapshots.described_by(self._source, shared, self._invocation), ""
        except AwsError as problem:
            unreadable = f"{self._source.reader} cannot be used: {problem}"
        return read_shared((), shared, source=self._source.account, stack=self._invocation.config.stack), unreadable

    def _handle_complete(self, done: Copied) -> bool:
        """Lock, then publish, then record. A copy that is not recorded is observed again."""
        locking = lock(done.point, self._invocation)
        published = self._publish_copied(done)
        if locking.worth_publishing:
            problem = backup_messages.recovery_point_not_locked(
                **self._invocation.stamp(), point=done.point, reason=locking.problem
            )
            self._publish_once("published-not-locked", done.record.point_id, problem)
        return published and not locking.again

    def _start(self, call: StartCopy) -> str:
        found_by: dict[str, str] = {Tag.COPY_OF: call.snapshot_id, Tag.SET: call.set_id}
        made = self._copy_once(call.snapshot_id, call.attempt, found_by, call.description, call.tags)
        return vanished(made, call.snapshot_id)

    def _copy_once(
        self,
        snapshot_id: str,
        attempt: int | str,
        found_by: Mapping[str, str],
        description: str,
        tags: Mapping[str, str],
    ) -> dict[str, Any]:
        ours = {**found_by, Tag.STACK: self._invocation.config.stack, Tag.SOURCE_ACCOUNT: self._source.account}
        made = self._begin_once(snapshot_id, attempt, ours, lambda: self._copy(snapshot_id, description, tags))
        self._answer["begun"].append({"snapshot": snapshot_id, "copy": made["copy"]})
        return made

    def _lock_unrecorded(self, there: Sequence[Snapshot]) -> None:
        """Lock the copies that have no record: copies without metadata, and copies that a restore made.

        A restore's copy may be complete before this function observes it, and then no record is opened for it.
        """
        for copy in without_record(there, clock.now(), TRIED_FOR):
            lock_all([copy.id], _taken_at(copy), self._invocation, begun_at=copy.started_at)

    def _copy_undescribed(self, undescribed: Sequence[Snapshot], there: Sequence[Snapshot]) -> None:
        """Copy shared snapshots without metadata, once."""
        waiting = without_metadata(undescribed, there, clock.now())
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
                    "undescribed",
                    {Tag.COPY_OF: snapshot.id},
                    f"Lifeboat: {snapshot.id} of account {self._source.account}, without metadata",
                    tags,
                )
            except UnderWay:
                continue
            except AwsError as problem:
                self._answer["failed"].append({"snapshot": snapshot.id, "reason": str(problem)})

    def _publish_missing(self, described: SharedSnapshots, unreadable: str) -> None:
        undescribed = without_metadata(described.undescribed, (), clock.now())
        refused = [point_id for point_id, _ in described.refused]
        if not (unreadable or refused or undescribed):
            return
        reason = unreadable or (described.refused[0][1] if refused else "its snapshots carry no readable metadata")
        message = copies_messages.metadata_missing(
            **self._invocation.stamp(),
            source=self._source.account,
            reason=reason,
            recovery_point_ids=refused,
            snapshot_ids=[snapshot.id for snapshot in undescribed],
        )
        self._publish_once("published-no-metadata", f"{clock.now():%Y-%m-%d}", message)
        self._answer["metadata_missing"] = reason


def _taken_at(copy: Snapshot) -> datetime:
    """When its data was taken, or else when the copy was begun: a lock then lasts longer, not shorter."""
    try:
        return taken_at(copy)
    except MetadataError:
        return copy.started_at
