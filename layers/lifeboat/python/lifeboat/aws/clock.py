"""The one place that reads the clock and waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present, aware, in UTC, cut to whole seconds, as in tags, messages and EC2."""
    return datetime.now(UTC).replace(microsecond=0)


def monotonic() -> float:
    """Seconds on a clock that never jumps, for waiting and deadlines within one invocation."""
    return time.monotonic()


def wait(seconds: float) -> None:
    """Wait within one invocation, a few seconds at most. Longer work continues in a later invocation."""
    time.sleep(seconds)
