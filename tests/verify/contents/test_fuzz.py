"""Broken images neither crash inspect nor make it exceed its bounds. `make fuzz` does 100,000."""

from __future__ import annotations

import random

import pytest

from tools.images.fuzz import broken, check, noise


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_hostile_values_in_headers_neither_crash_nor_exceed_the_bounds(first):
    for seed in range(first, first + 50):
        check(broken(seed))


def test_noise_neither_crashes_nor_exceeds_the_bounds():
    for seed in range(30):
        check(noise(random.Random(seed)))
