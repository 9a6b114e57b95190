"""One counter for everything that is logged, so that one mark cuts all logs at the same moment."""

import itertools

_numbers = itertools.count(1)
_last = 0


def next_number() -> int:
    """The number of what happens now."""
    global _last  # noqa: PLW0603 the counter of the process
    _last = next(_numbers)
    return _last


def mark() -> int:
    """The number of what happened last: everything after it is `since` this mark."""
    return _last
