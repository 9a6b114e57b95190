"""Every execution of a function: the log of what happened, and the metrics that alarms check."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from local.emulator import activity, processes
from local.emulator.activity import ACTIVITY, CHANGED, Work
from local.emulator.sequence import next_number

KEPT = 20_000


@dataclass(frozen=True)
class Invocation:
    """One execution.

    Attributes:
        number: its place in the order of everything logged.
        at: epoch seconds of the start.
        function: the function's name.
        request_id: of the context.
        event: what the handler was given.
        result: what it answered, or the error's body.
        error: whether it failed.
        milliseconds: how long it took.
        log: what it wrote.
    """

    number: int
    at: float
    function: str
    request_id: str
    event: Any
    result: Any
    error: bool
    milliseconds: float
    log: str


@dataclass(eq=False)
class Running:
    """An execution that is under way.

    Attributes:
        function: the function's name.
        pid: of its worker, once that has been asked.
        sleepers: how many of its threads sleep on the simulated clock.
        work: what it counts as; parked as long as a thread sleeps, since then only the kernel shows whether it moves.
    """

    function: str
    work: Work
    pid: int = 0
    sleepers: int = 0

    def fall_asleep(self) -> None:
        """One of its threads waits for the clock from now on."""
        with CHANGED:
            self.sleepers += 1
            self.work.parked += 1
            CHANGED.notify_all()

    def wake(self) -> None:
        """One does no longer."""
        with CHANGED:
            self.sleepers -= 1
            self.work.parked -= 1

    def is_asleep(self) -> bool:
        """Whether nothing in it moves before the clock does."""
        return self.sleepers > 0 and processes.is_blocked(self.pid, self.sleepers)


_of_thread = threading.local()


def running_here() -> Running | None:
    """The execution that the current thread waits for."""
    return getattr(_of_thread, "running", None)


class InvocationLog:
    """The last executions, and those that are under way."""

    def __init__(self) -> None:
        self._log: deque[Invocation] = deque(maxlen=KEPT)
        self._running: list[Running] = []

    def under_way(self) -> list[str]:
        """What runs now, in words."""
        with CHANGED:
            return [f"{running.function} runs" for running in self._running]

    def pids(self) -> list[int]:
        """The workers that run now."""
        with CHANGED:
            return [running.pid for running in self._running if running.pid]

    def stirring(self) -> list[str]:
        """What runs now and moves although one of its threads sleeps, in words. It notifies no one when it stops."""
        with CHANGED:
            return [f"{run.function} runs" for run in self._running if run.sleepers and not run.is_asleep()]

    def of_process(self, pid: int) -> Running:
        """The execution in a worker.

        Raises:
            LookupError: there is none.
        """
        with CHANGED:
            for running in self._running:
                if running.pid == pid:
                    return running
        raise LookupError(f"no function runs in process {pid}")

    def since(self, mark: int = 0, function: str | None = None) -> list[dict[str, Any]]:
        """The executions that ended after a mark; `function` matches any part of the name."""
        return [
            asdict(entry)
            for entry in list(self._log)
            if entry.number > mark and (function is None or function in entry.function)
        ]

    @contextmanager
    def running(self, function: str) -> Iterator[Running]:
        """An execution is under way in this block; who waits for it counts as waiting for the clock, no more."""
        number, work = ACTIVITY.begin(f"{function} runs")
        running = Running(function, work)
        with CHANGED:
            self._running.append(running)
        _of_thread.running = running
        try:
            with ACTIVITY.parked(activity.request.get(), activity.of_thread()):
                yield running
        finally:
            _of_thread.running = None
            with CHANGED:
                self._running.remove(running)
            ACTIVITY.end(number)

    def add(self, request_id: str, function: str, event: Any, outcome: dict[str, Any], started: float) -> None:
        """An execution ended, one way or the other."""
        took = (time.time() - started) * 1000
        self._log.append(
            Invocation(
                number=next_number(),
                at=started,
                function=function,
                request_id=request_id,
                event=event,
                result=outcome.get("body"),
                error=bool(outcome.get("error")),
                milliseconds=round(took, 2),
                log=str(outcome.get("log", "")),
            )
        )


INVOCATIONS = InvocationLog()
"""The log of this process."""

_dispatch = lambda_svc._execute_function_dispatch

accepted_as: ContextVar[str] = ContextVar("accepted_as", default="")
"""The request id of the asynchronous invocation of which an attempt runs here: all its attempts have that one, which is
the one that Invoke answered (recorded from a live account)."""


def dispatch(
    function: dict[str, Any], config: dict[str, Any], event: Any, request_id: str, started: float
) -> dict[str, Any]:
    """In place of ministack's: the same, logged and measured whoever invoked.

    ministack measures synchronous invocations only, so that an alarm on Errors would never see a failed event.
    """
    name = config.get("FunctionName", "unknown")
    request_id = accepted_as.get() or request_id
    outcome: dict[str, Any] = {"error": True}
    try:
        with INVOCATIONS.running(name):
            outcome = _dispatch(function, config, event, request_id, started)
        return outcome
    finally:
        INVOCATIONS.add(request_id, name, event, outcome, started)
        _measure(name, (time.time() - started) * 1000, failed=bool(outcome.get("error")))


def _measure(function: str, milliseconds: float, *, failed: bool) -> None:
    for dimensions in ({"FunctionName": function}, {}):
        cloudwatch.record_metric("AWS/Lambda", "Invocations", 1, "Count", dimensions)
        cloudwatch.record_metric("AWS/Lambda", "Errors", int(failed), "Count", dimensions)
        cloudwatch.record_metric("AWS/Lambda", "Duration", milliseconds, "Milliseconds", dimensions)


def measure_throttle(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
    """In place of ministack's `_emit_lambda_metrics`: only throttles are left to it, `dispatch` measures the rest."""
    del duration_ms, error
    if throttle:
        cloudwatch.record_metric("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})
