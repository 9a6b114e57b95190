"""Bugs put in by hand, each found by a world of the simulator. `make fuzz` runs this: it takes a minute."""

from pathlib import Path

import pytest

from tests.simulator.worlds import LIBRARY, Planted, plant, worlds

PLANTED = {
    "a start is forgotten in the roll-back": Planted(
        f"{LIBRARY}/restore/machine/roll_back.py",
        "_untag_displaced(s) or _restore_power(s) or clean_up(s)",
        "_untag_displaced(s) or clean_up(s)",
        seed=22,
        only="14 17 23",
        rule="what is published is true",
    ),
    "retention counts pending points as good": Planted(
        f"{LIBRARY}/retention/lineage.py",
        "condition is Condition.GOOD and not blocked",
        "condition in (Condition.GOOD, Condition.PENDING) and not blocked",
        seed=22,
        only="12 15 21 22 26 27 28 29",
        rule="never fewer good ones in a lineage than the floor",
    ),
    "the slot's uniqueness check is skipped when the table answers late": Planted(
        f"{LIBRARY}/backup/store.py",
        "        except Cancelled as cancelled:\n",
        "        except Cancelled as cancelled:\n"
        "            if (clock.now() - begun_at).total_seconds() > 1:\n"
        "                return set(wanted)\n",
        seed=9,
        only="1 2 5 14 15 20 21 23 25 26 28 30",
        rule="at most one recovery point for an instance and slot",
    ),
    "a recovery point is made while a restore exchanges the volumes": Planted(
        f"{LIBRARY}/backup/selection.py",
        "if restore is None or not restore.touched:",
        "if True:",
        seed=11080,
        only="11 12 13",
        rule="no recovery point is good that does not hold every data volume",
    ),
    "a data volume is forgotten, and what EC2 makes of it taken for unplanned": Planted(
        f"{LIBRARY}/backup/selection.py",
        "    attachments = data_attachments(instance)\n",
        "    attachments = data_attachments(instance)[:1]\n",
        seed=11080,
        only="11",
        rule="no recovery point is good that does not hold every data volume",
    ),
    "a damaged file system is taken for sound": Planted(
        f"{LIBRARY}/verify/plan.py",
        "    if problems:\n",
        "    if problems and not seen:\n",
        seed=6349,
        only="22 32 39 44",
        rule="what is marked proven was read back and is sound",
    ),
    "retention knows of no suspicion": Planted(
        f"{LIBRARY}/retention/lineage.py",
        "for name in point.lineages if point.suspected else ():",
        "for name in ():",
        seed=6267,
        only="0 1 2 13",
        rule="while a suspicion is open nothing older of its lineage is deleted",
    ),
    "a drill passes before its volumes are deleted": Planted(
        f"{LIBRARY}/verify/drill.py",
        "    if not left and not _may_still_appear(drill, now, deadlines):\n",
        "    if True:\n",
        seed=6076,
        only="14 23 42",
        rule="what is published about drills is true",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    planted = PLANTED[name]
    plant(planted, tmp_path)

    only = ("--only", *planted.only.split())
    failed, figures, said = worlds(tmp_path / "result", *planted.world, *only, "--no-shrink", at=tmp_path)

    assert failed, said
    assert figures["violations"][0]["rule"] == planted.rule
