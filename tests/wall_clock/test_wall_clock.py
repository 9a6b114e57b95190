"""No test sleeps on the machine's clock or compares with it, but the few in this room: no verdict hangs on speed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOM = Path(__file__).resolve().parent
CLOCK = {
    ("time", "sleep"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
MOST = 20


def read(source: str) -> Iterator[int]:
    """The lines of a module that name the machine's clock."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield node.lineno
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            name = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (name, node.attr) in CLOCK:
                yield node.lineno


def test_only_this_room_knows_the_machines_clock() -> None:
    found = {
        f"{path.relative_to(TESTS)}:{line}"
        for path in TESTS.rglob("*.py")
        if not path.is_relative_to(ROOM)
        for line in read(path.read_text())
    }
    assert found == set()


def test_a_test_that_sleeps_is_found() -> None:
    assert list(read("import time\ntime.sleep(1)\n")) == [2]
    assert list(read("from time import sleep\n")) == [1]
    assert list(read("import datetime\ndatetime.datetime.now()\n")) == [2]


def test_this_room_is_small() -> None:
    modules = [ast.parse(path.read_text()) for path in ROOM.glob("test_*.py")]
    tests = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    assert len([node for node in tests if node.name.startswith("test_")]) < MOST
