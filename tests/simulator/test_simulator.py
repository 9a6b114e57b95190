"""The simulator: a fixed handful of worlds passes, a seed is the same world each time, and its rules can be broken."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".tools" / "local" / "bin" / "python"
SEEDS = (2, 6)
"""Chosen because between them they restore, roll back and prune, and meet most kinds of misfortune."""
DAYS = "0.5"


def run(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(PYTHON), "-m", "local.simulator", "--jobs", "1", *arguments]
    return subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)


def worlds(result: Path, *arguments: str, at: Path = ROOT) -> tuple[int, dict[str, Any], str]:
    """Whether it failed, the figures, and what was printed."""
    done = run(*arguments, "--result", str(result), at=at)
    assert result.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(result.read_text())
    return done.returncode, figures, done.stdout


def test_the_fixed_seeds_break_no_rule_and_each_is_the_same_world_twice(tmp_path: Path) -> None:
    failed, once, said = worlds(tmp_path / "once", "--seed", *map(str, SEEDS), "--days", DAYS, "--no-shrink")
    assert not failed, said[-6000:]
    assert once["worlds"] == len(SEEDS)
    assert once["restores"] >= 10
    assert once["states"]["completed"] >= 3
    assert sum(once["misfortune"].values()) >= 10

    _failed, again, _said = worlds(tmp_path / "again", "--seed", str(SEEDS[-1]), "--days", DAYS, "--no-shrink")
    assert again["traces"][str(SEEDS[-1])] == once["traces"][str(SEEDS[-1])]


@dataclass(frozen=True)
class Planted:
    """A bug put in by hand, and what finds it."""

    file: str
    right: str
    wrong: str
    seed: int
    rule: str


LIBRARY = "layers/lifeboat/python/lifeboat"
PLANTED = {
    "a start is forgotten in the roll-back": Planted(
        f"{LIBRARY}/rules/restore.py",
        "_untag(s) or _power_back(s) or _clean_up(s)",
        "_untag(s) or _clean_up(s)",
        seed=1,
        rule="what is published is true",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_shrunk_and_seen_again(name: str, tmp_path: Path) -> None:
    planted = PLANTED[name]
    for part in ("local", "layers", "functions"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", tmp_path)
    file = tmp_path / planted.file
    assert planted.right in file.read_text()
    file.write_text(file.read_text().replace(planted.right, planted.wrong))

    world = ("--seed", str(planted.seed), "--days", DAYS)
    failed, figures, said = worlds(tmp_path / "result", *world, "--shrink-seconds", "10", at=tmp_path)

    assert failed
    assert figures["violations"][0]["rule"] == planted.rule
    assert f"make simulate SEED={planted.seed}" in said
    [shrunk] = [line for line in said.splitlines() if line.startswith("shrunk to")]
    assert int(shrunk.split()[2]) < int(shrunk.split()[4])
    only = shrunk.split("ONLY='")[1].rstrip("'").split()
    failed, figures, _said = worlds(tmp_path / "result", *world, "--only", *only, "--no-shrink", at=tmp_path)
    assert failed
    assert figures["violations"][0]["rule"] == planted.rule
