"""What EC2 finishes later: callbacks at a time, counted so that a test can wait until nothing is under way."""

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

logger = logging.getLogger("local.timers")


@dataclass(order=True)
class _Timer:
    due: float
    number: int
    work: Callable[[], object] = field(compare=False)
    what: str = field(compare=False)
    counted: bool = field(compare=False)


class Timers:
    """One thread that runs due callbacks in order of their time.

    One thread, and not one for each timer, so that two things due at the same time happen in the order in which they
    were asked for; a test that holds events back relies on it.
    """

    def __init__(self) -> None:
        self._heap: list[_Timer] = []
        self._endless: list[_Timer] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._running: _Timer | None = None
        threading.Thread(target=self._run, daemon=True, name="timers").start()

    def after(self, seconds: float, work: Callable[[], object], what: str, *, counted: bool = True) -> None:
        """Call `work` in `seconds`.

        Args:
            seconds: from now; infinite, and it is done when somebody says `finish`. Until then it is not under way.
            work: what to do; an exception is logged and forgotten.
            what: a few words for whoever asks what is under way.
            counted: whether `pending` shows it; a periodic sweep must not, or nothing would ever settle.
        """
        with self._wake:
            timer = _Timer(time.monotonic() + seconds, next(self._numbers), work, what, counted)
            if math.isinf(seconds):
                self._endless.append(timer)
                return
            heapq.heappush(self._heap, timer)
            self._wake.notify()

    def finish(self, beginning: str, most: int | None = None) -> int:
        """Do at once, in its order, what was to take for ever and whose words begin so, the first `most` of it; how
        many there were.
        """
        with self._wake:
            ending = [timer for timer in self._endless if timer.what.startswith(beginning)][:most]
            self._endless = [timer for timer in self._endless if timer not in ending]
            for timer in ending:
                timer.due = time.monotonic()
                heapq.heappush(self._heap, timer)
            self._wake.notify()
        return len(ending)

    def pending(self) -> list[str]:
        """What is waiting or running, in words."""
        with self._wake:
            running = [self._running] if self._running else []
            return [timer.what for timer in (*running, *self._heap) if timer.counted]

    def _next(self) -> _Timer:
        with self._wake:
            self._running = None
            while True:
                wait = self._heap[0].due - time.monotonic() if self._heap else None
                if wait is not None and wait <= 0:
                    self._running = heapq.heappop(self._heap)
                    return self._running
                self._wake.wait(wait)

    def _run(self) -> None:
        while True:
            timer = self._next()
            try:
                timer.work()
            except Exception:
                logger.exception("%s failed", timer.what)


TIMERS = Timers()
"""The timers of this process."""
