"""The one clock of the local AWS: the machine's, or a simulated one that moves only on request.

A simulated clock is read by everything in this process (`time.time`, `datetime.now`, by time-machine) and by every
Lambda worker, which finds it in a file that both have mapped. Only `Timers` moves it. `time.monotonic` stays the
machine's in this process, for the event loop; what waits for simulated time asks `CLOCK`.
"""

import math
import mmap
import os
import struct
import tempfile
import time
from datetime import datetime
from pathlib import Path

import time_machine

SIMULATED = "simulated"
BEGINNING = "2031-03-03T00:00:30+00:00"
"""When a simulated clock starts by default: after every wall clock, as SAM CLI compares the two."""
NANOSECONDS = 1_000_000_000
_FORMAT = struct.Struct("q")


class Clock:
    """What time it is."""

    def __init__(self) -> None:
        self.simulated = False
        self.path = ""
        """The file that holds a simulated time: nanoseconds since 1970, a native 64-bit integer."""
        self._nanoseconds = 0
        self._map: mmap.mmap | None = None

    def simulate(self, beginning: str) -> None:
        """Stop the machine's clock for this process and start a simulated one, at a time in ISO 8601.

        Raises:
            ValueError: not a time with a zone.
        """
        moment = datetime.fromisoformat(beginning)
        if moment.tzinfo is None:
            raise ValueError(f"the simulated clock cannot start at {beginning!r}: a time with its zone is expected")
        descriptor, self.path = tempfile.mkstemp(prefix="clock-")
        with os.fdopen(descriptor, "r+b") as file:
            file.write(_FORMAT.pack(0))
            file.flush()
            self._map = mmap.mmap(file.fileno(), _FORMAT.size)
        self.simulated = True
        self.move_to(moment.timestamp())
        traveller = time_machine.travel(0, tick=False).start()
        traveller.time_ns = lambda: self._nanoseconds  # type: ignore[method-assign]
        if time.time() != self.now():
            raise RuntimeError("time-machine does not ask our clock: its release is not the one in requirements/local")

    def _set(self, nanoseconds: int) -> None:
        self._nanoseconds = nanoseconds
        if self._map is not None:
            _FORMAT.pack_into(self._map, 0, nanoseconds)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._nanoseconds / NANOSECONDS if self.simulated else time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps back: to compare with each other, nothing else."""
        return self._nanoseconds / NANOSECONDS if self.simulated else time.monotonic()

    def move_to(self, moment: float) -> None:
        """Move a simulated clock forward to the millisecond in which a moment (seconds since 1970) lies behind it; it
        never goes back.

        Floating point cannot hold every nanosecond, and a clock that stops just before what is due would stop for ever.
        A thousand times the moment is rounded, too, and may be a whole millisecond that the moment is later than.
        """
        millisecond = NANOSECONDS // 1000
        nanoseconds = math.ceil(moment * 1000) * millisecond
        if nanoseconds / NANOSECONDS < moment:
            nanoseconds += millisecond
        self._set(max(self._nanoseconds, nanoseconds))

    def remove(self) -> None:
        """Remove the file."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)


CLOCK = Clock()
"""The clock of this process."""
