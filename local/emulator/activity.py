"""What is under way at this moment. A simulated clock stands still while anything is.

Whoever starts work says so before it starts, and says so again when it has ended, so that there is no moment in
between at which nothing seems to be under way. Work that only waits for the clock is `parked` meanwhile.
"""

import contextvars
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CHANGED = threading.Condition()
"""Guards what is under way, what is due and the clock; notified when one of them has changed."""


class Work:
    """One thing that is under way."""

    __slots__ = ("parked", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.parked = 0


class Activity:
    """All that is under way."""

    def __init__(self) -> None:
        self._open: dict[int, Work] = {}
        self._numbers = itertools.count()
        self.ended = 0
        """How much has ended so far: whether anything moves."""

    @contextmanager
    def under_way(self, what: str) -> Iterator[Work]:
        """Something is under way in this block."""
        number, work = self.begin(what)
        try:
            yield work
        finally:
            self.end(number)

    def begin(self, what: str) -> tuple[int, Work]:
        """Something starts; its number, for `end`."""
        work = Work(what)
        with CHANGED:
            number = next(self._numbers)
            self._open[number] = work
        return number, work

    def end(self, number: int) -> None:
        """It has ended. Nobody is woken while something else moves by itself: nobody waits for less than all of it."""
        with CHANGED:
            self._open.pop(number, None)
            self.ended += 1
            if all(work.parked for work in self._open.values()):
                CHANGED.notify_all()

    @contextmanager
    def parked(self, *works: Work | None) -> Iterator[None]:
        """These only wait for the clock in this block."""
        found = [work for work in works if work is not None]
        with CHANGED:
            for work in found:
                work.parked += 1
            CHANGED.notify_all()
        try:
            yield
        finally:
            with CHANGED:
                for work in found:
                    work.parked -= 1

    def words(self) -> list[str]:
        """What moves by itself, in words; what is parked left out."""
        with CHANGED:
            return [work.what for work in self._open.values() if not work.parked]

    def waits(self) -> bool:
        """Whether anything waits for the clock."""
        with CHANGED:
            return any(work.parked for work in self._open.values())


ACTIVITY = Activity()
"""What is under way in this process."""

request: contextvars.ContextVar[Work | None] = contextvars.ContextVar("request", default=None)
"""The request to AWS that is being answered here."""
_of_thread = threading.local()


def of_thread() -> Work | None:
    """What the current thread counts as, if it counts."""
    return getattr(_of_thread, "work", None)


class CountedThread(threading.Thread):
    """A thread that is under way from the moment it is started, not from when it gets round to running."""

    _number: int

    def start(self) -> None:
        """Count, and start."""
        self._number, self._work = ACTIVITY.begin(f"the thread {self.name}")
        try:
            super().start()
        except RuntimeError:
            ACTIVITY.end(self._number)
            raise

    def run(self) -> None:
        """Run, and count no more."""
        _of_thread.work = self._work
        try:
            super().run()
        finally:
            ACTIVITY.end(self._number)


class CountedThreading:
    """In place of the module `threading` in a module of ministack: its threads count."""

    Thread = CountedThread

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def spawn(work: Callable[[], object], name: str) -> None:
    """Do work on a counted thread of its own."""
    CountedThread(target=work, daemon=True, name=name).start()
