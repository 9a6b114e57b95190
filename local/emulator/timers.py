"""What is done later: callbacks at a time of the clock, and the clock's moves when it is a simulated one."""

import asyncio
import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from local.emulator import activity
from local.emulator.activity import ACTIVITY, CHANGED
from local.emulator.clock import CLOCK

logger = logging.getLogger("local.timers")

CHECK_AGAIN_SECONDS = 0.004
"""Of the machine: how soon to check again at what notifies no one that it has changed (a worker that sleeps, a
queue)."""


@dataclass(order=True)
class Timer:
    """One thing to be done."""

    due: float
    number: int
    work: Callable[[], object] = field(compare=False)
    what: str = field(compare=False)
    counted: bool = field(compare=False)
    cancelled: bool = field(compare=False, default=False)


class Source(Protocol):
    """Something that is due at times of its own, which it knows best, such as schedules."""

    def due(self) -> float | None:
        """When it has something to do next, in seconds since 1970."""

    def run(self) -> None:
        """Do what is due."""


class Sleeps(Protocol):
    """Something of which parts wait for the clock."""

    def fall_asleep(self) -> None:
        """One part waits from now on."""

    def wake(self) -> None:
        """One does no longer."""


@dataclass(eq=False)
class _Waiter:
    """Who waits for the clock to move on: until a time, or until nothing is under way."""

    until: float | None
    done: Callable[[], object]


