"""The simulator: a fixed handful of worlds passes, its rules can be broken, and a seed is the same world each time."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".tools" / "local" / "bin" / "python"
SEEDS = (22, 5)
"""Chosen because between them they restore, prune, back up twice at once, carry away to a region and a vault, and lose
the home region at the end."""
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


def test_the_fixed_seeds_break_no_rule(tmp_path: Path) -> None:
    failed, once, said = worlds(tmp_path / "once", "--seed", *map(str, SEEDS), "--days", DAYS, "--no-shrink")
    assert not failed, said[-6000:]
    assert once["worlds"] == len(SEEDS)
    assert once["restores"] >= 5
    assert once["copies"] >= 2
    assert once["states"]["completed"] >= 3
    assert sum(once["misfortune"].values()) >= 10


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
PLANTED = {
    "a start is forgotten in the roll-back": Planted(
        f"{LIBRARY}/rules/restore.py",
        "_untag(s) or _power_back(s) or _clean_up(s)",
        "_untag(s) or _clean_up(s)",
        seed=22,
        only="14 17 23",
        rule="what is published is true",
    ),
    "retention counts pending points as good": Planted(
        f"{LIBRARY}/rules/retention.py",
        "condition is Condition.GOOD and not blocked",
        "condition in (Condition.GOOD, Condition.PENDING) and not blocked",
        seed=22,
        only="12 15 21 22 26 27 28 29",
        rule="never fewer good ones in a lineage than the floor",
    ),
    "the slot's uniqueness check is skipped when the table answers late": Planted(
        f"{LIBRARY}/aws/backups.py",
        "        except client.exceptions.TransactionCanceledException as refused:\n",
        "        except client.exceptions.TransactionCanceledException as refused:\n"
        "            if (clock.now() - begun_at).total_seconds() > 1:\n"
        "                return set(wanted)\n",
        seed=9,
        only="1 2 5 14 15 20 21 23 25 26 28 30",
        rule="at most one recovery point for an instance and slot",
    ),
}
UNCLAIMED = Planted(
    f"{LIBRARY}/aws/restores.py",
    '{"Put": {"TableName": table, "Item": lock, "ConditionExpression": "attribute_not_exists(pk)"}}',
    '{"Put": {"TableName": table, "Item": lock}}',
    seed=7,
    only="1 27 28",
    rule="one open restore for an instance",
)


def plant(planted: Planted, tree: Path) -> None:
    """The repository's code in `tree`, with the bug."""
    for part in ("local", "layers", "functions"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", tree)
    file = tree / planted.file
    assert planted.right in file.read_text()
    file.write_text(file.read_text().replace(planted.right, planted.wrong))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    planted = PLANTED[name]
    plant(planted, tmp_path)

    only = ("--only", *planted.only.split())
    failed, figures, said = worlds(tmp_path / "result", *planted.world, *only, "--no-shrink", at=tmp_path)

    assert failed, said
    assert figures["violations"][0]["rule"] == planted.rule


def test_a_planted_bug_is_shrunk_and_seen_again_to_the_letter(tmp_path: Path) -> None:
    plant(UNCLAIMED, tmp_path)

    failed, figures, said = worlds(tmp_path / "result", *UNCLAIMED.world, "--shrink-seconds", "5", at=tmp_path)

    assert failed
    assert figures["violations"][0]["rule"] == UNCLAIMED.rule
    assert f"make simulate SEED={UNCLAIMED.seed}" in said
    [shrunk] = [line for line in said.splitlines() if line.startswith("shrunk to")]
    assert int(shrunk.split()[2]) < int(shrunk.split()[4])
    only = shrunk.split("ONLY='")[1].rstrip("'").split()
    _failed, again, _said = worlds(tmp_path / "again", *UNCLAIMED.world, "--only", *only, "--no-shrink", at=tmp_path)
    assert again["violations"][0]["rule"] == UNCLAIMED.rule
    assert again["traces"][str(UNCLAIMED.seed)] == figures["shrunk"]["trace"]
