"""Many calls of one kind in one invocation: as fast as EC2 allows, and only while time is left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock

from lifeboat.aws import clock
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.rate_limit import Pace


class OutOfTime(Exception):  # noqa: N818 - no error: the next run continues
    """The invocation ends soon."""


@dataclass(frozen=True, slots=True)
class PacedCalls:
    """Calls that draw from one bucket of EC2, within one invocation; several threads may make them."""

    pace: Pace
    invocation: Invocation
    _turn: Lock = field(default_factory=Lock)
    _alone: Lock = field(default_factory=Lock)

    def check_time(self) -> None:
        """Raises OutOfTime when no time is left for further work."""
        if not self.invocation.has_time():
            raise OutOfTime

    def wait(self) -> None:
        """Wait until the next call may be sent. Raises OutOfTime when no time is left for it."""
        with self._turn:
            delay = self.pace.delay(clock.monotonic())
        if not self.invocation.has_time(delay):
            raise OutOfTime
        clock.wait(delay)

    def make[Answer](self, call: Callable[[], Answer]) -> Answer:
        """Make the call, and repeat it while EC2 throttles it: a throttled call was not carried out.

        After EC2 has throttled one call, the threads take turns; otherwise EC2 would throttle them all. Raises AwsError
        and OutOfTime.
        """
        while True:
            with self._alone if self.pace.has_been_refused else nullcontext():
                self.wait()
                at = clock.monotonic()
                try:
                    answer = call()
                except AwsError as problem:
                    with self._turn:
                        if problem.throttled:
                            self.pace.throttled(clock.monotonic(), at)
                            continue
                        self.pace.granted(at)
                    raise
                with self._turn:
                    self.pace.granted(at)
                return answer
