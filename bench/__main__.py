"""`make bench`: everything in bench/, one module after the other; the figures as one file, `.local/bench.json`.

A module of the bench has `run() -> dict`: it prints its table and returns its figures as JSON knows them. Bars that are
not met are sentences under the key `problems`; any of them makes the bench exit with 1. `python -m bench NAME ...` runs
only those, and leaves the figures of the others as they were.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

FOLDER = Path(__file__).parent
OUTPUT = FOLDER.parent / ".local" / "bench.json"


def names() -> list[str]:
    """The modules of the bench, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if not module.name.startswith("_"))


def measure(name: str) -> dict[str, Any]:
    """Run one module; what it returned, with its date and how long it took."""
    print(f"\n== {name.replace('_', ' ')}", flush=True)
    begin = perf_counter()
    figures = importlib.import_module(f"bench.{name}").run()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"measured_at": at, "took_seconds": round(perf_counter() - begin, 1), **figures}


def problems_of(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every bar that is not met, with the name of its module."""
    return [f"{name}: {problem}" for name, row in figures.items() for problem in row.get("problems", [])]


def main(wanted: Sequence[str]) -> int:
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"there is no {', '.join(unknown)} in bench/; there are {', '.join(names())}", file=sys.stderr)
        return 2
    known = json.loads(OUTPUT.read_text()) if wanted and OUTPUT.exists() else {}
    OUTPUT.parent.mkdir(exist_ok=True)
    measured: dict[str, Any] = {}
    for name in wanted or names():
        measured[name] = measure(name)
        # After each module: what has been measured is not lost with what comes after it.
        OUTPUT.write_text(json.dumps({**known, **measured}, indent=2, sort_keys=True) + "\n")
    problems = problems_of(measured)
    print("\n" + ("\n".join(problems) or "all bars are met"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
