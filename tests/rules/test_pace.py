"""The pace: against buckets of any rate, quick enough and seldom refused."""

from __future__ import annotations

import pytest

from lifeboat.rules.pace import DELETE_SNAPSHOT_REFILL, LONGEST_PAUSE, PAUSE, Pace

CAPACITY = 100
CALLS = 1_600


class Bucket:
    """EC2's token bucket, on a clock that only waiting and calling move."""

    def __init__(self, refill: float, others: float = 0.0) -> None:
        self.refill = refill - others
        self.tokens = float(CAPACITY)
        self.at = 0.0
        self.refusals = 0

    def pass_time(self, seconds: float) -> None:
        self.at += seconds
        self.tokens = min(CAPACITY, self.tokens + seconds * self.refill)

    def call(self) -> bool:
        if self.tokens < 1:
            self.refusals += 1
            return False
        self.tokens -= 1
        return True


def used_up(bucket: Bucket, latency: float, calls: int = CALLS) -> float:
    """Seconds until so many calls were granted."""
    pace = Pace(DELETE_SNAPSHOT_REFILL)
    granted = 0
    while granted < calls:
        bucket.pass_time(pace.delay(bucket.at))
        begun = bucket.at
        ok = bucket.call()
        bucket.pass_time(latency)
        if ok:
            granted += 1
            pace.granted(begun)
        else:
            pace.throttled(bucket.at)
    return bucket.at


@pytest.mark.parametrize("latency", [0.002, 0.05, 0.15])
@pytest.mark.parametrize("refill", [5, 10, 50, 100])
def test_it_finds_the_rate_of_any_account(refill, latency):
    bucket = Bucket(refill)
    took = used_up(bucket, latency)
    bound = max((CALLS - CAPACITY) / refill, CALLS * latency)
    assert took <= 1.15 * bound
    assert bucket.refusals <= 4


def test_calls_go_out_as_they_come_while_the_bucket_is_full():
    assert used_up(Bucket(5), 0.01, calls=100) == pytest.approx(1.0)


def test_with_half_of_the_tokens_going_to_others_nothing_is_lost():
    bucket = Bucket(5, others=2.5)
    assert used_up(bucket, 0.05, calls=400) <= 1.5 * 300 / 2.5
    assert bucket.refusals < 400 / 3


def test_a_bucket_that_stays_empty_is_asked_less_and_less():
    pace, at, waits = Pace(DELETE_SNAPSHOT_REFILL), 0.0, []
    for _ in range(8):
        pace.throttled(at)
        waits.append(pace.delay(at))
        at += waits[-1]
    assert waits == [PAUSE * factor for factor in (1, 2, 4, 8, 16, 32, 32, 32)]
    assert max(waits) == LONGEST_PAUSE
    pace.granted(at)
    pace.throttled(at)
    assert pace.delay(at) == PAUSE
