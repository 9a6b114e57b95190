"""The tests' own rules: no test module imports another one, and conftest names files that exist."""

from __future__ import annotations

import ast

import pytest

from tools.marked_page import ROOT

TESTS = ROOT / "tests"
CONFTEST = ast.parse((TESTS / "conftest.py").read_text())


def constant(name: str) -> tuple[str, ...]:
    """A constant of conftest.py. Importing that module again would patch moto twice."""
    for node in CONFTEST.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return tuple(ast.literal_eval(node.value))
    raise LookupError(name)


def imported_tests(source: str) -> set[str]:
    """The test modules that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    paths = {name: ROOT / f"{name.replace('.', '/')}.py" for name in found}
    return {name for name, path in paths.items() if path.name.startswith("test_") and path.is_file()}


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_module_imports_no_test_module(path):
    assert imported_tests(path.read_text()) == set(), "move what both need into a module of builders or cases"


@pytest.mark.parametrize(
    "source",
    [
        "from tests.restore.test_preflight import asked",
        "from tests.restore import test_preflight",
        "import tests.restore.test_preflight",
    ],
)
def test_an_import_of_a_test_module_is_found(source):
    assert imported_tests(source) == {"tests.restore.test_preflight"}


@pytest.mark.parametrize("name", constant("LONGEST"))
def test_a_file_that_begins_first_exists(name):
    assert (TESTS / name).is_file()
