"""Many calls of one kind in one invocation: as fast as EC2 lets them, and no longer than there is time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock

from lifeboat.aws import clock
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.rate_limit import Pace


class OutOfTime(Exception):  # noqa: N818 - no error: the next run goes on
    """The invocation ends soon."""


@dataclass(frozen=True, slots=True)
class PacedCalls:
    """Calls that draw from one bucket of EC2, within one invocation; several threads may make them."""

    pace: Pace
    invocation: Invocation
    _turn: Lock = field(default_factory=Lock)
    _alone: Lock = field(default_factory=Lock)

    def check_time(self) -> None:
        """Raises OutOfTime when nothing more may be begun."""
        if not self.invocation.has_time():
            raise OutOfTime

    def wait(self) -> None:
        """Wait until the next call may go out. Raises OutOfTime when there is no time for it any more."""
        with self._turn:
            delay = self.pace.delay(clock.monotonic())
        if not self.invocation.has_time(delay):
            raise OutOfTime
        clock.wait(delay)

    def make[Answer](self, call: Callable[[], Answer]) -> Answer:
        """Make the call; a throttled one was not carried out, so it goes out again. Raises AwsError and OutOfTime.

        Once EC2 has refused one, the threads take turns: all at once they would only be refused together.
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
