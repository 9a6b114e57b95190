"""How fast to call an API that refuses what comes too fast, learnt from its refusals.

EC2 counts requests with token buckets: one holds so many tokens, a request takes one, and so many come back each second
(https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). How full the bucket is, whether the account's
limits were raised and who else draws from it is not to be seen. So the first calls go out as they come; a refusal says
that the bucket is empty; what was granted between two refusals, over the time between them, is how fast it fills.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DELETE_SNAPSHOT_REFILL = 5.0
"""Tokens a second that DeleteSnapshot's bucket of 100 gets, unless the account's limits were raised (same page)."""

CREATE_SNAPSHOTS_REFILL = 5.0
"""The same of the bucket of CreateSnapshots, which holds CREATE_SNAPSHOTS_BURST when it is full."""

CREATE_SNAPSHOTS_BURST = 100

CREATE_TAGS_REFILL = 10.0
"""The same of the bucket of CreateTags and DeleteTags."""

PAUSE = 0.5
"""Seconds to wait after a refusal: a token is back long before, but so the next refusal tells more of the rate."""

LONGEST_PAUSE = 16.0
"""Seconds; a pause doubles up to this while nothing is granted, as somebody else then takes every token."""

MARGIN = 0.97
"""Which part of the rate is used, so that small errors of it do not end in refusals."""

SHARED_MARGIN = 0.98
"""The same for one of several workers: with more one of them may starve, with less the run's end takes longer."""

CATCH_UP = 3.0
"""Seconds that calls may be late and still be made up for; their tokens have come back meanwhile."""


@dataclass(slots=True)
class Pace:
    """When the next call may go out. `refill` is the known rate in calls a second, the least that is assumed.

    With `shared`, several workers of ours draw from one bucket and `refill` is the part of each. What is granted to one
    then says nothing of what is there for all, so after a refusal it keeps to its part and learns no other rate; and it
    is most likely ours who take the tokens, so its pause stays short, or it would fall behind them.

    All times are seconds on one clock that never jumps. A pace that is held (`hold`) goes beyond its refill at no time:
    then the rest of the bucket is left to others.
    """

    refill: float
    shared: bool = False
    _rate: float = field(default=0.0, init=False)  # 0: not known yet, so calls go out as they come
    _next: float = field(default=float("-inf"), init=False)
    _empty_at: float | None = field(default=None, init=False)
    _granted: int = field(default=0, init=False)  # since the bucket was last known to be empty
    _pause: float = field(default=PAUSE, init=False)
    _held: bool = field(default=False, init=False)

    def hold(self, since: float, at_once: float) -> None:
        """Keep to the refill from `since` on; `at_once` is how many calls may go out before that, as they come."""
        self._held = True
        self._rate = self.refill
        self._next = since + (1 - at_once) / self.refill

    @property
    def has_been_refused(self) -> bool:
        """Whether a call has been throttled."""
        return self._empty_at is not None

    def delay(self, at: float) -> float:
        """Seconds to wait at `at` before the next call."""
        return max(0.0, self._next - at)

    def granted(self, at: float) -> None:
        """A call that went out at `at` was not throttled, whatever else came of it."""
        self._granted += 1
        self._pause = PAUSE
        if self._rate:
            self._next = (self._next if self._held else max(self._next, at - CATCH_UP)) + 1 / self._rate

    def throttled(self, at: float, asked_at: float | None = None) -> None:
        """A call was refused at `at`, because the bucket was empty.

        Of several calls under way at once all are refused then: those that had gone out before the bucket was known to
        be empty (`asked_at`) tell nothing new.
        """
        if asked_at is not None and self._empty_at is not None and asked_at < self._empty_at:
            return
        if self._held:
            pass
        elif self.shared:
            self._rate = SHARED_MARGIN * self.refill
        elif self._empty_at is not None and self._granted and at > self._empty_at:
            self._rate = MARGIN * max(self.refill, self._granted / (at - self._empty_at))
        self._empty_at, self._granted = at, 0
        self._next = at + self._pause
        if not self.shared:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
