"""A plot of seconds over the number of instances, both logarithmic, as SVG: a picture needs no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, BELOW = 640, 360, 60, 40
COLOURS = ("#0b6e4f", "#c84630", "#4464ad", "#7a7a7a")


def drawn(sizes: Sequence[int], seconds: Mapping[str, Sequence[float]]) -> str:
    """One line for each tool, named at its end."""
    known = [value for row in seconds.values() for value in row]
    low, high = floor(log10(min(known))), ceil(log10(max(known)))
    first, last = log10(sizes[0]), log10(sizes[-1])

    def x(size: float) -> float:
        return LEFT + (log10(size) - first) / (last - first) * (WIDTH - LEFT - 140)

    def y(value: float) -> float:
        return HEIGHT - BELOW - (log10(value) - low) / (high - low) * (HEIGHT - BELOW - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for size in sizes:
        parts.append(f'<text x="{x(size):.0f}" y="{HEIGHT - BELOW + 18}" text-anchor="middle">{size:,}</text>')
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 140}" y1="{at:.0f}" y2="{at:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.0f}" text-anchor="end">{10**power:g} s</text>')
    for colour, (name, row) in zip(COLOURS, seconds.items(), strict=False):
        points = " ".join(f"{x(size):.0f},{y(value):.0f}" for size, value in zip(sizes, row, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x(sizes[-1]) + 8:.0f}" y="{y(row[-1]) + 4:.0f}" fill="{colour}">{name}</text>')
    middle = (LEFT + WIDTH - 140) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">instances backed up</text></svg>')
    return "\n".join(parts) + "\n"
