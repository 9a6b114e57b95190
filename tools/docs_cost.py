"""The generated part of docs/reference/costs.md: the cost model's tables. `python tools/generate_docs.py` writes it."""

from __future__ import annotations

from tools.cost_model import (
    ALARMS,
    DAYS,
    DRILL_MINUTES,
    GP3_GB_MONTH,
    PRICES,
    SNAPSHOT_GB_MONTH,
    Use,
    drill,
    guard,
    month,
)
from tools.marked_page import ROOT, MarkedPage, table

PATH = ROOT / "docs" / "reference" / "costs.md"
BEGIN = "<!-- cost model: written by `make docs` -->"
END = "<!-- end of the cost model -->"
SIZES = ((1, False), (100, False), (10_000, True))


def render() -> str:
    """What stands between the markers, the line ends beside them included."""
    uses = [(size, month(size, large_run=large_run)) for size, large_run in SIZES]
    without = [month(size, large_run=large_run, verify=False) for size, large_run in SIZES]
    head = "a month | price | free in every account | " + " | ".join(f"{size:,}" for size, _ in uses)
    rows = [
        [name, f"${price.dollars:.10f}".rstrip("0"), f"{price.free:,.0f}", *(_amount(use, name) for _, use in uses)]
        for name, price in PRICES.items()
    ]
    totals = [
        ["**within what is free**", "", "", *(f"**${use.within_free:,.3f}**" for _, use in uses)],
        ["**at list price, nothing free**", "", "", *(f"**${use.at_list_price:,.2f}**" for _, use in uses)],
        [
            "of the first of these, verification",
            "",
            "",
            *(f"${use.within_free - less.within_free:,.3f}" for (_, use), less in zip(uses, without, strict=True)),
        ],
        [
            "of the second, alarms and metrics",
            "",
            "",
            *(f"${sum(_dollars(use, name) for name in ('alarms', 'metrics')):,.2f}" for _, use in uses),
        ],
    ]
    idle, whole = month(0), month(0, alarms=ALARMS, metrics=True)
    storage = [[f"{size:,}", f"{size * 20:,.0f} GB", f"${size * 20 * SNAPSHOT_GB_MONTH:,.2f}"] for size, _ in SIZES]
    sources = "\n".join(sorted({f"* {price.source} ({price.observed})" for price in PRICES.values()}))
    return (
        f"\n{table(head, rows + totals)}\n\n"
        f"A stack that has nothing to back up has {idle.units['Lambda requests']:,.0f} invocations a month. It costs "
        f"${idle.at_list_price:.2f} at list price and ${idle.within_free:.3f} within what is free. With `Alarms=all` "
        f"and `Metrics=true` it costs ${whole.at_list_price:.2f} and ${whole.within_free:.3f}.\n\n"
        f"Sources of the prices, us-east-1, in brackets as given by whom and when:\n\n{sources}\n\n"
        "Storage, shown apart, for changed blocks of 20 GB kept of each instance:\n\n"
        f"{table('instances | kept | a month', storage)}\n\n"
        f"A restore drill of 100 GiB costs ${drill(100):.4f}: its volumes live {DRILL_MINUTES} minutes at "
        f"${GP3_GB_MONTH} a GB and month. Weekly that is ${drill(100) * DAYS / 7:.3f} a month.\n\n"
        "The guard of an evidence bucket, with 90 manifests, costs "
        f"${guard(10_000):.2f} a month for 10,000 versions and "
        f"${guard(1_000_000):.2f} for a million, at list price and with its alarm.\n\n"
    )


def _amount(use: Use, name: str) -> str:
    amount = use.units[name]
    return f"{amount:,.0f}" if amount >= 10 else f"{amount:.3g}"


def _dollars(use: Use, name: str) -> float:
    return PRICES[name].dollars * use.units[name]


PAGE = MarkedPage(path=PATH, begin=BEGIN, end=END, render=render)