class Timers:
    """Runs due callbacks in order of their time, one after the other.

    One thread, and not one for each timer, so that two things due at the same time happen in the order in which they
    were asked for; a test that holds events back relies on it.

    A simulated clock stands still while anything is under way, and while nobody waits for it to move: then a test that
    checks the state of things finds them as its last call left them. Once someone waits (`settle`, `advance`, or a
    call that a function makes wait), it jumps to whatever is due next as soon as nothing is under way.
    """

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._endless: list[Timer] = []
        self._numbers = itertools.count()
        self._running: Timer | None = None
        self._waiters: list[_Waiter] = []
        self.sources: list[Source] = []
        self.busy: list[Callable[[], list[str]]] = []
        """What else is under way, in words: asked before each move of the clock."""
        self.moves = 0
        """How many timers have run and how often the clock has jumped: whether anything moves."""

    def start(self) -> None:
        """Begin to run what is due, on a thread of its own."""
        threading.Thread(target=self._run, daemon=True, name="timers").start()

    def after(self, seconds: float, work: Callable[[], object], what: str, *, counted: bool = True) -> Timer:
        """Call `work` in `seconds`.

        Args:
            seconds: from now; infinite, and it is done when a person says `finish`. Until then it is not under way.
            work: what to do; an exception is logged and forgotten.
            what: a few words for whoever asks what is under way.
            counted: whether `pending` shows it; a periodic check must not, or nothing would ever settle.
        """
        with CHANGED:
            timer = Timer(CLOCK.monotonic() + seconds, next(self._numbers), work, what, counted)
            if math.isinf(seconds):
                self._endless.append(timer)
            else:
                heapq.heappush(self._heap, timer)
                CHANGED.notify_all()
            return timer

    def cancel(self, timer: Timer) -> None:
        """It is not to be done any more."""
        with CHANGED:
            timer.cancelled = True
            self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0].cancelled:
            heapq.heappop(self._heap)

    def finish(self, beginning: str, most: int | None = None) -> int:
        """Do at once, in its order, what was to take for ever and whose words begin so, the first `most` of it; how
        many there were.
        """
        with CHANGED:
            ending = [timer for timer in self._endless if timer.what.startswith(beginning)][:most]
            self._endless = [timer for timer in self._endless if timer not in ending]
            for timer in ending:
                timer.due = CLOCK.monotonic()
                heapq.heappush(self._heap, timer)
            CHANGED.notify_all()
        return len(ending)

    def pending(self) -> list[str]:
        """What is waiting or running, in words."""
        with CHANGED:
            running = [self._running] if self._running else []
            return [timer.what for timer in (*running, *self._heap) if timer.counted and not timer.cancelled]

    def next_due(self) -> float:
        """When something is due next, in seconds since 1970; infinite if nothing ever is."""
        with CHANGED:
            self._drop_cancelled()
            times = [timer.due for timer in self._heap[:1]]
        return min([*times, *(due for source in self.sources if (due := source.due()) is not None)], default=math.inf)

    async def wait(self, until: float | None = None) -> None:
        """Let a simulated clock move: until nothing counted is pending or under way, or until a time.

        Args:
            until: seconds since 1970; what is due by then has been done, with all that follows at that moment.
        """
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()
        waiter = _Waiter(until, lambda: loop.call_soon_threadsafe(reached.set))
        with CHANGED:
            self._waiters.append(waiter)
            CHANGED.notify_all()
        try:
            await reached.wait()
        finally:
            with CHANGED:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    async def pause(self, seconds: float, what: str, caller: Sleeps | None = None, *, counted: bool = True) -> None:
        """Let the request that is being answered here wait for the clock, and with it the function that made it."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        held: list[int] = []

        def wake() -> None:
            held.append(ACTIVITY.begin(what)[0])
            if caller:
                caller.wake()
            loop.call_soon_threadsafe(over.set)

        with ACTIVITY.parked(activity.request.get()):
            with CHANGED:
                if caller:
                    caller.fall_asleep()
                self.after(seconds, wake, what, counted=counted)
            await over.wait()
        ACTIVITY.end(held[0])

    def _next(self) -> Timer:
        while True:
            with CHANGED:
                self._running = self._due()
                if self._running:
                    return self._running
                if CLOCK.simulated:
                    self._move_on()
                else:
                    CHANGED.wait(self._heap[0].due - CLOCK.monotonic() if self._heap else None)
            time.sleep(0)  # whoever waits for the lock comes first

    def _due(self) -> Timer | None:
        """What is to be done now."""
        self._drop_cancelled()
        if self._heap and self._heap[0].due <= CLOCK.monotonic():
            return heapq.heappop(self._heap)
        source = self._due_source() if CLOCK.simulated else None
        return Timer(CLOCK.now(), next(self._numbers), source.run, "what is due", counted=False) if source else None

    def _due_source(self) -> Source | None:
        now = CLOCK.now()
        return next((source for source in self.sources if (due := source.due()) is not None and due <= now), None)

    def _move_on(self) -> None:
        """Move the clock if a person waits for it and nothing is under way; else wait until that may have changed."""
        if not self._waiters and not ACTIVITY.waits():
            CHANGED.wait()
            return
        if ACTIVITY.words():
            CHANGED.wait()
            return
        if any(busy() for busy in self.busy):
            CHANGED.wait(CHECK_AGAIN_SECONDS)
            return
        settled = not self.pending()
        for waiter in [*self._waiters]:
            if settled if waiter.until is None else CLOCK.now() >= waiter.until:
                self._waiters.remove(waiter)
                waiter.done()
        if not self._waiters and not ACTIVITY.waits():
            return
        times = [waiter.until for waiter in self._waiters if waiter.until is not None]
        times += [timer.due for timer in self._heap[:1]]
        times += [due for source in self.sources if (due := source.due()) is not None]
        if times:
            CLOCK.move_to(min(times))
            self.moves += 1
        else:
            CHANGED.wait(CHECK_AGAIN_SECONDS)

    def run_next(self, until: float) -> bool:
        """Do what is due now, or else move a simulated clock to what is due next; for who has one thread only and no
        `start`.

        Args:
            until: seconds since 1970; the clock goes no further.

        Returns:
            Whether there was anything due by then.
        """
        timer = self._due()
        if timer is None:
            times = [item.due for item in self._heap[:1]]
            times += [due for source in self.sources if (due := source.due()) is not None]
            if not times or min(times) > until:
                CLOCK.move_to(until)
                return False
            CLOCK.move_to(min(times))
            return True
        self._do(timer)
        return True

    def _run(self) -> None:
        while True:
            self._do(self._next())

    def _do(self, timer: Timer) -> None:
        self.moves += 1
        try:
            timer.work()
        except Exception:
            logger.exception("%s failed", timer.what)


TIMERS = Timers()
"""The timers of this process."""
