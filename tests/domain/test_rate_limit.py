"""The pace: against buckets of any rate, quick enough and seldom refused."""

from __future__ import annotations

import pytest

from lifeboat.domain.rate_limit import DELETE_SNAPSHOT_REFILL, LONGEST_PAUSE, PAUSE, Pace

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


def test_a_held_pace_takes_what_it_is_given_at_once_and_its_rate_then():
    pace, at, granted = Pace(2.0), 10.0, []
    pace.hold(since=10.0, at_once=3)
    for _ in range(7):
        at += pace.delay(at)
        granted.append(at - 10.0)
        pace.granted(at)
    assert granted == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_held_pace_without_anything_at_once_waits_for_its_first_token():
    # n calls take n tokens: a worker that starts again with each batch must not gain one with each.
    pace = Pace(2.0)
    pace.hold(since=10.0, at_once=0)
    assert pace.delay(10.0) == 0.5


def test_a_held_pace_makes_up_for_what_came_between_but_learns_no_higher_rate():
    pace = Pace(2.0)
    pace.hold(since=0.0, at_once=0)
    at = 20.0
    for _ in range(40):
        assert pace.delay(at) == 0
        pace.granted(at)
    assert pace.delay(at) == 0.5
    pace.throttled(at)
    pace.granted(at + PAUSE)
    pace.throttled(at + PAUSE)
    later, granted = at + 2 * PAUSE, []
    for _ in range(4):
        later += pace.delay(later)
        granted.append(later - at)
        pace.granted(later)
    assert granted == [1.0, 1.5, 2.0, 2.5]


def test_several_workers_use_one_bucket_up_and_none_falls_behind():
    bucket, latency, batch = Bucket(5), 0.4, 36
    workers = [[0.0, None, 0] for _ in range(4)]  # when it is next, its pace, calls left of its batch
    left, ended = 800, []
    while left or any(calls for *_, calls in workers):
        worker = min((item for item in workers if left or item[2]), key=lambda item: item[0])
        if not worker[2]:
            worker[1], worker[2], begun = Pace(5 / 4, shared=True), min(batch, left), worker[0]
            left -= worker[2]
            worker.append(begun)
        at, pace = worker[0], worker[1]
        bucket.pass_time(max(0.0, at - bucket.at))
        if bucket.call():
            pace.granted(at)
            worker[2] -= 1
            worker[0] = at + latency
        else:
            pace.throttled(at)
        worker[0] = max(worker[0], at + pace.delay(at))
        if not worker[2]:
            ended.append(worker[0] - worker.pop())
    assert max(at for at, *_ in workers) <= 1.1 * (800 - CAPACITY) / 5
    assert max(ended) <= 40, "what an invocation has"
    assert bucket.refusals <= 0.1 * 800
