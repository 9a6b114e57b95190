"""Builds the layer: the library, what it stands on, and the byte code of both.

Lambda's file system is read-only, so without byte code in the layer every cold start compiles every module anew: half
of its time. The service models of botocore that the library does not use are left out, and of EC2's, by far the
largest, the operations that it does not use. Of packages with machine code both architectures' are installed: their
files have different names, so that one layer serves functions on arm64 and on x86_64.

Only Python 3.13 with pip is needed, the one or the other of which may come from the standard library (ensurepip).
"""

import compileall
import gzip
import importlib
import json
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent / "python"
PYTHON = "3.13"
ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = ("manylinux_2_17", "manylinux2014", "manylinux_2_28")
"""Lambda's Python 3.13 runs on Amazon Linux 2023, with glibc 2.34
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html)."""

SERVICES = (
    *("cloudformation", "cloudwatch", "dynamodb", "ebs", "ec2", "efs", "events", "kms", "lambda", "s3", "scheduler"),
    *("sns", "sqs", "stepfunctions", "sts"),
)
"""The services whose models stay."""


class BuildError(RuntimeError):
    """The layer cannot be built; the message says why."""


def build(target: Path) -> None:
    """Make the layer's folder `python`. Raises BuildError."""
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        raise BuildError(f"this is Python {sys.version.split()[0]}, expected {PYTHON}: the layer ships its byte code")
    with tempfile.TemporaryDirectory() as folder:
        pip = _pip(Path(folder))
        requirements = SOURCE / "requirements.txt"
        _install(pip, requirements, target, ARCHITECTURES[0])
        _add_machine_code(pip, requirements, target, Path(folder))
    _copy_library(target)
    _drop_unused_models(target / "botocore" / "data")
    _trim_ec2(target)
    _compile(target)


def _pip(folder: Path) -> list[str]:
    """A pip: this Python's own, or one from the standard library."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip"]
    made = subprocess.run([sys.executable, "-m", "venv", folder / "venv"], capture_output=True, text=True, check=False)
    if made.returncode:
        raise BuildError(f"{sys.executable} has no pip and cannot make one, expected a Python {PYTHON} with pip")
    return [str(folder / "venv" / "bin" / "python"), "-m", "pip"]


def _install(pip: list[str], requirements: Path, target: Path, architecture: str) -> None:
    """Install wheels for one architecture, pinned and by hash."""
    platforms = [argument for name in GLIBC for argument in ("--platform", f"{name}_{architecture}")]
    command = [
        *pip,
        *("install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile", "--no-deps"),
        *("--only-binary=:all:", "--require-hashes", "--implementation", "cp", "--python-version", PYTHON),
        *platforms,
        *("--target", str(target), "--requirement", str(requirements)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"pip could not install {requirements} for {architecture}:\n{done.stderr[-4000:]}")


def _add_machine_code(pip: list[str], requirements: Path, target: Path, folder: Path) -> None:
    """Of the packages with machine code, that of the other architecture beside it.

    Shared libraries that a wheel brings in `<package>.libs` end in a version, and their names differ too.
    """
    native = {path.relative_to(target).parts[0].replace("_", "-") for path in target.rglob("*.so")}
    if not native:
        return
    some = folder / "native.txt"
    some.write_text("".join(text for name, text in _pins(requirements) if name in native))
    other = folder / "other"
    _install(pip, some, other, ARCHITECTURES[1])
    for path in other.rglob("*.so*"):
        shutil.copy2(path, target / path.relative_to(other))


def _pins(requirements: Path) -> Iterator[tuple[str, str]]:
    """Each package of the lock with its lines."""
    for text in re.split(r"^(?=[A-Za-z0-9])", requirements.read_text(), flags=re.MULTILINE):
        if found := re.match(r"([A-Za-z0-9._-]+)==", text):
            yield found[1].lower().replace("_", "-"), text


def _copy_library(target: Path) -> None:
    shutil.copytree(
        SOURCE / "lifeboat", target / "lifeboat", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )


def _drop_unused_models(data: Path) -> None:
    """Of the services that are used, the newest version is what botocore takes."""
    for folder in [path for path in data.iterdir() if path.is_dir()]:
        if folder.name not in SERVICES:
            shutil.rmtree(folder)
            continue
        *old, newest = sorted(folder.iterdir())
        for version in old:
            shutil.rmtree(version)
        for unused in ("examples-1.json", "waiters-2.json"):
            for path in newest.glob(f"{unused}*"):
                path.unlink()
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: known for name, known in partition["services"].items() if name in SERVICES}
    (data / "endpoints.json").write_text(json.dumps(endpoints))


def _trim_ec2(target: Path) -> None:
    """Leave of EC2's model the operations whose names stand in lifeboat/aws, and the shapes that they need."""
    sys.path.insert(0, str(target))
    xform_name = importlib.import_module("botocore").xform_name
    sys.path.remove(str(target))
    text = "\n".join(path.read_text() for path in (target / "lifeboat" / "aws").glob("*.py"))
    words = set(re.findall(r"\w+", text))
    [path] = (target / "botocore" / "data" / "ec2").glob("*/service-2.json.gz")
    model = json.loads(gzip.decompress(path.read_bytes()))
    model["operations"] = {name: known for name, known in model["operations"].items() if xform_name(name) in words}
    wanted: set[str] = set()
    _follow(model["operations"], model["shapes"], wanted)
    model["shapes"] = {name: shape for name, shape in model["shapes"].items() if name in wanted}
    path.write_bytes(gzip.compress(json.dumps(_without_documentation(model), separators=(",", ":")).encode(), mtime=0))


def _follow(part: Any, shapes: dict[str, Any], wanted: set[str]) -> None:
    """Gather the shapes that a part of the model refers to, and those that these refer to."""
    if isinstance(part, dict):
        name = part.get("shape")
        if isinstance(name, str) and name not in wanted:
            wanted.add(name)
            _follow(shapes[name], shapes, wanted)
        for value in part.values():
            _follow(value, shapes, wanted)
    elif isinstance(part, list):
        for value in part:
            _follow(value, shapes, wanted)


def _without_documentation(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: _without_documentation(value)
            for key, value in part.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    return [_without_documentation(value) for value in part] if isinstance(part, list) else part


def _compile(target: Path) -> None:
    """Byte code beside each module that is taken as it is, whatever the source's date: archives do not keep dates."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(target, quiet=1, force=True, workers=0, invalidation_mode=mode, stripdir=str(target)):
        raise BuildError(f"not every module in {target} could be compiled")


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except BuildError as problem:
        sys.exit(f"build_layer: {problem}")
