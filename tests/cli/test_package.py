"""The package in cli/: a client of its own."""

from __future__ import annotations

import ast
import tomllib

from local.session import ROOT

CLI = ROOT / "cli"


def test_what_is_installed_is_what_the_tests_run_with() -> None:
    pinned = tomllib.loads((CLI / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = {line.split(" ")[0] for line in (ROOT / "requirements/dev.txt").read_text().splitlines()}
    assert set(pinned) <= locked


def test_it_imports_nothing_of_the_layer() -> None:
    for file in (CLI / "lifeboat_cli").glob("*.py"):
        nodes = [*ast.walk(ast.parse(file.read_text()))]
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & {"lifeboat", "local", "boto3"}, file
