"""The pace of calls to a throttled API, learnt from its refusals.

EC2 counts requests with token buckets: a request takes one token, and the bucket is refilled at a fixed rate
(https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). EC2 does not show how full the bucket is,
whether the account's limits were raised, and who else uses it. So the first calls are not delayed. A refusal means that
the bucket is empty. The calls granted between two refusals, divided by the time between them, are its refill rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DELETE_SNAPSHOT_REFILL = 5.0
"""Refill of DeleteSnapshot's bucket of 100 in tokens a second, unless the account's limits were raised (same page)."""

CREATE_SNAPSHOTS_REFILL = 5.0
"""The same for CreateSnapshots, whose full bucket holds CREATE_SNAPSHOTS_BURST."""

CREATE_SNAPSHOTS_BURST = 100

CREATE_TAGS_REFILL = 10.0
"""The same for CreateTags and DeleteTags."""

LIST_BLOCKS_SHARE = 5.0
"""Verification's calls of ListSnapshotBlocks a second: a tenth of the account's quota of 50
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html). It is never exceeded."""

GET_BLOCK_SHARE = 100.0
"""The same for GetSnapshotBlock: a tenth of 1,000 calls a second. Some regions allow 5,000 (same page)."""

BLOCKS_AT_ONCE = 10.0
"""Calls of both kinds at the beginning of an invocation that are not delayed."""

PAUSE = 0.5
"""Seconds to wait after a refusal. A token is back sooner, but the next refusal then shows the rate more exactly."""

LONGEST_PAUSE = 16.0
"""Seconds; a pause doubles up to this while no call is granted, because others then take every token."""

MARGIN = 0.97
"""The part of the learnt rate to use, so that its small errors do not cause refusals."""

SHARED_MARGIN = 0.98
"""The same for one of several workers: with more, one of them may starve; with less, the run ends later."""

CATCH_UP = 3.0
"""Seconds of delay that later calls may make up for: the tokens have come back meanwhile."""


@dataclass(slots=True)
class Pace:
    """When to make the next call. `refill` is the known rate in calls a second, the least that is assumed.

    With `shared`, several workers share one bucket and `refill` is the part of each. The calls granted to one worker do
    not show the rate of the bucket, so after a refusal it keeps to its part. Its pause stays short, because most likely
    the other workers took the tokens, and it would fall behind them.

    All times are seconds of one monotonic clock. A held pace (`hold`) never exceeds its refill, and so leaves the rest
    of the bucket to others.
    """

    refill: float
    shared: bool = False
    _rate: float = field(default=0.0, init=False)  # 0: not known yet, calls are not delayed
    _next: float = field(default=float("-inf"), init=False)
    _empty_at: float | None = field(default=None, init=False)
    _granted: int = field(default=0, init=False)  # since the bucket was last known to be empty
    _pause: float = field(default=PAUSE, init=False)
    _held: bool = field(default=False, init=False)

    def hold(self, since: float, at_once: float) -> None:
        """Keep to the refill from `since` on, after the first `at_once` calls, which are not delayed."""
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
        """A call made at `at` was not throttled, whatever its outcome."""
        self._granted += 1
        self._pause = PAUSE
        if self._rate:
            self._next = (self._next if self._held else max(self._next, at - CATCH_UP)) + 1 / self._rate

    def throttled(self, at: float, asked_at: float | None = None) -> None:
        """A call was throttled at `at`, because the bucket was empty.

        Concurrent calls are all throttled then. One made (`asked_at`) before the bucket was known to be empty shows
        nothing new.
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
