"""The parsers of requests under atheris, which keeps inputs that reach new code.

    .tools/fuzz/bin/python tools/fuzz_requests.py -runs=100000

A parser returns a request, or raises BadRequest with one line. Anything else ends the run and shows the input.
tests/security/test_fuzz.py checks the same with hypothesis, which draws its inputs without knowing the code.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-not-found,unused-ignore] # in an environment of its own

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "layers" / "lifeboat" / "python"))

with atheris.instrument_imports(include=["lifeboat"]):
    from lifeboat.ami import request as ami_request
    from lifeboat.backup import request as backup_request
    from lifeboat.copies import request as copies_request
    from lifeboat.doctor import request as doctor_request
    from lifeboat.domain import bad_request
    from lifeboat.restore import request as restore_request
    from lifeboat.retention import request as retention_request
    from lifeboat.status import request as status_request
    from lifeboat.verify import drill_request
    from lifeboat.verify import request as verify_request

PARSERS = (
    backup_request.parse_take,
    backup_request.parse_confirm,
    retention_request.parse_prune,
    restore_request.parse_restore,
    restore_request.parse_advance,
    ami_request.parse_check,
    copies_request.parse_copy,
    verify_request.parse_verify,
    drill_request.parse_drill,
    status_request.parse_status,
    doctor_request.parse_check,
    doctor_request.parse_rehearsal,
)
GOOD = tuple(
    path.read_text()
    for folder in ("events", "tests/fixtures/events")
    for path in sorted((ROOT / folder).rglob("*.json"))
)
EDITS = 3
LONGEST = 64
"""The most characters of an invented text."""


def parse_anything(data: bytes) -> None:
    """Give any parser a good event of any function, with up to EDITS things replaced, removed or added."""
    bits = atheris.FuzzedDataProvider(data)
    event = json.loads(GOOD[bits.ConsumeIntInRange(0, len(GOOD) - 1)])
    for _ in range(bits.ConsumeIntInRange(0, EDITS)):
        event = _edited(event, bits)
    parse = PARSERS[bits.ConsumeIntInRange(0, len(PARSERS) - 1)]
    try:
        parse(event)
    except bad_request.BadRequest as refusal:
        if len(str(refusal).splitlines()) != 1:
            raise AssertionError(f"not one line: {refusal!s}") from refusal


def _edited(value: Any, bits: Any) -> Any:
    if isinstance(value, dict) and value and bits.ConsumeBool():
        key = list(value)[bits.ConsumeIntInRange(0, len(value) - 1)]
        if bits.ConsumeIntInRange(0, 7) == 0:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _edited(value[key], bits)}
    if isinstance(value, dict) and bits.ConsumeBool():
        return {**value, bits.ConsumeUnicode(LONGEST): _invented(bits)}
    if isinstance(value, list) and value and bits.ConsumeBool():
        place = bits.ConsumeIntInRange(0, len(value) - 1)
        return [*value[:place], _edited(value[place], bits), *value[place + 1 :]]
    if isinstance(value, str) and bits.ConsumeBool():
        place = bits.ConsumeIntInRange(0, len(value))
        return value[:place] + bits.ConsumeUnicode(4) + value[place + bits.ConsumeIntInRange(0, 2) :]
    return _invented(bits)


def _invented(bits: Any) -> Any:
    makers = (
        lambda: None,
        bits.ConsumeBool,
        lambda: bits.ConsumeInt(9),
        bits.ConsumeFloat,
        lambda: bits.ConsumeUnicode(LONGEST),
        lambda: [bits.ConsumeUnicode(8)] * bits.ConsumeIntInRange(0, 1001),
        lambda: {bits.ConsumeUnicode(8): bits.ConsumeUnicode(8)},
    )
    return makers[bits.ConsumeIntInRange(0, len(makers) - 1)]()


def main() -> None:
    atheris.Setup([*sys.argv, "-max_len=4096"], parse_anything)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
