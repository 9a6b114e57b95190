"""The records of the change canary: the history of a lineage, and how far the lists of one snapshot were read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lifeboat.verify.canary import BASELINE, SAMPLED, Observation, spread_evenly


@dataclass(frozen=True, slots=True)
class History:
    """The last observations of a lineage, oldest first. `version` counts its changes."""

    lineage: str
    observations: tuple[Observation, ...] = ()
    version: int = 0

    def of(self, point_id: str) -> Observation | None:
        """The observation of a recovery point."""
        return next((item for item in self.observations if item.point_id == point_id), None)

    def with_observation(self, observation: Observation) -> History:
        """The history with one more observation, or in the place of that of the same recovery point.

        It keeps the newest BASELINE ones, and as many suspected ones.
        """
        others = [item for item in self.observations if item.point_id != observation.point_id]
        newest_first = sorted([*others, observation], key=lambda item: (item.taken_at, item.point_id), reverse=True)
        usual = [item for item in newest_first if not item.suspected][:BASELINE]
        suspected = [item for item in newest_first if item.suspected][:BASELINE]
        kept = tuple(item for item in newest_first[::-1] if item in usual or item in suspected)
        return replace(self, observations=kept)

    def with_expected(self, point_id: str) -> History:
        """The history after a person said that the suspected change of a recovery point was expected."""
        found = self.of(point_id)
        return self.with_observation(replace(found, suspected=False)) if found else self


@dataclass(frozen=True, slots=True)
class Picked:
    """Blocks picked evenly from a list of unknown length, part after part.

    `count` is how many blocks the list had so far, `kept` are the picked indexes with their tokens: every `stride`th.
    The list goes on at `next_block`; None at its end.
    """

    count: int = 0
    stride: int = 1
    kept: tuple[tuple[int, str], ...] = ()
    next_block: int | None = 0

    def after(self, blocks: Iterable[tuple[int, str]], next_block: int | None) -> Picked:
        """The state after one more part of the list."""
        count, stride, kept = self.count, self.stride, list(self.kept)
        for block in blocks:
            if count % stride == 0:
                kept.append(block)
            count += 1
            if len(kept) > 2 * SAMPLED:
                kept, stride = kept[::2], 2 * stride
        return Picked(count, stride, tuple(kept), next_block)

    @property
    def blocks(self) -> list[tuple[int, str]]:
        """The blocks to sample."""
        return spread_evenly(self.kept)


@dataclass(frozen=True, slots=True)
class Lists:
    """The checkpoint of one snapshot: how far its changed blocks and all of its blocks were listed.

    `earlier_id` is the snapshot that it is compared with.
    """

    snapshot_id: str
    earlier_id: str
    changed: Picked = field(default_factory=Picked)
    held: Picked = field(default_factory=Picked)
