"""How many examples a property is tried with."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """So many, enough to notice a change at once, or PROPERTY_EXAMPLES where that asks for more: see `make fuzz`."""
    return max(few, int(os.environ.get("PROPERTY_EXAMPLES", "0")))
