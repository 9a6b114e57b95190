"""What reads blocks can run in the simulator."""

import subprocess

from tests.simulator.worlds import PYTHON, ROOT


def test_blocks_are_read_without_a_network() -> None:
    command = [str(PYTHON), "-m", "tests.simulator.read_a_block"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "data\n", done.stderr
