"""How a command ends: its exit code, and the one sentence about what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes, part of the public face (docs/guide/command-line.md)."""

    DONE = 0
    FAILED = 1  # Lifeboat refused the request, or what it did failed
    USAGE = 2  # the command line itself is wrong
    NEEDS_A_PERSON = 3  # a person has to act or to answer, or AWS was not reached


class Problem(Exception):  # noqa: N818 - what a person reads, not a bug
    """Ends a command with one sentence. `answer` is the function's answer, if there was one.

    `passes`: the same call may succeed in a moment.
    """

    def __init__(
        self, sentence: str, code: Exit, answer: Mapping[str, Any] | None = None, *, passes: bool = False
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.answer = answer
        self.passes = passes
