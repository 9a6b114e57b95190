"""What `sam build` makes is what runs in AWS: each handler is imported from it, by a Python that sees nothing else."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import botocore
import botocore.session
import pytest
from botocore.model import ServiceModel

from local import stack

UNCHECKED_HASH = 0b01
"""The flags of byte code that is never compared with its source (PEP 552)."""

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
    assert not list(layer.glob("awscrt*")), "it makes every start slower"
    assert [path.parent for path in layer.rglob("botocore/__init__.py")] == [layer / "botocore"]
    assert not list((layer / "lifeboat").rglob("*test*"))


def test_the_layer_fits_into_what_lambda_takes(built):
    # 250 MB unzipped, layers included (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
    size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())
    assert size < 250 * 1024 * 1024


def test_every_module_of_the_layer_has_byte_code_that_is_taken_as_it_is(built):
    """Lambda's file system is read-only, and an archive keeps no dates: other byte code would not be used."""
    modules = list(layer_of(built).rglob("*.py"))
    assert len(modules) > 500
    for module in modules:
        code = Path(importlib.util.cache_from_source(str(module))).read_bytes()
        assert code[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(code[4:8], "little") == UNCHECKED_HASH, module


def test_no_module_is_compiled_when_a_function_starts(built):
    layer = layer_of(built)
    code = f"import sys\nsys.path[:0] = {[str(built / 'RestoreVolumeFunction'), str(layer)]!r}\nimport app"
    environment = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-S", "-v", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = re.findall(rf"^# code object from '({re.escape(str(layer))}[^']+)'", done.stderr, re.MULTILINE)
    assert len(loaded) > 200
    assert [path for path in loaded if not path.endswith(".pyc")] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_imports_what_most_events_do_not_need_only_when_one_does(built, function):
    paths = [str(built / folder_of(function)), str(layer_of(built))]
    code = f"import sys\nsys.path[:0] = {paths!r}\nimport app\nprint(*sys.modules)"
    environment = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "lifeboat.handler" in loaded
    late = {f"aws_lambda_powertools.utilities.{name}" for name in ("idempotency", "parser", "batch")}
    assert loaded & {*late, "boto3.dynamodb.conditions"} == set()


def test_machine_code_is_there_for_both_architectures(built):
    found = {(path.parent.name, path.name.split("-")[2]) for path in layer_of(built).rglob("*.so")}
    packages = {package for package, _ in found}
    assert packages == {"google_crc32c", "pydantic_core"}
    assert found == {(package, machine) for package in packages for machine in ("x86_64", "aarch64")}


def test_every_shared_library_that_a_wheel_brings_is_there_for_both_architectures(built):
    """Of each library a file for x86_64 (ELF machine 62) and one for aarch64 (183)."""
    machines: dict[str, list[int]] = {}
    for path in layer_of(built).glob("*.libs/*.so.*"):
        machines.setdefault(path.name.split("-")[0], []).append(int.from_bytes(path.read_bytes()[18:20], "little"))
    assert {name: sorted(found) for name, found in machines.items()} == {"libcrc32c": [62, 183]}


def test_every_operation_that_the_library_calls_is_in_the_layers_models(built):
    """The models of the layer are trimmed; those of the tests are whole."""
    session = botocore.session.get_session()
    calls = re.compile(r"\.(\w+)\(|get_paginator\(\s*\"(\w+)\"")
    text = "\n".join(path.read_text() for path in (stack.ROOT / "layers/lifeboat/python/lifeboat").rglob("*.py"))
    named = {first or second for first, second in calls.findall(text)}
    services = set(re.findall(r"\.client\(\s*\"([\w-]+)\"", text))
    assert {"ec2", "dynamodb", "lambda"} <= services
    for service in sorted(services):
        whole = {botocore.xform_name(name) for name in session.get_service_model(service).operation_names}
        [path] = (layer_of(built) / "botocore" / "data" / service).glob("*/service-2.json.gz")
        kept = {botocore.xform_name(name) for name in json.loads(gzip.decompress(path.read_bytes()))["operations"]}
        assert named & whole <= kept
        assert named & whole, service
        assert kept <= whole


def test_the_trimmed_model_of_ec2_reads_and_writes_what_the_whole_one_does(built):
    """Each operation that is left has the same shapes, down to the last member."""
    whole = botocore.session.get_session().get_service_model("ec2")
    [path] = (layer_of(built) / "botocore" / "data" / "ec2").glob("*/service-2.json.gz")
    trimmed = ServiceModel(json.loads(gzip.decompress(path.read_bytes())), "ec2")
    assert trimmed.metadata == whole.metadata
    assert len(trimmed.operation_names) < 60
    for name in trimmed.operation_names:
        for side in ("input_shape", "output_shape"):
            theirs, ours = (getattr(model.operation_model(name), side) for model in (whole, trimmed))
            assert members(ours) == members(theirs)


def members(shape, observed=()):
    """The whole tree of a shape's members, with how each is serialized."""
    if shape is None or shape.name in observed:
        return None
    below = {**getattr(shape, "members", {}), **({"[]": shape.member} if shape.type_name == "list" else {})}
    if shape.type_name == "map":
        below |= {"{key}": shape.key, "{value}": shape.value}
    tree = {name: members(member, (*observed, shape.name)) for name, member in below.items()}
    return shape.name, shape.type_name, dict(shape.serialization), tree
