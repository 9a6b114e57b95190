"""The simulator: a fixed handful of worlds passes, its rules can be broken, and a seed is the same world each time.

`planted_bugs.py` has more bugs; `make fuzz` runs it.
"""

from pathlib import Path

from tests.simulator.worlds import DAYS, LIBRARY, Planted, plant, worlds

SEEDS = (22, 5)
"""Chosen because between them they restore, prune, back up twice at once, carry away to a region and a vault, and lose
the home region at the end."""


def test_the_fixed_seeds_break_no_rule(tmp_path: Path) -> None:
    failed, once, said = worlds(tmp_path / "once", "--seed", *map(str, SEEDS), "--days", DAYS, "--no-shrink")
    assert not failed, said[-6000:]
    assert once["worlds"] == len(SEEDS)
    assert once["restores"] >= 5
    assert once["copies"] >= 2
    assert once["states"]["completed"] >= 3
    assert sum(once["misfortune"].values()) >= 10


UNCLAIMED = Planted(
    f"{LIBRARY}/restore/store.py",
    "documents.put(lock, ABSENT)",
    "documents.put(lock)",
    seed=7,
    only="1 27 28",
    rule="one open restore for an instance",
)


def test_a_planted_bug_is_shrunk_and_seen_again_to_the_letter(tmp_path: Path) -> None:
    plant(UNCLAIMED, tmp_path)

    failed, figures, said = worlds(tmp_path / "result", *UNCLAIMED.world, "--shrink-tries", "2", at=tmp_path)

    assert failed
    assert figures["violations"][0]["rule"] == UNCLAIMED.rule
    assert f"make simulate SEED={UNCLAIMED.seed}" in said
    [shrunk] = [line for line in said.splitlines() if line.startswith("shrunk to")]
    assert int(shrunk.split()[2]) < int(shrunk.split()[4])
    only = shrunk.split("ONLY='")[1].rstrip("'").split()
    _failed, again, _said = worlds(tmp_path / "again", *UNCLAIMED.world, "--only", *only, "--no-shrink", at=tmp_path)
    assert again["violations"][0]["rule"] == UNCLAIMED.rule
    assert again["traces"][str(UNCLAIMED.seed)] == figures["shrunk"]["trace"]
