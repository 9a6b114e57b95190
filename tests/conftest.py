"""What all tests share: the order of the files, the limits of EC2 that moto lacks, and figures shown at the end."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import settings

# No deadline: the time of an example depends on what else the machine does.
settings.register_profile("lifeboat", deadline=None)
settings.load_profile("lifeboat")

# Set before moto is imported. Otherwise moto makes 1,291 images, each with its snapshot, for every test.
os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).parent / "fixtures" / "amis.json")

from moto.core.botocore_stubber import BotocoreStubber  # noqa: E402 - it reads the environment when it is imported

from tests.quick_aws import quicken  # noqa: E402 - it imports moto

quicken()

FIGURE = "figure"


def _one_call_at_a_time() -> None:
    """Serialize calls: a transaction of moto copies its tables and fails if another thread writes to them."""
    answer, turn = BotocoreStubber.process_request, RLock()

    def in_turn(self: BotocoreStubber, request: Any) -> Any:
        with turn:
            return answer(self, request)

    BotocoreStubber.process_request = in_turn


_one_call_at_a_time()

LONGEST = (
    "simulator/test_simulator.py",
    "e2e/test_restore_faults.py",
    "e2e/test_fetch_faults.py",
    "e2e/test_restore_deadlines.py",
    "e2e/test_retention_scale.py",
    "e2e/test_migrate_account.py",
    "e2e/test_migrate.py",
    "e2e/test_large_runs.py",
    "e2e/test_lineages.py",
    "e2e/test_fetch.py",
    "e2e/test_backup_slots.py",
    "bench/test_restore_memory.py",
    "e2e/test_copy_events.py",
    "e2e/test_limits.py",
    "e2e/test_copies.py",
    "restore/test_machine_model.py",
    "security/test_deployed.py",
    "security/test_fuzz.py",
    "security/test_battery.py",
    "page/test_page.py",
    "wall_clock/test_session.py",
)
"""These files begin first, the longest in front. They take 10 processor seconds and more, or start a local AWS.

A file stays on one worker. A long file that begins late leaves the other workers without work at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    @cache
    def file(path: Path) -> str:
        return path.relative_to(Path(__file__).parent).as_posix()

    def place(item: pytest.Item) -> tuple[int, bool]:
        name = file(item.path)
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), not name.startswith("e2e/")

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Leave what stays to the end, six thousand tests and the modules, out of each full garbage collection."""
    gc.freeze()


FILTER_VALUES = 200
"""The most filter values that EC2 takes in one call, over all filters."""


@pytest.fixture
def counts_filter_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse a call with too many filter values, as EC2 does. moto and the Stubber take any number."""
    call = BaseClient._make_api_call

    def counted(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        values = sum(len(item.get("Values", ())) for item in arguments.get("Filters") or ())
        if self.meta.service_model.service_name == "ec2" and values > FILTER_VALUES:
            message = f"The maximum number of filter values specified on a single call is {FILTER_VALUES}"
            refusal: Any = {
                "Error": {"Code": "FilterLimitExceeded", "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(refusal, operation)
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)


@pytest.fixture
def show_figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Show a line at the end of the run. What a test prints in a worker process is lost."""

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
