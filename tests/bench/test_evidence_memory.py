"""A bucket is listed in parts, each in a process of its own, and each version is counted once."""

from __future__ import annotations

from bench.evidence_memory import measure_alone, problems_of


def test_invocations_with_little_time_list_the_bucket_together() -> None:
    figures, world = measure_alone(3_500, 3)
    assert [figure.event for figure in figures] == ["daily", "reconcile"]
    assert problems_of(figures, world, timed=False) == []
