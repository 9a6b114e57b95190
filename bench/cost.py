"""What a month costs by the cost model, and whether one protected instance costs no more than the bar."""

from __future__ import annotations

from typing import Any

from tools.cost_model import BAR, month

SIZES = ((1, False), (100, False), (10_000, True))


def run() -> dict[str, Any]:
    """Print the totals, return them."""
    rows = {}
    print("instances   within what is free   at list price   storage apart, dollars a month")
    for size, large_run in SIZES:
        use = month(size, large_run=large_run)
        rows[str(size)] = {"within_free": use.within_free, "at_list_price": use.at_list_price, "units": use.units}
        print(f"{size:9,} {use.within_free:21.3f} {use.at_list_price:15.2f}")
    one = rows["1"]["within_free"]
    problems = [f"one instance costs ${one:.3f} a month, expected ${BAR} at most"] if one > BAR else []
    return {"figures": rows, "problems": problems}
