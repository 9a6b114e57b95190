"""Where else a recovery point is, and what protects it: locks, copies in other regions, the share with a vault."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lifeboat.copies.plan import original_set
from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.recovery_point import Condition, RecoveryPoint

COPIED, COPYING, MISSING, UNKNOWN = "copied", "copying", "missing", "unknown"
"""How a recovery point stands in a region: a good copy is there, one is to be made, neither, or it did not answer."""


@dataclass(frozen=True, slots=True)
class Places:
    """What was observed of the places of some recovery points. None everywhere: it is not known.

    `locked` and `shared` are ids of snapshots. `copied` has for each region the sets of which a good copy is there, and
    `copying` the records of what is still to be copied, or was given up, by the recovery point's id.
    """

    locked: Collection[str] | None = None
    shared: Collection[str] | None = None
    copied: Mapping[str, Collection[tuple[str, str]] | None] = field(default_factory=dict)
    copying: Mapping[str, Mapping[str, CopyRecord]] = field(default_factory=dict)

    def is_locked(self, point: RecoveryPoint) -> bool | None:
        """Whether each of its snapshots carries a lock that has not expired."""
        return _all_in(point, self.locked)

    def is_shared(self, point: RecoveryPoint) -> bool | None:
        """Whether each of its snapshots is shared with the vault account."""
        return _all_in(point, self.shared)

    def copies(self, point: RecoveryPoint) -> dict[str, str]:
        """How it stands in each region that is copied to."""
        return {region: self._copy(point, region) for region in self.copied}

    def _copy(self, point: RecoveryPoint, region: str) -> str:
        there = self.copied[region]
        if there is None:
            return UNKNOWN
        if original_set(point.members[0].snapshot) in there:
            return COPIED
        record = self.copying.get(region, {}).get(point.id)
        return COPYING if record and record.state is CopyState.OPEN else MISSING


def good_copies(points: Iterable[RecoveryPoint]) -> frozenset[tuple[str, str]]:
    """The sets of which a good copy is among these recovery points of another region."""
    return frozenset(original_set(point.members[0].snapshot) for point in points if point.condition is Condition.GOOD)


def _all_in(point: RecoveryPoint, ids: Collection[str] | None) -> bool | None:
    return None if ids is None else all(member.snapshot.id in ids for member in point.members)
