"""The limits of retention that no policy overrides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lifeboat.domain.config import Config


class RetentionError(ValueError):
    """An argument of the planner is invalid. The sentence names the field, the value and what was expected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of retention, whatever the policy says.

    `min_keep`: how many of the newest good recovery points of each lineage are kept, from 1.
    `max_delete_share`: the share of a lineage (above 0, up to 1) that one run may delete; it may always delete one.
    `grace`: younger recovery points are kept.
    `orphan_keep`: like `min_keep`, if it is more, for a lineage whose volume is gone or not known to exist.
    `failed_after`: how long failed and incomplete recovery points are kept for inspection.

    Raises RetentionError for a value out of range.
    """

    min_keep: int = 3
    max_delete_share: float = 0.5
    grace: timedelta = timedelta(days=1)
    orphan_keep: int | None = None
    failed_after: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        if self.min_keep < 1:
            raise RetentionError(f"min_keep is {self.min_keep}, expected at least 1")
        if not 0 < self.max_delete_share <= 1:
            raise RetentionError(f"max_delete_share is {self.max_delete_share}, expected more than 0 and at most 1")
        if self.orphan_keep is not None and self.orphan_keep < 1:
            raise RetentionError(f"orphan_keep is {self.orphan_keep}, expected at least 1, or None")
        for name, span in (("grace", self.grace), ("failed_after", self.failed_after)):
            if span < timedelta(0):
                raise RetentionError(f"{name} is {span}, expected a span of time that is not negative")


def limits_of(config: Config) -> Limits:
    """The stack's limits. Raises RetentionError for a value out of range."""
    return Limits(
        min_keep=config.min_keep,
        max_delete_share=config.max_delete_share,
        grace=config.grace,
        orphan_keep=config.orphan_keep or None,
        failed_after=config.failed_after,
    )
