"""The simulated clock by itself. Its module needs time-machine, which only the emulator's environment has."""

from __future__ import annotations

import subprocess

import pytest

from local.session import EMULATOR_PYTHON, ROOT

REACHES = """
import sys
from local.emulator.clock import Clock
clock = Clock()
clock.simulated = True
clock.move_to(float(sys.argv[1]))
print(clock.now() >= float(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["1930262497.2220001", "1930262497.222", "1930262497.9999999", "1.0"])
def test_the_clock_never_stops_just_before_what_is_due(moment: str) -> None:
    done = subprocess.run(
        [str(EMULATOR_PYTHON), "-c", REACHES, moment], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
