"""The generated part of docs/design/restore-machine.md: the diagram of the steps, and the table of what they do.

Both come from `lifeboat.restore.machine`, and the model check compares the ways drawn here with those that can be gone.
`python tools/generate_docs.py` writes them into the page.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from tools.marked_page import ROOT, MarkedPage

sys.path.insert(0, str(ROOT / "layers" / "lifeboat" / "python"))

from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.graph import STEP_FACTS, WAYS, Node
from lifeboat.restore.preflight.volumes import LIMITS
from lifeboat.restore.record import Direction, RestoreState, RestoreStep

PATH = ROOT / "docs" / "design" / "restore-machine.md"
BEGIN = "<!-- restore steps: written by `make docs` -->"
END = "<!-- end of the restore steps -->"

_TITLES = {Direction.FORWARD: "forward", Direction.ROLLBACK: "back"}


def render() -> str:
    """What stands between the markers, the line ends beside them included."""
    return f"\n{_diagram()}\n\n{_steps()}\n\n{_types()}\n\n"


def _diagram() -> str:
    lines = ["```mermaid", "flowchart TB"]
    for direction, title in _TITLES.items():
        lines.append(f"  subgraph {direction.value} [{title}]")
        steps = [step for step in RestoreStep if (direction, step) in WAYS]
        lines += [f"    {_id((direction, step))}[{step.value}]" for step in steps]
        lines.append("  end")
    lines += [f"  {_id(state)}([{state.value}])" for state in RestoreState if state is not RestoreState.OPEN]
    for here, ways in WAYS.items():
        for there in ways:
            turns = isinstance(here, tuple) and isinstance(there, tuple) and here[0] is not there[0]
            lines.append(f"  {_id(here)} {'-.->' if turns else '-->'} {_id(there)}")
    return "\n".join([*lines, "```"])


def _id(node: Node) -> str:
    name = "_".join(part.value for part in node) if isinstance(node, tuple) else node.value
    return name.replace("-", "_")


def _steps() -> str:
    deadlines = Deadlines()
    rows = ["| step | forward | on the way back | deadline |", "|---|---|---|---|"]
    rows += [
        f"| {fact.step} | {fact.forward} | {fact.rollback} | {_span(deadlines.of(fact.step))} (`{fact.deadline}`) |"
        for fact in STEP_FACTS
    ]
    return "\n".join(rows)


def _types() -> str:
    rows = ["| volume type | GiB | IOPS | MiB/s | IOPS for each GiB |", "|---|---|---|---|---|"]
    for name, limits in LIMITS.items():
        iops = _range(limits.iops) + (", needed" if limits.iops_needed else "")
        rows.append(
            f"| {name} | {_range(limits.size)} | {iops} | {_range(limits.throughput)} | {limits.iops_per_gib or '-'} |"
        )
    return "\n".join(rows)


def _range(bounds: tuple[int, int] | None) -> str:
    return f"{bounds[0]:,} to {bounds[1]:,}" if bounds else "-"


def _span(time: timedelta) -> str:
    return f"{int(time.total_seconds() // 60)} min"


PAGE = MarkedPage(path=PATH, begin=BEGIN, end=END, render=render)
