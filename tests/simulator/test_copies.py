"""The judge's rule about copies that are deleted."""

import subprocess

from tests.simulator.worlds import PYTHON, ROOT


def test_only_a_copy_that_its_recovery_point_needs_is_a_loss() -> None:
    command = [str(PYTHON), "-m", "tests.simulator.judge_copies"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "the only whole set loses a copy: ['never fewer good ones in a lineage than the floor']",
        "one of two whole sets loses a copy: []",
        "a set that is not whole loses its copy: []",
    ], done.stderr
