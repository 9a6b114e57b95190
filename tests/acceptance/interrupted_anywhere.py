"""Ctrl-C at random calls of an acceptance run. `make acceptance-clean` leaves nothing, and `make acceptance` goes on.

Not part of `make test`, which interrupts at four chosen calls; `make fuzz` runs it. POINTS and SEED choose others.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.acceptance.conftest import Account, At

CALLS = 700
"""A run makes some more. The last hundred are those of its own deletion."""
SEED = int(os.environ.get("SEED", "19"))
POINTS = int(os.environ.get("POINTS", "20"))


def nth(number: int, wanted: str) -> At:
    """The call of this number, `before` or `after` AWS answers."""
    calls = iter(range(CALLS * 2))

    def at(_operation: str, when: str) -> bool:
        return when == wanted and next(calls) == number

    return at


def points() -> list[tuple[int, str]]:
    chance = random.Random(SEED)
    return [(chance.randrange(CALLS), chance.choice(("before", "after"))) for _ in range(POINTS)]


@pytest.mark.parametrize(("number", "when"), points())
def test_nothing_is_left(account: Account, number: int, when: str) -> None:
    before = account.contents()
    assert account.accept(interrupted=nth(number, when)) == 1, "the run is shorter than CALLS"
    assert account.accept(clean_only=True) == 0, account.printed
    assert account.contents() == before


@pytest.mark.parametrize(("number", "when"), points())
def test_it_goes_on(account: Account, number: int, when: str) -> None:
    before = account.contents()
    assert account.accept(interrupted=nth(number, when)) == 1, "the run is shorter than CALLS"
    assert account.accept() == 0, account.printed
    assert account.contents() == before
    assert account.differences() == []
