"""What all tests share: figures that are shown at the end of a run, wherever the test ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FIGURE = "figure"


@pytest.fixture
def show_figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Show a line at the end of the run. What a test prints is lost where tests are shared out to workers."""

    def show(line: str) -> None:
        record_property(FIGURE, line)

    return show


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = sorted(
        {
            str(value)
            for reports in terminalreporter.stats.values()
            for report in reports
            for name, value in getattr(report, "user_properties", ())
            if name == FIGURE
        }
    )
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
