"""Chance from one seed: everything in this process that would draw from the machine's randomness draws from here."""

import os
import random


class Chance(random.Random):
    """The randomness of one world."""

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.random() < probability


def govern(chance: random.Random) -> None:
    """Let ids, tokens and pauses of the whole process come from `chance`: of the functions and of the emulator."""
    source = random.Random(chance.getrandbits(64))

    def urandom(size: int) -> bytes:
        return source.randbytes(size)

    os.urandom = urandom
    random._urandom = urandom  # type: ignore[attr-defined]
    random.seed(chance.getrandbits(64))
