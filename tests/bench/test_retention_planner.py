"""What the bench of the retention planner makes of its rounds."""

from __future__ import annotations

from dataclasses import replace

from bench.retention_planner import Figure, best, too_much

FIGURE = Figure(100_000, 1, "default", 0.6, 40.0, 200.0, 5)


def test_the_least_time_and_the_most_memory_of_all_rounds_count() -> None:
    rounds = [FIGURE, replace(FIGURE, seconds=0.5, process_mb=190.0), replace(FIGURE, seconds=0.9, planner_mb=41.0)]
    assert best(rounds) == replace(FIGURE, seconds=0.5, planner_mb=41.0)


def test_the_growth_of_the_time_per_point_is_bounded() -> None:
    smaller = replace(FIGURE, points=10_000, seconds=0.04)
    [problem] = too_much([smaller, replace(FIGURE, seconds=0.608)])
    assert "1.52 times" in problem
    assert too_much([smaller, replace(FIGURE, seconds=0.59)]) == []
