"""Worlds of the simulator, with a bug put in by hand or without one."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".tools" / "local" / "bin" / "python"
DAYS = "0.25"


def run(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(PYTHON), "-m", "local.simulator", "--jobs", "1", *arguments]
    return subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)


def worlds(result: Path, *arguments: str, at: Path = ROOT) -> tuple[int, dict[str, Any], str]:
    """Whether it failed, the figures, and what was printed."""
    done = run(*arguments, "--result", str(result), at=at)
    assert result.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(result.read_text())
    return done.returncode, figures, done.stdout


@dataclass(frozen=True)
class Planted:
    """A bug put in by hand, what finds it, and the happenings of that world that it needs."""

    file: str
    right: str
    wrong: str
    seed: int
    only: str
    rule: str

    @property
    def world(self) -> tuple[str, ...]:
        return "--seed", str(self.seed), "--days", DAYS


LIBRARY = "layers/lifeboat/python/lifeboat"


def plant(planted: Planted, tree: Path) -> None:
    """The repository's code in `tree`, with the bug."""
    for part in ("local", "layers", "functions"):
        shutil.copytree(ROOT / part, tree / part)  # what is compiled already need not be again
    shutil.copy(ROOT / "template.yaml", tree)
    file = tree / planted.file
    assert planted.right in file.read_text()
    file.write_text(file.read_text().replace(planted.right, planted.wrong))
