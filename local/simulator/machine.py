"""One thread on simulated time: whatever waits is a greenlet, and only one of them moves.

A function's invocation, and whatever the emulator would do on a thread of its own, runs in a greenlet. It gives way
where it sleeps and where it calls AWS; the clock then moves to what is due next, which may be another invocation. So
invocations interleave at each of their calls, in an order that only the seed decides.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.retries import bucket
from greenlet import getcurrent, greenlet

from local.emulator import activity
from local.emulator.clock import CLOCK
from local.emulator.timers import TIMERS

NEVER_STARTED = ("dynamodb-ttl-reaper", "ministack-lambda-reaper")
"""Threads that check every now and then by the machine's clock. Nothing here depends on them: DynamoDB deletes
what has expired within days."""

LONGEST_HANDOVER = 0.05
"""Seconds from the moment that work is asked for until it begins, at most."""


class Killed(BaseException):
    """The execution environment of this invocation is gone. Nothing in a function may catch it."""


class Machine:
    """The greenlets, and what each is doing."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.draw: Callable[[], float] = lambda: 0.0
        """How much of the longest hand-over passes, from 0 to 1."""
        self.entering: Callable[[Any], None] = lambda _greenlet: None
        """Called when a greenlet goes on, before it does."""
        self.left: Callable[[], None] = lambda: None
        """Called when it waits or has ended."""
        self._waits: dict[Any, object] = {}
        """What each greenlet waits for now: one that was thrown out of a wait is not woken by it later."""

    def spawn(self, work: Callable[[], object], name: str) -> None:
        """Do work soon, in a greenlet of its own."""
        TIMERS.after(self.draw() * LONGEST_HANDOVER, lambda: self.go_on(greenlet(work, self.hub)), name)

    def go_on(self, waiting: Any, *thrown: Any) -> None:
        """Let a greenlet run until it waits or ends; from the hub only."""
        if waiting.dead:
            return
        self.entering(waiting)
        try:
            if thrown:
                waiting.throw(*thrown)
            else:
                waiting.switch()
        finally:
            self.left()

    def sleep(self, seconds: float) -> None:
        """In place of `time.sleep`: the clock moves on, and others with it."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        here = getcurrent()
        if here is self.hub:
            self.run_until(CLOCK.now() + seconds)
            return
        wait = self._waits[here] = object()
        TIMERS.after(seconds, lambda: self._wake(here, wait), "something waits")
        try:
            self.hub.switch()
        finally:
            if self._waits.get(here) is wait:
                del self._waits[here]

    def _wake(self, waiting: Any, wait: object) -> None:
        if self._waits.get(waiting) is wait:
            self.go_on(waiting)

    def run_until(self, moment: float) -> None:
        """Do all that is due by then, and move the clock there."""
        while TIMERS.run_next(moment):
            pass

    def run_while(self, wanted: Callable[[], bool], *, most: float) -> None:
        """Do what is due, one after the other, while this is wanted and for so many seconds at most."""
        end = CLOCK.now() + most
        while wanted() and TIMERS.run_next(end):
            pass


MACHINE = Machine()
"""The machine of this process."""


class _Thread(threading.Thread):
    """A thread that is none: its work is due when it is started."""

    def start(self) -> None:
        """See the class."""
        if self.name not in NEVER_STARTED:
            MACHINE.spawn(self.run, f"the thread {self.name}")

    def join(self, timeout: float | None = None) -> None:
        """Nobody waits for it."""

    def is_alive(self) -> bool:
        """It has ended as far as anyone here can see."""
        return False


class _Threading:
    """In place of the module `threading` in a module of the emulator."""

    Thread = _Thread

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def _wait_for_tokens(self: Any, amount: float, block: bool) -> bool:
    """In place of botocore's `TokenBucket._acquire`, which waits on a condition by the machine's clock."""
    self._refill()
    while amount > self._current_capacity:
        if not block:
            raise bucket.CapacityNotAvailableError
        time.sleep(max(self._sleep_amount(amount), 0.001))
        self._refill()
    self._current_capacity -= amount
    return True


def _do(timer: Any) -> None:
    """In place of the timers' own, which writes an error into the log: here it ends the world."""
    TIMERS.moves += 1
    timer.work()


def begin() -> None:
    """From now on nothing in this process starts a thread, waits by the machine's clock, or reads its time."""
    threading.Thread.start = _Thread.start  # type: ignore[method-assign]
    activity.spawn = MACHINE.spawn
    activity.CountedThread = _Thread  # type: ignore[misc,assignment]
    activity.CountedThreading = _Threading  # type: ignore[misc,assignment]
    bucket.TokenBucket._acquire = _wait_for_tokens
    TIMERS.start = lambda: None  # type: ignore[method-assign]
    TIMERS._do = _do  # type: ignore[method-assign]


def begin_time(beginning: str) -> None:
    """Start the simulated clock, and let sleeping move it."""
    CLOCK.simulate(beginning)
    time.monotonic = CLOCK.monotonic
    time.monotonic_ns = lambda: int(CLOCK.monotonic() * 1e9)
    time.sleep = MACHINE.sleep
