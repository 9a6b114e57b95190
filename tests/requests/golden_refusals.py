"""Wrong requests to every function, each with the sentence that refuses it: tests/golden/refusals.

A golden file has two lines for each: the request as typed, and the refusal. To regenerate the refusals after a change:
`.venv/bin/python -m tests.requests.golden_refusals`. Then read the diff.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lifeboat.ami import request as ami_request
from lifeboat.backup import request as backup_request
from lifeboat.copies import request as copies_request
from lifeboat.doctor import request as doctor_request
from lifeboat.domain.bad_request import BadRequest
from lifeboat.evidence import request as evidence_request
from lifeboat.restore import request as restore_request
from lifeboat.retention import request as retention_request
from lifeboat.status import request as status_request
from lifeboat.verify import drill_request
from lifeboat.verify import request as verify_request

GOLDEN = Path(__file__).parents[1] / "golden" / "refusals"

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "take_snapshots": backup_request.parse_take,
    "confirm_snapshots": backup_request.parse_confirm,
    "prune_snapshots": retention_request.parse_prune,
    "copy_snapshots": copies_request.parse_copy,
    "verify_snapshots": verify_request.parse_verify,
    "restore_volume": restore_request.parse_restore,
    "attach_volume": restore_request.parse_advance,
    "check_ami_owner": ami_request.parse_check,
    "drill_restores": drill_request.parse_drill,
    "guard_evidence": evidence_request.parse_guard,
    "show_status": status_request.parse_status,
    "check_stack": doctor_request.parse_check,
}


def pairs(function: str) -> Iterator[tuple[str, str]]:
    """The requests of a function as typed, each with its refusal."""
    lines = (GOLDEN / f"{function}.txt").read_text().splitlines()
    yield from zip(lines[::2], (line.removeprefix("    ") for line in lines[1::2]), strict=True)


def refusal(function: str, typed: str) -> str:
    """The sentence that refuses a request; if nothing does, `NOT REFUSED` and the request."""
    try:
        request = FUNCTIONS[function](json.loads(typed))
    except BadRequest as problem:
        return str(problem)
    return f"NOT REFUSED: {request}"


def main() -> None:
    for function in FUNCTIONS:
        requests = [typed for typed, _ in pairs(function)]
        text = "".join(f"{typed}\n    {refusal(function, typed)}\n" for typed in requests)
        (GOLDEN / f"{function}.txt").write_text(text)


if __name__ == "__main__":
    main()
