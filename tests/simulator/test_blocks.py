"""What reads blocks and keeps their digests can run in the simulator."""

import subprocess

from tests.simulator.worlds import PYTHON, ROOT


def test_blocks_and_objects_are_read_without_a_network_and_blocks_have_quotas() -> None:
    command = [str(PYTHON), "-m", "tests.simulator.read_a_block"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # In eu-west-1 an account gets 5,000 a second, of which the first snapshot has taken a thousand.
    wanted = ["data", "digests of digests/snap 1", "1000 RESOURCE_LEVEL_THROTTLE", "4000 ACCOUNT_THROTTLED"]
    assert done.stdout.splitlines() == wanted, done.stderr
