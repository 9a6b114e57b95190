"""A failure made short: happenings are left out, more and more of them, for as long as the same rule is still broken.

Zeller's ddmin over the numbers of the plan's happenings (https://www.st.cs.uni-saarland.de/papers/tse2002/).
"""

import time
from collections.abc import Callable, Sequence


def shrink(
    numbers: Sequence[int], fails: Callable[[Sequence[int]], bool], *, seconds: float, tries: int | None = None
) -> list[int]:
    """A part of these with which it still fails, and from which, if there was time, none can be left out.

    Args:
        numbers: all with which it fails.
        fails: whether it fails with these alone.
        seconds: of the machine, after which it is left at what has been found.
        tries: how many worlds are lived at most; the same on any machine.
    """
    end = time.perf_counter() + seconds
    lived = 0
    kept = list(numbers)
    parts = 2
    while len(kept) > 1 and time.perf_counter() < end:
        size = max(1, len(kept) // parts)
        chunks = [kept[start : start + size] for start in range(0, len(kept), size)]
        for chunk in chunks:
            if time.perf_counter() >= end or lived == tries:
                return kept
            lived += 1
            rest = [number for number in kept if number not in chunk]
            if fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return [] if kept and len(kept) == 1 and fails([]) else kept
