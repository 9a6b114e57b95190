"""Calls by several threads: all at once while EC2 grants them, one after the other once it has refused one."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.paced_calls import PacedCalls
from lifeboat.domain.config import load
from lifeboat.domain.rate_limit import Pace

THREADS = 6
SETTINGS = {
    "LIFEBOAT_STACK": "lifeboat",
    "AWS_REGION": "eu-west-1",
    "LIFEBOAT_TABLE": "table",
    "LIFEBOAT_TOPIC": "topic",
}


def most_at_once(*, refused: int) -> int:
    """How many calls are under way at once at most, after the first that was refused has returned."""
    lock, under_way, most, left = threading.Lock(), [0], [0], [refused]
    all_here = threading.Barrier(THREADS)

    def call() -> None:
        with lock:
            throttled = left[0] > 0
            left[0] -= throttled
            under_way[0] += 1
            if not left[0] and not throttled:
                most[0] = max(most[0], under_way[0])
        if left[0] or throttled or refused:
            for _ in range(200):
                os.sched_yield()  # others may come, were they let
        else:
            all_here.wait()
        with lock:
            under_way[0] -= 1
        if throttled:
            raise AwsError("RequestLimitExceeded", "Request limit exceeded.", answered=True)

    calls = PacedCalls(Pace(1000.0), Invocation(load(SETTINGS)))
    if refused:
        calls.make(call)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda _: calls.make(call), range(3 * THREADS)))
    return most[0]


def test_all_at_once_until_one_is_refused():
    assert most_at_once(refused=0) == THREADS


def test_one_after_the_other_then():
    assert most_at_once(refused=1) == 1
