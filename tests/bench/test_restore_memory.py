"""A restore is asked for in an account full of recovery points, too."""

from __future__ import annotations

from bench.restore_memory import measure_alone, problems_of


def test_as_many_as_are_checked_fit_into_the_function() -> None:
    figure = measure_alone("latest", 20_000, regions=1)
    assert "several-lineages" in figure.findings, "all were checked"
    assert problems_of(figure, timed=False) == []


def test_of_all_that_a_region_holds_an_instance_is_found() -> None:
    figure = measure_alone("of an instance", 100_000)
    assert figure.findings == ("no-instance",), "the target, which is made up; the recovery point is there"
    assert problems_of(figure, timed=False) == []
