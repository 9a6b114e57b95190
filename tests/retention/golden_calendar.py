"""The golden files of retention: which recovery points of one lineage each of many policies keeps.

A golden file is a question (the lines `key: value`) and its answer (the kept ones with the reasons, the deleted ones).
After a deliberate change of a rule, `python -m tests.retention.golden_calendar` rewrites the answers. Read the diff.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "lifeboat" / "python"
if str(LAYER) not in sys.path:  # run as a program, not by pytest
    sys.path.insert(0, str(LAYER))

from lifeboat.domain.recovery_point import RecoveryPoint  # noqa: E402
from lifeboat.retention.calendar import render_text  # noqa: E402
from lifeboat.retention.limits import Limits  # noqa: E402
from lifeboat.retention.plan import RetentionPlan, Verdict, parse_policy, plan  # noqa: E402
from tests.retention.builders import STACK, point  # noqa: E402

FOLDER = Path(__file__).parent / "golden"
TAKEN = FOLDER / "taken.txt"
CALENDAR = FOLDER / "default-calendar.md"


def golden_files() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*.txt") if path != TAKEN)


def taken() -> list[RecoveryPoint]:
    """The recovery points of all golden files."""
    lines = [line.split(" ", 2) for line in TAKEN.read_text().splitlines() if not line.startswith("#")]
    return [point(datetime.fromisoformat(time), name=name) for name, time, _ in lines]


def question(path: Path) -> dict[str, str]:
    head = path.read_text().split("\n\n", 1)[0]
    return dict(line.split(": ", 1) for line in head.splitlines())


def answer(asked: dict[str, str]) -> RetentionPlan:
    """The plan for a golden file's question. A limit that it does not name is the lowest, so only the policy counts."""
    return plan(
        taken(),
        now=datetime.fromisoformat(asked.get("now", "2026-04-21T02:00Z")),
        policy=parse_policy(asked["policy"], asked.get("time zone", "UTC")),
        overrides={},
        limits=Limits(
            min_keep=int(asked.get("min_keep", 1)),
            max_delete_share=float(asked.get("max_delete_share", 1)),
            grace=timedelta(days=float(asked.get("grace days", 0))),
        ),
        stack=STACK,
        existing_volumes={"vol-1"},
    )


def render(asked: dict[str, str]) -> str:
    decided = answer(asked)
    kept = [verdict for verdict in decided.verdicts if verdict.keep]
    deleted = [verdict for verdict in decided.verdicts if not verdict.keep]
    lines = [f"{key}: {value}" for key, value in asked.items()]
    lines += ["", *(f"notice: {notice}" for notice in decided.notices)]
    lines += [f"kept: {len(kept)}, newest first"]
    lines += [f"{_line(verdict)}  {'; '.join(verdict.reasons)}" for verdict in reversed(kept)]
    lines += [f"deleted: {len(deleted)}, oldest first", *map(_line, deleted)]
    return "\n".join(lines) + "\n"


def _line(verdict: Verdict) -> str:
    return f"  {verdict.point.id} {verdict.point.taken_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def default_calendar() -> str:
    """The calendar in docs/guide/retention.md: the default policy after almost three years of nightly backups."""
    policy, volume = "last=3 daily=14 weekly=8 monthly=12 yearly=7", "vol-0aaaaaaaaaaaaaa11"
    last = datetime(2026, 11, 23, 2, tzinfo=UTC)
    days = (last - datetime(2024, 1, 1, 2, tzinfo=UTC)).days
    decided = plan(
        [point(last - timedelta(days=days - day), volume, name=f"rp-{day}") for day in range(days + 1)],
        now=last + timedelta(hours=1),
        policy=parse_policy(policy),
        overrides={},
        limits=Limits(max_delete_share=1),
        stack=STACK,
        existing_volumes={volume},
    )
    return f"Policy `{policy}`, one recovery point every night at 02:00.\n\n```text\n{render_text(decided)}```\n"


def main() -> None:
    for path in golden_files():
        path.write_text(render(question(path)))
    CALENDAR.write_text(default_calendar())


if __name__ == "__main__":
    main()
