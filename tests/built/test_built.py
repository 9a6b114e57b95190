"""What `sam build` makes is what runs in AWS: each handler is imported from it, by a Python that sees nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local import stack

FUNCTIONS = sorted(path.parent.name for path in (stack.ROOT / "functions").glob("*/app.py"))

# -I and -S: no site-packages, no environment, no current folder. What is missing in the artefact is missing here.
IMPORT = """
import sys
sys.path[:0] = {paths!r}
import app
assert callable(app.handler), app
import boto3, botocore, lifeboat
for module in (boto3, botocore, lifeboat):
    print(module.__file__)
"""


@pytest.fixture(scope="module")
def built() -> Path:
    stack.build()
    return stack.BUILD_DIR


def folder_of(function: str) -> str:
    return "".join(word.title() for word in function.split("_")) + "Function"


def layer_of(built: Path) -> Path:
    return built / "LifeboatLayer" / "python"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_handler_is_imported_from_the_artefact_alone(built, function):
    layer = layer_of(built)
    code = IMPORT.format(paths=[str(built / folder_of(function)), str(layer)])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env={"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(Path(line).is_relative_to(layer) for line in done.stdout.split())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_holds_its_handler_and_nothing_else(built, function):
    assert [path.name for path in (built / folder_of(function)).iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_the_layer_holds_one_botocore_and_no_tests(built):
    layer = layer_of(built)
    assert [path.parent for path in layer.rglob("botocore/__init__.py")] == [layer / "botocore"]
    assert not list((layer / "lifeboat").rglob("*test*"))


def test_the_layer_fits_into_what_lambda_takes(built):
    # 250 MB unzipped, layers included (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
    size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())
    assert size < 250 * 1024 * 1024
