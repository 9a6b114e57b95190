"""The one place that reads the clock and waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present, aware, in UTC, cut to whole seconds: that is what tags, messages and EC2 itself carry."""
    return datetime.now(UTC).replace(microsecond=0)


def monotonic() -> float:
    """Seconds on a clock that never jumps, for waiting and deadlines within one invocation."""
    return time.monotonic()


def wait(seconds: float) -> None:
    """Wait within one invocation. Only for what EC2 finishes within seconds (design.md, "The chains")."""
    time.sleep(seconds)
