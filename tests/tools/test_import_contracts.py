"""A planted breach of each import contract in a copy of the library is found, and the library has none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.marked_page import ROOT

LIBRARY = ROOT / "layers" / "lifeboat" / "python" / "lifeboat"
LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
LAYERS = "Features use aws and domain"
ACYCLIC = "No cycles"
PURE = "Pure modules import"
WORKFLOWS = "A feature uses the nouns"


def lint(python_path: Path) -> tuple[int, str]:
    """The exit code of import-linter over the package under `python_path`, and its output on one line."""
    run = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-logo", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(python_path), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def broken(output: str) -> set[str]:
    return {
        contract
        for contract in (LAYERS, ACYCLIC, PURE, WORKFLOWS)
        for line in output.splitlines()
        if line.startswith(contract) and "BROKEN" in line
    }


@pytest.fixture
def library(tmp_path):
    return shutil.copytree(LIBRARY, tmp_path / "lifeboat", ignore=shutil.ignore_patterns("__pycache__"))


def test_the_library_keeps_every_contract():
    code, output = lint(LIBRARY.parent)
    assert code == 0, output


@pytest.mark.parametrize(
    ("module", "breach", "contract"),
    [
        pytest.param("domain/tags.py", "from lifeboat.aws import clients", LAYERS, id="domain imports aws"),
        pytest.param("aws/topic.py", "from lifeboat.backup import messages", LAYERS, id="aws imports a feature"),
        pytest.param(
            "ami/request.py", "from lifeboat.backup import request", LAYERS, id="a feature imports a higher one"
        ),
        pytest.param("copies/store.py", "from lifeboat import handler", LAYERS, id="a feature imports the handler"),
        pytest.param(
            "domain/text.py", "from lifeboat.domain import message", ACYCLIC, id="two modules import each other"
        ),
        pytest.param(
            "by_hand/plan.py", "from lifeboat.backup import confirm", ACYCLIC, id="two features import each other"
        ),
        pytest.param("retention/plan.py", "from lifeboat.aws import clock", PURE, id="a pure module imports aws"),
        pytest.param(
            "backup/selection.py", "from lifeboat import handler", PURE, id="a pure module imports the handler"
        ),
        pytest.param("copies/plan.py", "from lifeboat.copies import store", PURE, id="a pure module imports a store"),
        pytest.param(
            "restore/machine/swap.py", "from lifeboat.aws import clock", PURE, id="a nested pure module imports aws"
        ),
        pytest.param(
            "retention/workflow.py",
            "from lifeboat.backup import workflow as other",
            WORKFLOWS,
            id="retention runs a backup",
        ),
        pytest.param(
            "copies/regions_workflow.py",
            "from lifeboat.backup import confirm_workflow",
            WORKFLOWS,
            id="copies confirms a backup",
        ),
        pytest.param(
            "retention/inventory_workflow.py",
            "from lifeboat.copies import shared_snapshots",
            WORKFLOWS,
            id="retention reads shared snapshots",
        ),
    ],
)
def test_a_planted_breach_is_found(library, module, breach, contract):
    path = library / module
    path.write_text(f"{path.read_text()}\n{breach}\n")
    code, output = lint(library.parent)
    assert code == 1, output
    assert contract in broken(output), output


def test_a_feature_without_a_place_in_the_layers_is_found(library):
    (library / "drills").mkdir()
    (library / "drills" / "__init__.py").write_text("")
    code, output = lint(library.parent)
    assert code == 1
    assert LAYERS in broken(output), output
