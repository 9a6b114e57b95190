"""The status of many instances is made of few calls, the same as a bare loop makes."""

from __future__ import annotations

from bench.status_memory import measure, problems_of

INSTANCES = 600
"""More than the status reads all recovery points of. The bench measures 10,000."""


def test_many_instances_take_the_calls_of_a_bare_loop() -> None:
    figures, problems = measure(INSTANCES, days=3)
    assert problems == []
    assert problems_of(figures, timed=False) == []
