"""Calls by several threads: all at once while EC2 grants them, one after the other once it has refused one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lifeboat.aws.errors import AwsError
from lifeboat.chains.paced import PacedCalls
from lifeboat.rules.pace import Pace


def most_at_once(*, refused: int) -> int:
    """How many calls are under way at once at most, after the first that was refused has returned."""
    lock, under_way, most, left = threading.Lock(), [0], [0], [refused]

    def call() -> None:
        with lock:
            throttled = left[0] > 0
            left[0] -= throttled
            under_way[0] += 1
            if not left[0] and not throttled:
                most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        with lock:
            under_way[0] -= 1
        if throttled:
            raise AwsError("RequestLimitExceeded", "Request limit exceeded.", answered=True)

    calls = PacedCalls(Pace(1000.0), None)
    if refused:
        calls.make(call)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: calls.make(call), range(18)))
    return most[0]


def test_all_at_once_until_one_is_refused():
    assert most_at_once(refused=0) == 6


def test_one_after_the_other_then():
    assert most_at_once(refused=1) == 1
