"""How long each handler takes to be made ready, beside a bare function that only makes a boto3 EC2 client.

Measured with the Runtime Interface Emulator that SAM CLI brings and awslambdaric, the client that Lambda's own Python
runtime is made of: what `sam build` made of the real template, a fresh process for each sample, and the time that the
emulator reports for the INIT phase. A sample of a handler and one of the bare function are taken in turn, so that both
meet the machine in the same mood; their ratio is the median over the rounds.

The bare function gets the same boto3 as the layer, whole, with its byte code: the fairest yardstick. How it fares
without byte code, and on the layer's trimmed models, is shown beside it.
"""

from __future__ import annotations

import compileall
import platform
import py_compile
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a program, not by pytest
    sys.path.insert(0, str(ROOT))

from local import stack  # noqa: E402

PYTHON = ROOT / ".tools" / "rie" / "bin" / "python"
ROUNDS = 10
BAR = 1.15
"""How many times the bare function's time a handler may take."""

BARE = """
import boto3

ec2 = boto3.client("ec2")


def handler(event, context):
    return {}
"""
BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
ANSWERS_WITHIN = 15.0
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's file system is read-only
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nobody listens: only the start is measured
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "5",
    "LIFEBOAT_STACK": "lifeboat",
    "LIFEBOAT_TABLE": "table",
    "LIFEBOAT_TOPIC": "arn:aws:sns:eu-west-1:111122223333:notifications",
    "POWERTOOLS_SERVICE_NAME": "lifeboat",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A function to be started: its folder, and what is under /opt/python."""

    name: str
    code: Path
    layer: Path


def run() -> dict[str, Any]:
    """Take the samples in turn, print the table, return the figures."""
    stack.build()
    layer = stack.BUILD_DIR / "LifeboatLayer" / "python"
    with tempfile.TemporaryDirectory(prefix="lifeboat-cold-start-") as folder:
        yardstick, *others = _bare(Path(folder), layer)
        handlers = [Subject(path.name, path, layer) for path in sorted(stack.BUILD_DIR.glob("*Function"))]
        samples: dict[str, list[float]] = {subject.name: [] for subject in (yardstick, *others, *handlers)}
        for _ in range(ROUNDS):
            for subject in (yardstick, *others, *handlers):
                samples[subject.name].append(init_milliseconds(subject))
    figures = _figures(samples, yardstick.name)
    sizes = {"layer_mb": _megabytes(layer), "layer_zipped_mb": _zipped_megabytes(layer)}
    _print(figures, sizes)
    names = {function.name for function in handlers}
    return {"figures": figures, **sizes, "problems": too_slow({name: figures[name] for name in names})}


def too_slow(figures: dict[str, dict[str, float]]) -> list[str]:
    """What breaks the bar, one sentence each."""
    return [
        f"{name} starts in {row['ratio']:.2f} times the bare function's time, expected at most {BAR}"
        for name, row in sorted(figures.items())
        if row["ratio"] > BAR
    ]


def _figures(samples: dict[str, list[float]], yardstick: str) -> dict[str, dict[str, float]]:
    bare = samples[yardstick]
    return {
        name: {
            "median_ms": round(median(taken), 1),
            "least_ms": round(min(taken), 1),
            "ratio": round(median(one / other for one, other in zip(taken, bare, strict=True)), 3),
        }
        for name, taken in samples.items()
    }


def _print(figures: dict[str, dict[str, float]], sizes: dict[str, float]) -> None:
    print("function                            INIT ms  least  of the bare one's")
    for name, row in figures.items():
        print(f"{name:35} {row['median_ms']:7.1f} {row['least_ms']:6.1f} {row['ratio']:8.2f}")
    print(f"layer: {sizes['layer_mb']:.1f} MB, {sizes['layer_zipped_mb']:.1f} MB zipped", flush=True)


# --- the bare function


def _bare(folder: Path, layer: Path) -> list[Subject]:
    """On the same boto3 whole and compiled, which is the yardstick; without byte code; on the layer."""
    code = folder / "bare"
    code.mkdir()
    (code / "app.py").write_text(BARE)
    plain, compiled = folder / "plain", folder / "compiled"
    source = next((ROOT / ".venv" / "lib").glob("python3.*")) / "site-packages"
    for name in BOTO3:
        _copy(source / name, plain / name)
    shutil.copytree(plain, compiled)
    compileall.compile_dir(compiled, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return [
        Subject("bare boto3 EC2 client", code, compiled),
        Subject("the same without byte code", code, plain),
        Subject("the same on the layer", code, layer),
    ]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


# --- one start


def init_milliseconds(subject: Subject) -> float:
    """Start the function once, and invoke it, as that is what makes the emulator start it."""
    with _started(subject) as (process, url):
        try:
            urllib.request.urlopen(url, data=b"{}", timeout=ANSWERS_WITHIN).read()
        except (urllib.error.URLError, OSError) as problem:
            process.terminate()
            raise RuntimeError(f"{subject.name} gave no answer: {problem}\n{process.communicate()[0]}") from problem
        process.terminate()
        log = process.communicate()[0]
    found = re.search(r"INIT REPORT\(durationMs: ([\d.]+)\)", log)
    if not found:
        raise RuntimeError(f"{subject.name}: the emulator reported no INIT phase:\n{log}")
    return float(found[1])


@contextmanager
def _started(subject: Subject) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port, inner_port = _free_port(), _free_port()
    process = subprocess.Popen(
        [
            str(_emulator()),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{inner_port}"),
            *(str(PYTHON), "-m", "awslambdaric", "app.handler"),
        ],
        cwd=subject.code,
        env={**ENVIRONMENT, "PYTHONPATH": str(subject.layer)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_for(port)
        yield process, f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _emulator() -> Path:
    architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    [found] = (ROOT / ".tools" / "sam").glob(f"lib/python3.*/site-packages/samcli/local/rapid/*-rie-{architecture}")
    return found


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nobody listens on port {port}")


# --- sizes


def _megabytes(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)


def _zipped_megabytes(folder: Path) -> float:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            for path in folder.rglob("*"):
                if path.is_file():
                    made.write(path, path.relative_to(folder))
        return round(file.publish() / 1e6, 1)


if __name__ == "__main__":
    problems = run()["problems"]
    print("\n".join(problems) or "within the bar")
    sys.exit(bool(problems))
