"""What no policy may undercut."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class RetentionError(ValueError):
    """What the planner was given makes no sense: the sentence names the field, the value and what was expected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What retention never does, whatever the policy says.

    `min_keep`: the newest good recovery points of each chain that stay, from 1. `max_delete_share`: the part of a chain
    (above 0, up to 1) that may go in one run; one always may. `grace`: what is younger stays. `orphan_keep`: like
    `min_keep`, for a chain whose volume is gone (or not known to exist), if that is more; with None it is `min_keep`.
    Either way its last ones stay for ever. `failed_after`: how long failed and incomplete ones stay to be looked at.

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
