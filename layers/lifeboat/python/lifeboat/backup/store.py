"""Open backups: recovery points that were begun and not yet published as good or failed.

A document is written before EC2 is asked. So the reconcile run also finds a backup whose function was killed on the
way. Its lease says until when one invocation alone may make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import batched

from lifeboat.aws import clock
from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, CONFLICT, FIRST_ATTEMPT, FOR_EVER, UNMET, Cancelled, Document, to_json

_OPEN = "backup-open"

_DONE = "backup-done"

DONE_KEPT = timedelta(days=35)
"""How long it is known that a recovery point was made, though EC2 may not list it any more: see `once`."""

TAKEN_AT_ONCE = 50
"""Each takes two writes; one transaction takes at most 100
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html)."""

MEETINGS = 6
PAUSE = 0.05
"""How often a transaction that conflicts with others is tried; seconds before the second time, doubled each time."""

OBSERVED_AT_ONCE = 25
"""How many open backups a page has in the search for one that is not decided. Mostly the first one is not."""


def open_backups_for(
    table: str, recovery_point_ids: Iterable[str], *, begun_at: datetime, until: datetime
) -> frozenset[str]:
    """Take these recovery points for the caller alone until `until`; those that it got.

    If several invocations ask for the same one at the same time, only one gets it. Another may get it once the lease
    has run out. One that was made before is never given again, even if its snapshots were deleted since.

    Raises `lifeboat.aws.table.Cancelled` if its transactions conflict with others to the end.
    """
    ours: set[str] = set()
    for some in batched(sorted(set(recovery_point_ids)), TAKEN_AT_ONCE, strict=False):
        ours |= _open_some(table, some, begun_at, until)
    return frozenset(ours)


def _open_some(table: str, ids: Sequence[str], begun_at: datetime, until: datetime) -> set[str]:
    """Take all in one transaction. If DynamoDB names some that another invocation has, try again without those."""
    wanted = list(ids)
    for attempt in range(MEETINGS):
        actions = [
            action
            for point_id in wanted
            for action in (
                documents.lease(Document(_OPEN, point_id, to_json(begun_at)), now=begun_at, until=until),
                documents.check(_DONE, point_id, ABSENT),
            )
        ]
        try:
            documents.transact(table, actions)
        except Cancelled as cancelled:
            if attempt == MEETINGS - 1:
                raise
            pairs = zip(wanted, batched(cancelled.reasons, 2, strict=True), strict=True)
            wanted = [point_id for point_id, pair in pairs if UNMET not in pair]
            if not wanted:
                return set()
            if CONFLICT in cancelled.reasons:
                clock.wait(PAUSE * 2**attempt)
        else:
            break
    return set(wanted)


def withdraw(table: str, recovery_point_id: str) -> None:
    """Close a backup that EC2 has not begun. It stays open if an earlier attempt may have begun it."""
    if not documents.write(table, documents.delete(_OPEN, recovery_point_id, FIRST_ATTEMPT)):
        release(table, recovery_point_id)


def release(table: str, recovery_point_id: str) -> None:
    """Let another invocation make it at once. It stays open, because EC2 may have begun it all the same."""
    documents.write(table, documents.end_lease(_OPEN, recovery_point_id))


def open_backups(table: str) -> dict[str, datetime]:
    """The recovery points that are being made, with when each was begun."""
    return {found.sk: found.read(datetime) for found in documents.find_all(table, _OPEN)}


def begun_at(table: str, recovery_point_ids: Iterable[str]) -> dict[str, datetime]:
    """Those of the given recovery points that are being made, with when each was begun."""
    found = (documents.find(table, _OPEN, recovery_point_id) for recovery_point_id in recovery_point_ids)
    return {document.sk: document.read(datetime) for document in found if document}


def mark_decided(table: str, recovery_point_id: str) -> None:
    """Note that an open recovery point is good, before it is published. One that is not open stays so."""
    documents.write(table, documents.end_lease(_OPEN, recovery_point_id, FOR_EVER))


def undecided_beside(table: str, recovery_point_id: str, prefix: str) -> bool:
    """Whether another recovery point whose id begins with `prefix` is being made and not yet found good."""
    return any(
        found.sk != recovery_point_id and found.leased_until < FOR_EVER
        for found in documents.find_all(table, _OPEN, prefix=prefix, page_size=OBSERVED_AT_ONCE)
    )


def remember_made(table: str, recovery_point_ids: Iterable[str], now: datetime) -> None:
    """Note that EC2 has begun these. Raises NotWritten."""
    documents.put_all(table, (Document(_DONE, point_id, expiration=now + DONE_KEPT) for point_id in recovery_point_ids))


def close_backup(table: str, recovery_point_id: str) -> None:
    """Note that the result of a recovery point is published. Closing it again changes nothing."""
    documents.write(table, documents.delete(_OPEN, recovery_point_id))
