"""Odd requests of every function, each with the one sentence that answers it: tests/golden/refusals.

A golden file has two lines for each: the request as it is typed, and the answer. To write the answers anew after a
change, and read them: `.venv/bin/python -m tests.requests.golden_refusals`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lifeboat.ami import request as ami_request
from lifeboat.backup import request as backup_request
from lifeboat.copies import request as copies_request
from lifeboat.domain.bad_request import BadRequest
from lifeboat.restore import request as restore_request
from lifeboat.retention import request as retention_request

GOLDEN = Path(__file__).parents[1] / "golden" / "refusals"

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "take_snapshots": backup_request.parse_take,
    "confirm_snapshots": backup_request.parse_confirm,
    "prune_snapshots": retention_request.parse_prune,
    "copy_snapshots": copies_request.parse_copy,
    "restore_volume": restore_request.parse_restore,
    "attach_volume": restore_request.parse_advance,
    "check_ami_owner": ami_request.parse_check,
}


def pairs(function: str) -> Iterator[tuple[str, str]]:
    """The requests of a function, as they are typed, and their answers."""
    lines = (GOLDEN / f"{function}.txt").read_text().splitlines()
    yield from zip(lines[::2], (line.removeprefix("    ") for line in lines[1::2]), strict=True)


def answer(function: str, typed: str) -> str:
    """What a request is refused with; a word of its own when it is not."""
    try:
        heard = FUNCTIONS[function](json.loads(typed))
    except BadRequest as refusal:
        return str(refusal)
    return f"NOT REFUSED: {heard}"


def main() -> None:
    for function in FUNCTIONS:
        asked = [typed for typed, _ in pairs(function)]
        (GOLDEN / f"{function}.txt").write_text("".join(f"{typed}\n    {answer(function, typed)}\n" for typed in asked))


if __name__ == "__main__":
    main()
